"""Paths of the context as expressions over what a receiver has at hand."""

from __future__ import annotations

from typing import Any

from django.db import models

from rules_engine.context.paths import Step, aggregate_of, readable_fields, steps
from rules_engine.errors import UnknownPath
from rules_engine.source.literals import json_of, literal, mapping, quoted
from rules_engine.source.writer import Value, Writer
from rules_engine.types import EVERY_FIELD, Path

NULL = Value("None", "null", constant=(None,))
#: In this order: a DateTimeField is a DateField.
KINDS: tuple[tuple[type[Any], str], ...] = (
    (models.BooleanField, "boolean"),
    (models.IntegerField, "integer"),
    (models.DecimalField, "decimal"),
    (models.FloatField, "float"),
    (models.DateTimeField, "datetime"),
    (models.DateField, "date"),
    (models.TimeField, "time"),
    (models.UUIDField, "uuid"),
    (models.FileField, "file"),
    (models.CharField, "text"),
    (models.TextField, "text"),
)


def kind_of(field: Any) -> str:
    """Return what a field holds, as ``Value.kind`` has it."""
    if isinstance(field, models.ForeignKey):
        return kind_of(field.target_field)
    return next((kind for type_, kind in KINDS if isinstance(field, type_)), "any")


def unsupported(writer: Writer, logic: Any) -> Value:
    """Return what is left for the developer to write."""
    return Value(f"{writer.module.function('not_in_python')}({json_of(logic)})")


def context_value(writer: Writer, path: Path) -> Value:
    """Return a path that begins at the context's top."""
    root, *rest = path
    if root == "instance" and writer.model is not None:
        return below(writer, Value("instance", "object", False, model=writer.model), tuple(rest))
    if root == "row" and writer.row is not None:
        return below(writer, Value("row", "object", False, model=writer.row), tuple(rest))
    if root == "each":
        return below(writer, Value("each", "object" if writer.each else "any", False, model=writer.each), tuple(rest))
    build = _ROOTS.get(root)
    return build(writer, tuple(rest)) if build else unsupported(writer, {"var": ".".join(path)})


def below(writer: Writer, start: Value, path: Path) -> Value:
    """Return what a path leads to from an object of ``start.model``: null wherever a relation on the way is."""
    value, guards = start, []
    for index, name in enumerate(path):
        if value.model is None or value.kind == "rows":
            rest = ", ".join(map(quoted, path[index:]))
            if value.kind == "rows":
                return unsupported(writer, {"var": f"{value.code}.{'.'.join(path[index:])}"})
            value = Value(f"{writer.module.function('read')}({value.code}, {rest})")
            break
        step = steps(value.model).get(name)
        if step is None and index == len(path) - 1 and (total := aggregated(writer, value, name)) is not None:
            guards += [value.code] if value.null else []
            value = total
            break
        if step is None or name == EVERY_FIELD:
            return unsupported(writer, {"var": ".".join((start.code, *path))})
        if value.null:
            guards.append(value.code)
        value = _step(writer, value, step)
    if not guards or value.kind == "null":
        return value
    return Value(f"{value.code} if {' and '.join(guards)} else None", value.kind, True, 1, value.model)


def aggregated(writer: Writer, value: Value, name: str) -> Value | None:
    """Return what related rows come to, by the aggregate's name; None where it is the name of none, or nothing has a
    key."""
    try:
        aggregate = aggregate_of(value.model, name) if value.model is not None else None
    except UnknownPath:
        return None
    if aggregate is None or (writer.is_early and value.code == "instance"):
        return None
    rows = f"{value.code}.{aggregate.relation}"
    if not aggregate.fields:
        return Value(f"{rows}.count()", "integer", False)
    function = writer.module.use("django.db.models", aggregate.function.capitalize())
    f = writer.module.use("django.db.models", "F") if len(aggregate.fields) > 1 else ""
    names = [quoted(field.name) for field in aggregate.fields]
    operand = " * ".join(f"{f}({name})" for name in names) if f else names[0]
    code = f'{rows}.aggregate(found={function}({operand}))["found"]'
    if aggregate.function == "sum":
        return Value(f"({code} or 0)", "decimal", False)
    return Value(code, kind_of(aggregate.fields[0]) if aggregate.function != "avg" and not f else "any", True)


def _step(writer: Writer, value: Value, step: Step) -> Value:
    field = step.field
    if step.kind == "to_many":
        return Value(f"{value.code}.{step.name}.all()", "rows", False, model=step.model)
    if step.kind == "to_one":
        if not getattr(field, "concrete", False):
            return Value(f"getattr({value.code}, {quoted(step.name)}, None)", "object", True, model=step.model)
        return Value(f"{value.code}.{step.name}", "object", field.null, model=step.model)
    name = "pk" if step.name == "pk" else step.name
    if isinstance(field, models.FileField):
        return Value(f"{value.code}.{name}.name", "text", True)
    unsaved = writer.is_early and field.primary_key and value.code == "instance"
    return Value(f"{value.code}.{name}", kind_of(field), bool(field.null) or unsaved)


def columns_wanted(writer: Writer, reads: Any) -> dict[str, Any]:
    """Return the fields whose earlier value these paths and the rule's change conditions want, by column."""
    model = writer.model
    if model is None:
        return {}
    names = {str(change.get("field")) for change in writer.rule.changes}
    names |= {path[1] if len(path) > 1 else EVERY_FIELD for path in reads if path[0] in ("old", "changes", "changed")}
    fields = readable_fields(model)
    if EVERY_FIELD in names:
        return {field.attname: field for field in fields}
    return {field.attname: field for field in fields if {field.name, field.attname, "pk"} & names}


def _old(writer: Writer, rest: Path) -> Value:
    if not rest or rest[0] == EVERY_FIELD or writer.model is None:
        return Value("old", "any")
    step = steps(writer.model).get(rest[0])
    kind = kind_of(step.field) if step is not None and len(rest) == 1 else "any"
    kind = "text" if kind == "file" else kind
    if len(rest) == 1:
        return Value(f"(old or {{}}).get({quoted(rest[0])})", kind)
    return Value(f"{writer.module.function('read')}(old, {', '.join(map(quoted, rest))})")


def _changes(writer: Writer, rest: Path) -> Value:
    if not rest or rest[0] == EVERY_FIELD:
        return Value("changes", "any", False)
    if len(rest) == 2 and writer.model is not None:
        step = steps(writer.model).get(rest[0])
        kind = kind_of(step.field) if step is not None else "any"
        code = f"changes.get({quoted(rest[0])}, {{}}).get({quoted(rest[1])})"
        return Value(code, "text" if kind == "file" else kind)
    return Value(f"{writer.module.function('read')}(changes, {', '.join(map(quoted, rest))})")


def _created(writer: Writer, rest: Path) -> Value:
    if {"pre_save", "post_save"} & set(writer.signals):
        return Value("created", "boolean", False, opposite="not created")
    return NULL


def _actor(writer: Writer, rest: Path) -> Value:
    code = f"{writer.module.function('current_user')}()"
    names = {"id": "pk", "username": "username"}
    if not rest:
        return Value(code, "object")
    return Value(f"getattr({code}, {quoted(names.get(rest[0], rest[0]))}, None)", "text" if rest[0] != "id" else "any")


def _request(writer: Writer, rest: Path) -> Value:
    code = f"{writer.module.function('current_request')}()"
    return Value(f"getattr({code}, {quoted(rest[0])}, None)", "text") if rest else Value(code, "object")


def _event(writer: Writer, rest: Path) -> Value:
    name = rest[0] if rest else ""
    if name == "occurred_at":
        return Value(f"{writer.module.use('django.utils', 'timezone')}.now()", "datetime", False)
    if name == "pk":
        return context_value(writer, ("instance", "pk")) if writer.model else NULL
    if name in ("model", "signal"):
        text = writer.rule.model if name == "model" else writer.signals[0]
        return Value(literal(text), "text", False, constant=(text,))
    if name == "operation":
        return _operation(writer)
    if name in ("id", "root_id"):
        return Value(f"{writer.module.use('uuid', 'uuid4')}()", "uuid", False)
    return Value("0", "integer", False, constant=(0,)) if name == "depth" else unsupported(writer, {"var": "event"})


def _operation(writer: Writer) -> Value:
    if "m2m_changed" in writer.signals:
        return Value('action.removeprefix("post_")', "text", False)
    if {"pre_save", "post_save"} & set(writer.signals):
        return Value('"create" if created else "update"', "text", False, 1)
    return Value('"delete"', "text", False, constant=("delete",)) if writer.deletes else NULL


def _m2m(writer: Writer, rest: Path) -> Value:
    if "m2m_changed" not in writer.signals:
        return NULL
    parts = {
        "field": Value(quoted(writer.relation), "text", False),
        "action": Value('action.removeprefix("post_")', "text", False),
        # The module's receivers are connected to the model's own side.
        "side": Value('"own"', "text", False, constant=("own",)),
        "pks": Value("sorted(pk_set or ())", "list", False),
        "count": Value("len(pk_set or ())", "integer", False),
    }
    step = steps(writer.model).get(writer.relation) if writer.model else None
    if step is not None and step.model is not None:
        rows = f"{writer.module.model(step.model)}._base_manager.filter(pk__in=pk_set or ())"
        parts["objects"] = Value(rows, "rows", False, model=step.model)
    if not rest:
        return Value(mapping({name: value.code for name, value in parts.items()}), "any", False)
    return parts.get(rest[0], NULL) if len(rest) == 1 else unsupported(writer, {"var": ".".join(("m2m", *rest))})


def _signal(writer: Writer, rest: Path) -> Value:
    if not rest:
        return Value("kwargs", "any", False)
    if len(rest) == 1:
        return Value(f"kwargs.get({quoted(rest[0])})")
    return Value(f"{writer.module.function('read')}(kwargs, {', '.join(map(quoted, rest))})")


def _what_happened(writer: Writer, rest: Path) -> Value:
    has_changes = bool({"pre_save", "post_save"} & set(writer.signals))
    event = {name: _event(writer, (name,)).code for name in ("model", "signal", "operation", "pk")}
    parts = {
        "event": mapping(event),
        "instance": '{name: getattr(instance, name, None) for name in ("name", "title")}' if writer.model else "None",
        "changes": "changes" if has_changes else "{}",
        "actor": mapping({"username": _actor(writer, ("username",)).code}),
    }
    if "m2m_changed" in writer.signals:
        parts["m2m"] = mapping({name: _m2m(writer, (name,)).code for name in ("field", "action", "count")})
    return Value(f"{writer.module.function('what_happened')}({mapping(parts)})", "text", False)


def _admin_url(writer: Writer, rest: Path) -> Value:
    event = {name: _event(writer, (name,)).code for name in ("model", "operation", "pk")}
    return Value(f"{writer.module.function('admin_url')}({mapping(event)})", "text", False)


def _due(writer: Writer, rest: Path) -> Value:
    return Value(f"{writer.module.function('read')}(due, {', '.join(map(quoted, rest))})" if rest else "due")


def _rows(writer: Writer, rest: Path) -> Value:
    if not rest:
        return Value("rows", "list", False)
    return Value(f"{writer.module.function('read')}(rows, {', '.join(map(quoted, rest))})")


_ROOTS = {
    "due": _due,
    "rows": _rows,
    "what_happened": _what_happened,
    "admin_url": _admin_url,
    "old": _old,
    "changed": lambda writer, rest: Value("changed", "list", False),
    "changes": _changes,
    "created": _created,
    "actor": _actor,
    "request": _request,
    "event": _event,
    "m2m": _m2m,
    "signal": _signal,
}

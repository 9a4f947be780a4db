"""``create_object`` and ``update_objects`` as a developer would write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db import models

from rules_engine.actions.rows import field_rows, targets
from rules_engine.context.paths import ModelClass, field_of, find_model, steps
from rules_engine.errors import UnknownPath
from rules_engine.source.literals import call, comment, indented, keywords, quoted
from rules_engine.source.names import context_value, kind_of
from rules_engine.source.texts import value_of
from rules_engine.source.writer import Value, Writer

Config = Mapping[str, Any]


def _field(model: ModelClass | None, name: str) -> Any:
    try:
        return None if model is None else field_of(model, name)
    except UnknownPath:
        return None


def is_text(model: ModelClass | None, name: str) -> bool:
    """Say whether the field holds texts."""
    return isinstance(_field(model, name), models.CharField | models.TextField)


def field_value(writer: Writer, model: ModelClass | None, name: str, written: Any) -> str:
    """Return a config's value as the field takes it: null for an empty text where it holds none, and the other way
    round."""
    field, value = _field(model, name), value_of(writer, written)
    if field is None:
        return value.code
    if value.constant and value.constant[0] == "" and not field.empty_strings_allowed:
        return "None"
    if is_text(model, name) and not field.null and value.null:
        return f'{value.at(4)} or ""'
    if kind_of(field) == "boolean" and value.constant and isinstance(value.constant[0], str):
        return str(value.constant[0].lower() in ("true", "yes", "on", "1"))
    return value.code


def _column(model: ModelClass | None, name: str) -> str:
    field = _field(model, name)
    return name if field is None or name == "pk" else str(field.attname)


def create_lines(writer: Writer, config: Config) -> list[str]:
    """Return a new row, validated and saved; unless there is one."""
    model = find_model(str(config.get("model")))
    if model is None:
        return ["pass"]
    name = writer.module.model(model)
    columns = {
        _column(model, str(row["field"])): field_value(writer, model, str(row["field"]), row.get("value"))
        for _, row in field_rows.rows(config, "values")
    }
    made = ["row = " + call(name, keywords(columns)), "row.full_clean()", "row.save()"]
    same = {_column(model, str(name)) for name in config.get("unless_exists") or ()}
    if not same:
        return made
    looked_up = keywords({column: code for column, code in columns.items() if column in same})
    return [f"if not {call(f'{name}.objects.filter', looked_up)}.exists():", *indented(made)]


def update_lines(writer: Writer, config: Config) -> list[str]:
    """Lock rows, change and save them; or write one statement."""
    try:
        model = targets.model_of(config, writer.rule.model)
    except UnknownPath:
        return ["pass"]
    rows = _rows(writer, config, model)
    if rows is None:
        return [
            *comment("Which rows: the deleted object's relation to many is gone by now; the rule kept its keys."),
            "pass",
        ]
    if config.get("one_statement"):
        values = {row["field"]: _changed(writer, model, row) for _, row in field_rows.rows(config, "values")}
        return [call(f"{rows}.update", keywords(values))]
    atomic = writer.module.use("django.db", "transaction")
    loop = f'for row in {rows}.select_for_update().order_by("pk"):'
    body = _body(replace(writer, row=model), config, model)
    return [f"with {atomic}.atomic():", *indented([loop, *indented(body)])]


def _body(writer: Writer, config: Config, model: ModelClass) -> list[str]:
    rows = [row for _, row in field_rows.rows(config, "values")]
    if not rows:
        return ["row.save()"]
    plain = {
        str(row["field"]): field_value(writer, model, str(row["field"]), row.get("value"))
        for row in rows
        if _is_set(row)
    }
    others = [row for row in rows if not _is_set(row)]
    set_values = writer.module.function("set_values") if plain else ""
    lines = ["names = " + call(set_values, ["row", *keywords(plain)]) if plain else "names = []"]
    for row in others:
        lines += [f"row.{row['field']} = {_changed(writer, model, row)}", f"names.append({quoted(str(row['field']))})"]
    kept = [quoted(field.name) for field in model._meta.concrete_fields if getattr(field, "auto_now", False)]
    save = f"row.save(update_fields=[{', '.join(['*names', *kept])}])" if kept else "row.save(update_fields=names)"
    return [*lines, "if names:", *indented([save])] if not others else [*lines, save]


def _is_set(row: Mapping[str, Any]) -> bool:
    return (row.get("how") or "set") == "set"


def _changed(writer: Writer, model: ModelClass, row: Mapping[str, Any]) -> str:
    """Return the value; for an increment or an appended text, an expression for the database to work out."""
    name = str(row["field"])
    code = field_value(writer, model, name, row.get("value"))
    if _is_set(row):
        return code
    f = writer.module.use("django.db.models", "F")
    if row.get("how") == "append":
        concat = writer.module.use("django.db.models.functions", "Concat")
        value = writer.module.use("django.db.models", "Value")
        return f"{concat}({f}({quoted(name)}), {value}({code}))"
    field = _field(model, name)
    code = _amount(writer, field, row.get("value"), code)
    if field is not None and field.null:
        coalesce = writer.module.use("django.db.models.functions", "Coalesce")
        return f"{coalesce}({f}({quoted(name)}), 0) + {code}"
    return f"{f}({quoted(name)}) + {code}"


def _amount(writer: Writer, field: Any, written: Any, code: str) -> str:
    value = value_of(writer, written)
    if value.constant and isinstance(value.constant[0], str):
        kind = kind_of(field)
        if kind == "integer" and value.constant[0].strip().lstrip("+-").isdecimal():
            number = int(value.constant[0])
            return str(number) if number >= 0 else f"({number})"
        return f"{writer.module.use('decimal', 'Decimal')}({code})"
    return value.at(9)


def kept_lines(writer: Writer, config: Config) -> list[str]:
    """Return what is to be kept of the object for ``update_lines``, while it is being deleted: the keys of its rows."""
    relation = _kept_relation(writer, config)
    if not relation:
        return []
    return [f"{relation}_before = list(instance.{relation}.order_by().values_list({quoted('pk')}, flat=True))"]


def _kept_relation(writer: Writer, config: Config) -> str:
    """Return the relation to many that is the target; empty where it is something else, or known no more."""
    target = targets.name_of(config)
    if writer.signals != ("pre_delete",) or target in (targets.INSTANCE, targets.QUERY) or "." in target:
        return ""
    step = steps(writer.model).get(target) if writer.model is not None else None
    return target if step is not None and step.kind == "to_many" else ""


def _rows(writer: Writer, config: Config, model: ModelClass) -> str | None:
    target = targets.name_of(config)
    own, path = writer.model, target.split(".")
    if target in (targets.INSTANCE, targets.QUERY):
        start = ["pk=instance.pk"] if target == targets.INSTANCE else []
    elif own is None:
        return None
    elif writer.deletes:
        first = _of_deleted(writer, config, path)
        if not first:
            return None
        start = [first]
    else:
        start = [f"pk__in={_keys(writer, own, path)}"]
    manager = "_base_manager" if target == targets.INSTANCE else "objects"
    return call(f"{writer.module.model(model)}.{manager}.filter", [*start, *_filters(writer, config, model)])


def _of_deleted(writer: Writer, config: Config, path: list[str]) -> str:
    if relation := _kept_relation(writer, config):
        return f"pk__in={relation}_before"
    value = context_value(writer, ("instance", path[0], "pk"))
    return "" if len(path) > 1 or value.kind in ("any", "rows") else f"pk={value.code}"


def _keys(writer: Writer, own: ModelClass, path: list[str]) -> str:
    return f"{writer.module.model(own)}._base_manager.filter(pk=instance.pk).values({quoted('__'.join([*path, 'pk']))})"


def _filters(writer: Writer, config: Config, model: ModelClass) -> list[str]:
    lookups: dict[str, str] = {}
    for _, row in field_rows.rows(config, "filter"):
        written = targets.filter_of(model, str(row.get("field")))
        lookup = f"{written.name}__{written.lookup}".removesuffix("__exact")
        lookups[lookup] = _operand(writer, written, row.get("value"))
    return keywords(lookups)


def _operand(writer: Writer, written: targets.Filter, operand: Any) -> str:
    value: Value = value_of(writer, operand)
    constant = value.constant[0] if value.constant else None
    if written.lookup == "isnull" and isinstance(constant, str):
        return str(constant.lower() in ("true", "yes", "on", "1"))
    if written.lookup == "in" and isinstance(constant, str):
        return "[" + ", ".join(quoted(item.strip()) for item in constant.split(",")) + "]"
    return value.code

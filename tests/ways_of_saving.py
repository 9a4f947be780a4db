"""Every way in which a row is written through a model, and what the database says of it before and after.

The forms in which values are told are written here once more, apart from the engine: of what a fresh query gives.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.files import File
from django.db import models
from django.db.models import F

from rules_engine.actions import ActionResult
from rules_engine.models import Event
from rules_engine.rules.contract import Action

Model = type[models.Model]
Values = Mapping[str, Any]


class ReadAll(Action):
    """Reads all of an object, as it was and as it is; those of ``more`` as well, which "all" leaves out."""

    kind = "read_all"
    label = "Read all"
    schema = {"type": "object", "keys": {}}
    more: tuple[str, ...] = ()

    def reads(self, config: Mapping[str, Any], rule: Any) -> Iterable[tuple[str, ...]]:
        """Say that it reads all."""
        names = ("*", *self.more)
        return {(part, name) for part in ("instance", "old") for name in names} | {("changes", "*")}

    def run(self, context: Any, config: Mapping[str, Any]) -> ActionResult:
        """Do nothing."""
        return ActionResult()


@dataclass(frozen=True)
class Kinds:
    """The models of one case: the one that the rule is on, one that inherits it, and a proxy of it."""

    base: Model
    child: Model
    proxy: Model


def put(row: models.Model, values: Values) -> models.Model:
    """Put the values on the instance."""
    for name, value in values.items():
        setattr(row, name, value)
    return row


def _save(kinds: Kinds, pk: Any, values: Values) -> None:
    put(kinds.base._base_manager.get(pk=pk), values).save()


def _save_twice(kinds: Kinds, pk: Any, values: Values) -> None:
    row = put(kinds.base._base_manager.get(pk=pk), values)
    row.save()
    Event.objects.all().delete()
    row.save()


def _update_fields(kinds: Kinds, pk: Any, values: Values) -> None:
    names = sorted(values)
    put(kinds.base._base_manager.get(pk=pk), values).save(update_fields=names[: (len(names) + 1) // 2])


def _force_update(kinds: Kinds, pk: Any, values: Values) -> None:
    held = kinds.base._base_manager.get(pk=pk)
    fields = [field for field in kinds.base._meta.concrete_fields if not getattr(field, "generated", False)]
    row = kinds.base(**{field.attname: field.value_from_object(held) for field in fields})
    put(row, values).save(force_update=True)


def _raw(kinds: Kinds, pk: Any, values: Values) -> None:
    put(kinds.base._base_manager.get(pk=pk), values).save_base(raw=True)


def _proxy(kinds: Kinds, pk: Any, values: Values) -> None:
    put(kinds.proxy._base_manager.get(pk=pk), values).save()


def _child(kinds: Kinds, pk: Any, values: Values) -> None:
    put(kinds.child._base_manager.get(pk=pk), values).save()


def _child_update_fields(kinds: Kinds, pk: Any, values: Values) -> None:
    names = sorted(values)
    put(kinds.child._base_manager.get(pk=pk), values).save(update_fields=names[: (len(names) + 1) // 2])


def _expression(kinds: Kinds, pk: Any, values: Values) -> None:
    row = put(kinds.base._base_manager.get(pk=pk), values)
    put(row, {"number": F("number") + 1}).save()


def _expression_alone(kinds: Kinds, pk: Any, values: Values) -> None:
    row = put(kinds.base._base_manager.get(pk=pk), values)
    put(row, {"number": F("number") + 1}).save(update_fields=["number"])


def _deferred(kinds: Kinds, pk: Any, values: Values) -> None:
    put(kinds.base._base_manager.only("pk", "number").get(pk=pk), values).save()


def _all_deferred(kinds: Kinds, pk: Any, values: Values) -> None:
    put(kinds.base._base_manager.only("pk").get(pk=pk), values).save()


Way = Callable[[Kinds, Any, Values], None]
#: Those of a row of the model, and those that want one which another model inherits.
WAYS: Mapping[str, Way] = {
    "save": _save,
    "save twice": _save_twice,
    "update_fields": _update_fields,
    "force_update": _force_update,
    "raw": _raw,
    "proxy": _proxy,
    "expression": _expression,
    "expression alone": _expression_alone,
    "deferred": _deferred,
    "all deferred": _all_deferred,
}
INHERITED: Mapping[str, Way] = {**WAYS, "child": _child, "child's update_fields": _child_update_fields}


def stored(kinds: Kinds, pk: Any) -> dict[str, Any]:
    """Return what the database says of a row, in the form in which rules are to be told of it, by column name."""
    row: Any = models.QuerySet(kinds.base).get(pk=pk)
    return {field.attname: told(field, row.__dict__[field.attname]) for field in kinds.base._meta.concrete_fields}


def told(field: Any, value: Any) -> Any:
    """Return a value that a query gave in the form in which it is to be told."""
    match value:
        case None | bool() | int() | float() | decimal.Decimal():
            return value
        case datetime.datetime():
            return value.astimezone(datetime.UTC).isoformat()
        case datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return value / datetime.timedelta(seconds=1)
        case uuid.UUID() | File():
            return str(value) if isinstance(value, uuid.UUID) else value.name or ""
        case bytes() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case str() if not hasattr(field, "schema"):
            return value
    return told_otherwise(field, value)


def told_otherwise(field: Any, value: Any) -> Any:
    """Return what is no plain value: JSON, lists, ranges, and what libraries have."""
    if field.get_internal_type() == "JSONField":
        prepared = field.get_prep_value(value)
        return json.loads(json.dumps(prepared, cls=getattr(field, "encoder", None)))
    if isinstance(value, list):
        return [told(getattr(field, "base_field", field), item) for item in value]
    if hasattr(value, "isempty"):
        return _range(field, value)
    return field.get_prep_value(value)


def _range(field: Any, value: Any) -> str:
    if value.isempty:
        return json.dumps({"empty": True})
    ends = [told(field.base_field, end) for end in (value.lower, value.upper)]
    lower, upper = (end if end is None else str(end) for end in ends)
    return json.dumps({"bounds": value._bounds, "lower": lower, "upper": upper})


def marked(value: Any) -> Any:
    """Return a value that equals another one only if JSON has it so: true is not 1, and 1e18 is 1 with 18 noughts."""
    if isinstance(value, dict):
        return {key: marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [marked(item) for item in value]
    if isinstance(value, float) and "e+" in repr(value):
        return int(decimal.Decimal(repr(value)))  # as PostgreSQL writes it
    return ("flag", value) if isinstance(value, bool) else value


def is_same(told_of: Any, wanted: Any) -> bool:
    """Say whether what was told is what is wanted; of what is too long just its beginning is told."""
    if isinstance(told_of, list) and isinstance(wanted, list) and len(wanted) > 1_000:
        return bool(told_of[:1_000] == wanted[:1_000]) and str(told_of[-1]).startswith("…")
    if isinstance(told_of, str) and isinstance(wanted, str) and len(wanted) > 10_000:
        return told_of.startswith(wanted[:10_000] + "…")
    if isinstance(wanted, float) and isinstance(told_of, int) and not isinstance(told_of, bool):
        told_of = float(told_of)  # PostgreSQL writes 1e300 out where the event is stored
    if isinstance(wanted, int) and abs(wanted) >= 2**63:
        return told_of in (wanted, str(wanted), float(wanted))  # on which JSON parsers disagree
    return bool(marked(told_of) == marked(wanted))


def differences(kinds: Kinds, before: Values, after: Values) -> list[str]:
    """Return in what the last event differs from what the database says; empty where it tells the truth."""
    context = Event.objects.latest("id").captured().context
    changes, problems = context["changes"], []
    for field in kinds.base._meta.concrete_fields:
        name, column = field.name, field.attname
        is_changed = marked(before[column]) != marked(after[column])
        if (name in changes) is not is_changed:
            problems.append(f"{name}: {'no change told' if is_changed else 'a change told'}: {changes.get(name)}")
        elif is_changed and not is_same(changes[name]["old"], before[column]):
            problems.append(f"{name}: it was {before[column]!r}, and told is {changes[name]['old']!r}")
        elif is_changed and not is_same(changes[name]["new"], after[column]):
            problems.append(f"{name}: it is {after[column]!r}, and told is {changes[name]['new']!r}")
        if column in context["instance"] and not is_same(context["instance"][column], after[column]):
            problems.append(f"{name}: it is {after[column]!r}, and told is {context['instance'][column]!r}")
        if column in (context["old"] or {}) and not is_same(context["old"][column], before[column]):
            problems.append(f"{name}: it was {before[column]!r}, and told is {context['old'][column]!r}")
    return problems

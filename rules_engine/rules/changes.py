"""Change conditions as written, ``{"field", "from"?, "to"?}``, checked and compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext

from rules_engine.context.paths import ModelClass, field_of, steps
from rules_engine.context.plain_data import same
from rules_engine.context.stored_form import column_value, may_hold_many
from rules_engine.errors import Problem, UnknownPath, did_you_mean
from rules_engine.hidden.fields import is_hidden
from rules_engine.rules.matching import CompiledChange

KEYS = ("field", "from", "to")


def change_problems(model: ModelClass | None, changes: Any) -> Iterator[Problem]:
    """Yield what is wrong with a rule's list of change conditions."""
    for index, change in enumerate(changes):
        pointer = f"/{index}"
        for key in change:
            if key not in KEYS:
                message = gettext('A change condition has "field", "from" and "to", not "%(key)s".') % {"key": key}
                yield Problem(f"{pointer}/{key}", message + did_you_mean(str(key), KEYS))
        yield from _field_problems(model, change, pointer)


def _field_problems(model: ModelClass | None, change: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    name = change.get("field")
    if not isinstance(name, str) or not name:
        yield Problem(f"{pointer}/field", gettext("Name the field whose change matters."))
        return
    if model is None:
        message = gettext("A rule that listens to no model has no fields that could change.")
        yield Problem(f"{pointer}/field", message)
        return
    if _is_many_to_many(model, name):
        if "from" in change or "to" in change:
            message = gettext('"%(name)s" holds many objects, so it has no "from" or "to".') % {"name": name}
            yield Problem(pointer, message)
        return
    try:
        field = field_of(model, name)
    except UnknownPath as error:
        yield Problem(f"{pointer}/field", str(error))
        return
    for key in ("from", "to"):
        if change.get(key) not in (None, "") and is_hidden(field):
            message = gettext('"%(name)s" is hidden from rules: ask whether it changed, without "from" and "to".')
            yield Problem(f"{pointer}/{key}", message % {"name": name})
        elif key in change and (trouble := _value_problem(field, change[key])):
            yield Problem(f"{pointer}/{key}", trouble)


def _is_many_to_many(model: ModelClass, name: str) -> bool:
    step = steps(model).get(name)
    return step is not None and step.kind == "to_many" and step.field.many_to_many


def _value_problem(field: models.Field[Any, Any], value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list | dict) and not may_hold_many(field):
        message = gettext('Expected one value of "%(field)s", and got %(got)s.')
        return message % {"field": field.name, "got": repr(value)}
    if choices := [choice for choice, _ in field.flatchoices]:
        return _choice_problem(field, value, choices)
    try:
        field.to_python(value)
    except ValidationError as error:
        return _no_value(field, value, " ".join(error.messages))
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        return _no_value(field, value, f"{error}.")
    return None


def _choice_problem(field: models.Field[Any, Any], value: Any, choices: list[Any]) -> str | None:
    """Compare in the stored form, for a choice may be an object; what a row may hold beside them can be asked for."""
    told = [column_value(field, choice) for choice in choices]
    if _is_held_beside_choices(field, value) or any(same(value, choice) for choice in told) or value in choices:
        return None
    return _no_choice(field, value, [str(choice) for choice in told])


def _is_held_beside_choices(field: models.Field[Any, Any], value: Any) -> bool:
    """Say whether a row may hold it although it is no choice: an empty text, or what new rows begin with."""
    if value == "":
        return field.blank or field.empty_strings_allowed
    return field.has_default() and not callable(field.default) and same(value, column_value(field, field.default))


def _no_choice(field: models.Field[Any, Any], value: Any, names: list[str]) -> str:
    message = gettext('%(got)s is no value of "%(field)s".%(hint)s It has: %(listed)s.')
    hint = did_you_mean(str(value), names)
    return message % {"got": repr(value), "field": field.name, "hint": hint, "listed": ", ".join(names)}


def _no_value(field: models.Field[Any, Any], value: Any, reason: str) -> str:
    message = gettext('%(got)s is no value of "%(field)s": %(reason)s')
    return message % {"got": repr(value), "field": field.name, "reason": reason}


def compile_changes(model: ModelClass | None, changes: Any) -> tuple[CompiledChange, ...]:
    """Compile change conditions, their values as events carry them; raises ``UnknownPath`` for a field that is gone."""
    if model is None:
        return ()
    return tuple(_compile(model, change) for change in changes)


def _compile(model: ModelClass, change: Mapping[str, Any]) -> CompiledChange:
    name = change["field"]
    if _is_many_to_many(model, name):
        return CompiledChange(name)
    field = field_of(model, name)
    return CompiledChange(
        field=field.name,
        has_old="from" in change,
        old=_compiled_value(field, change.get("from")),
        has_new="to" in change,
        new=_compiled_value(field, change.get("to")),
    )


def _compiled_value(field: models.Field[Any, Any], value: Any) -> Any:
    if value is None:
        return None
    # A list or an object is no text of a value, which is what ``to_python`` is for, but one itself.
    return column_value(field, value if isinstance(value, list | dict) else field.to_python(value))

"""``set_fields``: gives fields of the object values of their own just before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.actions.rows.conversion import value_for
from rules_engine.actions.rows.unique_values import unique_problem, unique_value
from rules_engine.actions.rows.writing import invalid, writable_field, writable_model
from rules_engine.context.paths import ModelClass, find_model, label_of
from rules_engine.context.snapshot import plain, safe
from rules_engine.errors import PermanentError, Problem, Refused, UnknownPath
from rules_engine.rules import values
from rules_engine.rules.contract import Action, Clause, FieldName, FieldValue, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

_SET = _("set %(field)s to %(value)s")
_SET_IF_EMPTY = _("set %(field)s to %(value)s if it is empty")
EMPTY: tuple[Any, ...] = (None, "", [], {})


@register_action
class SetFields(Action):
    """Set fields of the object that is being saved."""

    kind = "set_fields"
    label = _("Set fields before the save")
    timings = ("before_save",)
    schema = {
        "type": "object",
        "keys": {
            "fields": {
                "type": "array",
                "title": _("Fields"),
                "minItems": 1,
                "items": {
                    "type": "object",
                    "keys": {
                        "field": {"type": "string", "title": _("Field"), "plain": True},
                        "value": {
                            "type": "string",
                            "title": _("Value"),
                            "helpText": _("Such as {{ instance.name|slugify }}"),
                        },
                        "only_if_empty": {"type": "boolean", "title": _("Only if it is empty"), "default": False},
                        "unique": {
                            "type": "boolean",
                            "title": _("Unique, with a counter when taken"),
                            "default": False,
                        },
                    },
                },
            }
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        if set(rule.signals) != {"pre_save"}:
            yield Problem(
                "",
                gettext("Fields can be set before the save alone: let the rule listen to pre_save, and nothing else."),
            )
        if not _rows(config):
            yield Problem("/fields", gettext("Name at least one field and its value."))
        model = find_model(rule.model) if rule.model else None
        for index, row in enumerate(_rows(config)):
            pointer = f"/fields/{index}"
            if model is not None and (trouble := _field_problem(model, row.get("field"))):
                yield Problem(f"{pointer}/field", trouble)
            elif trouble := _unique_problem(model, row):
                yield Problem(f"{pointer}/unique", trouble)
            yield from values.problems(row.get("value"), rule, f"{pointer}/value")

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return {path for row in _rows(config) for path in values.reads(row.get("value"))}

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        app, _dot, name = rule.model.partition(".")
        return {f"{app}.change_{name}"}

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        return Clause("%(set)s", {"set": [_set(row, rule.model) for row in _rows(config)] or Clause(_SET)})

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        instance = context.instance
        if instance is None:
            raise PermanentError(gettext("This needs an object to be tested with."))
        new_values = dict(_new_values(instance, config, context, unique=False))
        details = {str(field.verbose_name): plain(safe(value)) for field, value in new_values.items()}
        names = ", ".join(field.name for field in new_values)
        counted = [str(row.get("field")) for row in _rows(config) if row.get("unique")]
        if counted:
            details[gettext("With a counter, if taken")] = ", ".join(counted)
        return Preview(gettext("Sets %(fields)s") % {"fields": names} if names else gettext("Nothing to set"), details)

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        """Set the fields on ``context.instance``; all of them, or none when one value cannot be worked out."""
        instance = context.instance
        if instance is None:
            raise PermanentError("There is no object that is being saved.")
        new_values = dict(_new_values(instance, config, context))
        for field, value in new_values.items():
            setattr(instance, field.attname, value)
        names = [field.name for field in new_values]
        return ActionResult(f"Set {', '.join(names)}" if names else "Nothing to set", {"fields": names})


def _rows(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = config.get("fields")
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _set(row: Mapping[str, Any], model: str) -> Clause:
    name = str(row.get("field") or "")
    values_of_row = {"field": FieldName(model, name), "value": FieldValue(model, name, row.get("value"))}
    return Clause(_SET_IF_EMPTY if row.get("only_if_empty") else _SET, values_of_row)


def _field_problem(model: ModelClass, name: Any) -> str | None:
    try:
        _writable(model, name)
    except (UnknownPath, Refused) as error:
        return str(error)
    return None


def _unique_problem(model: ModelClass | None, row: Mapping[str, Any]) -> str | None:
    if not isinstance(wanted := row.get("unique", False), bool):
        return gettext("Expected true or false, and got %(wanted)s.") % {"wanted": repr(wanted)}
    return unique_problem(_writable(model, row.get("field"))) if wanted and model is not None else None


def _writable(model: ModelClass, name: Any) -> models.Field[Any, Any]:
    writable_model(label_of(model))
    return writable_field(model, str(name), creating=False)


def _new_values(
    instance: models.Model, config: Mapping[str, Any], context: ActionContext, *, unique: bool = True
) -> Iterator[tuple[models.Field[Any, Any], Any]]:
    """``unique`` looks for a free value, and holds it in reserve."""
    model = type(instance)
    for row in _rows(config):
        field = _writable(model, row.get("field"))
        if row.get("unique") and context.written is not None and field.name not in context.written:
            continue  # what is not stored need not be looked up
        if row.get("only_if_empty") and getattr(instance, field.attname) not in EMPTY:
            continue
        try:
            value = value_for(field, row.get("value"), context.data)
        except ValidationError as error:
            raise invalid(model, ValidationError({field.name: error.error_list})) from None
        yield field, unique_value(instance, field, value) if unique and row.get("unique") else value

"""What an editor of rules may read of a model: its fields, their types and choices, and where relations lead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext

from rules_engine.context.paths import ModelClass, Step, label_of, steps
from rules_engine.context.stored_form import column_value

#: The most specific first.
TYPES: tuple[tuple[type[Any] | tuple[type[Any], ...], str], ...] = (
    (models.BooleanField, "boolean"),
    ((models.IntegerField, models.FloatField, models.DecimalField, models.DurationField), "number"),
    (models.DateTimeField, "datetime"),
    (models.DateField, "date"),
    (models.TimeField, "time"),
    (models.JSONField, "any"),
)


def fields_of(model: ModelClass, user: Any) -> dict[str, Any]:
    """The model as the condition builder shows it; relations to models that the user may not view lead nowhere."""
    known = {step.name: step for step in steps(model).values() if _is_shown(step)}
    fields = [entry for step in known.values() for entry in _entries(step, user)]
    return {"model": label_of(model), "title": capfirst(str(model._meta.verbose_name)), "fields": fields}


def may_view(user: Any, model: ModelClass) -> bool:
    """Whether the user may see rows of the model at all."""
    return bool(user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"))


def _is_shown(step: Step) -> bool:
    remote = getattr(step.field, "remote_field", None)
    return not isinstance(step.field, models.BinaryField) and not getattr(remote, "parent_link", False)


def _entries(step: Step, user: Any) -> Iterator[dict[str, Any]]:
    if step.kind == "value":
        yield _value(step)
    elif step.model is not None and may_view(user, step.model):
        kind = "rows" if step.kind == "to_many" else "object"
        changes = step.field.name if getattr(step.field, "many_to_many", False) else None
        entry = {"name": step.name, "label": title_of(step), "type": kind, "model": label_of(step.model)}
        yield {**entry, "changes": step.name} if changes else entry


def _value(step: Step) -> dict[str, Any]:
    field = step.field
    entry: dict[str, Any] = {"name": step.name, "label": title_of(step), "type": type_of(step)}
    if step.name == "pk":
        return {**entry, "label": gettext("Key"), "quiet": True}
    entry["field"] = field.name
    if field.choices:
        entry["choices"] = [[_plain(column_value(field, value)), str(title)] for value, title in field.flatchoices]
    return entry


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def type_of(step: Step) -> str:
    """The type of a field's values, as the builder tells them apart."""
    field = step.field
    field = field.target_field if isinstance(field, models.ForeignKey) else field
    field = getattr(field, "output_field", field)
    return next((name for kinds, name in TYPES if isinstance(field, kinds)), "text")


def title_of(step: Step) -> str:
    """What a field or a relation is called, where a title begins with it."""
    return capfirst(name_of(step))


def name_of(step: Step) -> str:
    """What a field or a relation is called within a sentence."""
    if step.kind == "to_many" and step.model is not None and not getattr(step.field, "concrete", False):
        return str(step.model._meta.verbose_name_plural)
    if not getattr(step.field, "concrete", False) and step.model is not None:
        return str(step.model._meta.verbose_name)
    return str(step.field.verbose_name)

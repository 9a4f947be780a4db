"""Fields that set themselves at each save, and that ``update_fields`` or one statement would leave out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.db import models

from rules_engine.context.paths import ModelClass
from rules_engine.context.subject import Field


@lru_cache(maxsize=1024)
def stamped_by_save(model: ModelClass) -> tuple[str, ...]:
    """Return their names: Django's ``auto_now``, and every field with a ``pre_save`` of its own, as the time-stamping
    base classes of libraries have them."""
    return tuple(field.name for field in model._meta.concrete_fields if not field.primary_key and _stamps_itself(field))


def _stamps_itself(field: Field) -> bool:
    if getattr(field, "auto_now", False):
        return True
    # Django's own answer what the object holds, and where it is a new one perhaps the time.
    return not type(field).pre_save.__module__.startswith("django.db.models.fields")


def stamps(model: ModelClass) -> dict[str, Any]:
    """Return what ``auto_now`` fields would be set to now, by name: for a statement that saves no object.

    Fields with a ``pre_save`` of their own may look at their object for it, and there is none.
    """
    row = model()
    return {
        field.name: field.pre_save(row, add=False)
        for field in model._meta.concrete_fields
        if isinstance(field, models.DateField | models.TimeField) and field.auto_now
    }

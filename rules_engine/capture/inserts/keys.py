"""Whether Django will look for a row before it inserts one, as ``Model.save`` decides it."""

from __future__ import annotations

from typing import Any

from django.db import models

from rules_engine.capture.inserts.callers import forced
from rules_engine.context.paths import ModelClass


def key_at(instance: models.Model, model: ModelClass) -> Any:
    """Return the key of the instance's row in the table of its own model, or of a parent.

    A child that is made for a parent that is there may hold the parent's key in the link alone.
    """
    key = getattr(instance, model._meta.pk.attname) if model is not type(instance) else instance.pk
    if key is not None or isinstance(model._meta.pk, models.CompositePrimaryKey):
        return key
    link = type(instance)._meta.get_ancestor_link(model)
    return None if link is None else getattr(instance, link.attname)


def has_key(key: Any) -> bool:
    """Say whether a key is known before the save; the database's own default is not."""
    parts = key if isinstance(key, tuple) else (key,)
    return not any(part is None or hasattr(part, "resolve_expression") for part in parts)


def is_new_at(instance: models.Model, model: ModelClass, *, is_raw: bool = False) -> bool:
    """Say whether Django will insert in the model's table without looking: then there is nothing old to read."""
    key = key_at(instance, model)
    if type(key) is not int and not has_key(key):
        return True
    if not instance._state.adding or is_raw:
        return False
    told = forced(instance)
    if told.insert and model._meta.concrete_model is type(instance)._meta.concrete_model:
        return True
    return not told.update and all(_has_default(field) for field in _key_fields(model))


def _key_fields(model: ModelClass) -> Any:
    key = model._meta.pk
    return getattr(model._meta, "pk_fields", [key])


def _has_default(field: Any) -> bool:
    return bool(field.has_default() or field.has_db_default())

"""Columns that the database works out of others of their row: they are written when one of those is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import Col
from django.db.models.sql.query import Query


@lru_cache(maxsize=1024)
def made_of(model: type[models.Model]) -> Mapping[str, frozenset[str]]:
    """Return the names of the model's generated fields, each with those of the fields that it is made of.

    A field whose expression cannot be followed is made of all the others.
    """
    return {field.name: _sources(field) for field in model._meta.concrete_fields if getattr(field, "generated", False)}


def _sources(field: Any) -> frozenset[str]:
    try:
        resolved = field.expression.resolve_expression(Query(model=field.model, alias_cols=False), allow_joins=False)
    except FieldError:
        return frozenset(other.name for other in field.model._meta.concrete_fields)
    nodes = resolved.flatten() if hasattr(resolved, "flatten") else (resolved,)
    return frozenset(node.target.name for node in nodes if isinstance(node, Col))


def with_generated(model: type[models.Model], written: frozenset[str]) -> frozenset[str]:
    """Return the names of the fields that a save writes, and of those that change with them."""
    generated = made_of(model)
    if not generated:
        return written
    return written | {name for name, sources in generated.items() if not sources.isdisjoint(written)}

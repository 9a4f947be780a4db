"""What is due, as texts that are made once: for the same queryset, all functions in here return the same.

Workers ask with each hint and each look, and the ORM takes longer to put such a query together than the database takes
to answer it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL


@lru_cache(maxsize=256)
def select_of(rows: QuerySet[Any], limit: int | None = None) -> tuple[str, Sequence[Any]]:
    """Return the SELECT of the keys of these rows, of so many of the first, and its parameters; made once for the same
    queryset. Raises ``EmptyResultSet``."""
    keys = rows.values("pk")
    return (keys if limit is None else keys[:limit]).query.sql_with_params()


@lru_cache(maxsize=64)
def in_lanes(due: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these that wait in a lane; the same queryset for the same, as its text is made once."""
    return due.exclude(lane="")


@lru_cache(maxsize=64)
def in_no_lane(due: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these that wait in none, likewise."""
    return due.filter(lane="")


@lru_cache(maxsize=64)
def of_named_lane(due: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these of the lane that a query around this one knows as ``named.name``."""
    # Without the second condition the planner does not know that the index of lanes has all of them.
    return due.filter(lane=RawSQL("named.name", ())).exclude(lane="")


@lru_cache(maxsize=64)
def of_named_rule(due: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these of the rule of that name that wait in no lane."""
    return due.filter(rule_slug=RawSQL("named.name", ()), lane="")

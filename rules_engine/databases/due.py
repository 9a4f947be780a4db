"""What is due, as texts that are made once: for the same queryset, all functions in here return the same.

Workers ask with each hint and each look, and the ORM takes longer to put such a query together than the database takes
to answer it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from rules_engine.databases.protocol import LIVE

#: What no lane is called: it stands for one while a query is made.
_LANE = "\x00lane"


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
def of_marked_lane(due: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these of the lane that ``with_lane`` says, where a query around this one cannot name it."""
    # As it is written, and with literals: else SQLite does not know that the index of lanes has all of them.
    of_index = f"(NOT (lane = '') AND state IN ({_live()}))"
    return due.filter(RawSQL(of_index, (), BooleanField()), lane=_LANE)  # noqa: S611 - words of ours


def with_lane(parameters: Sequence[Any], lane: str) -> list[Any]:
    """Return the parameters of such a query, for this lane."""
    return [lane if value == _LANE else value for value in parameters]


def _live() -> str:
    return ", ".join(f"'{state}'" for state in LIVE)


@lru_cache(maxsize=64)
def of_named_rule(due: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of these of the rule of that name that wait in no lane."""
    return due.filter(rule_slug=RawSQL("named.name", ()), lane="")


def walk(column: str, due: QuerySet[Any], among: str, values: Sequence[Any], order: Sequence[str] = ()) -> list[str]:
    """Return the values of the column that rows of ``due`` have, walking from one to the next through their index.

    A plain DISTINCT reads every waiting row: 20,000 of them behind two dead endpoints, ten times a second; 150 ms where
    a million wait. With LIMIT 1 instead of MIN and EXISTS, PostgreSQL keeps to the index also where a burst has made
    its statistics wrong: 0.2 ms, and 20 without.
    """
    try:
        sql, parameters = _walk_text(column, due, among, tuple(order))
    except EmptyResultSet:  # everything is paused
        return []
    with connections[due.db].cursor() as cursor:
        cursor.execute(sql, [*values, *values, *parameters])
        return [value for (value,) in cursor.fetchall()]


@lru_cache(maxsize=64)
def _walk_text(column: str, due: QuerySet[Any], among: str, order: tuple[str, ...]) -> tuple[str, Sequence[Any]]:
    table, states = connections[due.db].ops.quote_name(due.model._meta.db_table), _live()
    of_each = due.order_by(*order).filter(**{column: RawSQL("walk.at", ())})
    probe, parameters = of_each.values("pk").query.sql_with_params()
    ordered = ", ".join(f"e.{name}" for name in (column, *order))
    first = f"SELECT e.{column} FROM {table} e WHERE {among} AND e.state IN ({states})"  # noqa: S608 - names of ours
    sql = (
        f"WITH RECURSIVE walk(at) AS ("  # noqa: S608
        f"SELECT ({first} ORDER BY {ordered} LIMIT 1) "
        f"UNION ALL SELECT ({first} AND e.{column} > walk.at ORDER BY {ordered} LIMIT 1) "
        f"FROM walk WHERE walk.at IS NOT NULL) "
        f"SELECT at FROM walk WHERE at IS NOT NULL AND ({probe} LIMIT 1) IS NOT NULL"
    )
    return sql, parameters

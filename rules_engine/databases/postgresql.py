"""PostgreSQL: each verb is one statement, however many rows it is about.

While deliveries are in flight each statement also waits for the interpreter's lock: written one by one, failures kept
the answers of other endpoints waiting for 4 ms each, and claiming took a third of a sender's time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections
from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL

from rules_engine.databases.generic import GenericDatabase
from rules_engine.databases.protocol import RUNNING, STARTED, WAITING, AttemptEnd


class PostgreSQL(GenericDatabase):
    """PostgreSQL 14 and later."""

    def lease(self, due: QuerySet[Any], limit: int, *, worker: str, seconds: float) -> Collection[Any]:
        """Lease in one statement. See ``Database``."""
        try:
            select, params = due.values("pk")[:limit].query.sql_with_params()
        except EmptyResultSet:  # everything is paused
            return ()
        table = _name(due.model, due.db)
        return self._leased(due, f"({select} FOR UPDATE OF {table} SKIP LOCKED)", params, worker, seconds)

    def lease_lanes(
        self, due: QuerySet[Any], rooms: Mapping[str, int], *, worker: str, seconds: float
    ) -> Collection[Any]:
        """Lease in one statement. See ``Database``."""
        try:
            # Without the second condition the planner does not know that the index of lanes has all of them.
            of_lane = due.filter(lane=RawSQL("lanes.lane", ())).exclude(lane="")
            select, params = of_lane.values("pk").query.sql_with_params()
        except EmptyResultSet:
            return ()
        table = _name(due.model, due.db)
        keys = (
            "SELECT due.id FROM unnest(%s::text[], %s::int[]) AS lanes(lane, room), "  # noqa: S608 - names of ours
            f"LATERAL ({select} LIMIT lanes.room FOR UPDATE OF {table} SKIP LOCKED) AS due(id)"
        )
        values = (list(rooms), list(rooms.values()), *params)
        return self._leased(due, keys, values, worker, seconds)

    def _leased(
        self, due: QuerySet[Any], keys: str, params: Sequence[Any], worker: str, seconds: float
    ) -> Collection[Any]:
        sql = (
            f"UPDATE {_name(due.model, due.db)} SET leased_by = %s, "  # noqa: S608 - names of ours
            "lease_until = STATEMENT_TIMESTAMP() + %s * INTERVAL '1 second' "
            # As an array the keys are looked up in the index, whatever the statistics say of their number.
            f"WHERE id = ANY(ARRAY({keys})) RETURNING id"
        )
        with connections[due.db].cursor() as cursor:
            cursor.execute(sql, [worker, seconds, *params])
            return [key for (key,) in cursor.fetchall()]

    def charge(
        self, waiting: QuerySet[Any], attempts: type[Model], numbers: Mapping[Any, int], *, worker: str
    ) -> Collection[Any]:
        """Charge and put on record in one statement: two, with a transaction around them and 50 rows, took three times
        as long. See ``Database``."""
        sql = (
            f"WITH charged AS (UPDATE {_name(waiting.model, waiting.db)} "  # noqa: S608 - names of ours
            "SET state = %s, attempts = attempts + 1 "
            "WHERE id = ANY(%s::uuid[]) AND leased_by = %s AND state = ANY(%s) RETURNING id, attempts) "
            f"INSERT INTO {_name(attempts, waiting.db)} "
            "(execution_id, number, worker, outcome, error_type, error, detail) "
            "SELECT id, attempts, %s, %s, '', '', '{}' FROM charged RETURNING execution_id"
        )
        with connections[waiting.db].cursor() as cursor:
            cursor.execute(sql, [RUNNING, list(numbers), worker, list(WAITING), worker, STARTED])
            return {key for (key,) in cursor.fetchall()}

    def end(self, running: QuerySet[Any], attempts: type[Model], ends: Sequence[AttemptEnd]) -> set[tuple[Any, str]]:
        """Write all in two statements. See ``Database``."""
        ended = _end_executions(_name(running.model, running.db), ends, running.db)
        kept = [end for end in ends if (end.execution_id, end.worker) in ended]
        if kept:
            _end_attempts(_name(attempts, running.db), kept, running.db)
        return ended


def _name(model: type[Model], using: str) -> str:
    return connections[using].ops.quote_name(model._meta.db_table)


def _end_executions(table: str, ends: Sequence[AttemptEnd], using: str) -> set[tuple[Any, str]]:
    sql = (
        f"UPDATE {table} AS e SET state = v.state, error = v.error, leased_by = '', lease_until = NULL, "  # noqa: S608
        "summary = COALESCE(v.summary, e.summary), "
        "failures = e.failures + CASE WHEN v.summary IS NULL THEN 1 ELSE 0 END, "
        "finished_at = CASE WHEN v.wait IS NULL THEN STATEMENT_TIMESTAMP() END, next_attempt_at = "
        "CASE WHEN v.wait IS NULL THEN e.next_attempt_at ELSE STATEMENT_TIMESTAMP() + v.wait * INTERVAL '1 second' END "
        "FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::float8[]) "
        "AS v(id, worker, state, summary, error, wait) "
        "WHERE e.id = v.id AND e.leased_by = v.worker AND e.state = %s RETURNING e.id, v.worker"
    )
    columns: list[list[Any]] = [
        [end.execution_id for end in ends],
        [end.worker for end in ends],
        [end.state for end in ends],
        [end.summary for end in ends],
        [end.error for end in ends],
        [end.wait for end in ends],
    ]
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [*columns, RUNNING])
        # By the claim too: a slow delivery may be claimed again, and both of them end together.
        return set(cursor.fetchall())


def _end_attempts(table: str, ends: Sequence[AttemptEnd], using: str) -> None:
    sql = (
        f"UPDATE {table} AS a SET outcome = v.outcome, finished_at = STATEMENT_TIMESTAMP(), "  # noqa: S608
        "error = v.error, error_type = v.type, detail = v.detail::jsonb "
        "FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[]) "
        "AS v(id, outcome, error, type, detail) "
        "WHERE a.execution_id = v.id AND a.finished_at IS NULL"
    )
    columns: list[list[Any]] = [
        [end.execution_id for end in ends],
        [end.outcome for end in ends],
        [end.error for end in ends],
        [end.error_type for end in ends],
        [json.dumps(end.detail, cls=DjangoJSONEncoder) for end in ends],
    ]
    with connections[using].cursor() as cursor:
        cursor.execute(sql, columns)

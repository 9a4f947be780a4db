"""PostgreSQL: each verb is one statement, however many rows it is about.

While deliveries are in flight each statement also waits for the interpreter's lock: written one by one, failures kept
the answers of other endpoints waiting for 4 ms each, and claiming took a third of a sender's time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, QuerySet

from rules_engine import conf
from rules_engine.databases.announcing import Listener, Notifications, notify
from rules_engine.databases.due import of_named_lane, of_named_rule, select_of
from rules_engine.databases.generic import GenericDatabase
from rules_engine.databases.protocol import RUNNING, STARTED, WAITING, AttemptEnd, Reading, Rows, SetupTrouble
from rules_engine.databases.removing import one_statement
from rules_engine.databases.removing.removed import Parts, Removed
from rules_engine.databases.reserving import reserve

NOW, LATER = "STATEMENT_TIMESTAMP()", "STATEMENT_TIMESTAMP() + %s * INTERVAL '1 second'"
#: Before and after all that stands in the outbox.
BEGINNING = datetime.min.replace(tzinfo=UTC)
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
#: Under REPEATABLE READ: reserved since the transaction began, by a row that it cannot see.
CHANGED_SINCE = "40001"
DEADLOCK = "40P01"
LOCK_NOT_AVAILABLE = "55P03"
#: All sessions share the server's table of locks, 6,400 as it comes: one transaction takes no more than so many.
MOST_LOCKS = 100
LOCK_TIMEOUT = "10ms"
#: Settings of the transaction: undone with its savepoint, gone at its end. The count is of the locks it holds.
_SETTINGS = """
    SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true), set_config(
        'rules_engine.locks',
        (COALESCE(NULLIF(current_setting('rules_engine.locks', true), ''), '0')::int + 1)::text, true)::int
"""
_LOCK = """
    SELECT number - 1 FROM unnest(%s::bigint[]) WITH ORDINALITY AS candidates (key, number)
    WHERE pg_try_advisory_xact_lock(key) LIMIT 1
"""


#: The packages whose backends have each connection be in a schema of its own.
SCHEMA_SWITCHING = frozenset({"django_pgschemas", "django_tenants", "tenant_schemas"})


_TABLES_OF_TENANTS = SetupTrouble(
    "The app rules_engine is in TENANT_APPS, or of a type of tenants: each tenant would have rules of its own, which "
    "no worker looks for.",
    "Put rules_engine, and webhooks, into SHARED_APPS alone (or APPS of the public type): rules act in the tenant's "
    'schema. Where each tenant is to have its own, say "own_rules": True in RULES_ENGINE["SURROUNDINGS"].',
    is_error=True,
)


def _are_ours_in_each_schema() -> bool:
    """Say whether django-tenants, or its like, makes the engine's tables in each schema."""
    names = list(getattr(settings, "TENANT_APPS", ()))
    if getattr(settings, "HAS_MULTI_TYPE_TENANTS", False):
        home = getattr(settings, "PUBLIC_SCHEMA_NAME", "public")
        types = getattr(settings, "TENANT_TYPES", {})
        names = [name for kind, said in types.items() if kind != home for name in said["APPS"]]
    return any(name == "rules_engine" or name.startswith("rules_engine.") for name in names)


class PostgreSQL(GenericDatabase):
    """PostgreSQL 14 and later."""

    takes_rows_as_json = True
    rounds_decimals = True
    can_reserve = True
    can_partition = True
    create_index = "CREATE INDEX CONCURRENTLY"
    can_announce = True

    def setup_trouble(self, using: str) -> SetupTrouble | None:
        """See a backend that switches schemas. See ``Database``."""
        parts = {kind.__module__.partition(".")[0] for kind in type(connections[using]).__mro__}
        if not parts & SCHEMA_SWITCHING:
            return None
        if conf.surroundings() is not None:
            return _TABLES_OF_TENANTS if _are_ours_in_each_schema() else None
        return SetupTrouble(
            f'"{using}" switches schemas ({", ".join(sorted(parts & SCHEMA_SWITCHING))}), and a worker is in another '
            "one than the save that it acts for: it would read and change rows of the same key there, and say that it "
            "succeeded.",
            'Set RULES_ENGINE["SURROUNDINGS"], by which workers enter the schema of the change; of django-tenants: '
            '{"present": "rules_engine.surroundings.tenants.present", "enter": '
            '"rules_engine.surroundings.tenants.enter", "home": "public"}.',
            is_error=True,
        )

    def sends_several(self, using: str) -> bool:
        """Say whether this is psycopg 3 binding on the client's side, as Django does unless asked otherwise, and nobody
        stands between us and it."""
        connection = connections[using]
        return (
            connection.Database.__name__ == "psycopg"  # type: ignore[attr-defined]
            and not connection.settings_dict["OPTIONS"].get("server_side_binding")
            and not _is_wrapped(connection)
        )

    def is_spoilt(self, using: str) -> bool:
        """Look at what psycopg 3 knows of the transaction. See ``Database``."""
        return bool(connections[using].connection.info.transaction_status.name == "INERROR")

    def announce(self, queue: str, using: str) -> None:
        """Notify. See ``Database``."""
        notify(using, queue)

    def listen(self, using: str) -> Listener:
        """Listen for notifications. See ``Database``."""
        return Notifications(using)

    def wait_for_turn(self, numbers: Sequence[int], using: str) -> None:
        """Take advisory locks. See ``Database``."""
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(number) FROM unnest(%s::bigint[]) AS number", [list(numbers)])

    def has_turn(self, number: int, using: str) -> bool:
        """Try an advisory lock. See ``Database``."""
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            [won] = cursor.fetchone() or [False]
        return bool(won)

    def pass_reserved(self, table: type[Model], digests: Sequence[UUID], using: str) -> tuple[str, int | None]:
        """Try advisory locks in order, up to ``MOST_LOCKS`` in one transaction. See ``Database``."""
        with connections[using].cursor() as cursor:
            cursor.execute(_SETTINGS, [LOCK_TIMEOUT])
            timeout, _, locks = cursor.fetchone()
            if locks > MOST_LOCKS:
                return timeout, 0
            cursor.execute(_LOCK, [[_lock_key(digest) for digest in digests]])
            row = cursor.fetchone()
            return timeout, None if row is None else row[0]

    def restore(self, before: str, using: str) -> None:
        """Set the lock timeout as it was. See ``Database``."""
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])

    def reserve(self, table: type[Model], key: str, seconds: int, using: str) -> bool:
        """Write it, or take it over. See ``Database``."""
        return reserve(table, key, seconds, using, now=NOW, later=LATER)

    def is_lost_race(self, error: Exception) -> bool:
        """Look at the SQLSTATE. See ``Database``."""
        return _state(error) == CHANGED_SINCE

    def is_lock_timeout(self, error: Exception) -> bool:
        """Look at the SQLSTATE. See ``Database``."""
        return _state(error) == LOCK_NOT_AVAILABLE

    def is_rivalry(self, error: Exception) -> bool:
        """Look at the SQLSTATE. See ``Database``."""
        return _state(error) in (CHANGED_SINCE, DEADLOCK)

    def in_order(self, due: Rows) -> Rows:
        """Add conditions that are true of all, and of which the planner does not think so. See ``Database``.

        Where a table has no statistics yet, it takes a burst of a million for some 50 rows, and would rather read all
        of them than keep to their order in the index. Where a range has two ends, it takes them for one.
        """
        return due.filter(next_attempt_at__gt=BEGINNING, pk__gt=FIRST_ID, pk__lt=LAST_ID)

    def lease(self, due: QuerySet[Any], limit: int, reading: Reading, *, worker: str, seconds: float) -> list[Any]:
        """Lease and read in one statement. See ``Database``."""
        try:
            select, params = select_of(due, limit)
        except EmptyResultSet:  # everything is paused
            return []
        keys = f"({select} FOR UPDATE OF {_name(due.model, due.db)} SKIP LOCKED)"
        return reading.returned_by(_lease(due, keys, "*"), [worker, seconds, *params])

    def lease_lanes(
        self, due: QuerySet[Any], rooms: Mapping[str, int], *, worker: str, seconds: float
    ) -> Collection[Any]:
        """Lease and read in one statement. See ``Database``."""
        try:
            keys, params = _of_each(of_named_lane(due), rooms)
        except EmptyResultSet:
            return ()
        quote = connections[due.db].ops.quote_name
        columns = ", ".join(quote(field.column) for field in due.model._meta.concrete_fields)
        values = (worker, seconds, *params)
        return list(due.model._default_manager.raw(_lease(due, keys, columns), values, using=due.db))

    def lease_rules(
        self, due: QuerySet[Any], rooms: Mapping[str, int], reading: Reading, *, worker: str, seconds: float
    ) -> list[Any]:
        """Lease and read in one statement. See ``Database``."""
        try:
            keys, params = _of_each(of_named_rule(due), rooms)
        except EmptyResultSet:
            return []
        return reading.returned_by(_lease(due, keys, "*"), [worker, seconds, *params])

    def remove(self, rows: QuerySet[Any], limit: int, along: str, parts: Parts | None) -> Removed:
        """Find, lock and remove in one statement. See ``Database``."""
        return one_statement.remove(rows, limit, along, parts)

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
        """Write all in one statement. See ``Database``."""
        sql = (
            f"WITH ended AS ({_ended(running, '')}), noted AS ("  # noqa: S608 - names of ours
            f"UPDATE {_name(attempts, running.db)} AS a SET outcome = ended.outcome, "
            "finished_at = STATEMENT_TIMESTAMP(), error = ended.error, error_type = ended.error_type, "
            "detail = ended.detail FROM ended WHERE a.execution_id = ended.id AND a.finished_at IS NULL) "
            "SELECT id, worker FROM ended"
        )
        with connections[running.db].cursor() as cursor:
            cursor.execute(sql, [_as_json(ends), [RUNNING]])
            # By the claim too: a slow delivery may be claimed again, and both of them end together.
            return set(cursor.fetchall())

    def charge_and_end(
        self, waiting: QuerySet[Any], attempts: type[Model], numbers: Mapping[Any, int], ends: Sequence[AttemptEnd]
    ) -> set[tuple[Any, str]]:
        """Write all in one statement: each row once, where charging and ending write it twice. See ``Database``."""
        sql = (
            f"WITH ended AS ({_ended(waiting, 'attempts = e.attempts + 1, ')}) "  # noqa: S608 - names of ours
            f"INSERT INTO {_name(attempts, waiting.db)} "
            "(execution_id, number, worker, outcome, error_type, error, detail, started_at, finished_at) "
            "SELECT id, attempts, worker, outcome, error_type, error, detail, NOW(), STATEMENT_TIMESTAMP() FROM ended "
            "RETURNING execution_id, worker"
        )
        with connections[waiting.db].cursor() as cursor:
            cursor.execute(sql, [_as_json(ends), list(WAITING)])
            return set(cursor.fetchall())


def _of_each(due: QuerySet[Any], rooms: Mapping[str, int]) -> tuple[str, list[Any]]:
    """Return the SELECT of the keys of up to so many of these for each name, which they know as ``named.name``, and
    lock them. Raises ``EmptyResultSet`` where everything is paused."""
    select, params = select_of(due)
    sql = (
        "SELECT due.id FROM unnest(%s::text[], %s::int[]) AS named(name, room), "  # noqa: S608 - names of ours
        f"LATERAL ({select} LIMIT named.room FOR UPDATE OF {_name(due.model, due.db)} SKIP LOCKED) AS due(id)"
    )
    return sql, [list(rooms), list(rooms.values()), *params]


def _lease(due: QuerySet[Any], keys: str, columns: str) -> str:
    """Return the UPDATE that leases the rows of these keys and returns these columns."""
    return (
        f"UPDATE {_name(due.model, due.db)} SET leased_by = %s, "  # noqa: S608 - names of ours
        "lease_until = STATEMENT_TIMESTAMP() + %s * INTERVAL '1 second' "
        # As an array the keys are looked up in the index, whatever the statistics say of their number.
        f"WHERE id = ANY(ARRAY({keys})) RETURNING {columns}"
    )


#: What marks a wrapper of ours that hands several statements on as they are.
HANDS_ON = "hands_on_several"


def _is_wrapped(connection: BaseDatabaseWrapper) -> bool:
    """Say whether statements pass through another's hands, who may know one statement and one answer at a time.

    django-pghistory's context leaves the cursor at the answer to the last. Django's own cursor for debugging, which is
    how queries are counted, hands all on.
    """
    driver = connection.connection
    return (
        any(not getattr(wrapper, HANDS_ON, False) for wrapper in connection.execute_wrappers)
        # Tools for developers put their own in the place of the method, those for tracing around what the driver makes.
        or "cursor" in vars(connection)
        or type(driver).__module__.partition(".")[0] != "psycopg"
        or not driver.cursor_factory.__module__.startswith("django.")
    )


def _lock_key(digest: UUID) -> int:
    return int.from_bytes(digest.bytes[:8], signed=True)


def _state(error: Exception) -> str | None:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg 3 and 2


def _name(model: type[Model], using: str) -> str:
    return connections[using].ops.quote_name(model._meta.db_table)


def _ended(rows: QuerySet[Any], besides: str) -> str:
    """Return the UPDATE of executions whose attempts have ended; its last parameter are the states that they are in."""
    return (
        f"UPDATE {_name(rows.model, rows.db)} AS e SET {besides}"  # noqa: S608 - names of ours
        "state = v.state, error = v.error, leased_by = '', lease_until = NULL, "
        "summary = COALESCE(v.summary, e.summary), "
        "failures = e.failures + CASE WHEN v.summary IS NULL THEN 1 ELSE 0 END, "
        "finished_at = CASE WHEN v.wait IS NULL THEN STATEMENT_TIMESTAMP() END, next_attempt_at = "
        "CASE WHEN v.wait IS NULL THEN e.next_attempt_at ELSE STATEMENT_TIMESTAMP() + v.wait * INTERVAL '1 second' END "
        "FROM json_to_recordset(%s) AS v(id uuid, worker text, state text, summary text, error text, wait float8, "
        "outcome text, error_type text, detail jsonb) "
        "WHERE e.id = v.id AND e.leased_by = v.worker AND e.state = ANY(%s) "
        "RETURNING e.id, e.attempts, v.worker, v.outcome, v.error, v.error_type, v.detail"
    )


def _as_json(ends: Sequence[AttemptEnd]) -> str:
    """Return the ends as one parameter: nine arrays of fifty took the driver as long as all other work on them."""
    rows = [
        {
            "id": str(end.execution_id),
            "worker": end.worker,
            "state": end.state,
            "summary": end.summary,
            "error": end.error,
            "wait": end.wait,
            "outcome": end.outcome,
            "error_type": end.error_type,
            "detail": end.detail,
        }
        for end in ends
    ]
    return json.dumps(rows, cls=DjangoJSONEncoder)

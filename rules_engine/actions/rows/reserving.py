"""Reserving a value for a row that is about to be saved, without ever waiting for somebody else's transaction.

The unique digest of ``Reservation`` decides. Who saves outside of a transaction commits the reservation before the row
is stored, and it holds for as long as a save may take. Who is in a transaction writes it there: it is committed with
the row, which then speaks for itself, so it holds no longer than that.

On PostgreSQL an advisory lock tells which values are on their way in open transactions, so that nobody runs into their
reservations, where he would have to wait. All sessions share the server's table of locks (6,400 as it comes): one
transaction takes at most ``MOST_LOCKS``. What an import reserves beyond that, others find by a short lock timeout.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence

from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from rules_engine.models.reservation import Reservation

#: How long a value is held for a save without a transaction: by then it is stored, or its save failed.
HOLD_SECONDS = 60
MOST_LOCKS = 100
LOCK_TIMEOUT = "10ms"
#: Tries of one save. Each is a few round trips, and values that open transactions have taken are passed over in one.
MOST_TRIES = 50

#: Under REPEATABLE READ: reserved since the transaction began, by a row that it cannot see.
CHANGED_SINCE = "40001"
LOCK_NOT_AVAILABLE = "55P03"

#: The database's clock: now, and so many seconds from now.
_CLOCKS: Mapping[str, tuple[str, str]] = {
    "postgresql": ("STATEMENT_TIMESTAMP()", "STATEMENT_TIMESTAMP() + %s * INTERVAL '1 second'"),
    "sqlite": (
        "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
        "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', %s || ' seconds')",
    ),
}
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


class Busy(Exception):
    """No value could be reserved without waiting for another transaction, or within a bounded number of tries."""


class _Taken(Exception):
    """Undoes a try."""


def can_reserve(using: str) -> bool:
    """Whether this database has what it takes: an INSERT that says what to do about a row that is there."""
    return connections[using].vendor in _CLOCKS


def reserve_first(using: str, digests: Sequence[uuid.UUID], is_stored: Callable[[int], bool]) -> int | None:
    """The number of the first of these digests that can be had, reserved; None where others have them all.

    ``is_stored`` looks, once a digest is reserved, whether a row has that value by now. Each try is in a savepoint, or
    in a transaction of its own where the caller has none. Raises ``Busy``, or ``DatabaseError`` with the caller's
    transaction as it was.
    """
    seconds = HOLD_SECONDS if connections[using].get_autocommit() else 0
    start = tries = 0
    while start < len(digests):
        tries += 1
        if tries > MOST_TRIES:
            raise Busy
        try:
            with transaction.atomic(using=using):
                timeout, passed = _pass_locked(connections[using], digests[start:])
                if passed is None:
                    return None
                start += passed
                if not _reserve(connections[using], digests[start], seconds) or is_stored(start):
                    raise _Taken
                _restore(connections[using], timeout)
                return start
        except _Taken:
            start += 1
        except OperationalError as error:
            start += 1
            if (state := _state(error)) == LOCK_NOT_AVAILABLE:
                raise Busy from error
            if state != CHANGED_SINCE:
                raise
    return None


def _state(error: Exception) -> str | None:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg 3 and 2


def _pass_locked(connection: BaseDatabaseWrapper, digests: Sequence[uuid.UUID]) -> tuple[str, int | None]:
    """The lock timeout there was, and how many values are being taken before the one that is ours now."""
    if connection.vendor != "postgresql":
        return "", 0  # SQLite: one writer at a time
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS, [LOCK_TIMEOUT])
        timeout, _, locks = cursor.fetchone()
        if locks > MOST_LOCKS:
            return timeout, 0
        cursor.execute(_LOCK, [[_lock_key(digest) for digest in digests]])
        row = cursor.fetchone()
        return timeout, None if row is None else row[0]


def _lock_key(digest: uuid.UUID) -> int:
    return int.from_bytes(digest.bytes[:8], signed=True)


def _restore(connection: BaseDatabaseWrapper, timeout: str) -> None:
    if timeout:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [timeout])


def _reserve(connection: BaseDatabaseWrapper, digest: uuid.UUID, seconds: int) -> bool:
    """Write the reservation, or take over one that holds no longer. Whether that was possible."""
    quote, meta = connection.ops.quote_name, Reservation._meta
    now, later = _CLOCKS[connection.vendor]
    table, key, until = quote(meta.db_table), quote("digest"), quote("held_until")
    statement = (
        f"INSERT INTO {table} ({key}, {until}) VALUES (%s, {later}) "  # noqa: S608 - names from the model's Meta
        f"ON CONFLICT ({key}) DO UPDATE SET {until} = excluded.{until} WHERE {table}.{until} <= {now}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [digest.hex, seconds])
        written: int = cursor.rowcount
    return written == 1

"""A query of ours in the caller's transaction, confined: one that fails must not spoil what the caller does next."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

#: Here a statement that fails undoes itself and nothing else; on PostgreSQL it spoils the whole transaction.
UNSPOILT = frozenset({"sqlite", "mysql", "oracle"})
SAVEPOINT = "rules_engine_read"


def confined(using: str) -> AbstractContextManager[None]:
    """Return a savepoint where a failed query would spoil the caller's transaction; nothing where it would not."""
    return transaction.atomic(using=using) if _can_spoil(connections[using]) else nullcontext()


def _can_spoil(connection: BaseDatabaseWrapper) -> bool:
    return connection.vendor not in UNSPOILT and not connection.get_autocommit()


def fetch_one(using: str, statement: str, parameters: Sequence[Any]) -> Sequence[Any] | None:
    """Return the first row of a confined SELECT, or None. Raises ``DatabaseError``, with the transaction as it was.

    A savepoint takes two more round trips, each as long as a small save's own; where the driver sends several
    statements at once, all three go in one.
    """
    connection = connections[using]
    if _can_spoil(connection) and _sends_several(connection):
        return _fetch_in_one_trip(connection, statement, parameters)
    with confined(using), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: Sequence[Any] | None = cursor.fetchone()
        return row


def _sends_several(connection: BaseDatabaseWrapper) -> bool:
    """Say whether this is psycopg 3 binding on the client's side, as Django does unless asked otherwise."""
    return (
        connection.vendor == "postgresql"
        and connection.Database.__name__ == "psycopg"  # type: ignore[attr-defined]
        and not connection.settings_dict["OPTIONS"].get("server_side_binding")
        # One may leave the cursor at the answer to the last statement, as django-pghistory's context does.
        and not connection.execute_wrappers
    )


def _fetch_in_one_trip(
    connection: BaseDatabaseWrapper, statement: str, parameters: Sequence[Any]
) -> Sequence[Any] | None:
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SAVEPOINT {SAVEPOINT}; {statement}; RELEASE SAVEPOINT {SAVEPOINT}", parameters)
        except DatabaseError:
            cursor.execute(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}; RELEASE SAVEPOINT {SAVEPOINT}")
            raise
        cursor.nextset()  # past what SAVEPOINT answered
        row: Sequence[Any] | None = cursor.fetchone()
        return row

"""A query of ours in the caller's transaction, confined: one that fails must not spoil what the caller does next."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from rules_engine.databases import database_of

SAVEPOINT = "rules_engine_read"


def confined(using: str) -> AbstractContextManager[None]:
    """Return a savepoint where a failed query would spoil the caller's transaction; nothing much where it would not."""
    return transaction.atomic(using=using) if _can_spoil(using) else _Unmarked(connections[using])


class _Unmarked:
    """Leaves the transaction as it was marked. A site's own code that is run in reading may write, and Django marks the
    transaction of a write that fails to be rolled back, though here nothing is spoilt."""

    __slots__ = ("connection", "was_marked")

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection, self.was_marked = connection, connection.needs_rollback

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.connection.needs_rollback = self.was_marked


def _can_spoil(using: str) -> bool:
    connection = connections[using]
    if not database_of(using).spoils_transaction:
        return False
    if connection.connection is None:  # nor is there a transaction, unless connecting begins one
        return not connection.settings_dict["AUTOCOMMIT"]
    return not connection.get_autocommit()


def fetch_one(using: str, statement: str, parameters: Sequence[Any]) -> Sequence[Any] | None:
    """Return the first row of a confined SELECT, or None. Raises ``DatabaseError``, with the transaction as it was.

    A savepoint takes two more round trips, each as long as a small save's own; where the driver sends several
    statements at once, all three go in one.
    """
    connection = connections[using]
    if _can_spoil(using) and database_of(using).sends_several(using):
        return _fetch_in_one_trip(connection, statement, parameters)
    with confined(using), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: Sequence[Any] | None = cursor.fetchone()
        return row


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

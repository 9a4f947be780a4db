"""A query of ours in the caller's transaction, confined: one that fails must not spoil what the caller does next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from rules_engine.databases import database_of

SAVEPOINT = "rules_engine"
#: Of more statements the text is long, and the trips are not what takes the time.
MOST_IN_ONE_TRIP = 8


class Statement(NamedTuple):
    """SQL and its parameters, and what gives the statement that undoes it; None where there is none."""

    sql: str
    parameters: Sequence[Any]
    undo: Callable[[], Statement] | None = None


#: What takes a transaction back to the savepoint.
BACK = (
    Statement(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}", ()),
    Statement(f"RELEASE SAVEPOINT {SAVEPOINT}", ()),
)


def confined(using: str) -> AbstractContextManager[None]:
    """Return a savepoint where a failed query would spoil the caller's transaction; nothing much where it would not."""
    connection = connections[using]
    return transaction.atomic(using=using) if _can_spoil(connection) else _Unmarked(connection)


class _Unmarked:
    """Leaves the transaction as it was marked. A site's own code that is run in reading may write, and Django marks the
    transaction of a write that fails to be rolled back, though here nothing is spoilt."""

    __slots__ = ("connection", "was_marked")

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection, self.was_marked = connection, connection.needs_rollback

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if error is None:
            return
        is_ended = _is_ended_by(error, self.connection)
        self.connection.needs_rollback = self.connection.in_atomic_block if is_ended else self.was_marked


def _is_ended_by(error: BaseException | None, connection: BaseDatabaseWrapper) -> bool:
    """Say whether what the caller did before is undone with what failed: then nobody is to commit the rest."""
    return isinstance(error, DatabaseError) and database_of(connection.alias).ends_transaction(error, connection.alias)


def undid_all(error: BaseException | None, using: str, within: int = 0) -> bool:
    """Say whether what the caller has done in this transaction is undone with what failed, ``within`` so many blocks of
    our own."""
    connection = connections[using]
    return len(connection.atomic_blocks) > within and _is_ended_by(error, connection)


def _can_spoil(connection: BaseDatabaseWrapper) -> bool:
    if not database_of(connection.alias).spoils_transaction:
        return False
    if connection.connection is None:  # nor is there a transaction, unless connecting begins one
        return not connection.settings_dict["AUTOCOMMIT"]
    # As its method says, which would connect first.
    return not connection.autocommit


def fetch_one(using: str, statement: str, parameters: Sequence[Any]) -> Sequence[Any] | None:
    """Return the first row of a confined SELECT, or None. Raises ``DatabaseError``, with the transaction as it was.

    A savepoint takes two more round trips, each as long as a small save's own; where the driver sends several
    statements at once, all three go in one.
    """
    connection = connections[using]
    can_spoil = _can_spoil(connection)
    if not can_spoil or not database_of(using).sends_several(using):
        with transaction.atomic(using=using) if can_spoil else _Unmarked(connection), connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            row: Sequence[Any] | None = cursor.fetchone()
            return row
    with connection.cursor() as cursor:
        _in_one_trip(connection, cursor, statement, parameters)
        cursor.nextset()  # past what SAVEPOINT answered
        found: Sequence[Any] | None = cursor.fetchone()
        return found


def execute_together(statements: Sequence[Statement], using: str) -> None:
    """Carry out statements that answer nothing: all of them or none. Raises ``DatabaseError``, with the caller's
    transaction as it was; where there is none, they have one of their own."""
    if not statements:
        return
    connection, database = connections[using], database_of(using)
    if connection.connection is None:
        connection.ensure_connection()
    if len(statements) > MOST_IN_ONE_TRIP:
        _one_by_one(connection, statements)
    elif not database.spoils_transaction:
        if connection.in_atomic_block:
            _with_undoing(connection, statements)
        else:
            _one_by_one(connection, statements)
    elif database.sends_several(using):
        sql = "; ".join(statement.sql for statement in statements)
        parameters = [parameter for statement in statements for parameter in statement.parameters]
        with connection.cursor() as cursor:
            if _can_spoil(connection):
                _in_one_trip(connection, cursor, sql, parameters)
            else:  # what is sent as one is one transaction
                cursor.execute(sql, parameters)
    else:
        _one_by_one(connection, statements)


def _one_by_one(connection: BaseDatabaseWrapper, statements: Sequence[Statement]) -> None:
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.sql, statement.parameters)


def _with_undoing(connection: BaseDatabaseWrapper, statements: Sequence[Statement]) -> None:
    """Carry them out in a transaction that a failed statement does not spoil: what came before it is undone.

    A savepoint would take half as long as all of them: SQLite keeps a copy of each page of each index that they touch.
    """
    for statement in statements[:-1]:
        if statement.undo is None:
            _one_by_one(connection, statements)
            return
    done: list[Statement] = []
    with _Undoing(connection, done), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.sql, statement.parameters)
            done.append(statement)


class _Undoing:
    """Undoes what is ``done`` where the block fails, whatever with."""

    __slots__ = ("connection", "done")

    def __init__(self, connection: BaseDatabaseWrapper, done: Sequence[Statement]) -> None:
        self.connection, self.done = connection, done

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if error is None:
            return
        if _is_ended_by(error, self.connection):
            self.connection.needs_rollback = True
        else:
            _undo(self.connection, [statement.undo() for statement in self.done if statement.undo is not None])


def _in_one_trip(connection: BaseDatabaseWrapper, cursor: Any, sql: str, parameters: Sequence[Any]) -> None:
    try:
        cursor.execute(f"SAVEPOINT {SAVEPOINT}; {sql}; RELEASE SAVEPOINT {SAVEPOINT}", parameters)
    except DatabaseError:
        # What the driver itself refuses, such as a NUL in a text, has not come as far as the savepoint.
        if database_of(connection.alias).is_spoilt(connection.alias):
            _undo(connection, BACK)
        raise


def _undo(connection: BaseDatabaseWrapper, statements: Sequence[Statement]) -> None:
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement.sql, statement.parameters)
    except DatabaseError:
        # As Django does where it cannot go back to a savepoint: then the whole transaction has to be undone.
        connection.needs_rollback = True

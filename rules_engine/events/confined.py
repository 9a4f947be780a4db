"""A query of ours in the caller's transaction, confined: one that fails must not spoil what the caller does next."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from django.db import connections, transaction

#: Here a statement that fails undoes itself and nothing else; on PostgreSQL it spoils the whole transaction.
UNSPOILT = frozenset({"sqlite", "mysql", "oracle"})


def confined(using: str) -> AbstractContextManager[None]:
    """A savepoint where a failed query would spoil the caller's transaction; nothing where it would not."""
    connection = connections[using]
    if connection.vendor in UNSPOILT or connection.get_autocommit():
        return nullcontext()
    return transaction.atomic(using=using)

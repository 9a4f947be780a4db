"""Which transaction a row is written in, as a name of our own: databases have none that all of them would tell."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from django.db import connections, transaction
from django.db.transaction import TransactionManagementError

from rules_engine.types import new_id


class _Mark:
    """Stands among what a transaction does when it is committed, and is forgotten with it, or with its savepoint."""

    def __init__(self) -> None:
        self.id: UUID = new_id()

    def __call__(self) -> None: ...


def transaction_id(using: str) -> str:
    """Return the same text for all that is written in one transaction; another one at each call where there is none."""
    for planned in connections[using].run_on_commit:
        if isinstance(planned[1], _Mark):
            return planned[1].id.hex
    mark = _Mark()
    with suppress(TransactionManagementError):  # where the caller manages its transactions by hand
        transaction.on_commit(mark, using=using)
    return mark.id.hex

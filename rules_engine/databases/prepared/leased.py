"""How the rows that a worker has got are read: by texts that are made once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from rules_engine.databases.prepared.queries import Mark, Prepared, prepare

#: Texts that are kept, each for another number of rows: nearly always one, or a batch.
TEXTS = 32


@dataclass(frozen=True, slots=True)
class LeasedRows:
    """Rows of a table as a lease returns them: with what ``rows`` reads with them, in its order."""

    rows: QuerySet[Any]

    def of_keys(self, keys: Collection[Any], worker: str) -> list[Any]:
        """Return those with these keys that the worker has got. Raises ``DatabaseError``."""
        return _of_keys(self, len(keys)).ask(*keys, worker) if keys else []

    def returned_by(self, update: str, parameters: Sequence[Any]) -> list[Any]:
        """Do an UPDATE that returns all columns of the rows that it changes, and return these, by one statement. Raises
        ``DatabaseError``."""
        prepared = _all_of(self)
        # By the table's own name, so that the rest is about them alone: the UPDATE itself does not see that name yet.
        name = connections[self.rows.db].ops.quote_name(self.rows.model._meta.db_table)
        sql = f"WITH {name} AS ({update}) {prepared.sql}"
        return replace(prepared, sql=sql, parameters=(*parameters, *prepared.parameters)).ask()


@lru_cache(maxsize=TEXTS)
def _of_keys(leased: LeasedRows, count: int) -> Prepared[Any]:
    keys = [Mark.of(leased.rows.model, "pk", number) for number in range(count)]
    worker = Mark.of(leased.rows.model, "leased_by")
    of_worker = leased.rows.filter(pk__in=[key.value for key in keys], leased_by=worker.value)
    return prepare(of_worker, *keys, worker)


@lru_cache(maxsize=8)
def _all_of(leased: LeasedRows) -> Prepared[Any]:
    return prepare(leased.rows)

"""The protocol: what the engine asks of a database that each answers in its own way.

Tables are handed in as querysets and models, so that this package knows none of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import Model, QuerySet

#: The states that the verbs ask for and set, as ``models.execution`` stores them.
RUNNING, WAITING, STARTED = "running", ("pending", "retryable"), "started"
#: Executions that have not ended.
LIVE = (*WAITING, RUNNING)


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """What an attempt came to, as it is written: into its execution's row, and into its own.

    ``summary`` is None where the attempt failed, ``wait`` the seconds until the next attempt, or None where there is
    none. ``detail`` is JSON-safe.
    """

    execution_id: Any
    worker: str
    state: str
    outcome: str
    summary: str | None
    error: str
    error_type: str
    detail: Any
    wait: float | None


class Database(Protocol):
    """One kind of database. All verbs take lists and use the database's clock."""

    def due_lanes(self, due: QuerySet[Any], queue: str) -> list[str]:
        """Return the lanes of a queue that have a row among ``due``, by name: one probe of an index for each lane."""

    def lease(self, due: QuerySet[Any], limit: int, *, worker: str, seconds: float) -> Collection[Any]:
        """Lease up to ``limit`` rows of ``due``, in its order, for so many seconds; returns their keys.

        A row that another transaction has locked is passed over. Where rows cannot be locked, a key may be returned
        that another worker was quicker to lease: ``leased_by`` tells.
        """

    def lease_lanes(
        self, due: QuerySet[Any], rooms: Mapping[str, int], *, worker: str, seconds: float
    ) -> Collection[Any]:
        """Lease rows of ``due``, in its order, up to so many of each lane; returns their keys, as ``lease`` does."""

    def charge(
        self, waiting: QuerySet[Any], attempts: type[Model], numbers: Mapping[Any, int], *, worker: str
    ) -> Collection[Any]:
        """Charge one attempt of each execution that is among ``waiting``, durably, and put it on record.

        ``numbers`` has the number of each new attempt by the execution's key. Returns the keys of those that were
        charged; the others are no longer the claim's.
        """

    def end(self, running: QuerySet[Any], attempts: type[Model], ends: Sequence[AttemptEnd]) -> set[tuple[Any, str]]:
        """Write what attempts came to, where the execution is among ``running`` and still its claim's.

        Returns the executions' keys with their claims; of the others nothing was written.
        """

"""The protocol: what the engine asks of a database that each answers in its own way.

Tables are handed in as querysets and models, so that this package knows none of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from django.db import DatabaseError
from django.db.models import Model, QuerySet

from rules_engine.databases.announcing import Listener
from rules_engine.databases.removing.removed import Parts, Removed

#: The states that the verbs ask for and set, as ``models.execution`` stores them.
RUNNING, WAITING, STARTED = "running", ("pending", "retryable"), "started"
#: Executions that have not ended.
LIVE = (*WAITING, RUNNING)

Rows = TypeVar("Rows", bound=QuerySet[Any])


class AttemptEnd(NamedTuple):
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


class Reading(Protocol):
    """How rows that were leased are read: in its order, and with whatever it reads with them."""

    def of_keys(self, keys: Collection[Any], worker: str) -> list[Any]:
        """Return those with these keys that the worker has got."""

    def returned_by(self, update: str, parameters: Sequence[Any]) -> list[Any]:
        """Do an UPDATE that returns the rows that it changes, and return these, by one statement."""


@dataclass(frozen=True, slots=True)
class SetupTrouble:
    """What is wrong with how a database is set up, and what to do; ``is_error`` where rules would not work at all."""

    message: str
    hint: str
    is_error: bool


class Database(Protocol):
    """One kind of database. All verbs take lists and use the database's clock."""

    #: Whether a statement that fails spoils the transaction that it is in.
    spoils_transaction: bool
    #: Whether an INSERT may take its rows as one JSON text (``json_populate_recordset``).
    takes_rows_as_json: bool
    #: Whether a decimal is handed over with all digits, for the database to round.
    rounds_decimals: bool
    #: Whether values can be reserved: an INSERT that says what to do about a row that is there.
    can_reserve: bool
    #: Whether tables can be partitioned by time (``databases.partitions``).
    can_partition: bool
    #: How a statement begins that makes an index while others write, as far as that can be done.
    create_index: str
    #: Whether other connections can be told of something at once.
    can_announce: bool

    def setup_trouble(self, using: str) -> SetupTrouble | None:
        """Return what keeps the engine from working as it should with how this database is set up, if anything does."""

    def sends_several(self, using: str) -> bool:
        """Say whether several statements with parameters can go in one trip."""

    def is_spoilt(self, using: str) -> bool:
        """Say whether a statement has failed in the transaction, so that it takes none until that is undone."""

    def is_shared(self, using: str) -> bool:
        """Say whether another connection sees the database that this one sees."""

    def begin_as_writer(self, table: type[Model], using: str) -> None:
        """Have the transaction that was just opened write the table before it reads, where it matters which is first:
        what it reads is to be what it writes over. Nothing is changed."""

    def announce(self, queue: str, using: str) -> None:
        """Tell whoever listens that a queue has work, when the open transaction is committed."""

    def listen(self, using: str) -> Listener:
        """Listen to what is announced from now on; where nothing can be announced, to nothing."""

    def keys_of_last_insert(self, count: int, using: str) -> Sequence[int]:
        """Return the keys that the last INSERT gave to so many rows, where an INSERT does not return rows but the
        database counts keys up and tells the first; else none."""

    def wait_for_turn(self, numbers: Sequence[int], using: str) -> None:
        """Take these locks one after another, each after whoever has it now; they are given back at the commit."""

    def has_turn(self, number: int, using: str) -> bool:
        """Take a lock until the commit, or say that somebody else has it."""

    def pass_reserved(self, table: type[Model], digests: Sequence[UUID], using: str) -> tuple[str, int | None]:
        """Lock the first of these keys that nobody has, for the open transaction, and bound what it waits for others.

        Returns what ``restore`` is given afterwards, and how many were passed over; None where others have them all.
        """

    def restore(self, before: str, using: str) -> None:
        """Undo the bound on waiting that ``pass_reserved`` set."""

    def reserve(self, table: type[Model], key: str, seconds: int, using: str) -> bool:
        """Write a reservation for so many seconds, or take over one that holds no longer; says whether it could."""

    def is_lost_race(self, error: Exception) -> bool:
        """Say whether the error tells of a row that was written since the transaction began, which it cannot see."""

    def is_lock_timeout(self, error: Exception) -> bool:
        """Say whether the error tells that another transaction has locked what was asked for."""

    def is_rivalry(self, error: Exception) -> bool:
        """Say whether another transaction was in the way, so that this one is undone and may be tried again."""

    def ends_transaction(self, error: Exception, using: str) -> bool:
        """Say whether the error tells that the whole transaction was undone, and not just the statement."""

    def refuses_value(self, error: DatabaseError) -> bool:
        """Say whether the driver refused a value before it sent anything, by an error that stands for other mistakes
        as well."""

    def shows_older_rows(self, using: str) -> bool:
        """Say whether a transaction is shown rows as they were when it began, also those that it has locked since and
        that others changed before."""

    def to_update(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows as one UPDATE takes them, in a transaction: those that still are among them as it is made."""

    def first_keys(self, rows: QuerySet[Any], limit: int) -> Any:
        """Return the keys of the first so many rows, in their order, as ``pk__in`` takes them: no query of its own."""

    def due_queues(self, due: QuerySet[Any]) -> list[str]:
        """Return the queues that have a row among ``due``, by name: one probe of an index for each queue."""

    def in_order(self, due: Rows) -> Rows:
        """Return the rows of one queue that are due, such that the first of them are read from the index of their
        order, however many there are."""

    def due_lanes(self, due: QuerySet[Any], queue: str) -> list[str]:
        """Return the lanes of a queue that have a row among ``due``, by name: one probe of an index for each lane."""

    def due_rules(self, due: QuerySet[Any], queue: str) -> list[str]:
        """Return the rules that have a row of no lane among ``due``, by slug: one probe of an index for each that has
        one in that queue."""

    def lease(self, due: QuerySet[Any], limit: int, reading: Reading, *, worker: str, seconds: float) -> list[Any]:
        """Lease up to ``limit`` rows of ``due``, in its order, for so many seconds; returns those that the worker has
        got, as they are read.

        A row that another transaction has locked is passed over.
        """

    def lease_lanes(
        self, due: QuerySet[Any], rooms: Mapping[str, int], *, worker: str, seconds: float
    ) -> Collection[Any]:
        """Lease rows of ``due``, in its order, up to so many of each lane; returns the rows that the worker has got."""

    def lease_rules(
        self, due: QuerySet[Any], rooms: Mapping[str, int], reading: Reading, *, worker: str, seconds: float
    ) -> list[Any]:
        """Lease rows of ``due`` that are in no lane, in its order, up to so many of each rule; returns them as
        ``lease`` does."""

    def remove(self, rows: QuerySet[Any], limit: int, along: str, parts: Parts | None) -> Removed:
        """Remove up to so many of these rows, the first along that column, and their parts, in one transaction. One
        that somebody else has locked is passed over, and one that is no longer among them is kept."""

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

    def charge_and_end(
        self, waiting: QuerySet[Any], attempts: type[Model], numbers: Mapping[Any, int], ends: Sequence[AttemptEnd]
    ) -> set[tuple[Any, str]]:
        """Charge attempts and write what they came to, all at once, in the transaction that has their effects.

        As ``charge`` and then ``end``, with ``numbers`` as there, of executions of one claim that are among
        ``waiting``. The attempts began with the transaction.
        """

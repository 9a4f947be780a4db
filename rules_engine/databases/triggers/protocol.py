"""The protocol: how each database captures the rows of a table, and what it says of who writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from django.db.models import Field, Model

from rules_engine.databases.triggers.tables import TableCapture

#: What an execute wrapper of Django is handed.
Execute = Callable[[str, Any, bool, dict[str, Any]], Any]
#: What a trigger has written of a row: JSON, values by the columns' names, as that database writes them.
Written = str


class Definition(NamedTuple):
    """The statements that make a table's triggers, and the names of these."""

    statements: Sequence[str]
    names: Sequence[str]


class Saying(NamedTuple):
    """What is known as a statement says where it comes from."""

    #: Whether this transaction has said the same before.
    is_known: bool = False
    #: Whether some trigger asks otherwise (``Triggers.ask_otherwise``).
    is_asked_otherwise: bool = False


class Triggers(Protocol):
    """One kind of database."""

    def file(self, statements: Sequence[str]) -> str:
        """Return the statements as the database's own client takes them."""

    def trouble(self, table: str, using: str) -> str | None:
        """Say why such a table cannot have triggers, as a sentence; None where it can."""

    def definition(self, capture: TableCapture, captured: type[Model], using: str) -> Definition:
        """Return what makes the triggers that write into the table of ``captured``."""

    def removal(self, table: str, names: Sequence[str], using: str) -> Sequence[str]:
        """Return what removes triggers of these names, whether they are there or not."""

    def columns(self, table: str, using: str) -> frozenset[str]:
        """Return the columns of a table, by name."""

    def installed(self, table: str, using: str) -> frozenset[str]:
        """Return the names of our triggers on a table; those that are switched off are left out."""

    def patient(self, seconds: float, using: str) -> AbstractContextManager[None]:
        """Have statements that change tables wait no longer than that for a lock, in a transaction where that is
        possible: a writer behind them waits as long."""

    def run(self, statements: Sequence[str], using: str, table: str = "") -> None:
        """Execute statements that change the triggers of this table, such that no writer sees some of it.

        Raises ``DatabaseError``.
        """

    def values(
        self, model: type[Model], fields: Sequence[Field[Any, Any]], rows: Sequence[Written], using: str
    ) -> Iterator[Sequence[Any]]:
        """Yield the fields' values of each row, as Django reads them from the table."""

    def ask_otherwise(
        self, made: Iterable[tuple[TableCapture, Sequence[str]]], captured: type[Model], using: str
    ) -> bool:
        """Say whether some triggers, by what they capture and their names, find out who writes in another way than
        those that are made now."""

    def saying(self, origin: str, using: str, execute: Execute, arguments: Sequence[Any], said: Saying) -> Any:
        """Execute a statement such that triggers know where it comes from."""

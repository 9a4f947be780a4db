"""Statements about triggers, as a database executes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connections
from django.db.models import Model

from rules_engine.databases.triggers.tables import TableCapture


class OneByOne:
    """Executes what makes triggers; a database that has transactions for that needs no more."""

    def run(self, statements: Sequence[str], using: str, table: str = "") -> None:
        """Execute them one by one. See ``Triggers``."""
        with connections[using].cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask_otherwise(
        self, made: Iterable[tuple[TableCapture, Sequence[str]]], captured: type[Model], using: str
    ) -> bool:
        """Say no: all releases had them look at what the session says. See ``Triggers``."""
        return False


def rows_of(statement: str, parameters: Sequence[Any], using: str) -> Sequence[Any]:
    """Return what a query answers."""
    with connections[using].cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: Sequence[Any] = cursor.fetchall()
    return rows

"""Statements about triggers, as a database executes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections


class OneByOne:
    """Executes what makes triggers; a database that has transactions for that needs no more."""

    def run(self, statements: Sequence[str], using: str, table: str = "") -> None:
        """Execute them one by one. See ``Triggers``."""
        with connections[using].cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def rows_of(statement: str, parameters: Sequence[Any], using: str) -> Sequence[Any]:
    """Return what a query answers."""
    with connections[using].cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: Sequence[Any] = cursor.fetchall()
    return rows

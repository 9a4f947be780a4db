"""The INSERT of a reservation, in the SQL that PostgreSQL and SQLite share."""

from __future__ import annotations

from django.db import connections
from django.db.models import Model


def reserve(table: type[Model], key: str, seconds: int, using: str, *, now: str, later: str) -> bool:
    """Write a reservation, or take over one that holds no longer; says whether that was possible.

    ``now`` and ``later`` are the database's clock in SQL; ``later`` takes the seconds as its parameter.
    """
    connection = connections[using]
    quote = connection.ops.quote_name
    name, digest, until = quote(table._meta.db_table), quote("digest"), quote("held_until")
    statement = (
        f"INSERT INTO {name} ({digest}, {until}) VALUES (%s, {later}) "  # noqa: S608 - names from the model's Meta
        f"ON CONFLICT ({digest}) DO UPDATE SET {until} = excluded.{until} WHERE {name}.{until} <= {now}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [key, seconds])
        written: int = cursor.rowcount
    return written == 1

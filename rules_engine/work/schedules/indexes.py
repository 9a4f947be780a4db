"""Which index a rule on a date lacks: without it each look reads the whole table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connections, models
from django.db.models.fields.reverse_related import ForeignObjectRel

from rules_engine.work.schedules.dates import column_of

#: Characters of a name that every database takes.
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class MissingIndex:
    """A column that no index begins with, in the table of that model, and the SQL that makes one."""

    model: type[models.Model]
    field: models.Field[Any, Any]
    sql: str

    def __str__(self) -> str:
        return f"{self.field.model._meta.db_table}.{self.field.column}"


def missing_indexes(label: str, schedule: Mapping[str, Any], using: str) -> list[MissingIndex]:
    """Return the indexes that looking for these dates lacks: of the date, and of relations on the way to it.

    Some queries about the tables. Raises ``UnknownPath``, ``LookupError`` and ``DatabaseError``.
    """
    found: dict[str, MissingIndex] = {}
    for field in _columns(label, schedule):
        missing = MissingIndex(field.model, field, _sql(field, using))
        if str(missing) not in found and not _is_first_of_any(field, using):
            found[str(missing)] = missing
    return list(found.values())


def _columns(label: str, schedule: Mapping[str, Any]) -> Iterator[models.Field[Any, Any]]:
    """Yield the columns by which the objects of a date are found: its own, then those that point to where it is."""
    *way, own = column_of(label, schedule).way
    yield own
    for step in way:
        # Of a relation that is seen from its other end the column is unique.
        if not isinstance(step, ForeignObjectRel):
            yield step


def _is_first_of_any(field: models.Field[Any, Any], using: str) -> bool:
    connection = connections[using]
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, field.model._meta.db_table)
    indexes = (each for each in constraints.values() if each["index"] or each["unique"] or each["primary_key"])
    return any(each["columns"] and each["columns"][0] == field.column for each in indexes)


def _sql(field: models.Field[Any, Any], using: str) -> str:
    connection = connections[using]
    quote = connection.ops.quote_name
    table, column = field.model._meta.db_table, str(field.column)
    # Beside writers, where the database can.
    concurrently = " CONCURRENTLY" if connection.vendor == "postgresql" else ""
    name = f"{table}_{column}_due"[-LONGEST_NAME:]
    return f"CREATE INDEX{concurrently} {quote(name)} ON {quote(table)} ({quote(column)});"

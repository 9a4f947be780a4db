"""Old rows that PostgreSQL finds, locks and removes by one statement, with what hangs on them.

Not by keys that are fetched first: each of these is an object of the interpreter's, and a thousand a batch, named in
three statements, had it collect its garbage again and again, for 80 ms at a time in which no thread of the process
goes on.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Model, QuerySet

from rules_engine.databases.removing.removed import Parts, Removed


def remove(rows: QuerySet[Any], limit: int, along: str, parts: Parts | None) -> Removed:
    """Remove the first of these rows, along that column, that nobody has locked. Raises ``DatabaseError``."""
    try:
        select, parameters = rows.order_by(along).values("pk")[:limit].query.sql_with_params()
    except EmptyResultSet:
        return Removed(0, 0, None)
    connection, key = connections[rows.db], rows.model._meta.pk
    column = key if along == "pk" else rows.model._meta.get_field(along)
    table, pk, at = (_quoted(rows.db, name) for name in (rows.model._meta.db_table, key.column, column.column))
    # As arrays, the keys are looked up in the indexes, whatever the statistics say of their number.
    sql = (
        f"WITH gone AS (DELETE FROM {table} WHERE {pk} = ANY(ARRAY({select} FOR UPDATE OF {table} SKIP LOCKED)) "  # noqa: S608
        f"RETURNING {pk} AS pk, {at} AS at){_gone_with(parts, rows.db)} "
        f"SELECT (SELECT COUNT(*) FROM gone), (SELECT {'COUNT(*) FROM parts' if parts else '0'}), "
        "(SELECT at FROM gone ORDER BY at DESC LIMIT 1)"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return Removed(*cursor.fetchone())


def _gone_with(parts: Parts | None, using: str) -> str:
    if parts is None:
        return ""
    table: type[Model] = parts.model
    column = str(table._meta.get_field(parts.key).column)  # type: ignore[union-attr]
    return (
        f", parts AS (DELETE FROM {_quoted(using, table._meta.db_table)} "  # noqa: S608 - names of ours
        f"WHERE {_quoted(using, column)} = ANY(ARRAY(SELECT pk FROM gone)) RETURNING 1)"
    )


def _quoted(using: str, name: str) -> str:
    return connections[using].ops.quote_name(name)

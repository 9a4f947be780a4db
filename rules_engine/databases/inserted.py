"""An INSERT that passes rows by which are there already, and says which it has inserted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, models
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery


def insert_passing_conflicts(
    model: type[models.Model], objects: Sequence[models.Model], fields: Sequence[Any], using: str
) -> list[Any]:
    """Insert the objects by one statement, and return the keys of those rows that it has inserted.

    For databases whose INSERT returns rows. Raises ``DatabaseError``.
    """
    query: Any = InsertQuery(model, on_conflict=OnConflict.IGNORE)
    query.insert_values(fields, objects)
    compiler: Any = query.get_compiler(using=using)
    key: Any = model._meta.pk
    compiler.returning_fields = [key]
    connection = connections[using]
    with connection.cursor() as cursor:
        for sql, parameters in compiler.as_sql():
            cursor.execute(sql, parameters)
        found = cursor.fetchall()
    converters = compiler.get_converters([key.get_col(model._meta.db_table)])
    return [row[0] for row in (compiler.apply_converters(found, converters) if converters else found)]

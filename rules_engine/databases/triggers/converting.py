"""What Django makes of a column's value as the driver gives it: what a query of the table would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model


def converters_of(
    model: type[Model], fields: Sequence[Field[Any, Any]], connection: BaseDatabaseWrapper
) -> Callable[[Sequence[Any]], list[Any]]:
    """Return what makes of the driver's values of these fields those that an object of the model holds."""
    columns = [field.get_col(model._meta.db_table) for field in fields]
    steps = [[*connection.ops.get_db_converters(column), *column.get_db_converters(connection)] for column in columns]

    def convert(row: Sequence[Any]) -> list[Any]:
        values = list(row)
        for place, (column, of_column) in enumerate(zip(columns, steps, strict=True)):
            for step in of_column:
                values[place] = step(values[place], column, connection)
        return values

    return convert

"""Columns of many rows as the driver gives them, of which Django's values are made only for the few that matter.

Making a ``Decimal`` of each number takes longer than all else that is done about a row which no rule matches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from django.db import connections, models
from django.db.models import ExpressionWrapper, F

from rules_engine.context.paths import ModelClass
from rules_engine.context.stored_form import is_told_plainly
from rules_engine.context.subject import Field
from rules_engine.databases.triggers.converting import converters_of

#: A row's key, as Django has it, and then its columns.
Row = tuple[Any, ...]
#: Begins the name of a column that is read as the driver gives it.
ALIAS = "rules_engine_"


class DriverValues:
    """The columns of some statement's rows, by column name."""

    def __init__(self, model: ModelClass, columns: Mapping[str, Field], using: str) -> None:
        self.columns = columns
        self._model, self._using = model, using
        fields = list(columns.values())
        converted = [bool(_steps(model, field, using)) for field in fields]
        #: The places of those that are not Django's values yet.
        self.raw = [index for index, field in enumerate(fields) if converted[index] and is_told_plainly(field)]
        self._convert = converters_of(model, [fields[index] for index in self.raw], connections[using])

    def place(self, name: str) -> int:
        """Return where a column stands in a row."""
        return list(self.columns).index(name) + 1

    def read(self, rows: models.QuerySet[Any], size: int) -> Iterator[list[Row]]:
        """Yield the rows, so many at a time. Raises ``DatabaseError``, and what the fields' own code raises."""
        found = self._asked(rows).iterator(size)
        while part := list(islice(found, size)):
            yield part

    def read_all(self, rows: models.QuerySet[Any]) -> list[Row]:
        """Return the rows, which are few: by one trip, where a cursor of the database's takes four. Raises as ``read``
        does."""
        return list(self._asked(rows))

    def _asked(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any, Row]:
        names = list(self.columns)
        aliases = {}
        for index in self.raw:
            aliases[f"{ALIAS}{index}"] = ExpressionWrapper(F(names[index]), output_field=models.Field())
            names[index] = f"{ALIAS}{index}"
        found: models.QuerySet[Any, Row] = rows.annotate(**aliases).values_list("pk", *names)
        return found

    def telling(self, name: str, test: Callable[[Any], bool]) -> Callable[[Any], bool]:
        """Return a test of a column's values as Django has them, as one of what the driver gives."""
        if self.place(name) - 1 not in self.raw:
            return test
        convert = converters_of(self._model, [self.columns[name]], connections[self._using])
        return lambda value: test(convert([value])[0])

    def told(self, row: Row) -> tuple[Any, ...]:
        """Return a row's columns as Django has them, without its key."""
        told = list(row[1:])
        if self.raw:
            for index, value in zip(self.raw, self._convert([told[index] for index in self.raw]), strict=True):
                told[index] = value
        return tuple(told)


def _steps(model: ModelClass, field: Field, using: str) -> Sequence[Any]:
    connection = connections[using]
    column = field.get_col(model._meta.db_table)
    return [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]

"""The stored row of an object, just some columns of it, by one prebuilt SELECT.

Prebuilt, because putting a QuerySet together costs more than the rest of a small save: measured on SQLite, reading one
old value made a save 2.4 times as long with ``values_list`` and 1.4 times with this (tests/benchmarks/saves.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from rules_engine.context.paths import ModelClass
from rules_engine.context.stored_form import form_of, is_told_plainly
from rules_engine.context.subject import Field
from rules_engine.databases.savepoints import confined, fetch_one
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.types import Unread

Convert = Callable[[Any], Any]


def _is_read_as_it_is(field: Field) -> bool:
    """Say whether the column's own name is what is selected; some fields put an expression in its place."""
    kinds = [next(kind for kind in type(field).__mro__ if name in vars(kind)) for name in ("get_col", "cached_col")]
    return type(field).select_format is models.Field.select_format and all(
        kind.__module__.startswith("django.db.") for kind in kinds
    )


def _are_in_one_table(model: ModelClass, columns: Iterable[Field]) -> bool:
    """Say whether these columns are in the model's own table, as they are, beside a key of one column."""
    concrete = model._meta.concrete_model if model._meta.proxy else model
    own = concrete._meta.local_concrete_fields if concrete else ()
    key = model._meta.pk
    return (
        isinstance(getattr(key, "column", None), str)
        and key in own
        and all(field in own and _is_read_as_it_is(field) for field in (key, *columns))
    )


class StoredRow:
    """Reads these columns of one model's rows."""

    def __init__(self, model: ModelClass, columns: Mapping[str, Field]) -> None:
        self.model = model
        self.columns = columns
        self._statements: dict[str, tuple[str, Sequence[Convert | None]]] = {}

    # Found out at the first reading, where a field whose own code raises costs none but those who ask for it.
    @cached_property
    def _forms(self) -> Mapping[str, Convert]:
        return {name: form_of(field) for name, field in self.columns.items()}

    @cached_property
    def _is_in_one_table(self) -> bool:
        return _are_in_one_table(self.model, self.columns.values())

    @cached_property
    def _has_plain_key(self) -> bool:
        key = self.model._meta.pk
        return isinstance(key, models.IntegerField) and is_told_plainly(key)

    def read(self, pk: Any, using: str) -> dict[str, Any] | None:
        """Read JSON-safe values by column name; None when there is no such row. One statement, as a rule.

        A value that cannot be read is ``Unread``, and the others are read without it: in halves, so that one column of
        fifty that fails costs six times two statements. The caller's transaction is as it was.
        """
        try:
            is_plain = self._is_in_one_table and not hasattr(pk, "resolve_expression")
            values = self._by_statement(pk, using) if is_plain else self._by_queryset(pk, using)
            if values is None:
                return None
            told: dict[str, Any] = {}
            for (name, form), value in zip(self._forms.items(), values, strict=True):
                told[name] = form(value)
            return told
        except Exception as error:  # noqa: BLE001 - a field's own code may raise anything; the rules that ask show it
            return self._read_apart(pk, using, error)

    def _read_apart(self, pk: Any, using: str, error: Exception) -> dict[str, Any] | None:
        names = list(self.columns)
        if len(names) < 2:
            return dict.fromkeys(names, Unread(error))
        values: dict[str, Any] = {}
        for half in (names[: len(names) // 2], names[len(names) // 2 :]):
            row = StoredRow(self.model, {name: self.columns[name] for name in half}).read(pk, using)
            if row is None:
                return None
            values.update(row)
        return values

    def _by_statement(self, pk: Any, using: str) -> Sequence[Any] | None:
        if using not in self._statements:
            self._statements[using] = self._prepare(connections[using])
        statement, converters = self._statements[using]
        # A whole number is what the key's column takes; asking the field for that is a tenth of the whole.
        if not (type(pk) is int and self._has_plain_key):
            pk = self.model._meta.pk.get_db_prep_value(pk, connections[using])
        row = fetch_one(using, statement, (pk,))
        if row is None or not any(converters):
            return row
        return [value if convert is None else convert(value) for convert, value in zip(converters, row, strict=True)]

    def _prepare(self, connection: BaseDatabaseWrapper) -> tuple[str, Sequence[Convert | None]]:
        quote = connection.ops.quote_name
        names = ", ".join(quote(str(field.column)) for field in self.columns.values())
        table, key = quote(self.model._meta.db_table), quote(str(self.model._meta.pk.column))
        statement = f"SELECT {names} FROM {table} WHERE {key} = %s"  # noqa: S608 - names from the model's Meta
        return statement, [self._converter(field, connection) for field in self.columns.values()]

    def _converter(self, field: Field, connection: BaseDatabaseWrapper) -> Convert | None:
        column = field.get_col(self.model._meta.db_table)
        steps = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
        if not steps:
            return None

        def convert(value: Any) -> Any:
            for step in steps:
                value = step(value, column, connection)
            return value

        return convert

    def _by_queryset(self, pk: Any, using: str) -> Sequence[Any] | None:
        # Without the site's managers: some put other columns in the place of those that are named, as translations do.
        rows: models.QuerySet[Any] = UncachedQuerySet(self.model, using=using).filter(pk=pk).order_by()
        with confined(using):
            return next(iter(rows.values_list(*self.columns)[:1]), None)

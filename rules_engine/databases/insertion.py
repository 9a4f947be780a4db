"""Rows into our tables by prepared INSERTs, for the save path.

``bulk_create`` spends most of its time on putting the same statement together again: measured on SQLite, a save that
matched cost 470 µs of CPU more than a plain one with it. Columns with a ``db_default`` that a row does not name are
left to the database. To leave out those too that hold a constant saves nothing that can be measured: what takes time
is the trip, and turning values into what the driver takes, which most of them are already.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from rules_engine.databases.savepoints import Statement, execute_together

#: SQLite takes 32,766 parameters a statement; 50 rows of our widest table are 1,200.
ROWS_IN_ONE = 50
#: Fields whose values every driver takes as they are, if they are of these types.
PLAIN_FIELDS = (models.CharField, models.TextField, models.IntegerField)
PLAIN_TYPES = frozenset((str, int))

Convert: TypeAlias = Callable[[Any], Any]


class Rows(NamedTuple):
    """Rows for one table, each its values in the order of the ``names`` of their columns."""

    model: type[models.Model]
    names: tuple[str, ...]
    values: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An INSERT up to its values: what makes of each value of a row what the driver takes, and the ``defaults`` of all
    columns that rows do not name."""

    head: str
    row: str
    converters: tuple[Convert, ...]
    defaults: tuple[Any, ...]


def insert(model: type[models.Model], rows: Sequence[Mapping[str, Any]], using: str) -> None:
    """Insert the rows, all of which name the same columns, in one statement per 50. No signal is sent.

    Raises ``DatabaseError`` as the database does.
    """
    named = Rows(model, tuple(rows[0]), [tuple(row.values()) for row in rows])
    with connections[using].cursor() as cursor:
        for statement, parameters in _statements(named, using):
            cursor.execute(statement, parameters)


def insert_together(tables: Sequence[Rows], using: str) -> None:
    """Insert rows into several tables, as ``insert`` does: all of them or none, with the caller's transaction as it was
    where one cannot be inserted. Raises ``DatabaseError``."""
    execute_together([statement for rows in tables for statement in _statements(rows, using)], using)


def _statements(rows: Rows, using: str) -> Iterator[Statement]:
    prepared = _prepared(rows.model, rows.names, using)
    for start in range(0, len(rows.values), ROWS_IN_ONE):
        part = rows.values[start : start + ROWS_IN_ONE]
        parameters: list[Any] = []
        for row in part:
            for convert, value in zip(prepared.converters, row, strict=True):
                parameters.append(value if value is None else convert(value))
            parameters += prepared.defaults
        yield prepared.head + ", ".join([prepared.row] * len(part)), parameters


@lru_cache(maxsize=64)
def _prepared(model: type[models.Model], names: tuple[str, ...], using: str) -> Prepared:
    connection = connections[using]
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    fields = tuple(by_name[name] for name in names)
    others = [field for field in by_name.values() if field not in fields and not _is_left_to_database(field)]
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in (*fields, *others))
    return Prepared(
        head=f"INSERT INTO {connection.ops.quote_name(model._meta.db_table)} ({columns}) VALUES ",  # noqa: S608
        row=f"({', '.join(['%s'] * (len(fields) + len(others)))})",
        converters=tuple(_converter(field, connection) for field in fields),
        defaults=tuple(field.get_db_prep_save(field.get_default(), connection) for field in others),
    )


def _is_left_to_database(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.AutoField | models.BigAutoField) or field.has_db_default()


def _converter(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Convert:
    """Return what makes of a value that is not null what the driver takes, as the field does, but quicker where that is
    nothing, or next to nothing."""
    prepare = partial(field.get_db_prep_save, connection=connection)
    if isinstance(getattr(field, "target_field", field), models.UUIDField):
        return _native_id if connection.features.has_native_uuid_field else _id_as_text
    if isinstance(field, models.JSONField):
        return partial(json.dumps, cls=field.encoder)  # as a text: the driver's own wrapper takes five times as long
    return partial(_plain, prepare) if isinstance(field, PLAIN_FIELDS) else prepare


def _plain(prepare: Convert, value: Any) -> Any:
    return value if type(value) in PLAIN_TYPES else prepare(value)


def _native_id(value: UUID) -> UUID:
    return value


def _id_as_text(value: UUID) -> str:
    return value.hex

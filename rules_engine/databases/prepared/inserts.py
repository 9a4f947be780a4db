"""Rows into our tables by prepared INSERTs, for the save path.

``bulk_create`` spends most of its time on putting the same statement together again: measured on SQLite, a save that
matched cost 470 µs of CPU more than a plain one with it. Columns with a ``db_default`` that a row does not name are
left to the database; what a row does not name besides stands in the statement as it is, for a driver takes a
microsecond for each parameter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from django.conf import settings
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery

from rules_engine.databases import database_of
from rules_engine.databases.savepoints import Statement, execute_together

#: Of more values one JSON text is quicker to write and to read than a parameter each, where the database takes one:
#: psycopg took 3.5 ms for those of 100 events with their executions, and takes 1.6. Of few, parameters are quicker.
MOST_PARAMETERS = 50
#: SQLite takes 32,766 parameters a statement; 50 rows of our widest table are 1,200.
ROWS_IN_ONE = 50
#: Rows in one JSON text, of which the longest is as long as 200 of the largest events.
ROWS_IN_TEXT = 200
#: Fields whose values every driver takes as they are, if they are of these types.
PLAIN_FIELDS = (models.CharField, models.TextField, models.IntegerField)
PLAIN_TYPES = frozenset((str, int))
NO_TYPES: frozenset[type] = frozenset()
NATIVE_IDS = frozenset((UUID,))
JSON_TYPES = frozenset((dict, list, tuple, str, int, float, bool))
#: What is a literal between quotes on every database.
WORD = re.compile(r"[a-z_]*", re.ASCII)

Convert: TypeAlias = Callable[[Any], Any]
#: Makes of a value what the driver takes, unless it is of one of the types that it takes as they are.
Converter: TypeAlias = tuple[frozenset[type], Convert]


class Rows(NamedTuple):
    """Rows for one table, each its values in the order of the ``names`` of their columns."""

    model: type[models.Model]
    names: tuple[str, ...]
    values: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An INSERT up to its values: what makes of each value of a row what the driver takes, and the ``defaults`` of
    those columns that rows do not name and whose default is no literal. ``undo`` is the DELETE up to the keys, and
    ``key`` which of the values is a row's; None where the database makes the keys. ``from_text`` takes the rows as one
    JSON text of objects with these ``columns``."""

    head: str
    row: str
    converters: tuple[Converter, ...]
    defaults: tuple[Any, ...]
    undo: str
    key: int | None
    columns: tuple[str, ...]
    from_text: str


def insert(model: type[models.Model], rows: Sequence[Mapping[str, Any]], using: str) -> None:
    """Insert the rows, all of which name the same columns, in one statement per 50. No signal is sent.

    Raises ``DatabaseError`` as the database does.
    """
    named = Rows(model, tuple(rows[0]), [tuple(row.values()) for row in rows])
    with connections[using].cursor() as cursor:
        for statement in _statements(named, using):
            cursor.execute(statement.sql, statement.parameters)


def insert_together(tables: Sequence[Rows], using: str) -> None:
    """Insert rows into several tables, as ``insert`` does: all of them or none, with the caller's transaction as it was
    where one cannot be inserted. Raises ``DatabaseError``."""
    parameters = 0
    for rows in tables:
        parameters += len(rows.values) * len(rows.names)
    is_text = parameters > MOST_PARAMETERS and database_of(using).takes_rows_as_json
    statements: list[Statement] = []
    for rows in tables:
        statements += _told_as_json(rows, using) if is_text else _statements(rows, using)
    execute_together(statements, using)


def insert_passing_conflicts(
    model: type[models.Model], objects: Sequence[models.Model], fields: Sequence[Any], using: str
) -> list[Any]:
    """Insert the objects by one statement, and return the keys of those rows that it has inserted.

    For databases whose INSERT returns rows. Raises ``DatabaseError``.
    """
    query: Any = InsertQuery(model, on_conflict=OnConflict.IGNORE)
    query.insert_values(fields, objects)
    compiler: Any = query.get_compiler(using=using)
    keys: Any = getattr(model._meta, "pk_fields", [model._meta.pk])
    compiler.returning_fields = keys
    connection = connections[using]
    with connection.cursor() as cursor:
        for sql, parameters in compiler.as_sql():
            cursor.execute(sql, parameters)
        found = cursor.fetchall()
    converters = compiler.get_converters([key.get_col(model._meta.db_table) for key in keys])
    rows = compiler.apply_converters(found, converters) if converters else found
    return [tuple(row) if len(keys) > 1 else row[0] for row in rows]


def _statements(rows: Rows, using: str) -> list[Statement]:
    prepared, statements = _prepared(rows.model, rows.names, using), list[Statement]()
    for part in [rows.values] if len(rows.values) <= ROWS_IN_ONE else _parts(rows.values, ROWS_IN_ONE):
        parameters: list[Any] = []
        for row in part:
            # No call is made for what the driver takes as it is, which is most of a row.
            parameters += [
                value if value is None or type(value) in taken else convert(value)
                for (taken, convert), value in zip(prepared.converters, row, strict=True)
            ]
            parameters += prepared.defaults
        text = prepared.row if len(part) == 1 else ", ".join([prepared.row] * len(part))
        undo = None if prepared.key is None else partial(_undo, prepared, part)
        statements.append(Statement(prepared.head + text, parameters, undo))
    return statements


def _told_as_json(rows: Rows, using: str) -> Iterator[Statement]:
    """Yield the statements with the rows as one JSON text each, for a database that undoes what fails by itself."""
    prepared = _prepared(rows.model, rows.names, using)
    names, converters = prepared.columns, _converters_to_json(rows.model, rows.names, using)
    for part in _parts(rows.values, ROWS_IN_TEXT):
        told = [
            {
                name: value if value is None or type(value) in taken else convert(value)
                for name, (taken, convert), value in zip(names, converters, row, strict=True)
            }
            for row in part
        ]
        yield Statement(prepared.from_text, (_TEXT.encode(told), *prepared.defaults))


_TEXT = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def _parts(rows: Sequence[Sequence[Any]], size: int) -> Iterator[Sequence[Sequence[Any]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _undo(prepared: Prepared, rows: Sequence[Sequence[Any]]) -> Statement:
    """Return what removes these rows, once they are inserted."""
    key = prepared.key or 0
    taken, convert = prepared.converters[key]
    keys = [row[key] if type(row[key]) in taken else convert(row[key]) for row in rows]
    return Statement(f"{prepared.undo} ({', '.join(['%s'] * len(keys))})", keys)


@lru_cache(maxsize=64)
def _prepared(model: type[models.Model], names: tuple[str, ...], using: str) -> Prepared:
    connection = connections[using]
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    fields = tuple(by_name[name] for name in names)
    others = [field for field in by_name.values() if field not in fields and not _is_left_to_database(field)]
    quote, key = connection.ops.quote_name, model._meta.pk.attname
    columns = ", ".join(quote(str(field.column)) for field in (*fields, *others))
    table, defaults = quote(model._meta.db_table), [_default(field, connection) for field in others]
    ends = [literal or "%s" for literal, _ in defaults]
    into, told = f"INSERT INTO {table} ({columns})", [f"told.{quote(str(field.column))}" for field in fields]
    return Prepared(
        head=f"{into} VALUES ",
        row=f"({', '.join([*['%s'] * len(fields), *ends])})",
        converters=tuple(_converter(field, connection) for field in fields),
        defaults=tuple(value for literal, value in defaults if literal is None),
        undo=f"DELETE FROM {table} WHERE {quote(str(model._meta.pk.column))} IN",  # noqa: S608
        key=names.index(key) if key in names else None,
        columns=tuple(str(field.column) for field in fields),
        # The types of the columns are those of the table.
        from_text=f"{into} SELECT {', '.join([*told, *ends])} "  # noqa: S608
        f"FROM json_populate_recordset(NULL::{table}, %s::json) AS told",
    )


def _default(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> tuple[str | None, Any]:
    """Return a column's default as a literal, or None where it is none that every database writes alike; and its
    value."""
    value = field.get_db_prep_save(field.get_default(), connection)
    if value is None:
        return "NULL", value
    if isinstance(field, models.IntegerField) and type(field.get_default()) is int:
        return str(field.get_default()), value
    return (f"'{value}'" if isinstance(value, str) and WORD.fullmatch(value) else None), value


def _is_left_to_database(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.AutoField | models.BigAutoField) or field.has_db_default()


def _converter(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Converter:
    """Return what makes of a value that is not null what the driver takes, as the field does, but quicker where that is
    nothing, or next to nothing."""
    prepare = partial(field.get_db_prep_save, connection=connection)
    if isinstance(getattr(field, "target_field", field), models.UUIDField):
        return (NATIVE_IDS, prepare) if connection.features.has_native_uuid_field else (NO_TYPES, _id_as_text)
    if isinstance(field, models.JSONField):
        # As a text: the driver's own wrapper takes five times as long.
        return NO_TYPES, json.JSONEncoder().encode if field.encoder is None else field.encoder().encode
    if type(field) is models.DateTimeField:
        return NO_TYPES, partial(_moment, prepare, connection.ops.adapt_datetimefield_value)
    return (PLAIN_TYPES if isinstance(field, PLAIN_FIELDS) else NO_TYPES), prepare


@lru_cache(maxsize=64)
def _converters_to_json(model: type[models.Model], names: tuple[str, ...], using: str) -> tuple[Converter, ...]:
    """Return what makes of each value that is not null what JSON has: what is none is a text that its column reads."""
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    return tuple(_converter_to_json(by_name[name], connections[using]) for name in names)


def _converter_to_json(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Converter:
    taken, convert = _converter(field, connection)
    if isinstance(field, models.JSONField):
        return JSON_TYPES, partial(_of_text, convert)
    if taken is NATIVE_IDS:
        return NO_TYPES, _id_as_text
    if type(field) is models.DateTimeField:
        return NO_TYPES, partial(_moment, partial(_as_text, convert), datetime.isoformat)
    return (PLAIN_TYPES, convert) if taken is PLAIN_TYPES else (NO_TYPES, partial(_as_text, convert))


def _of_text(encode: Convert, value: Any) -> Any:
    return json.loads(encode(value))


def _as_text(prepare: Convert, value: Any) -> str:
    return str(prepare(value))


def _moment(prepare: Convert, adapt: Convert, value: Any) -> Any:
    # Where a site keeps time zones, all moments of ours have one: that is all that the field would look for.
    return adapt(value) if type(value) is datetime and value.tzinfo is not None and settings.USE_TZ else prepare(value)


def _id_as_text(value: UUID) -> str:
    return f"{value.int:032x}"

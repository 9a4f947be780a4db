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
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.sql import InsertQuery

from rules_engine.databases import database_of
from rules_engine.databases.savepoints import Statement, execute_together

#: psycopg remembers how a text with no more parameters is cut at its placeholders, and cuts all others each time: of 50
#: rows that took as long as writing their values.
MOST_PARAMETERS = 50
#: SQLite takes 32,766 parameters a statement; 50 rows of our widest table are 1,200.
ROWS_IN_ONE = 50
#: Fields whose values every driver takes as they are, if they are of these types.
PLAIN_FIELDS = (models.CharField, models.TextField, models.IntegerField)
PLAIN_TYPES = frozenset((str, int))
#: What is a literal between quotes on every database.
WORD = re.compile(r"[a-z_]*", re.ASCII)

Convert: TypeAlias = Callable[[Any], Any]


class Rows(NamedTuple):
    """Rows for one table, each its values in the order of the ``names`` of their columns."""

    model: type[models.Model]
    names: tuple[str, ...]
    values: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An INSERT up to its values: what makes of each value of a row what the driver takes, and the ``defaults`` of
    those columns that rows do not name and whose default is no literal. ``undo`` is the DELETE up to the keys, and
    ``key`` which of the values is a row's; None where the database makes the keys."""

    head: str
    row: str
    converters: tuple[Convert, ...]
    defaults: tuple[Any, ...]
    undo: str
    key: int | None


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
    is_long = sum(len(rows.values) * len(rows.names) for rows in tables) > MOST_PARAMETERS
    made = _written_out if is_long and database_of(using).sends_several(using) else _statements
    execute_together([statement for rows in tables for statement in made(rows, using)], using)


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


def _statements(rows: Rows, using: str) -> Iterator[Statement]:
    prepared = _prepared(rows.model, rows.names, using)
    for part in _parts(rows):
        parameters = [parameter for row in part for parameter in _parameters(prepared, row)]
        text = ", ".join([prepared.row] * len(part))
        yield Statement(prepared.head + text, parameters, _undoing(prepared, part))


def _parts(rows: Rows) -> Iterator[Sequence[Sequence[Any]]]:
    for start in range(0, len(rows.values), ROWS_IN_ONE):
        yield rows.values[start : start + ROWS_IN_ONE]


def _parameters(prepared: Prepared, row: Sequence[Any]) -> list[Any]:
    values = zip(prepared.converters, row, strict=True)
    return [value if value is None else convert(value) for convert, value in values] + list(prepared.defaults)


def _undoing(prepared: Prepared, rows: Sequence[Sequence[Any]]) -> Callable[[], Statement] | None:
    return None if prepared.key is None else partial(_undo, prepared, rows)


def _written_out(rows: Rows, using: str) -> Iterator[Statement]:
    """Yield the statements with the values in their texts, each row as psycopg writes it for itself."""
    prepared = _prepared(rows.model, rows.names, using)
    with connections[using].cursor() as cursor:
        for part in _parts(rows):
            texts = (cursor.mogrify(prepared.row, _parameters(prepared, row)) for row in part)
            # As a driver that is given parameters, if none, reads it.
            text = ", ".join(texts).replace("%", "%%")
            yield Statement(prepared.head + text, (), _undoing(prepared, part))


def _undo(prepared: Prepared, rows: Sequence[Sequence[Any]]) -> Statement:
    """Return what removes these rows, once they are inserted."""
    key = prepared.key or 0
    keys = [prepared.converters[key](row[key]) for row in rows]
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
    return Prepared(
        head=f"INSERT INTO {table} ({columns}) VALUES ",  # noqa: S608
        row=f"({', '.join([*['%s'] * len(fields), *(literal or '%s' for literal, _ in defaults)])})",
        converters=tuple(_converter(field, connection) for field in fields),
        defaults=tuple(value for literal, value in defaults if literal is None),
        undo=f"DELETE FROM {table} WHERE {quote(str(model._meta.pk.column))} IN",  # noqa: S608
        key=names.index(key) if key in names else None,
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

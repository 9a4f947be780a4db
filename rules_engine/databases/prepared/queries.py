"""Queries whose text is made once, for what workers ask with every hint and at every look.

The ORM puts a query together again each time: of a worker's way from a hint to the start of one action, that was three
quarters of the time on the processor. Asked through Django's own compiler all the same, so that whatever a site has
around the connection sees these queries as it sees others.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeAlias
from uuid import UUID

from django.conf import settings
from django.db import connections, models
from django.db.models import Model, QuerySet
from django.db.models.sql import UpdateQuery
from django.db.models.sql.compiler import SQLCompiler

from rules_engine.databases.uncached import EXECUTE_SQL, Row

#: For each mark its field, and which of the parameters it stands for.
Places: TypeAlias = tuple[tuple[Any, tuple[int, ...]], ...]


def _moment(number: int) -> dt.datetime:
    # SQLite's and MySQL's backends take none with a zone where the site has none.
    return dt.datetime(1, 1, 2, tzinfo=dt.UTC if settings.USE_TZ else None) + dt.timedelta(days=number)


#: What no row holds, by the kind of field, the first that it is: each makes another value of its number.
_UNUSUAL: Sequence[tuple[type[Any], Callable[[int], Any]]] = (
    (models.UUIDField, lambda number: UUID(int=number)),
    (models.DateTimeField, _moment),
    (models.DateField, lambda number: dt.date(1, 1, 2) + dt.timedelta(days=number)),
    (models.IntegerField, lambda number: 2_000_000_000 + number),
    (models.Field, "\x00{}".format),
)


class Mark(NamedTuple):
    """A value of a field that stands for another while a query is made."""

    field: Any
    value: Any

    @classmethod
    def of_field(cls, field: Any, number: int = 0) -> Mark:
        """Return one for a field of UUIDs, moments, days, numbers or texts, the one of that number."""
        return cls(field, next(make for kind, make in _UNUSUAL if isinstance(field, kind))(number))

    @classmethod
    def of(cls, model: type[Model], name: str, number: int = 0) -> Mark:
        """Return one for the model's field of that name, or for its key."""
        return cls.of_field(model._meta.pk if name == "pk" else model._meta.get_field(name), number)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Row]):
    """A query that is ready to be asked: its text, its parameters, and which of these each mark stands for."""

    rows: QuerySet[Any]
    compiler: Any
    sql: str
    parameters: tuple[Any, ...]
    places: Places

    def ask(self, *values: Any) -> list[Row]:
        """Return what the query returns with these values in place of its marks, in their order. Raises
        ``DatabaseError``."""
        using = self.rows.db
        compiler = copy.copy(self.compiler)
        compiler.connection = connections[using]
        compiler.as_sql = partial(_as_made, self.sql, _filled(self.parameters, self.places, values, using))
        if SQLCompiler.execute_sql is not EXECUTE_SQL:  # a cache stands there
            compiler.execute_sql = partial(EXECUTE_SQL, compiler)
        rows: Any = self.rows
        query: Any = _Asked(rows.query, compiler)
        asked: Any = QuerySet(rows.model, query, using)
        asked._fields = rows._fields
        return list(rows._iterable_class(asked))

    def text(self, *values: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the statement with these values in place of its marks, and its parameters, for who asks otherwise."""
        return self.sql, _filled(self.parameters, self.places, values, self.rows.db)


def _as_made(sql: str, parameters: tuple[Any, ...], *_: Any, **__: Any) -> tuple[str, tuple[Any, ...]]:
    return sql, parameters


class _Asked:
    """A query whose compiler has its text already."""

    def __init__(self, query: Any, compiler: Any) -> None:
        self._query, self._compiler = query, compiler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._query, name)

    def get_compiler(self, *_: Any, **__: Any) -> Any:
        return self._compiler


def prepare(rows: QuerySet[Any, Any], *marks: Mark) -> Prepared[Any]:
    """Make the text of a query in which these marks stand for values. Raises ``EmptyResultSet`` for one that nobody
    need ask, and ``LookupError`` where a mark is not in it as it was given."""
    compiler: Any = rows.query.chain().get_compiler(rows.db)
    sql, parameters = compiler.as_sql()
    # That is the thread's, and ends with it: kept here, it would stay open.
    compiler.connection = None
    return Prepared(rows, compiler, sql, tuple(parameters), _places(parameters, marks, rows.db))


@dataclass(frozen=True, slots=True)
class PreparedUpdate:
    """An UPDATE that is ready to be made, with values in place of its marks."""

    using: str
    sql: str
    parameters: tuple[Any, ...]
    places: Places

    def make(self, *values: Any) -> int:
        """Return how many rows it has changed. Raises ``DatabaseError``."""
        with connections[self.using].cursor() as cursor:
            cursor.execute(self.sql, _filled(self.parameters, self.places, values, self.using))
            return int(cursor.rowcount)


def prepare_update(rows: QuerySet[Any, Any], columns: Mapping[str, Any], *marks: Mark) -> PreparedUpdate:
    """Make the text of the UPDATE of these rows that sets the columns, in which the marks stand for values. Raises as
    ``prepare`` does."""
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values(columns)
    sql, parameters = query.get_compiler(rows.db).as_sql()
    return PreparedUpdate(rows.db, sql, tuple(parameters), _places(parameters, marks, rows.db))


def _places(parameters: Sequence[Any], marks: Sequence[Mark], using: str) -> Places:
    places, by_value = [], dict[Any, list[int]]()
    for at, each in enumerate(parameters):
        if isinstance(each, Hashable):
            by_value.setdefault((type(each), each), []).append(at)
    for mark in marks:
        made = mark.field.get_db_prep_value(mark.value, connections[using])
        found = tuple(by_value.get((type(made), made), ()))
        if not found:
            raise LookupError(f"{mark.value!r} is not among the parameters {parameters!r}.")
        places.append((mark.field, found))
    return tuple(places)


def _filled(made: tuple[Any, ...], places: Places, values: Sequence[Any], using: str) -> tuple[Any, ...]:
    parameters, connection = list(made), connections[using]
    for (field, found), value in zip(places, values, strict=True):
        prepared = field.get_db_prep_value(value, connection)
        for place in found:
            parameters[place] = prepared
    return tuple(parameters)

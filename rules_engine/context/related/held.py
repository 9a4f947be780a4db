"""Related rows of many objects, read by one query when the first of them is asked for its own.

Each object still tells its rows by itself, up to the same limits. Where what is asked of all together cannot be said,
each reads its own, and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import models
from django.db.models import Count

from rules_engine import conf
from rules_engine.context.related.amounts import may_be_long, mean_size
from rules_engine.context.related.pointing import Pointing, pointing_of
from rules_engine.databases.savepoints import confined
from rules_engine.types import Unread, ask

#: Rows that are held at a time, of all objects; and of a kind that may be long, before it is known how long they are.
MOST_HELD = 5_000
MOST_LONG = 100
#: Where an object has what was read for it together with others: by relation who reads its rows, what rows come to by
#: the names of aggregates, and whether all that is still so.
ROWS = "_rules_engine_rows"
VALUES = "_rules_engine_aggregates"
TOGETHER = "_rules_engine_together"
COUNT = "rules_engine_count"


class Way(NamedTuple):
    """A relation to many at the end of relations to one, and the objects that are read beside its rows."""

    path: tuple[str, ...]
    relation: str
    beside: tuple[str, ...] = ()


@dataclass(slots=True)
class Together:
    """What is read together for the objects of one statement, until something may have changed it."""

    is_over: bool = False


def forget(instance: models.Model) -> None:
    """Have all objects that were read together with this one read for themselves from now on."""
    together = instance.__dict__.get(TOGETHER)
    if together is not None:
        together.is_over = True


def values_of(instance: models.Model) -> Mapping[str, Any]:
    """Return what rows of the object come to, as far as that was read together with others."""
    values: Mapping[str, Any] | None = instance.__dict__.get(VALUES)
    return values if values is not None and not _is_over(instance) else {}


def rows_of(instance: models.Model, relation: str) -> Sequence[models.Model] | None:
    """Return the object's rows where they are read together with those of others; None where it has to ask itself."""
    readers: Mapping[str, RowsOfMany] | None = instance.__dict__.get(ROWS)
    if readers is None or relation not in readers or _is_over(instance):
        return None
    return readers[relation].of(instance)


def _is_over(instance: models.Model) -> bool:
    together = instance.__dict__.get(TOGETHER)
    return together is not None and bool(together.is_over)


def hold(objects: Sequence[models.Model], ways: Iterable[Way], together: Together) -> None:
    """Have objects, which nobody else has, read their rows by these ways together."""
    for way in ways:
        ends = follow(objects, way.path)
        reader = ask(_reader_of, ends, way) if len(ends) > 1 else None
        if reader is None or isinstance(reader, Unread):
            continue
        for end in ends:
            end.__dict__.setdefault(ROWS, {})[way.relation] = reader
            end.__dict__[TOGETHER] = together


def _reader_of(objects: Sequence[models.Model], way: Way) -> RowsOfMany | None:
    pointing = pointing_of(objects, way.relation)
    return None if pointing is None else RowsOfMany(pointing, objects, way.beside)


def follow(objects: Sequence[models.Model], path: Iterable[str]) -> Sequence[models.Model]:
    """Return the objects at the end of relations to one, as far as they were fetched along."""
    for name in path:
        ends = (one._state.fields_cache.get(name) for one in objects)
        objects = [end for end in ends if end is not None]
    return objects


class RowsOfMany:
    """Reads the rows of a relation for many objects, from one that is asked for on, as many as are held at a time.

    Objects are asked for in their order; one that others were read after reads for itself.
    """

    def __init__(self, pointing: Pointing, objects: Sequence[models.Model], beside: Sequence[str]) -> None:
        self._pointing, self._beside = pointing, beside
        self._keys = pointing.keys(objects)
        self._places = {key: place for place, key in enumerate(self._keys)}
        model: Any = pointing.rows.model
        self._is_long = may_be_long(model)
        self._most = MOST_LONG if self._is_long else MOST_HELD
        #: How many rows each has, by key; None as long as all were few.
        self._counts: Mapping[Any, int] | None = None
        #: The rows that are held by the places of their objects, and the place up to which rows were read.
        self._held: dict[int, list[models.Model]] = {}
        self._next = 0

    def of(self, instance: models.Model) -> Sequence[models.Model] | None:
        """Return the rows of one of the objects; None where it has to read for itself."""
        place = self._places.get(getattr(instance, self._pointing.key))
        if place is None:
            return None
        if place >= self._next:
            held = ask(self._read_from, place)
            # Whatever went wrong shows where each is read by itself.
            self._held = {} if isinstance(held, Unread) else held
        return self._held.get(place)

    def _read_from(self, place: int) -> dict[int, list[models.Model]]:
        """Read the rows of the objects from that place on. Raises ``DatabaseError``, and what a site's code raises."""
        self._held, self._next = {}, len(self._keys)
        if self._counts is None:
            rows = self._read(self._keys[place:])
            if len(rows) <= self._most:
                return self._by_place(place, rows)
            if self._is_long:
                self._most = max(self._most, min(MOST_HELD, conf.event_bytes() // mean_size(rows)))
            self._counts = self._counted(self._keys[place:])
        self._next = self._end_of_group(place, self._counts)
        if self._counts.get(self._keys[place], 0) > self._most:
            return {}
        rows = self._read(self._keys[place : self._next])
        # More than were counted just now are others' doing.
        return self._by_place(place, rows) if len(rows) <= self._most else {}

    def _end_of_group(self, place: int, counts: Mapping[Any, int]) -> int:
        """Return the place up to which objects from this one on have no more rows than are held; of one at least."""
        count = counts.get(self._keys[place], 0)
        for end in range(place + 1, len(self._keys)):
            count += counts.get(self._keys[end], 0)
            if count > self._most:
                return end
        return len(self._keys)

    def _read(self, keys: Sequence[Any]) -> list[models.Model]:
        rows = self._pointing.of(keys)
        if self._beside:
            rows = rows.select_related(*self._beside)
        with confined(rows.db):
            return list(rows[: self._most + 1])

    def _counted(self, keys: Sequence[Any]) -> Mapping[Any, int]:
        value = self._pointing.value
        rows = self._pointing.among(keys).order_by().values(value).annotate(**{COUNT: Count("*")})
        with confined(rows.db):
            return {self._pointing.key_of(row[value]): row[COUNT] for row in rows}

    def _by_place(self, first: int, rows: list[models.Model]) -> dict[int, list[models.Model]]:
        """Return the rows by the places of their objects. Raises ``KeyError`` for one of another object: to a database
        that compares texts in ways of its own an object's key may be several texts."""
        by_place = {place: list[models.Model]() for place in range(first, self._next)}
        for row in rows:
            by_place[self._places[self._pointing.key_in(row)]].append(row)
        return by_place

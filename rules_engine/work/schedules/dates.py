"""What is due by the dates of objects, found by the index of the column, a window at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from django.db import connections, models
from django.db.models import CharField, Exists, F, OuterRef, Q
from django.db.models.fields.reverse_related import ForeignObjectRel
from django.db.models.functions import Cast

from rules_engine.context import snapshot
from rules_engine.context.paths import ModelClass, find_model, resolve
from rules_engine.databases.prepared.queries import Mark, Prepared, prepare
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.models import Firing
from rules_engine.rules.holding import LONGEST_HOLD_KEY
from rules_engine.rules.schedules.due import ELAPSED, Offset, Window, due_by, windows
from rules_engine.rules.schedules.kind import Schedule
from rules_engine.types import Path

#: Pairs of key and date that are read at once while those that are due are picked.
PAGE = 2_000
#: By how much the order of dates and the order of what is due by them may differ, where days are counted that are not
#: all alike and each date keeps its time of day: a long weekend, or the end of a month.
DISORDER = timedelta(days=8)
#: By how much what is due by a date may have moved since it was told of: the site's zone, or its clocks, are others.
MOVED = timedelta(days=2)
#: The name under which an object's date comes along with it.
DATE = "rules_engine_date"


@dataclass(frozen=True, slots=True)
class DateColumn:
    """Where the dates of a rule are: a column of its model, or of one that its objects belong to."""

    model: ModelClass
    field: Any
    #: The path as queries have it.
    lookup: str
    #: The fields on the way, the date's own last.
    way: tuple[Any, ...]

    @property
    def is_of_days(self) -> bool:
        """Say whether it holds dates without a time."""
        return not isinstance(self.field, models.DateTimeField)

    @property
    def firing_column(self) -> str:
        """The column of ``Firing`` that keeps such a date."""
        return "of_date" if self.is_of_days else "of_moment"


def column_of(label: str, schedule: Schedule) -> DateColumn:
    """Return where the dates of a rule without problems are. Raises ``UnknownPath`` and ``LookupError``."""
    model = find_model(label)
    if model is None:
        raise LookupError(label)
    path: Path = tuple(schedule["path"].split("."))[1:]
    way = tuple(resolve(model, path[:end]).field for end in range(1, len(path) + 1))
    return DateColumn(model, way[-1], "__".join(_query_name(field) for field in way), way)


def _query_name(field: Any) -> str:
    return str(field.name if not isinstance(field, ForeignObjectRel) else field.get_accessor_name())


@dataclass(frozen=True, slots=True)
class Due:
    """An object that is due, with when that is, and its date as the column has it."""

    pk: Any
    due_at: datetime
    value: Any
    instance: models.Model | None = None


def key_text(model: ModelClass, pk: Any, using: str) -> str:
    """Return an object's key as ``Firing`` keeps it: as the database itself makes a text of it."""
    field = model._meta.pk
    return str(field.get_db_prep_value(pk, connections[using]))[:LONGEST_HOLD_KEY]


class Dates:
    """What is due of one rule by its dates, at one place (``surroundings.listed``). What was due before ``since`` says
    nothing: the rule was another one."""

    def __init__(
        self, slug: str, label: str, schedule: Schedule, using: str, *, since: datetime | None = None, place: str = ""
    ) -> None:
        self.slug, self.schedule, self.using, self.since, self.place = slug, schedule, using, since, place
        self.column = column_of(label, schedule)
        self._offset = Offset.of(schedule)

    @property
    def is_in_order(self) -> bool:
        """Say whether what is due comes in the order of dates."""
        return self.schedule.get("at") is not None or self.schedule["unit"] not in ("months", "business_days")

    def rows(self) -> models.QuerySet[Any]:
        """Return the objects, as the database has them."""
        return UncachedQuerySet(self.column.model, using=self.using)

    def due_of(self, value: Any) -> datetime | None:
        """Return when the date makes it due."""
        return due_by(value, self._offset)

    def windows(self, begin: datetime, end: datetime) -> list[Window]:
        """Return the dates that are due between these moments."""
        return windows(begin, end, self.schedule, of_days=self.column.is_of_days)

    def within(self, found: Sequence[Window]) -> models.QuerySet[Any]:
        """Return the objects whose dates are in one of these windows, in the order of dates."""
        return _within(self.column, [(window.first, window.last) for window in found], self.using)

    def unfired(self, found: Sequence[Window], begin: datetime) -> models.QuerySet[Any]:
        """Return those of which no such date has been done with, where they are due after a moment.

        A firing from before that, or of the rule as it was, is not asked for: so a few are read of very many.
        """
        return _unfired(self.within(found), self.column, self.slug, self.place, self._bound(begin))

    def _bound(self, begin: datetime) -> datetime:
        """Return from when on firings are asked for."""
        is_exact = self.schedule["unit"] in ELAPSED and not self.column.is_of_days
        bound = begin if is_exact else begin - MOVED
        return bound if self.since is None else max(self.since, bound)

    def find(self, begin: datetime, end: datetime, most: int) -> list[Due]:
        """Return what is due after one moment and up to another and is not done with, so many of the first at most."""
        found = self.windows(begin, end)
        due: list[Due] = []
        if not found:
            return due
        first = self._first_page(found, begin)
        pages = [first] if len(first) < PAGE else self.pages(self.unfired(found, begin))
        for page in pages:
            due += self._unknown(list(self.picked(page, begin, end)))
            if len(due) >= most:
                break
        return due[:most]

    def _first_page(self, found: Sequence[Window], begin: datetime) -> list[tuple[Any, Any]]:
        """Return the keys and dates of the first of those that ``unfired`` has: nearly always these are all."""
        ends = [end for window in found for end in (window.first, window.last)]
        return _first_page(self.column, len(found), self.using).ask(*ends, self.slug, self.place, self._bound(begin))

    def picked(self, page: Iterable[tuple[Any, Any]], begin: datetime, end: datetime) -> Iterator[Due]:
        """Yield those of some keys and dates that are due after one moment and up to another."""
        for pk, value in page:
            at = self.due_of(value)
            if at is not None and begin < at <= end:
                yield Due(pk, at, value)

    def pages(self, rows: models.QuerySet[Any], size: int = PAGE) -> Iterator[list[tuple[Any, Any]]]:
        """Yield the keys and dates of rows that are in the order of dates, by so many."""
        pairs, lookup = rows.values_list("pk", self.column.lookup), self.column.lookup
        left = pairs
        while page := list(left[:size]):
            yield page
            pk, value = page[-1]
            if len(page) < size:
                return
            left = pairs.filter(Q(**{f"{lookup}__gt": value}) | Q(**{lookup: value, "pk__gt": pk}))

    def _unknown(self, due: Sequence[Due]) -> list[Due]:
        """Return those that are not done with. A date that was moved, and is due at the same time as before, is."""
        known = self.fired(due)
        again = [each for each in due if (self.key(each.pk), each.due_at) in known]
        for each in again:
            # From now on the index knows it by the date that it has.
            known_as = Firing.objects.using(self.using).filter(pk=known[self.key(each.pk), each.due_at])
            known_as.update(**{self.column.firing_column: each.value})
        return [each for each in due if (self.key(each.pk), each.due_at) not in known]

    def fired(self, due: Iterable[Due]) -> dict[tuple[str, datetime], Any]:
        """Return which of these are done with: the keys of their firings."""
        keys, at = [], []
        for each in due:
            keys.append(self.key(each.pk))
            at.append(each.due_at)
        known: dict[tuple[str, datetime], Any] = {}
        rows = Firing.objects.using(self.using).filter(rule_slug=self.slug, surroundings=self.place)
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            found = rows.filter(object_key__in=part, due_at__range=(min(at), max(at)))
            known |= {(key, moment): pk for pk, key, moment in found.values_list("pk", "object_key", "due_at")}
        return known

    def key(self, pk: Any) -> str:
        """Return an object's key as ``Firing`` keeps it."""
        return key_text(self.column.model, pk, self.using)

    def read(self, due: Collection[Due], begin: datetime, end: datetime) -> list[Due]:
        """Return the objects as they are now, with the dates that they have now, in the order in which they are due.

        One query for all, so that an object and its date are of one moment: what was moved away meanwhile is left out.
        """
        rows = self.rows().filter(pk__in=[each.pk for each in due]).annotate(**{DATE: F(self.column.lookup)})
        read = [
            Due(row.pk, at, row.__dict__[DATE], row)
            for row in rows
            if (at := self.due_of(row.__dict__[DATE])) is not None and begin < at <= end
        ]
        picked = {(each.pk, each.due_at, each.value) for each in due}
        is_moved = any((each.pk, each.due_at, each.value) not in picked for each in read)
        known = self.fired(read) if is_moved else {}
        return sorted(
            (each for each in read if (self.key(each.pk), each.due_at) not in known), key=lambda each: each.due_at
        )

    def told(self, due: Due) -> Mapping[str, Any]:
        """Return what events say of it."""
        return {"at": due.due_at.astimezone(UTC).isoformat(), "date": self.plain(due.value)}

    def plain(self, value: Any) -> Any:
        """Return a date as events have it."""
        return snapshot.plain(snapshot.column_value(self.column.field, value))

    def firing(self, due: Due, event_id: Any) -> dict[str, Any]:
        """Return the row of ``Firing`` that says it is done with."""
        return {
            "rule_slug": self.slug,
            "object_key": self.key(due.pk),
            "surroundings": self.place,
            "due_at": due.due_at,
            "event_id": event_id,
            "of_date": due.value if self.column.is_of_days else None,
            "of_moment": None if self.column.is_of_days else due.value,
        }


def _within(column: DateColumn, ranges: Sequence[tuple[Any, Any]], using: str) -> models.QuerySet[Any]:
    is_within = reduce(or_, (Q(**{f"{column.lookup}__range": each}) for each in ranges))
    rows: models.QuerySet[Any] = UncachedQuerySet(column.model, using=using)
    return rows.filter(is_within).order_by(column.lookup, "pk")


def _unfired(
    rows: models.QuerySet[Any], column: DateColumn, slug: str, place: str, bound: datetime
) -> models.QuerySet[Any]:
    fired = Firing.objects.filter(
        rule_slug=slug,
        surroundings=place,
        due_at__gte=bound,
        object_key=Cast(OuterRef("pk"), CharField(max_length=LONGEST_HOLD_KEY)),
        **{column.firing_column: OuterRef(column.lookup)},
    )
    return rows.filter(~Exists(fired))


@lru_cache(maxsize=256)
def _first_page(column: DateColumn, windows: int, using: str) -> Prepared[Any]:
    """The query of a look, made once for all of so many windows: a look takes as long to make it as to ask it."""
    ends = [Mark.of_field(column.field, number) for number in range(2 * windows)]
    ranges = [(first.value, last.value) for first, last in zip(ends[::2], ends[1::2], strict=True)]
    # Of another number than the ends, which may be moments as well.
    slug, bound = Mark.of(Firing, "rule_slug"), Mark.of(Firing, "due_at", 2 * windows)
    place = Mark.of(Firing, "surroundings", 1)
    rows = _unfired(_within(column, ranges, using), column, slug.value, place.value, bound.value)
    return prepare(rows.values_list("pk", column.lookup)[:PAGE], *ends, slug, place, bound)

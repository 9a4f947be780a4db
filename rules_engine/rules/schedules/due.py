"""When an object's date makes a rule due, and which dates do so between two moments: each the other's inverse."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple

from rules_engine.rules.schedules.days import NO_DAYS, holiday_list, shifted
from rules_engine.rules.schedules.kind import Schedule
from rules_engine.rules.schedules.zones import DAY, MIDNIGHT, local, moment, shifts, time_of, zone_of

#: Units that are lengths of time; the others count days of a calendar.
ELAPSED = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1)}
INSTANT = timedelta(microseconds=1)
LAST_TIME = time.max


class Window(NamedTuple):
    """Dates, or moments, from the first to the last, both among them."""

    first: Any
    last: Any


@dataclass(frozen=True, slots=True)
class Offset:
    """A schedule of the kind ``date``, as far as it says when something is due."""

    count: int
    unit: str
    at: time | None
    zone: tzinfo
    holidays: Container[date]
    is_before: bool

    @classmethod
    def of(cls, schedule: Schedule) -> Offset:
        """Read a schedule without problems. Raises ``LookupError`` for a list of holidays that is not there."""
        code, is_before = schedule.get("holidays"), schedule["direction"] == "before"
        return cls(
            -schedule["count"] if is_before else schedule["count"],
            schedule["unit"],
            time_of(schedule),
            zone_of(schedule),
            holiday_list(code) if code and schedule["unit"] == "business_days" else NO_DAYS,
            is_before,
        )

    def moved(self, day: date) -> date:
        """Return the day on which that day makes something due."""
        return shifted(day, self.count, self.unit, self.holidays, is_before=self.is_before)

    def elapsed(self) -> timedelta | None:
        """Return the length of time between the date and what is due; None where days are counted."""
        return ELAPSED[self.unit] * self.count if self.unit in ELAPSED else None


def due_of(value: date | datetime | None, schedule: Schedule) -> datetime | None:
    """Return when that date makes the rule due, in UTC; None without a date, and at the ends of the calendar.

    ``value`` is what the column holds: a date begins at midnight in the schedule's zone.
    """
    return None if value is None else due_by(value, Offset.of(schedule))


def due_by(value: date | datetime | None, offset: Offset) -> datetime | None:
    """Return the same by a schedule that was read already, for many dates."""
    if value is None:
        return None
    try:
        return _due(value, offset)
    except (OverflowError, ValueError):
        return None


def _due(value: date | datetime, offset: Offset) -> datetime:
    elapsed, wall = offset.elapsed(), local(value, offset.zone) if isinstance(value, datetime) else None
    if elapsed is not None:
        begin = moment(value, MIDNIGHT, offset.zone) if wall is None else wall.astimezone(UTC)
        return begin + elapsed
    day: date = value if wall is None else wall.date()
    at = offset.at or (MIDNIGHT if wall is None else wall.time())
    return moment(offset.moved(day), at, offset.zone)


def windows(begin: datetime, end: datetime, schedule: Schedule, *, of_days: bool) -> list[Window]:
    """Return the dates that make the rule due from one moment to another, both among them.

    ``of_days``: the column holds dates without a time. Each date in these windows is due then, but for moments on days
    on which the clocks are changed: ``due_of`` has the last word. None that is due then lies outside.
    """
    if end < begin:
        return []
    offset = Offset.of(schedule)
    elapsed = offset.elapsed()
    try:
        if elapsed is None:
            return _merged(_days(begin, end, offset, of_days), DAY if of_days else INSTANT)
        begin, end = begin - elapsed, end - elapsed
        if not of_days:
            return [Window(begin, end)]
        return _merged(_midnights(begin, end, offset.zone), DAY)
    except (OverflowError, ValueError):
        return []


def _midnights(begin: datetime, end: datetime, zone: tzinfo) -> Iterator[Window]:
    first, last = local(begin, zone).date(), local(end, zone).date()
    for day in _between(first - DAY, last + DAY):
        if begin <= moment(day, MIDNIGHT, zone) <= end:
            yield Window(day, day)


def _days(begin: datetime, end: datetime, offset: Offset, of_days: bool) -> Iterator[Window]:
    """Yield, day by day, the dates of that day that are due then."""
    first, last = local(begin, offset.zone), local(end, offset.zone)
    # A time that the clocks skip may be due on the day after, where they do so at midnight.
    for day in _between(*_sources(first.date() - DAY, last.date(), offset)):
        target = offset.moved(day)
        if of_days or offset.at is not None:
            if begin <= moment(target, offset.at or MIDNIGHT, offset.zone) <= end:
                yield Window(day, day) if of_days else _whole(day, offset.zone)
        elif shifts(day, offset.zone) or shifts(target, offset.zone):
            yield _whole(day, offset.zone)
        elif first.date() <= target:
            since = first.time() if target == first.date() else MIDNIGHT
            until = last.time() if target == last.date() else LAST_TIME
            yield Window(moment(day, since, offset.zone), moment(day, until, offset.zone))


def _whole(day: date, zone: tzinfo) -> Window:
    return Window(moment(day, MIDNIGHT, zone), moment(day + DAY, MIDNIGHT, zone) - INSTANT)


def _sources(first: date, last: date, offset: Offset) -> tuple[date, date]:
    """Return the first and the last day that make something due on one of those days."""
    if offset.unit in ("days", "weeks"):
        step = timedelta(days=offset.count * (7 if offset.unit == "weeks" else 1))
        return first - step, last - step
    return _first_with(first, offset), _first_with(last + DAY, offset) - DAY


def _first_with(target: date, offset: Offset) -> date:
    """Return the first day that makes something due on the target or later: ``moved`` is in the order of days."""
    guess = shifted(target, -offset.count, offset.unit, offset.holidays).toordinal()
    low, high, width = guess, guess, 8
    while offset.moved(date.fromordinal(low)) >= target:
        low, width = low - width, width * 2
    while offset.moved(date.fromordinal(high)) < target:
        high, width = high + width, width * 2
    while high - low > 1:
        middle = (low + high) // 2
        if offset.moved(date.fromordinal(middle)) >= target:
            high = middle
        else:
            low = middle
    return date.fromordinal(high)


def _between(first: date, last: date) -> Iterator[date]:
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield date.fromordinal(ordinal)


def _merged(windows: Iterable[Window], step: timedelta) -> list[Window]:
    """Return the windows, which come in order, with those as one that touch each other."""
    merged: list[Window] = []
    for window in windows:
        if merged and window.first <= merged[-1].last + step:
            merged[-1] = Window(merged[-1].first, max(merged[-1].last, window.last))
        else:
            merged.append(window)
    return merged

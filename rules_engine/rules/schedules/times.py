"""The times of a schedule of the kind ``every``: the next ones, and those between two moments."""

from __future__ import annotations

import calendar
from collections.abc import Container, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from rules_engine.rules.schedules.days import NO_DAYS, holiday_list, is_business_day
from rules_engine.rules.schedules.kind import Schedule
from rules_engine.rules.schedules.zones import DAY, MIDNIGHT, local, moment, time_of, zone_of

#: A Monday from which weeks are counted, days and months too, where a schedule does not say since when.
EPOCH = date(2024, 1, 1)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MONDAY = 1
#: Days that are looked through for the next one, at most: some 400 steps of a month.
MOST_DAYS = 12_500


def next_times(schedule: Schedule, after: datetime, count: int) -> list[datetime]:
    """Return the next times after a moment, in UTC, so many at most. Of a schedule without problems."""
    return list(islice(_times(schedule, after), count))


def times_between(schedule: Schedule, after: datetime, until: datetime, most: int) -> list[datetime]:
    """Return the times after one moment and up to another, that one among them; so many of the first at most."""
    return list(islice(takewhile(lambda at: at <= until, _times(schedule, after)), most))


def last_time(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """Return the last time after one moment and up to another, without walking through all; None where there is none.

    It looks back from the end, an hour and four times as far each time.
    """
    back = HOUR
    while True:
        begin = max(after, until - back)
        last = None
        for at in takewhile(lambda at: at <= until, _times(schedule, begin)):
            last = at
        if last is not None or begin == after:
            return last
        back *= 4


def _times(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    try:
        if "cron" in schedule:
            yield from _of_cron(schedule, after)
        elif schedule["each"] == "hour":
            yield from _hours(schedule, after)
        else:
            yield from _of_days(schedule, after)
    except (OverflowError, ValueError):  # the end of the calendar
        return


def _of_days(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    zone, at = zone_of(schedule), time_of(schedule) or MIDNIGHT
    code = schedule.get("holidays")
    holidays = holiday_list(code) if code else NO_DAYS
    first = local(after, zone).date() - DAY
    if schedule.get("since"):
        first = max(first, since_of(schedule))
    last = after
    for day in (first + DAY * number for number in range(MOST_DAYS * (schedule.get("step") or 1))):
        if _is_of(day, schedule, holidays):
            due = moment(day, at, zone)
            if due > last:
                yield due
                last = due


def _is_of(day: date, schedule: Schedule, holidays: Container[date]) -> bool:
    """Say whether the schedule has a time on that day."""
    step, since = schedule.get("step") or 1, since_of(schedule)
    if day < since and schedule.get("since"):
        return False
    match schedule["each"]:
        case "day":
            return (day - since).days % step == 0
        case "weekday":
            return is_business_day(day, holidays)
        case "week":
            weeks = (_monday(day) - _monday(since)).days // 7
            return day.isoweekday() == (schedule.get("day") or MONDAY) and weeks % step == 0
        case "month":
            return day.day == (schedule.get("day") or 1) and _months(since, day) % step == 0
        case _:
            is_last = day.day == calendar.monthrange(day.year, day.month)[1]
            return is_last and _months(since, day) % step == 0


def since_of(schedule: Schedule) -> date:
    """Return the day from which steps are counted."""
    since = schedule.get("since")
    return date.fromisoformat(since) if since else EPOCH


def _monday(day: date) -> date:
    return day - DAY * day.weekday()


def _months(since: date, day: date) -> int:
    return (day.year - since.year) * 12 + day.month - since.month


def _hours(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Yield the times at that minute of each hour, as hours go by: where an hour comes twice, both do. Of every second
    hour the clock's own number counts, and one that comes twice counts once."""
    zone, at, step = zone_of(schedule), time_of(schedule) or MIDNIGHT, schedule.get("step") or 1
    now = local(after, UTC).replace(second=0, microsecond=0)
    if schedule.get("since"):
        now = max(now, moment(since_of(schedule), MIDNIGHT, zone).replace(second=0) - MINUTE)
    while True:
        now += MINUTE
        wall = now.astimezone(zone)
        if wall.minute != at.minute:
            # Less than an hour on; if the clocks are changed before, the next round sees it.
            now += MINUTE * ((at.minute - wall.minute) % 60 - 1)
        elif step == 1 or (wall.hour % step == 0 and wall.fold == 0):
            yield now


def cron_problem(text: Any) -> str:
    """Say what is wrong with a cron text, in the words of the package that reads it; empty where it can be read.

    Raises ``LookupError`` where that package is not installed.
    """
    cronsim = _cronsim()
    if not isinstance(text, str) or len(text.split()) != 5:
        return "Wrong number of fields"
    try:
        next(cronsim.CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except (cronsim.CronSimError, OverflowError, ValueError) as error:  # a step of very many digits
        return str(error)
    except StopIteration:
        return "It never comes"
    return ""


def _of_cron(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    cronsim = _cronsim()
    for wall in cronsim.CronSim(schedule["cron"], local(after, zone_of(schedule))):
        at = wall.astimezone(UTC)
        # Begun in an hour that comes twice, it goes on from the first.
        if at > after:
            yield at


def _cronsim() -> Any:
    try:
        import cronsim
    except ImportError as error:
        raise LookupError("cronsim") from error
    return cronsim

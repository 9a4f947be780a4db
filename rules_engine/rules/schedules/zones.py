"""Local times as moments. A time that the clocks skip is the first one after it; one that comes twice is the first."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.utils import timezone

from rules_engine.rules.schedules.kind import Schedule

MIDNIGHT = time()
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def zone_of(schedule: Schedule) -> tzinfo:
    """Return the zone in which a schedule's days and times are meant: the site's where it names none."""
    name = schedule.get("zone")
    return ZoneInfo(name) if name else timezone.get_default_timezone()


def time_of(schedule: Schedule) -> time | None:
    """Return the time of day that a schedule names, if any."""
    at = schedule.get("at")
    return time.fromisoformat(at) if at else None


@lru_cache(maxsize=4_096)
def moment(day: date, at: time, zone: tzinfo) -> datetime:
    """Return when it is that time of that day there, in UTC. Raises ``OverflowError`` at the ends of the calendar."""
    wall = datetime.combine(day, at.replace(fold=0), tzinfo=zone)
    first = wall.astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return first
    # The clocks skip it: the moment when they do so lies between what the old and the new offset make of it.
    early, late = sorted((first, wall.replace(fold=1).astimezone(UTC)))
    offset = late.astimezone(zone).utcoffset()
    while late - early > SECOND:
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0)


def local(at: datetime, zone: tzinfo) -> datetime:
    """Return the moment as the clocks show it there; one without a zone is meant in the site's."""
    aware = at if at.tzinfo is not None else timezone.make_aware(at, timezone.get_default_timezone())
    return aware.astimezone(zone)


def shifts(day: date, zone: tzinfo) -> bool:
    """Say whether the clocks are changed on that day, or near it."""
    begin, end = (datetime.combine(day + DAY * days, MIDNIGHT, tzinfo=zone) for days in (-1, 2))
    return begin.utcoffset() != end.utcoffset()

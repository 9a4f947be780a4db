"""A time of day in a time zone: which moment it is on a day, and which one comes next. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

SECOND = timedelta(seconds=1)
_WRITTEN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def time_of(text: object) -> time | None:
    """Return the time of day that a text such as ``18:00`` says; None for whatever says none."""
    found = _WRITTEN.fullmatch(text) if isinstance(text, str) else None
    return time(int(found[1]), int(found[2])) if found else None


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the names of all time zones that this computer knows."""
    return frozenset(available_timezones())


def zone_of(name: object) -> ZoneInfo | None:
    """Return the time zone of that name; None where there is none."""
    return ZoneInfo(name) if isinstance(name, str) and name in zone_names() else None


def moment_of(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the moment, in UTC, at which clocks there show that time on that day.

    Of a time that clocks show twice it is the first; of one that they skip it is the moment at which they do so, the
    first time of that day, or of the next, that there is.
    """
    local = datetime.combine(day, at, tzinfo=zone)
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:  # the usual, and what there is twice
        return first
    # Skipped: by the offset from before it is too late, and by the one from after too early.
    early, late = second, first
    after = late.astimezone(zone).utcoffset()
    while late - early > SECOND:
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == after:
            late = middle
        else:
            early = middle
    return late


def next_moment(since: datetime, at: time, zone: ZoneInfo) -> datetime:
    """Return the first moment, in UTC, that is not before ``since`` and at which clocks there show that time.

    ``since`` is aware. Each day has one, whatever the clocks do on it.
    """
    day = since.astimezone(zone).date() - timedelta(days=1)
    while (moment := moment_of(day, at, zone)) < since:
        day += timedelta(days=1)
    return moment

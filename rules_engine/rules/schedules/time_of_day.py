"""A time of day in a time zone, as people write it, and when it comes next. Pure."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from rules_engine.rules.schedules.zones import moment as moment_at

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


def next_moment(since: datetime, at: time, zone: ZoneInfo) -> datetime:
    """Return the first moment, in UTC, that is not before ``since`` and at which clocks there show that time.

    ``since`` is aware. Each day has one, whatever the clocks do on it.
    """
    day = since.astimezone(zone).date() - timedelta(days=1)
    while (due := moment_at(day, at, zone)) < since:
        day += timedelta(days=1)
    return due

"""What a kind of schedule says of itself, and the parts that several kinds share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.errors import Problem, did_you_mean
from rules_engine.rules.schedules import days
from rules_engine.types import Path, RuleSpec

#: A schedule as a rule has it.
Schedule = Mapping[str, Any]
#: What becomes of times that passed while no worker looked.
LATE = ("all", "last", "skip")
#: Seconds that something due may be late and still act, unless the rule says otherwise: a week. And at most: longer
#: than that ago nobody waits for it.
LATENESS, LONGEST_LATENESS = 7 * 24 * 3600, 366 * 24 * 3600
#: Seconds by which something is late that workers looked for as they do: what is later was held up by a stop.
GRACE = 300
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class Kind:
    """One kind of schedule. Its instances are stateless; schedules that are asked about have no problems."""

    name: ClassVar[str]
    #: Whether it goes with signals; else the rule has none and acts by the clock alone.
    hears_signals: ClassVar[bool] = False
    #: Whether it acts when a time has come, and not at a signal.
    is_by_clock: ClassVar[bool] = True
    #: The keys that a schedule of the kind may have.
    keys: ClassVar[tuple[str, ...]]

    def problems(self, schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
        """Yield what is wrong with a schedule of this kind; pointers are into the schedule."""
        raise NotImplementedError

    def reads(self, schedule: Schedule) -> set[Path]:
        """Return the paths of the context that it reads."""
        return set()

    def tells(self, schedule: Schedule) -> tuple[str, ...]:
        """Return the roots that its events have besides: ``due``, ``rows``, ``events``."""
        return ("due",)


def unknown_keys(schedule: Schedule, keys: Sequence[str]) -> Iterator[Problem]:
    """Yield keys that the kind does not know."""
    for key in schedule:
        if key != "kind" and key not in keys:
            message = gettext('A schedule of this kind has no "%(key)s".') % {"key": key}
            yield Problem(f"/{key}", message + did_you_mean(str(key), keys))


def count_problems(schedule: Schedule, key: str, least: int, most: int) -> Iterator[Problem]:
    """Yield what is wrong with a whole number."""
    value = schedule.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        message = gettext("Expected a whole number from %(least)s to %(most)s, and got %(got)s.")
        if value is None:  # as where somebody has emptied the field of a form
            message = gettext("A whole number from %(least)s to %(most)s is missing.")
        said = {"least": least, "most": number_format(most, force_grouping=True), "got": repr(value)}
        yield Problem(f"/{key}", message % said)


def choice_problems(
    schedule: Schedule, key: str, choices: Sequence[str], default: str | None = None
) -> Iterator[Problem]:
    """Yield what is wrong with one of some words."""
    value = schedule.get(key, default)
    if not isinstance(value, str) or value not in choices:
        message = gettext("Expected one of %(choices)s, and got %(got)s.")
        said = message % {"choices": ", ".join(choices), "got": repr(value)}
        yield Problem(f"/{key}", said + did_you_mean(str(value), choices))


def at_problems(schedule: Schedule) -> Iterator[Problem]:
    """Yield what is wrong with a time of day, which may be absent."""
    value = schedule.get("at")
    if value is not None and not (isinstance(value, str) and _TIME.fullmatch(value)):
        message = gettext('Expected a time of day such as "08:00", and got %(got)s.')
        yield Problem("/at", message % {"got": repr(value)})


def zone_problems(schedule: Schedule) -> Iterator[Problem]:
    """Yield what is wrong with the name of a time zone, which may be absent: then it is the site's."""
    value = schedule.get("zone")
    if value is not None and not is_zone(value):
        message = gettext('There is no time zone %(got)s; name one such as "Europe/Berlin".') % {"got": repr(value)}
        yield Problem("/zone", message + did_you_mean(str(value), sorted(available_timezones())))


def is_zone(name: Any) -> bool:
    """Say whether that is the name of a time zone."""
    try:
        return isinstance(name, str) and bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def day_problems(schedule: Schedule, key: str) -> Iterator[Problem]:
    """Yield what is wrong with a day of the calendar, which may be absent."""
    value = schedule.get(key)
    if value is not None and not _is_day(value):
        message = gettext('Expected a day such as "2031-05-06", and got %(got)s.')
        yield Problem(f"/{key}", message % {"got": repr(value)})


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def holiday_problems(schedule: Schedule) -> Iterator[Problem]:
    """Yield what is wrong with the name of a list of holidays, which may be absent."""
    value = schedule.get("holidays")
    if value is None:
        return
    if days.holidays_module() is None:
        message = gettext("Lists of holidays take the package holidays: install django-signal-rules[schedules].")
        yield Problem("/holidays", message)
        return
    try:
        days.holiday_list(value if isinstance(value, str) else "")
    except LookupError:
        message = gettext('There is no list of holidays %(got)s; name one such as "DE" or "DE-BY".')
        yield Problem("/holidays", message % {"got": repr(value)} + did_you_mean(str(value), days.countries()))


def late_problems(schedule: Schedule, choices: Sequence[str] = LATE) -> Iterator[Problem]:
    """Yield what is wrong with what is said of times that passed while no worker looked."""
    yield from choice_problems(schedule, "late", choices, default="all")
    if schedule.get("lateness") is not None:
        yield from count_problems(schedule, "lateness", 60, LONGEST_LATENESS)

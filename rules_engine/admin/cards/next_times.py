"""When a rule on time would act, said beside its form while it is filled in, by the clock of its own zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.utils.formats import date_format, time_format
from django.utils.translation import gettext

from rules_engine.admin.prose.timed import zone_name
from rules_engine.errors import RulesEngineError
from rules_engine.rules.schedules.due import due_of
from rules_engine.rules.schedules.kinds import name_of, problems
from rules_engine.rules.schedules.times import next_times
from rules_engine.rules.schedules.zones import local, zone_of
from rules_engine.types import RuleSpec
from rules_engine.work.schedules.dates import column_of

#: So many of the times that come are named.
SHOWN = 3
#: What is wrong with these is said while it is typed; of the rest something is only not chosen yet.
TYPED = ("/schedule/cron", "/schedule/holidays")
#: The date of the example lies so far ahead, at noon where it has a time.
AHEAD, NOON = timedelta(days=30), 12


def next_times_said(spec: RuleSpec, now: datetime) -> str:
    """Say when the rule acts next, or for example, or what is wrong with what was typed; empty where nobody can tell
    yet, and of rules that wait for something to happen."""
    kind = name_of(spec.schedule)
    if kind not in ("every", "date"):
        return ""
    wrong = list(problems(spec))
    if wrong:
        return next((problem.message for problem in wrong if problem.pointer in TYPED), "")
    schedule: Mapping[str, Any] = spec.schedule or {}
    return _next(schedule, now) if kind == "every" else _example(spec, schedule, now)


def _next(schedule: Mapping[str, Any], now: datetime) -> str:
    times = next_times(schedule, now, SHOWN)
    if not times:
        return gettext("There is no such time any more.")
    said = "; ".join(_moment(at, schedule) for at in times)
    return _sentence(gettext("Next (time zone %(zone)s): %(times)s."), schedule, times=said)


def _example(spec: RuleSpec, schedule: Mapping[str, Any], now: datetime) -> str:
    """Say of one date when it makes an object due: whether before or after is meant is seen from it."""
    try:
        is_of_days = column_of(spec.model, schedule).is_of_days
    except (LookupError, RulesEngineError):
        return ""
    noon = local(now + AHEAD, zone_of(schedule)).replace(hour=NOON, minute=0, second=0, microsecond=0)
    value: date = noon.date() if is_of_days else noon
    due_at = due_of(value, schedule)
    if due_at is None:
        return ""
    text = gettext("Example (time zone %(zone)s): for %(date)s it acts on %(due)s.")
    written = _day(value) if is_of_days else _moment(noon, schedule)
    return _sentence(text, schedule, date=written, due=_moment(due_at, schedule))


def _sentence(text: str, schedule: Mapping[str, Any], **said: str) -> str:
    # A time may end in a dot, as in 8 a.m.
    return (text % {"zone": zone_name(str(zone_of(schedule))), **said}).replace("..", ".")


def _moment(at: datetime, schedule: Mapping[str, Any]) -> str:
    wall = local(at, zone_of(schedule))
    return f"{_day(wall)}, {time_format(wall)}"


def _day(day: date) -> str:
    return f"{date_format(day, 'D')} {date_format(day)}"

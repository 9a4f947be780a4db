"""When a rule on time acts, as the beginning of its sentence: ``3 days before the date of an appointment, at 18:00``.

A schedule is told as it stands, whatever stands in it: what is missing is a gap, and what has no words is code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.utils.dates import WEEKDAYS
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.sentences import test_of
from rules_engine.admin.prose.condition import asked, only_if
from rules_engine.admin.prose.marks import GAP, code, cut, shown
from rules_engine.admin.prose.names import Names, field_phrase, model_name, of_model, one_of_model, within
from rules_engine.admin.prose.trigger import happens
from rules_engine.admin.prose.values import key, value
from rules_engine.types import RuleSpec

Schedule = Mapping[str, Any]
#: Names of fields that end as no noun does: "status changed at", "created", "Angelegt am".
_NO_NOUN = re.compile(
    r"(?:\b(?:at|on|by|since|until|from|to|for|when|am|um|seit|bis|ab|von|für)|[a-z]ed)$", re.IGNORECASE
)
#: Seconds are told apart no further: nobody waits for longer than some years.
LARGEST = 10**9
SECONDS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
LATE = {
    "last": _("Of what fell due while no worker ran, it does the last alone."),
    "skip": _("It leaves out what fell due while no worker ran."),
}


def clauses(rule: RuleSpec, schedule: Schedule) -> Iterator[str]:
    """Yield when the rule acts and only if, marked, the first with a capital."""
    first, *rest = KINDS[schedule["kind"]](rule, schedule) if is_known(schedule) else _unknown(rule, schedule)
    # A text that begins with a mark has no letter to begin with.
    yield str(capfirst(first))
    yield from filter(None, rest)


def when(rule: RuleSpec) -> str:
    """What sets a rule off, by a signal or by the clock, marked, and without its condition where it can be left out."""
    if rule.schedule is None:
        return happens(rule)
    is_of_condition = is_known(rule.schedule) and rule.schedule["kind"] == "stays"
    return ", ".join(clauses(rule if is_of_condition else replace(rule, condition=None), rule.schedule))


def is_known(schedule: Any) -> bool:
    """Whether it is a schedule of a kind that has words."""
    return isinstance(schedule, Mapping) and _text(schedule, "kind") in KINDS


def late(schedule: Schedule | None) -> str:
    """What becomes of what falls due while nobody works, as a sentence; empty where all of it is done."""
    policy = schedule.get("late") if isinstance(schedule, Mapping) else None
    return str(LATE[policy]) if isinstance(policy, str) and policy in LATE else ""


# Each kind


def _date(rule: RuleSpec, schedule: Schedule) -> Iterator[str]:
    count, unit = schedule.get("count"), schedule.get("unit")
    date = _date_of(rule, schedule.get("path"))
    if count == 0 and not isinstance(count, bool):
        said = gettext("at %(date)s") % {"date": date}
    else:
        pattern = {
            "before": gettext("%(time)s before %(date)s"),
            "after": gettext("%(time)s after %(date)s"),
        }.get(_text(schedule, "direction"), f"%(time)s {GAP} %(date)s")
        said = pattern % {"time": span(count, unit), "date": date}
    yield said
    yield _holidays(schedule)
    at = schedule.get("at")
    if at not in (None, ""):
        yield _in_zone(gettext("at %(time)s") % {"time": clock(at)}, schedule)
    yield only_if(rule)


def _holidays(schedule: Schedule) -> str:
    place = schedule.get("holidays")
    return gettext("without the holidays of %(place)s") % {"place": shown(place)} if place else ""


def _date_of(rule: RuleSpec, path: Any) -> str:
    """The date that time is counted from: ``the date of an appointment``."""
    written = path if isinstance(path, str) else ""
    field = field_phrase(Titles.of(rule.model), written) if written else GAP
    # "After the status changed at of an order" is read with a stumble; of a noun nobody would say it in quotes.
    pattern = gettext("“%(field)s” %(of)s") if _NO_NOUN.search(field) else gettext("the %(field)s %(of)s")
    return pattern % {"field": field, "of": of_model(rule.model)}


def _every(rule: RuleSpec, schedule: Schedule) -> Iterator[str]:
    yield _in_zone(often(schedule), schedule)
    yield _holidays(schedule)
    if since := schedule.get("since"):
        yield gettext("from %(day)s on") % {"day": shown(since)}
    of = schedule.get("of") or "nothing"
    if of == "nothing":
        yield only_if(rule)
    elif of == "each":
        yield _selected(rule, gettext("for each %(model)s"), gettext("for each %(model)s where %(condition)s"), False)
    elif of == "rows":
        yield _selected(rule, gettext("once for all %(model)s"), gettext("once for all %(model)s where %(condition)s"))
    else:
        yield gettext("for %(what)s") % {"what": code(of)}


def _selected(rule: RuleSpec, all_of_them: str, some_of_them: str, many: bool = True) -> str:
    condition = asked(rule)
    pattern = some_of_them if condition else all_of_them
    return pattern % {"model": model_name(rule.model, many=many), "condition": condition}


def _stays(rule: RuleSpec, schedule: Schedule) -> Iterator[str]:
    """Armed at any save: told by its condition alone; else by what arms it, and then by what has to stay."""
    time = span(schedule.get("count"), schedule.get("unit"))
    armed_by_any = {*rule.signals} <= {"post_save"} and set(rule.operations) in (set(), {"create", "update"})
    if armed_by_any and not rule.changes:
        yield _stays_alone(rule, time)
        return
    yield gettext("when %(happens)s") % {"happens": cut(happens(rule))}
    condition = asked(rule)
    if condition:
        pattern = gettext("and %(condition)s for %(time)s from then on")
    elif rule.changes:
        pattern = gettext("and that stays so for %(time)s")
    else:
        pattern = gettext("%(time)s after that")
    yield pattern % {"condition": condition, "time": time}


def _stays_alone(rule: RuleSpec, time: str) -> str:
    test = test_of(rule.condition) if isinstance(rule.condition, Mapping) else None
    titles = Titles.of(rule.model)
    if test is not None and test.op in ("is", "same") and test.name.startswith("instance."):
        said = {
            "field": field_phrase(titles, test.name),
            "of": of_model(rule.model),
            "value": value(titles, test.name, test.right, Names(titles)),
            "time": time,
        }
        return gettext("when the %(field)s %(of)s stays %(value)s for %(time)s") % said
    said = {"model": one_of_model(rule.model), "condition": asked(rule) or GAP, "time": time}
    return gettext("when for %(model)s it stays so for %(time)s that %(condition)s") % said


def _often(rule: RuleSpec, schedule: Schedule) -> Iterator[str]:
    yield gettext("when %(happens)s") % {"happens": cut(happens(rule))}
    yield only_if(rule)
    said = {"times": number(schedule.get("times")), "within": _within(schedule)}
    yield _per(rule, schedule, gettext("%(times)s times %(within)s") % said)


def _silent(rule: RuleSpec, schedule: Schedule) -> Iterator[str]:
    said = {"time": span(schedule.get("count"), schedule.get("unit")), "happens": cut(happens(rule))}
    yield _per(rule, schedule, gettext("when for %(time)s it has not happened that %(happens)s") % said)
    yield only_if(rule)


def _within(schedule: Schedule) -> str:
    count, unit = schedule.get("count"), schedule.get("unit")
    seconds = SECONDS.get(unit) if isinstance(unit, str) else None
    if seconds is None or number(count) == GAP or count is None:
        return gettext("in %(time)s") % {"time": span(count, unit)}
    return within(count * seconds)


def _unknown(rule: RuleSpec, schedule: Any) -> Iterator[str]:
    yield gettext("when %(happens)s") % {"happens": code(schedule)}
    yield only_if(rule)


KINDS: Mapping[str, Callable[[RuleSpec, Schedule], Iterator[str]]] = {
    "date": _date,
    "every": _every,
    "stays": _stays,
    "often": _often,
    "silent": _silent,
}


# Their parts


def _text(schedule: Schedule, name: str) -> str:
    value = schedule.get(name)
    return value if isinstance(value, str) else ""


def _per(rule: RuleSpec, schedule: Schedule, said: str) -> str:
    by = _text(schedule, "by").strip()
    return gettext("%(said)s per %(key)s") % {"said": said, "key": key(by, Names.of(rule.model))} if by else said


def _in_zone(said: str, schedule: Schedule) -> str:
    zone = schedule.get("zone")
    if zone in (None, ""):
        return said
    return gettext("%(at)s in %(zone)s") % {"at": said, "zone": zone_name(zone)}


def zone_name(zone: Any) -> str:
    """A time zone as people say it: ``Europe/Berlin`` is Berlin."""
    return shown(str(zone).rpartition("/")[2].replace("_", " ")) if isinstance(zone, str) else code(zone)


def clock(at: Any) -> str:
    """A time of day as it is read: ``08:00`` is 8:00; as it is written where it is none."""
    written = at if isinstance(at, str) else ""
    hours, colon, minutes = written.partition(":")
    is_time = colon and hours.isdecimal() and len(hours) <= 2 and minutes[:2].isdecimal()
    return shown(f"{int(hours)}:{minutes}" if is_time else at or "")


def number(given: Any) -> str:
    """A count; a gap where there is none."""
    return str(given) if isinstance(given, int) and not isinstance(given, bool) and given < LARGEST else GAP


def span(count: Any, unit: Any) -> str:
    """So long: ``3 business days``; gaps for what is missing."""
    said = number(count)
    amount = count if said != GAP else 2
    words = {
        "seconds": ngettext("%(count)s second", "%(count)s seconds", amount),
        "minutes": ngettext("%(count)s minute", "%(count)s minutes", amount),
        "hours": ngettext("%(count)s hour", "%(count)s hours", amount),
        "days": ngettext("%(count)s day", "%(count)s days", amount),
        "business_days": ngettext("%(count)s business day", "%(count)s business days", amount),
        "weeks": ngettext("%(count)s week", "%(count)s weeks", amount),
        "months": ngettext("%(count)s month", "%(count)s months", amount),
    }
    pattern = words[unit] if isinstance(unit, str) and unit in words else f"%(count)s {GAP}"
    return pattern % {"count": said}


def often(schedule: Schedule) -> str:
    """How often, and when: ``every weekday at 8:00``; a cron text as it is written."""
    if "cron" in schedule:
        return gettext("at the times of %(cron)s") % {"cron": code(schedule["cron"]) if schedule["cron"] else GAP}
    step = schedule.get("step")
    steps = step if isinstance(step, int) and not isinstance(step, bool) and 1 < step < LARGEST else 1
    each = schedule.get("each")
    said = (
        EACH[each](schedule, steps)
        if isinstance(each, str) and each in EACH
        else gettext("every %(day)s") % {"day": GAP}
    )
    if each == "hour":
        minute = clock(schedule.get("at", "00:00")).rpartition(":")[2]
        return said if minute == "00" else gettext("%(hours)s at minute %(minute)s") % {"hours": said, "minute": minute}
    return gettext("%(days)s at %(time)s") % {"days": said, "time": clock(schedule.get("at", "00:00"))}


def _each_hour(schedule: Schedule, step: int) -> str:
    return gettext("every hour") if step == 1 else gettext("every %(step)s hours") % {"step": step}


def _each_day(schedule: Schedule, step: int) -> str:
    return gettext("every day") if step == 1 else gettext("every %(step)s days") % {"step": step}


def _each_weekday(schedule: Schedule, step: int) -> str:
    return gettext("every weekday") if step == 1 else gettext("every %(step)s weekdays") % {"step": step}


def _each_week(schedule: Schedule, step: int) -> str:
    day = weekday(schedule.get("day", 1))
    if step == 1:
        return gettext("every %(day)s") % {"day": day}
    if step == 2:
        return gettext("every second %(day)s") % {"day": day}
    return gettext("every %(step)s weeks on %(day)s") % {"step": step, "day": day}


def _each_month(schedule: Schedule, step: int) -> str:
    day = number(schedule.get("day", 1))
    if step == 1:
        return gettext("on day %(day)s of every month") % {"day": day}
    return gettext("on day %(day)s of every %(step)s months") % {"step": step, "day": day}


def _each_month_end(schedule: Schedule, step: int) -> str:
    if step == 1:
        return gettext("on the last day of every month")
    return gettext("on the last day of every %(step)s months") % {"step": step}


EACH: Mapping[str, Callable[[Schedule, int], str]] = {
    "hour": _each_hour,
    "day": _each_day,
    "weekday": _each_weekday,
    "week": _each_week,
    "month": _each_month,
    "month_end": _each_month_end,
}


def weekday(day: Any) -> str:
    """The name of a day of the week by its number, of which Monday has 1; a gap where it is none."""
    is_number = isinstance(day, int) and not isinstance(day, bool)
    return str(WEEKDAYS[day - 1]) if is_number and day - 1 in WEEKDAYS else GAP

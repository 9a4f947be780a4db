"""The kind ``every``: again and again, by a plain choice or a cron text."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext

from rules_engine.errors import Problem
from rules_engine.rules.schedules import kind, times
from rules_engine.rules.schedules.kind import Kind, Schedule
from rules_engine.types import RuleSpec

#: What a rule acts on each time: nothing, each object that its condition selects, or all of them in one list.
OF = ("nothing", "each", "rows")
EACH = ("hour", "day", "weekday", "week", "month", "month_end")
#: The keys of a plain choice.
OF_CHOICES = ("each", "at", "day", "step", "since", "holidays")
#: Days of a week, and of a month: there is one in each month, or its end is meant.
DAYS = {"week": (1, 7), "month": (1, 28)}
MOST_STEPS = 366
#: Steps of hours that come out even, so that each day is like the other.
HOURS = (1, 2, 3, 4, 6, 8, 12)


class Every(Kind):
    """Each so often, at a time of day."""

    name = "every"
    keys = ("cron", *OF_CHOICES, "zone", "of", "late", "lateness")

    def problems(self, schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
        """Yield what is wrong with it. See ``Kind``."""
        yield from kind.unknown_keys(schedule, self.keys)
        if ("cron" in schedule) == ("each" in schedule):
            message = gettext('Say how often, either by "each" (such as "day") or by a "cron" text, and not by both.')
            yield Problem("/each", message)
        elif "each" in schedule:
            yield from _plain_problems(schedule)
        else:
            yield from _cron_problems(schedule)
        yield from kind.zone_problems(schedule)
        yield from kind.choice_problems(schedule, "of", OF, default="nothing")
        yield from _model_problems(schedule, rule)
        yield from kind.late_problems(schedule)

    def tells(self, schedule: Schedule) -> tuple[str, ...]:
        """Return ``rows`` too, where it is of them. See ``Kind``."""
        return ("due", "rows") if schedule.get("of") == "rows" else ("due",)


def _plain_problems(schedule: Schedule) -> Iterator[Problem]:
    each = schedule["each"]
    yield from kind.choice_problems(schedule, "each", EACH)
    yield from kind.at_problems(schedule)
    yield from _step_problems(schedule)
    yield from kind.day_problems(schedule, "since")
    yield from kind.holiday_problems(schedule)
    if schedule.get("holidays") is not None and each in EACH and each != "weekday":
        yield Problem("/holidays", gettext('Holidays are left out of "weekday" alone; leave them out.'))
    if isinstance(each, str) and each in DAYS:
        if schedule.get("day") is not None:
            yield from kind.count_problems(schedule, "day", *DAYS[each])
    elif schedule.get("day") is not None:
        yield Problem("/day", gettext('A day goes with "week" (1 is Monday) and "month"; leave it out.'))


def _step_problems(schedule: Schedule) -> Iterator[Problem]:
    step, each = schedule.get("step"), schedule["each"]
    if step is None:
        return
    yield from kind.count_problems(schedule, "step", 1, MOST_STEPS)
    if each == "hour" and step not in HOURS:
        message = gettext("Of hours a step is one of %(steps)s.") % {"steps": ", ".join(map(str, HOURS))}
        yield Problem("/step", message)
    if each == "weekday" and step != 1:
        yield Problem("/step", gettext('"weekday" is each of them; leave the step out.'))


def _cron_problems(schedule: Schedule) -> Iterator[Problem]:
    for key in OF_CHOICES[1:]:
        if key in schedule:
            yield Problem(f"/{key}", gettext("A cron text says all of that; leave this out."))
    try:
        trouble = times.cron_problem(schedule["cron"])
    except LookupError:
        message = gettext("Cron texts take the package cronsim: install django-signal-rules[schedules].")
        yield Problem("/cron", message)
        return
    if trouble:
        message = gettext('Expected five fields such as "0 8 * * 1-5" (minute, hour, day, month, weekday): %(error)s.')
        yield Problem("/cron", message % {"error": trouble})


def _model_problems(schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
    of = schedule.get("of", "nothing")
    if of in ("each", "rows") and not rule.model:
        yield Problem("/of", gettext("Name the model whose objects are meant."))
    elif of == "nothing" and rule.model:
        yield Problem("/of", gettext('It acts on no object, so leave the model out; or say "each" or "rows".'))

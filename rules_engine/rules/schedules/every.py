"""The kind ``every``: again and again, by a plain choice or a cron text."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext

from rules_engine.errors import Problem
from rules_engine.rules.schedules import kind
from rules_engine.rules.schedules.kind import Kind, Schedule
from rules_engine.types import RuleSpec

#: What a rule acts on each time: nothing, each object that its condition selects, or all of them in one list.
OF = ("nothing", "each", "rows")
EACH = ("hour", "day", "weekday", "week", "month", "month_end")
#: Days of a week, and of a month: there is one in each month, or its end is meant.
DAYS = {"week": (1, 7), "month": (1, 28)}
MOST_STEPS = 366


class Every(Kind):
    """Each so often, at a time of day."""

    name = "every"
    keys = ("cron", "each", "at", "day", "step", "zone", "of", "late", "lateness")

    def problems(self, schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
        """Yield what is wrong with it. See ``Kind``."""
        yield from kind.unknown_keys(schedule, self.keys)
        if ("cron" in schedule) == ("each" in schedule):
            message = gettext('Say how often, either by "each" (such as "day") or by a "cron" text, and not by both.')
            yield Problem("/each", message)
        elif "each" in schedule:
            yield from _plain_problems(schedule)
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
    if schedule.get("step") is not None:
        yield from kind.count_problems(schedule, "step", 1, MOST_STEPS)
    if isinstance(each, str) and each in DAYS:
        if schedule.get("day") is not None:
            yield from kind.count_problems(schedule, "day", *DAYS[each])
    elif schedule.get("day") is not None:
        yield Problem("/day", gettext('A day goes with "week" (1 is Monday) and "month"; leave it out.'))


def _model_problems(schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
    of = schedule.get("of", "nothing")
    if of in ("each", "rows") and not rule.model:
        yield Problem("/of", gettext("Name the model whose objects are meant."))
    elif of == "nothing" and rule.model:
        yield Problem("/of", gettext('It acts on no object, so leave the model out; or say "each" or "rows".'))

"""The kinds that go with signals: what stays so for some time, what happens often, and what does not happen."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext

from rules_engine.errors import Problem
from rules_engine.rules.schedules import kind
from rules_engine.rules.schedules.kind import Kind, Schedule
from rules_engine.types import RuleSpec

#: Seconds of each unit that passes as time does.
UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
#: The longest that is waited for, and the longest in which matches are counted: after that events are forgotten.
LONGEST_WAIT, LONGEST_WINDOW = 3_660 * 86_400, 30 * 86_400
#: Matches that are counted at most.
MOST_TIMES = 1_000
#: Signals before a change: what they tell may never come to be.
BEFORE = frozenset({"pre_save", "pre_delete"})


def seconds_of(schedule: Schedule) -> int:
    """Return the seconds that a schedule of these kinds names; 0 for one that names none."""
    count, unit = schedule.get("count"), schedule.get("unit")
    return count * UNITS.get(unit, 0) if type(count) is int and isinstance(unit, str) else 0


def often_of(schedule: Schedule | None) -> tuple[int, int] | None:
    """Return how many matches in how many seconds a schedule counts; None for one that counts none."""
    if schedule is None or schedule.get("kind") != Often.name:
        return None
    times = schedule.get("times")
    return (times if type(times) is int else 0, seconds_of(schedule))


def _span_problems(schedule: Schedule, longest: int) -> Iterator[Problem]:
    yield from kind.choice_problems(schedule, "unit", tuple(UNITS))
    unit = schedule.get("unit")
    length = UNITS.get(unit, 1) if isinstance(unit, str) else 1
    yield from kind.count_problems(schedule, "count", 1, longest // length)


def _before_problems(rule: RuleSpec) -> Iterator[Problem]:
    if early := sorted(BEFORE & set(rule.signals)):
        message = gettext("%(signal)s is sent before the change, which may not come to be; choose what comes after it.")
        yield Problem("/kind", message % {"signal": early[0]})


class Stays(Kind):
    """The condition goes on holding for so long after it came to hold. It is asked again then."""

    name = "stays"
    hears_signals = True
    keys = ("count", "unit")

    def problems(self, schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
        """Yield what is wrong with it. See ``Kind``."""
        yield from kind.unknown_keys(schedule, self.keys)
        yield from _span_problems(schedule, LONGEST_WAIT)
        yield from _before_problems(rule)
        if not rule.model:
            yield Problem("/kind", gettext("Name the model: it is its objects that stay so."))
        elif rule.signals and set(rule.signals) <= {"post_delete"}:
            yield Problem("/kind", gettext("What is deleted does not stay anything; choose another signal."))
        elif _says_nothing(rule):
            yield Problem("/kind", gettext("Say in the condition what has to stay so."))


def _says_nothing(rule: RuleSpec) -> bool:
    """Say whether any save of any object begins the wait, and nothing ends it: what was to stay so was forgotten."""
    is_any_save = set(rule.signals) <= {"post_save"} and set(rule.operations) in (set(), {"create", "update"})
    return is_any_save and not rule.changes and rule.condition is None


class Often(Kind):
    """So many matches in so long, counted for each text that ``by`` comes to; these are used up."""

    name = "often"
    hears_signals = True
    is_by_clock = False
    keys = ("times", "count", "unit", "by")

    def problems(self, schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
        """Yield what is wrong with it; of ``by`` with the rule's other keys. See ``Kind``."""
        yield from kind.unknown_keys(schedule, self.keys)
        yield from kind.count_problems(schedule, "times", 2, MOST_TIMES)
        yield from _span_problems(schedule, LONGEST_WINDOW)
        if rule.coalesce_seconds is not None:
            message = gettext(
                "A rule that counts its matches takes them together already; do not have it wait for more."
            )
            yield Problem("/kind", message)

    def tells(self, schedule: Schedule) -> tuple[str, ...]:
        """Return the matches that made it up. See ``Kind``."""
        return ("events",)


class Silent(Kind):
    """No match for so long after the last one, or after the rule was switched on, for each text that ``by`` comes
    to."""

    name = "silent"
    hears_signals = True
    keys = ("count", "unit", "by")

    def problems(self, schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
        """Yield what is wrong with it; of ``by`` with the rule's other keys. See ``Kind``."""
        yield from kind.unknown_keys(schedule, self.keys)
        yield from _span_problems(schedule, LONGEST_WAIT)
        yield from _before_problems(rule)

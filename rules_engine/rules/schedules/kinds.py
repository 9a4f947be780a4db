"""The kinds of schedules by name, and what all of a rule's parts ask of its schedule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext

from rules_engine.errors import Problem, did_you_mean
from rules_engine.rules.schedules.date import Date
from rules_engine.rules.schedules.every import Every
from rules_engine.rules.schedules.happening import Often, Silent, Stays
from rules_engine.rules.schedules.kind import Kind, Schedule
from rules_engine.types import Path, RuleSpec

#: What the events are called that time makes, where others have the name of a signal.
DUE = "due"
#: The roots that events have of rules on time, and those that they lack where nothing happened.
OF_TIME = ("due", "rows", "events")
OF_A_CHANGE = ("old", "changed", "changes", "created", "m2m", "signal", "request", "actor")
KINDS: dict[str, Kind] = {kind.name: kind for kind in (Date(), Every(), Stays(), Often(), Silent())}


def kind_of(schedule: Schedule | None) -> Kind | None:
    """Return the kind of a schedule; None where there is no schedule, or one of no kind that is known."""
    name = schedule.get("kind") if isinstance(schedule, Mapping) else None
    return KINDS.get(name) if isinstance(name, str) else None


def name_of(schedule: Any) -> str:
    """Return the name of a schedule's kind; empty where it has none that is known."""
    kind = kind_of(schedule)
    return "" if kind is None else kind.name


def is_on_time_alone(rule: RuleSpec) -> bool:
    """Say whether the rule hears no signals, since it acts by the clock."""
    kind = kind_of(rule.schedule)
    return kind is not None and not kind.hears_signals


def wants_signals(rule: RuleSpec) -> bool:
    """Say whether the rule needs a signal: without a schedule it does, and with one of the kinds that go with them."""
    kind = kind_of(rule.schedule)
    return rule.schedule is None if kind is None else kind.hears_signals


def reads(schedule: Schedule | None) -> set[Path]:
    """Return the paths of the context that the schedule reads; none for one that cannot be read itself."""
    kind = kind_of(schedule)
    return set() if kind is None or schedule is None else kind.reads(schedule)


def tells(schedule: Schedule | None) -> tuple[str, ...]:
    """Return the roots that the rule's events have besides those of all events."""
    kind = kind_of(schedule)
    return () if kind is None or schedule is None else kind.tells(schedule)


def by_of(schedule: Any) -> str:
    """Return the text that says what a schedule counts, or waits for, by itself; empty where all of it is alike."""
    text = schedule.get("by", "") if isinstance(schedule, Mapping) else ""
    return text if isinstance(text, str) else ""


def _told(rule: RuleSpec) -> tuple[str, ...]:
    """Return the roots of time that the rule's actions may read; a rule that takes matches together tells of all."""
    return (*tells(rule.schedule), *(() if rule.coalesce_seconds is None else ("events",)))


def holds_several(rule: RuleSpec) -> bool:
    """Say whether one match of the rule may stand for several."""
    return rule.throttle_count is not None or "events" in _told(rule)


def root_problem(rule: RuleSpec, root: str) -> str:
    """Say why a rule with its schedule, or without one, cannot read what is below a root; empty where it can."""
    if root in OF_TIME and root not in _told(rule):
        return gettext('There is no "%(name)s" here: it goes with a schedule that tells it.') % {"name": root}
    kind = kind_of(rule.schedule)
    if kind is None or not kind.is_by_clock or root in OF_TIME:
        return ""
    if root in OF_A_CHANGE:
        message = gettext('This rule acts by the clock, when nothing happens, so there is no "%(name)s".')
        return message % {"name": root}
    if root == "instance" and "rows" in tells(rule.schedule):
        return gettext('This rule acts on all objects at once, so there is no "instance"; they are in "rows".')
    return ""


def asked_of_each(rule: RuleSpec) -> RuleSpec:
    """Return the rule as its condition sees it: that selects objects, one by one, also where they go into a list, and
    is asked of each match before several are taken together."""
    if "events" in _told(rule) or name_of(rule.schedule) == "silent":
        return replace(rule, schedule=None, coalesce_seconds=None)
    if rule.schedule is None or "rows" not in tells(rule.schedule):
        return rule
    return replace(rule, schedule={**rule.schedule, "of": "each"})


def problems(rule: RuleSpec) -> Iterator[Problem]:
    """Yield what is wrong with the rule's schedule, and with what does not go with it. Pointers are into the rule."""
    schedule: Any = rule.schedule
    if schedule is None:
        return
    if not isinstance(schedule, Mapping):
        message = gettext('Expected an object such as {"kind": "every"}, and got %(got)s.') % {"got": repr(schedule)}
        yield Problem("/schedule", message)
        return
    kind = kind_of(schedule)
    if kind is None:
        name = schedule.get("kind")
        message = gettext("There is no kind of schedule %(got)s. It is one of: %(known)s.")
        said = message % {"got": repr(name), "known": ", ".join(KINDS)}
        yield Problem("/schedule/kind", said + did_you_mean(str(name), list(KINDS)))
        return
    yield from (problem.under("/schedule") for problem in kind.problems(schedule, rule))
    if not kind.hears_signals:
        yield from _signal_problems(rule)


def _signal_problems(rule: RuleSpec) -> Iterator[Problem]:
    """Yield what a rule has that acts by the clock alone, and that goes with signals."""
    if rule.signals:
        yield Problem("/signals", gettext("This rule acts by the clock and hears no signals; remove them."))
    if rule.changes:
        yield Problem("/changes", gettext("This rule acts by the clock, when nothing changes; use a condition."))
    if rule.once and "rows" in tells(rule.schedule):
        yield Problem("/once", gettext("This rule acts on all objects at once, so there is none to act on once."))
    for index, action in enumerate(rule.actions):
        if action.timing != "after_commit":
            message = gettext("This rule acts by the clock, where there is no save: have it act after the commit.")
            yield Problem(f"/actions/{index}/timing", message)

"""What an action asks for that acts later: a time of day to wait for, and whether the condition has to hold then.

``ActionSpec.at`` and ``zone`` name the time; ``asks_again`` is the question. They go along with the execution, in what
it is given besides the event.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from rules_engine.errors import Problem, did_you_mean
from rules_engine.rules.schedules.time_of_day import next_moment, time_of, zone_names, zone_of
from rules_engine.types import ActionSpec, RuleSpec

#: Why an execution that asks again was not carried out.
NO_LONGER = "Its condition did not hold any more when it was due."
OBJECT_GONE = "Its object was not there any more when it was due."
#: Of an object that is gone nothing can be asked.
OF_A_DELETION = frozenset({"pre_delete", "post_delete"})


def later_problems(action: ActionSpec, rule: RuleSpec) -> Iterator[Problem]:
    """Yield what is wrong with a time of day that an action waits for, and with its asking again."""
    yield from time_problems(action.at, action.zone)
    if not isinstance(action.asks_again, bool):
        yield Problem(
            "/asks_again", gettext("Expected true or false, and got %(got)s.") % {"got": repr(action.asks_again)}
        )
        return
    if action.at and action.timing != "after_commit":
        yield Problem("/at", gettext("Only what is done after the commit can be delayed."))
    if not action.asks_again:
        return
    if action.timing != "after_commit":
        yield Problem("/asks_again", gettext("Only what is done after the commit can ask again."))
    elif not rule.model:
        message = gettext("This rule watches no model, so there is no object to ask about again.")
        yield Problem("/asks_again", message)
    elif rule.signals and set(rule.signals) <= OF_A_DELETION:
        message = gettext("This rule is about objects that are deleted: of those nothing can be asked later.")
        yield Problem("/asks_again", message)


def time_problems(at: Any, zone: Any) -> Iterator[Problem]:
    """Yield what is wrong with a time of day and its zone; both may be empty."""
    if at != "" and time_of(at) is None:
        message = gettext("Expected a time of day such as 18:00, and got %(got)s.")
        yield Problem("/at", message % {"got": repr(at)})
    if zone != "" and zone_of(zone) is None:
        message = gettext("Expected a time zone such as Europe/Berlin, and got %(got)s.") % {"got": repr(zone)}
        yield Problem("/zone", message + did_you_mean(str(zone), sorted(zone_names())))
    elif zone != "" and at == "":
        yield Problem("/zone", gettext("Say which time of day, or leave this empty."))


def given_of(action: ActionSpec) -> dict[str, Any] | None:
    """Return what an execution of the action keeps of this, as a part of its ``given``; None where there is nothing."""
    if not action.asks_again and not action.at:
        return None
    given: dict[str, Any] = {"context": {}}
    if action.asks_again:
        given["asks_again"] = True
    if action.at:
        given |= {"at": action.at, "zone": action.zone or settings.TIME_ZONE}
    return given


def due_of(since: datetime, given: Mapping[str, Any]) -> datetime:
    """Return when such an execution is due that could begin ``since``: then, where nobody knows its time or zone."""
    at, zone = time_of(given.get("at")), zone_of(given.get("zone"))
    return since if at is None or zone is None else next_moment(since, at, zone)

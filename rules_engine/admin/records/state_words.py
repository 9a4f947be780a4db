"""The state of an execution or a held match in words: what it is, why, and when it goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.limits.spans import span_words
from rules_engine.admin.parts.rendering import clock
from rules_engine.admin.why.limits import often_words
from rules_engine.models import Execution, HeldMatch, Pause
from rules_engine.models.execution import NOT_AFTER_THAT, State
from rules_engine.models.held import TOO_SELDOM
from rules_engine.rules.schedules.later import NO_LONGER, OBJECT_GONE

#: Characters of a reason that a row of a list has room for.
LONGEST = 160
#: Reasons that workers write down, and how they are said to who reads them.
WRITTEN: Mapping[str, Any] = {
    "It has acted on this object before.": _("it has acted on this object before"),
    "A later match of the same acts in its place.": _("a later match of the same acts in its place"),
    TOO_SELDOM: _("it did not happen so often in that time"),
    "The rule was disabled or deleted.": _("the rule was disabled or deleted"),
    NO_LONGER: _("its condition did not hold any more when it was due"),
    OBJECT_GONE: _("its object was not there any more when it was due"),
    NOT_AFTER_THAT: _("an action before it did not succeed, and the rule says that nothing is to be done after that"),
}
#: The same where a part of them is a name or a number.
WRITTEN_WITH = (
    (re.compile(r'The rule "(.*)" was disabled or deleted\.'), _("the rule “%s” was disabled or deleted")),
    (
        re.compile(r"Given up: (\d+) attempts ended with the process that made them\."),
        _("%s attempts ended with the process that made them"),
    ),
)
#: What releasing writes of a match that its throttle holds back begins so; what the limit is, is known better here.
LIMITED = "The rule acts at most "


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the state of a row depends on besides the row: the time, the pauses that stop its rule and why they were
    made, why nothing goes out in its lane, when its limit lets the rule act again, and why who asks may not be shown
    what quotes data."""

    now: datetime
    pauses: Sequence[Pause] = ()
    pause_reason: str = ""
    lane: str = ""
    free_at: datetime | None = None
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class StateWords:
    """``state`` is what it is, ``reason`` why, ``then`` what comes next; ``tone``, by which it is coloured, is one of
    well, failed, waiting, held, ended."""

    tone: str
    state: Any
    reason: Any = ""
    then: Any = ""

    def sentence(self) -> SafeString:
        """All of it: ``failed: the mail server refused it; next try 2:10``."""
        reason = self.reason.rstrip(".") if self.then and isinstance(self.reason, str) else self.reason
        said = format_html(": {}", reason) if reason else ""
        then = format_html("; {}", self.then) if self.then else ""
        return format_html(
            '<span dir="auto"><strong class="rules-told rules-told-{}">{}</strong>{}{}</span>',
            self.tone,
            self.state,
            said,
            then,
        )


def execution_words(execution: Execution, around: Circumstances) -> StateWords:
    """What an execution is in, for who asks."""
    quoted = around.unseen or shortened(written(execution.error or execution.summary))
    match execution.state:
        case State.SUCCEEDED:
            return StateWords("well", gettext("done"), quoted)
        case State.RUNNING:
            return _running(execution, around)
        case State.CANCELLED:
            return _ended(gettext("cancelled"), quoted)
        case State.REFUSED:
            return _ended(gettext("refused"), quoted, "failed")
        case State.DISCARDED:
            return StateWords("failed", _tries(execution.attempts), quoted)
        case State.RETRYABLE if execution.failures:
            return StateWords("failed", gettext("failed"), quoted, _next_try(execution, around))
    return _waiting(execution, around, quoted if execution.error else "")


def _ended(state: str, reason: str, tone: str = "ended") -> StateWords:
    """As the reason says it, where that begins with the word itself: ``Cancelled by root.``"""
    is_said = reason.casefold().startswith(state.casefold())
    return StateWords(tone, reason) if is_said else StateWords(tone, state, reason)


def _tries(count: int) -> str:
    if not count:
        return gettext("given up")
    return ngettext("given up after %(count)s try", "given up after %(count)s tries", count) % {"count": count}


def _running(execution: Execution, around: Circumstances) -> StateWords:
    if execution.lease_until is not None and execution.lease_until <= around.now:
        return StateWords("waiting", gettext("its worker is silent"), gettext("another one takes it over"))
    return StateWords("waiting", gettext("a worker is at it"))


def _next_try(execution: Execution, around: Circumstances) -> Any:
    if around.pauses:
        return _paused(around)
    if around.lane:
        return around.lane
    due = execution.next_attempt_at
    if due is not None and due <= around.now:
        return gettext("its next try waits for a worker")
    return _with_time(gettext("next try %(time)s"), due)


def _waiting(execution: Execution, around: Circumstances, put_off: str) -> StateWords:
    due = execution.next_attempt_at
    if around.pauses:
        return StateWords("held", _paused(around), around.pause_reason)
    if due is None:
        return StateWords("waiting", gettext("waiting for the action before it"))
    if around.lane:
        return StateWords("held", around.lane)
    if due > around.now:
        return StateWords("waiting", _with_time(gettext("waiting until %(time)s"), due), put_off)
    if execution.leased_by and execution.lease_until is not None and execution.lease_until > around.now:
        return StateWords("waiting", gettext("a worker has it in hand"))
    return StateWords("waiting", _with_time(gettext("waiting for a worker since %(time)s"), due), put_off)


def held_words(match: HeldMatch, around: Circumstances) -> StateWords:
    """What a held match waits for, or what became of it."""
    if match.state == HeldMatch.State.RELEASED:
        return StateWords("well", gettext("released"), written(match.reason))
    limit = _limit(match)
    if match.state == HeldMatch.State.DROPPED:
        if not limit or not match.reason.startswith(LIMITED):
            return _ended(gettext("held back"), shortened(written(match.reason)), "held")
        if around.free_at is None:
            return StateWords("held", gettext("held back by the limit"), limit)
        until = _with_time(gettext("held back by the limit until %(time)s"), around.free_at)
        return StateWords("held", until, limit)
    if around.pauses:
        return StateWords("held", _paused(around), around.pause_reason)
    if match.due_at <= around.now:
        return StateWords("waiting", _with_time(gettext("waiting for a worker since %(time)s"), match.due_at))
    return StateWords("held", _with_time(gettext("held back until %(time)s"), match.due_at), waits_for(match))


def waits_for(match: HeldMatch) -> str:
    """What a match that is not due yet waits for, as a clause."""
    if often := often_of(match):
        return gettext("it acts when there are %(times)s in %(span)s") % often
    if not isinstance(match.terms, dict) or match.terms.get("coalesce") is None:
        return _limit(match)
    if match.terms.get("debounce"):
        text = gettext("it acts when nothing more has come for %(span)s")
    else:
        text = gettext("it waits %(span)s for more, and the last one acts")
    return text % {"span": span_words(match.terms["coalesce"])}


def often_of(match: HeldMatch) -> Mapping[str, Any] | None:
    """How many in how long its rule acts at, for texts; None where it does not count them."""
    often = match.terms.get("often") if isinstance(match.terms, dict) else None
    return {"times": often[0], "span": span_words(often[1])} if often else None


def _limit(match: HeldMatch) -> str:
    throttle = match.terms.get("throttle") if isinstance(match.terms, dict) else None
    return often_words(*throttle) if throttle else ""


def _paused(around: Circumstances) -> Any:
    ends = [pause.until for pause in around.pauses]
    if None in ends:
        return gettext("held back by a pause until somebody resumes")
    return _with_time(gettext("held back by a pause until %(time)s"), max(filter(None, ends)))


def _with_time(text: str, moment: datetime | None) -> SafeString:
    before, _time, after = text.partition("%(time)s")
    return format_html("{}{}{}", before, clock(moment) if moment else "–", after)


def written(text: str) -> str:
    """A reason that a worker wrote down, in the reader's language where it is one of ours."""
    if text in WRITTEN:
        return str(WRITTEN[text])
    for pattern, said in WRITTEN_WITH:
        if match := pattern.fullmatch(text):
            return str(said) % match[1]
    return text


def shortened(text: str) -> str:
    """As much of a text as a row has room for."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"

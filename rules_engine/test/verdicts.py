"""What came of one rule at one event, as a value: acted, held back, paused, waiting, failed, and the cause. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rules_engine.models import Execution, HeldMatch, Pause
from rules_engine.models.execution import State
from rules_engine.models.held import ACTED_BEFORE, RULE_GONE, TAKEN_TOGETHER
from rules_engine.test.limits import Limits, LimitUse, is_used_up
from rules_engine.test.why import Said

Outcome = Literal[
    "failed", "held_back", "paused", "waiting", "acted", "shadow", "not_matched", "not_recorded", "untried"
]
#: Of several verdicts on one rule at one change the first of these is told: what somebody may have to see to.
OUTCOMES: tuple[Outcome, ...] = (
    "failed", "held_back", "paused", "waiting", "acted", "shadow", "not_matched", "not_recorded", "untried",
)  # fmt: skip
Cause = Literal[
    "done", "nothing_left",
    "error", "retrying", "given_up", "refused",
    "limit", "once", "together", "rule_gone", "let_go", "cancelled",
    "pause", "dropping_pause",
    "running", "queue", "later", "after_another", "for_more", "to_decide",
    "shadow", "gate", "missing",
    "other_signal", "off", "own_change", "ended_by", "unknown",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Steps:
    """The executions of one rule for one event in one state: how many, and the first of them that somebody would look
    at."""

    state: str
    count: int
    first: Execution


@dataclass(frozen=True, slots=True)
class Facts:
    """What is on record of one rule and one event, besides what the rule said."""

    now: datetime
    steps: Sequence[Steps] = ()
    held: Sequence[HeldMatch] = ()
    #: Those that stop the rule, or stopped it when the event happened.
    pauses: Sequence[Pause] = ()
    limits: Limits | None = None
    #: Whether it is a shadow now.
    is_shadow: bool = False
    #: When a worker was last seen, where none is at work now.
    silent_since: datetime | None = None
    is_silent: bool = False
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a rule at an event, with what its sentence tells of. ``count`` executions or held matches came to
    that, of ``total``."""

    outcome: Outcome
    cause: Cause
    said: Said
    count: int = 1
    total: int = 1
    #: When it happened, or since when it waits; and when there is more to come.
    at: datetime | None = None
    next_at: datetime | None = None
    execution: Execution | None = None
    match: HeldMatch | None = None
    pause: Pause | None = None
    limit: LimitUse | None = None
    #: The match that takes the turn of this one.
    instead: HeldMatch | None = None
    is_silent: bool = False
    silent_since: datetime | None = None

    @property
    def is_folded(self) -> bool:
        """Say whether it was clear beforehand: the rule is for something else."""
        return self.cause == "other_signal" or (self.outcome == "not_matched" and self.said.gate == "operations")


def first_of(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return one verdict for each rule, in the order they come in: a save is asked about before and after."""
    by_slug: dict[str, Verdict] = {}
    for verdict in verdicts:
        known = by_slug.get(verdict.said.slug)
        if known is None or OUTCOMES.index(verdict.outcome) < OUTCOMES.index(known.outcome):
            by_slug[verdict.said.slug] = verdict
    return sorted(by_slug.values(), key=lambda verdict: OUTCOMES.index(verdict.outcome))


def verdict_of(said: Said, facts: Facts) -> Verdict:
    """Return what came of a rule that said this."""
    if said.verdict == "matched":
        return _matched(said, facts)
    if said.verdict == "error":
        return Verdict("failed", "error", said)
    if said.verdict == "not_matched":
        return Verdict("not_matched", "gate", said)
    if said.verdict == "not_recorded":
        return Verdict("not_recorded", "missing", said)
    if said.untried == "unknown" and (pause := _dropping(facts)) is not None:
        return Verdict("paused", "dropping_pause", said, pause=pause)
    return Verdict("untried", said.untried or "unknown", said)


def _dropping(facts: Facts) -> Pause | None:
    """Return the pause that kept the rule from being asked at that time."""
    at = facts.occurred_at
    return next(
        (
            pause
            for pause in facts.pauses
            if pause.mode == Pause.Mode.DROP
            and at is not None
            and pause.created_at <= at
            and (pause.until is None or at < pause.until)
        ),
        None,
    )


def _stopping(facts: Facts) -> Pause | None:
    """Return the pause that stops the rule now; of several the one that ends last, or does not end."""
    going = [pause for pause in facts.pauses if pause.until is None or facts.now < pause.until]
    return max(going, key=lambda pause: (pause.until is None, pause.until or facts.now), default=None)


def _matched(said: Said, facts: Facts) -> Verdict:
    waiting = [match for match in facts.held if match.state == HeldMatch.State.WAITING]
    if waiting:
        return _of_waiting(said, waiting, facts)
    by_state = {steps.state: steps for steps in facts.steps}
    for state, make in _STEPS:
        if state in by_state:
            return make(said, by_state[state], facts)
    dropped = [match for match in facts.held if match.state == HeldMatch.State.DROPPED]
    if dropped:
        return _of_dropped(said, dropped, facts)
    if facts.is_shadow and not facts.held:
        return Verdict("shadow", "shadow", said)
    return Verdict("acted", "nothing_left", said, total=0, count=0)


def _of_waiting(said: Said, waiting: Sequence[HeldMatch], facts: Facts) -> Verdict:
    match = min(waiting, key=lambda each: each.due_at)
    counted: dict[str, Any] = {"count": len(waiting), "total": len(facts.held), "match": match}
    if (pause := _stopping(facts)) is not None:
        return Verdict("paused", "pause", said, pause=pause, next_at=pause.until, **counted)
    if match.due_at > facts.now:
        return Verdict("waiting", "for_more", said, at=match.waits_since, next_at=match.due_at, **counted)
    return Verdict(
        "waiting",
        "to_decide",
        said,
        at=match.due_at,
        is_silent=facts.is_silent,
        silent_since=facts.silent_since,
        **counted,
    )


def _of_dropped(said: Said, dropped: Sequence[HeldMatch], facts: Facts) -> Verdict:
    match, limits = dropped[0], facts.limits or Limits(facts.now)
    common: dict[str, Any] = {
        "count": len(dropped), "total": len(facts.held), "match": match, "at": match.decided_at or match.created_at,
    }  # fmt: skip
    if is_used_up(match):
        limit = limits.throttle_of(match)
        next_at = None if limit is None else limit.next_at
        return Verdict("held_back", "limit", said, limit=limit, next_at=next_at, **common)
    if match.reason == ACTED_BEFORE:
        return Verdict("held_back", "once", said, limit=limits.once_of(match), **common)
    if match.reason == TAKEN_TOGETHER:
        return Verdict("held_back", "together", said, instead=limits.instead.get(match.pk), **common)
    return Verdict("held_back", "rule_gone" if match.reason == RULE_GONE else "let_go", said, **common)


def _counted(found: Steps, facts: Facts) -> dict[str, Any]:
    total = sum(steps.count for steps in facts.steps)
    return {"count": found.count, "total": total, "execution": found.first}


def _given_up(said: Said, found: Steps, facts: Facts) -> Verdict:
    return Verdict("failed", "given_up", said, at=found.first.finished_at, **_counted(found, facts))


def _refused(said: Said, found: Steps, facts: Facts) -> Verdict:
    return Verdict("failed", "refused", said, at=found.first.finished_at, **_counted(found, facts))


def _retrying(said: Said, found: Steps, facts: Facts) -> Verdict:
    pause, next_at = _stopping(facts), found.first.next_attempt_at
    return Verdict("failed", "retrying", said, pause=pause, next_at=next_at, **_counted(found, facts))


def _pending(said: Said, found: Steps, facts: Facts) -> Verdict:
    counted, due = _counted(found, facts), found.first.next_attempt_at
    if (pause := _stopping(facts)) is not None:
        return Verdict("paused", "pause", said, pause=pause, next_at=pause.until, **counted)
    if due is None:
        return Verdict("waiting", "after_another", said, **counted)
    if due > facts.now:
        return Verdict("waiting", "later", said, next_at=due, **counted)
    silence: dict[str, Any] = {"is_silent": facts.is_silent, "silent_since": facts.silent_since}
    return Verdict("waiting", "queue", said, at=due, **silence, **counted)


def _running(said: Said, found: Steps, facts: Facts) -> Verdict:
    return Verdict("waiting", "running", said, **_counted(found, facts))


def _cancelled(said: Said, found: Steps, facts: Facts) -> Verdict:
    return Verdict("held_back", "cancelled", said, at=found.first.finished_at, **_counted(found, facts))


def _done(said: Said, found: Steps, facts: Facts) -> Verdict:
    limits, match = facts.limits, facts.held[0] if facts.held else None
    limit = limits.throttle_of(match) if limits is not None and match is not None else None
    next_at = None if limit is None else limit.next_at
    return Verdict(
        "acted",
        "done",
        said,
        at=found.first.finished_at,
        next_at=next_at,
        limit=limit,
        match=match,
        **_counted(found, facts),
    )


#: What is told of executions that stand differently: the first that there are.
_STEPS: Sequence[tuple[State, Callable[[Said, Steps, Facts], Verdict]]] = (
    (State.DISCARDED, _given_up),
    (State.REFUSED, _refused),
    (State.RETRYABLE, _retrying),
    (State.PENDING, _pending),
    (State.RUNNING, _running),
    (State.CANCELLED, _cancelled),
    (State.SUCCEEDED, _done),
)

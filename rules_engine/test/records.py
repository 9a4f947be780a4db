"""What is on record around some events, read together: executions, held matches, pauses, limits, signs of life."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Q, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from rules_engine.models import Event, Execution, Heartbeat, HeldMatch, Pause, Rule
from rules_engine.test.limits import Limits
from rules_engine.test.verdicts import Facts, Steps
from rules_engine.work.workers.heartbeats import patience

#: Held matches read of one page: an event has one for each rule that holds back.
MOST_HELD = 2_000
#: An event, and the slug of a rule.
Key = tuple[Any, str]
_UNREAD = ("config", "given")


@dataclass(frozen=True, slots=True)
class Records:
    """All of it, for some events."""

    now: datetime
    steps: Mapping[Key, Sequence[Steps]] = field(default_factory=dict)
    held: Mapping[Key, Sequence[HeldMatch]] = field(default_factory=dict)
    pauses: Sequence[Pause] = ()
    limits: Limits | None = None
    seen_at: datetime | None = None

    @classmethod
    def around(cls, events: Sequence[Event], only: Collection[str] | None = None) -> Records:
        """Read it: eight statements at most, however many events there are. ``only``: of no other slugs."""
        now = timezone.now()
        held = _held(events, only)
        matches = [match for found in held.values() for match in found]
        seen_at = Heartbeat.objects.filter(kind=Heartbeat.Kind.SWEEP).aggregate(latest=Max("seen_at"))["latest"]
        return cls(now, _steps(events, only), held, _pauses(events), Limits.of(matches, now), seen_at)

    def facts(self, event: Event, slug: str, rule: Rule | None) -> Facts:
        """Return what is on record of the rule and the event. A rule that is gone is stopped by no pause."""
        is_silent = self.seen_at is None or self.now - self.seen_at > patience()
        return Facts(
            self.now,
            steps=self.steps.get((event.pk, slug), ()),
            held=self.held.get((event.pk, slug), ()),
            pauses=[pause for pause in self.pauses if rule is not None and pause.stops(slug, rule.model)],
            limits=self.limits,
            is_shadow=rule is not None and rule.shadow,
            is_silent=is_silent,
            silent_since=self.seen_at if is_silent else None,
            occurred_at=event.occurred_at,
        )


def _pauses(events: Sequence[Event]) -> list[Pause]:
    """Return the pauses that stand, and those that stood when one of the events happened."""
    since = min((event.occurred_at for event in events), default=timezone.now())
    return list(Pause.objects.filter(Q(until__isnull=True) | Q(until__gt=since)))


def _of(events: Sequence[Event], only: Collection[str] | None) -> Q:
    about = Q(event__in=[event.pk for event in events])
    return about if only is None else about & Q(rule_slug__in=only)


def _steps(events: Sequence[Event], only: Collection[str] | None) -> dict[Key, list[Steps]]:
    """Return the executions by state. Of a rule that acts for each of some there are thousands, so they are counted."""
    same = [F("event_id"), F("rule_slug"), F("state")]
    soonest = [F("next_attempt_at").asc(nulls_last=True), F("position").asc(), F("id").asc()]
    rows: Any = Execution.objects.filter(_of(events, only)).defer(*_UNREAD)
    rows = rows.annotate(
        place=Window(RowNumber(), partition_by=same, order_by=soonest), number=Window(Count("pk"), partition_by=same)
    )
    steps: dict[Key, list[Steps]] = {}
    for found in rows.filter(place=1).order_by():
        steps.setdefault((found.event_id, found.rule_slug), []).append(Steps(found.state, found.number, found))
    return steps


def _held(events: Sequence[Event], only: Collection[str] | None) -> dict[Key, list[HeldMatch]]:
    rows = HeldMatch.objects.filter(_of(events, only)).defer("actions").order_by("-created_at", "-pk")
    held: dict[Key, list[HeldMatch]] = {}
    for match in rows[:MOST_HELD]:
        held.setdefault((match.event_id, match.rule_slug), []).append(match)
    return held

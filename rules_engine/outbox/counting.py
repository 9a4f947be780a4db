"""So many matches in so long: which of those that wait make that up. Decided by one worker at a time for a rule."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, ExpressionWrapper, F, QuerySet, Value
from django.db.models.functions import Now

from rules_engine.models import HeldMatch
from rules_engine.rules.schedules.listed import joined

#: Matches of one key that are looked at together; far more than may be counted.
MOST_WAITING = 5_000
#: When a match happened, and which it is.
Happened = tuple[datetime, Any]


@dataclass(slots=True)
class Counted:
    """What came of counting: ``groups`` that are complete, ``over`` which are in none and too old for another, and
    ``waiting`` for more."""

    groups: list[list[Happened]] = field(default_factory=list)
    over: list[Happened] = field(default_factory=list)
    waiting: deque[Happened] = field(default_factory=deque)


def counted(matches: Sequence[Happened], times: int, window: timedelta, now: datetime) -> Counted:
    """Take matches together, in the order in which they happened: ``times`` of them within ``window`` are a group, and
    are used up. Pure.

    When they are decided plays no part: what came together is a group, however late a worker looks.
    """
    came = Counted()
    for match in matches:
        while came.waiting and came.waiting[0][0] < match[0] - window:
            came.over.append(came.waiting.popleft())
        came.waiting.append(match)
        if len(came.waiting) == times:
            came.groups.append(list(came.waiting))
            came.waiting.clear()
    while came.waiting and came.waiting[0][0] < now - window:
        came.over.append(came.waiting.popleft())
    return came


def waiting_of(rows: QuerySet[HeldMatch], key: str) -> tuple[list[Happened], datetime | None]:
    """Return the rule's matches of that key that wait, as many as are looked at, and the database's time."""
    waiting = rows.filter(coalesce_key=key, state=HeldMatch.State.WAITING).order_by("created_at", "id")
    found = list(waiting.annotate(now=Now()).values_list("created_at", "pk", "now")[:MOST_WAITING])
    return [(created, pk) for created, pk, _now in found], found[-1][2] if found else None


def wait_on(rows: QuerySet[HeldMatch], keys: Sequence[Any], window: timedelta) -> None:
    """Leave these to wait for more: they are looked at again when the next comes, or when they are too old."""
    end = ExpressionWrapper(F("created_at") + Value(window + timedelta(seconds=1)), output_field=DateTimeField())
    rows.filter(pk__in=keys).update(due_at=end)


def last_of(rows: QuerySet[HeldMatch], group: Sequence[Happened]) -> HeldMatch:
    """Return the last match of a group, which acts for all, with their events to hand on."""
    keys = [pk for _at, pk in group]
    events = dict(rows.filter(pk__in=keys).values_list("pk", "event_id"))
    last = rows.get(pk=keys[-1])
    last.stands_for = len(group)
    last.terms = {**last.terms, "events": joined([[events[pk]] for pk in keys])}
    last.save(update_fields=["stands_for", "terms"])
    return last

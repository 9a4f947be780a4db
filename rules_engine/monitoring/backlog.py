"""What waits in the queues, counted only so far: a look at it costs the same behind a thousand rows and a million."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, QuerySet
from django.db.models.functions import Now

from rules_engine.databases import database_of
from rules_engine.live import cache
from rules_engine.models import CapturedChange, Execution, HeldMatch, Pause, Rule
from rules_engine.models.execution import WAITING, State

#: Rows that are counted of each kind; of more it is said that there are more. A database counts as many in a few
#: milliseconds, and a million in most of a second.
MOST_COUNTED = 10_000
#: Rows that are due, while some rules are paused: whether one among them is not.
LOOKED_AT = 1_000
#: In the place of a queue's name, which has no star: what database triggers have captured, and no rule was told of.
CAPTURED = "*captured"
#: Work that is due is taken on within seconds; what waits so long waits for somebody.
LATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of a queue is due, due later, and running; since when the oldest has been due, and for how long by the
    database's clock. Held matches have no name for a queue, captured changes ``CAPTURED``."""

    queue: str
    due: int
    later: int
    running: int
    oldest: datetime | None
    for_how_long: timedelta = timedelta()

    @property
    def is_late(self) -> bool:
        """Whether something has been due for so long that somebody should look."""
        return self.oldest is not None and self.for_how_long > LATE


def waiting() -> list[Waiting]:
    """Say of each queue in which something is, of held matches and captured changes, what waits. Five queries each."""
    live = Execution.objects.live()
    queues = [_queue(name) for name in database_of(live.db).due_queues(live)]
    others = [found for found in (_held(), _captured()) if found.due or found.later]
    return [*others, *queues]


def _queue(name: str) -> Waiting:
    rows = Execution.objects.filter(queue=name)
    waits = rows.filter(state__in=WAITING)
    due = waits.filter(next_attempt_at__lte=Now())
    at = "next_attempt_at"
    later = _counted(waits.filter(next_attempt_at__gt=Now()), at) + _counted(waits.filter(next_attempt_at=None), at)
    # The second condition and the order are those of an index that has as many rows as are in flight.
    running = _counted(rows.filter(state=State.RUNNING).exclude(leased_by=""), "leased_by")
    return Waiting(name, _counted(due, at), later, running, *_first(due, at))


def oldest_free(
    queue: str, pauses: Sequence[Pause], late: timedelta = timedelta()
) -> tuple[datetime | None, timedelta]:
    """Return since when the oldest has been due that is so late, that nobody has in hand and that no pause stops, and
    for how long: of as many as are looked at while some rules are paused, for theirs may stand before all others."""
    if any(pause.is_everything for pause in pauses):
        return None, timedelta()
    due = Execution.objects.live().unleased().filter(queue=queue, next_attempt_at__lte=Now() - late)
    timed = due.annotate(now=Now(output_field=DateTimeField())).order_by("next_attempt_at")
    oldest = timed.values_list("rule_slug", "next_attempt_at", "now")[: LOOKED_AT if pauses else 1]
    models = dict(Rule.objects.values_list("slug", "model")) if pauses else {}
    free = ((at, now) for slug, at, now in oldest if not any(one.stops(slug, models.get(slug)) for one in pauses))
    at, now = next(free, (None, None))
    return at, now - at if at and now else timedelta()


def _held() -> Waiting:
    rows = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    due = rows.filter(due_at__lte=Now())
    later = _counted(rows.filter(due_at__gt=Now()), "due_at")
    return Waiting("", _counted(due, "due_at"), later, 0, *_first(due, "due_at"))


def _captured() -> Waiting:
    # The first is the oldest, by the key: there is no index of their times.
    rows = CapturedChange.objects.all()
    if not cache.current().captures:  # nothing captures anything: that is known without a query
        return Waiting(CAPTURED, 0, 0, 0, None)
    return Waiting(CAPTURED, _counted(rows, "pk"), 0, 0, *_first(rows, "captured_at", "pk"))


def _counted(rows: QuerySet[Any], column: str) -> int:
    """Count some of them, in the order of an index: without, PostgreSQL may look through all for the first."""
    return rows.order_by(column)[: MOST_COUNTED + 1].count()


def _first(rows: QuerySet[Any], column: str, order: str = "") -> tuple[datetime | None, timedelta]:
    """Return when the first was due, and how long ago that is."""
    timed = rows.annotate(now=Now(output_field=DateTimeField())).order_by(order or column)
    moment, now = timed.values_list(column, "now").first() or (None, None)
    return moment, max(now - moment, timedelta()) if moment and now else timedelta()

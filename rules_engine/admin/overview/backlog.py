"""What waits in the queues, counted only so far: a look at it costs the same behind a thousand rows and a million."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.admin.overview.moments import LATE, ago
from rules_engine.admin.parts.rendering import list_url
from rules_engine.databases import database_of
from rules_engine.live import cache
from rules_engine.models import CapturedChange, Execution, HeldMatch
from rules_engine.models.execution import WAITING, State
from rules_engine.work.overview import Cell, OverviewTable

#: Rows that are counted of each kind; of more it is said that there are more. A database counts as many in a few
#: milliseconds, and a million in most of a second.
MOST_COUNTED = 10_000
#: In the place of a queue's name, which has no star: what database triggers have captured, and no rule was told of.
CAPTURED = "*captured"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much of a queue is due, due later, and running; and since when the oldest has been due."""

    queue: str
    due: int
    later: int
    running: int
    oldest: datetime | None

    @property
    def is_late(self) -> bool:
        """Whether something has been due for so long that somebody should look."""
        return self.oldest is not None and timezone.now() - self.oldest > LATE


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
    return Waiting(name, _counted(due, at), later, running, _first(due, at))


def _held() -> Waiting:
    rows = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    due = rows.filter(due_at__lte=Now())
    later = _counted(rows.filter(due_at__gt=Now()), "due_at")
    return Waiting("", _counted(due, "due_at"), later, 0, _first(due, "due_at"))


def _captured() -> Waiting:
    # The first is the oldest, by the key: there is no index of their times.
    rows = CapturedChange.objects.all()
    if not cache.current().captures:  # nothing captures anything: that is known without a query
        return Waiting(CAPTURED, 0, 0, 0, None)
    first = rows.order_by("pk").values_list("captured_at", flat=True).first()
    return Waiting(CAPTURED, _counted(rows, "pk"), 0, 0, first)


def _counted(rows: QuerySet[Any], column: str) -> int:
    """Count some of them, in the order of an index: without, PostgreSQL may look through all for the first."""
    return rows.order_by(column)[: MOST_COUNTED + 1].count()


def _first(rows: QuerySet[Any], column: str) -> datetime | None:
    moment: datetime | None = rows.order_by(column).values_list(column, flat=True).first()
    return moment


def backlog(queues: Sequence[Waiting], *, linked: bool) -> OverviewTable:
    """The table of it. Held matches are a row of their own."""
    now = timezone.now()
    rows = [
        (
            _queue_cell(one.queue, linked),
            *map(_number, (one.due, one.later, one.running)),
            ago(one.oldest, now) if one.oldest else "–",
        )
        for one in queues
    ]
    late = [_name(one.queue) for one in queues if one.is_late]
    notes = [
        gettext("Something in %s has been due for more than five minutes: are there enough workers?") % ", ".join(late)
    ]
    headings = (gettext("Queue"), gettext("Due"), gettext("Later"), gettext("Running"), gettext("Oldest due since"))
    title, nothing = gettext("What waits"), gettext("Nothing waits.")
    return OverviewTable(title, headings, rows, nothing, bool(late), notes if late else (), anchor="waiting")


def _number(count: int) -> str:
    text = number_format(min(count, MOST_COUNTED), force_grouping=True)
    return gettext("over %s") % text if count > MOST_COUNTED else text


def _name(queue: str) -> str:
    return {"": gettext("held matches"), CAPTURED: gettext("captured changes")}.get(queue, queue)


def _queue_cell(name: str, linked: bool) -> Cell:
    if name == CAPTURED:
        return Cell(_name(name))
    if not name:
        return Cell(_name(name), list_url("heldmatch", state__exact="waiting") if linked else "")
    return Cell(name, list_url("execution", queue__exact=name) if linked else "")

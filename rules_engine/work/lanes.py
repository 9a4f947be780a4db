"""Tells how a lane does: what waits in it, how its attempts went, what failed. For pages: every question is bounded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.db.models.functions import Now

from rules_engine.databases import database_of
from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Attempt, Execution
from rules_engine.models.execution import TROUBLED, ExecutionQuerySet, State
from rules_engine.work.leases.leasing import due, of_queues, rows, unpaused

#: The latest executions of a lane that are looked at.
SAMPLE = 5_000
#: How attempts end that say how a lane does.
TOLD = (Attempt.Outcome.SUCCEEDED, Attempt.Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """Attempts that have ended, how many succeeded, and how long they took in seconds: the median, and the time that
    95 in 100 kept. ``is_sample``: there were more than were looked at."""

    attempts: int
    succeeded: int
    median: float | None
    p95: float | None
    is_sample: bool

    @property
    def share(self) -> float | None:
        """The part that succeeded, from 0 to 1; None where there was no attempt."""
        return self.succeeded / self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class LaneBacklog:
    """How many executions wait, and when the oldest of them was recorded."""

    count: int
    oldest: datetime | None


def due_lanes(queue: str) -> list[str]:
    """Return the lanes of a queue in which something is due that no pause stops, by name."""
    waiting = of_queues(due(unpaused(rows())), queue)
    return database_of(waiting.db).due_lanes(waiting, queue)


def late_lanes(queue: str, seconds: float) -> list[str]:
    """Return the lanes of a queue in which something that no pause stops has been due for so many seconds, by name."""
    late = due(unpaused(rows())).filter(queue=queue, next_attempt_at__lte=seconds_from_now(-seconds))
    return database_of(late.db).due_lanes(late, queue)


def in_flight(queue: str, *lanes: str) -> int:
    """Return how many executions of these lanes workers have leased now."""
    return rows().live().filter(queue=queue, lane__in=lanes, lease_until__gt=Now()).count()


def _rows(queue: str, lanes: Sequence[str]) -> ExecutionQuerySet:
    # The second condition is that of the index.
    return Execution.objects.filter(queue=queue, lane__in=lanes).exclude(lane="")


def _tried(queue: str, lanes: Sequence[str]) -> ExecutionQuerySet:
    return _rows(queue, lanes).filter(attempts__gt=0).order_by("-created_at")


def _first(executions: ExecutionQuerySet, limit: int) -> Any:
    return database_of(executions.db).first_keys(executions, limit)


def lane_figures(queue: str, lanes: Sequence[str], *since: datetime, sample: int = SAMPLE) -> list[LaneFigures]:
    """Say how the attempts since each of these times went, of the latest ``sample`` executions of these lanes.

    An action that records ``duration_ms`` in its detail says how long it took; else it is the time between the
    attempt's two records. Attempts that were lost with their process say nothing and are left out.
    """
    tried = _tried(queue, lanes)
    attempts = Attempt.objects.filter(execution__in=_first(tried, sample), started_at__gte=min(since), outcome__in=TOLD)
    rows = list(attempts.order_by().values_list("started_at", "outcome", "detail__duration_ms", "finished_at"))
    oldest = tried.values_list("created_at", flat=True)[sample - 1 : sample].first()
    return [
        _figures([row for row in rows if row[0] >= start], is_sample=oldest is not None and oldest > start)
        for start in since
    ]


def _figures(rows: Sequence[tuple[Any, ...]], *, is_sample: bool) -> LaneFigures:
    took = sorted(_seconds(duration, started, finished) for started, _outcome, duration, finished in rows)
    return LaneFigures(
        attempts=len(rows),
        succeeded=sum(row[1] == Attempt.Outcome.SUCCEEDED for row in rows),
        median=_percentile(took, 50),
        p95=_percentile(took, 95),
        is_sample=is_sample,
    )


def lane_counts(
    queue: str, lanes: Sequence[str], since: datetime, *, sample: int = SAMPLE
) -> dict[str, tuple[int, int]]:
    """Count for each lane how many attempts were made since then and how many of them succeeded, of its latest
    ``sample`` executions. One query, however many lanes; a lane without attempts is left out."""
    if not lanes:
        return {}
    first, *others = (_latest_keys(queue, lane, sample) for lane in lanes)
    attempts: Any = Attempt.objects.filter(
        execution__in=first.union(*others, all=True), started_at__gte=since, outcome__in=TOLD
    )
    is_well = Q(outcome=Attempt.Outcome.SUCCEEDED)
    counted = attempts.order_by().values("execution__lane").annotate(all=Count("pk"), well=Count("pk", filter=is_well))
    return {lane: (number, well) for lane, number, well in counted.values_list("execution__lane", "all", "well")}


def _latest_keys(queue: str, lane: str, sample: int) -> Any:
    # One lane each, so that the index gives the latest at once; a level down, for SQLite takes no limit in a union.
    return Execution.objects.filter(pk__in=_first(_tried(queue, [lane]), sample)).order_by().values("pk")


def _seconds(duration: Any, started: datetime, finished: datetime | None) -> float:
    if isinstance(duration, int | float):
        return duration / 1000
    return (finished - started).total_seconds() if finished else 0.0


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Give the nearest-rank percentile, None of nothing."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


def lane_backlog(queue: str, lanes: Sequence[str]) -> LaneBacklog:
    """Say what waits in these lanes."""
    backlog = _rows(queue, lanes).waiting().aggregate(count=Count("pk"), oldest=Min("created_at"))
    return LaneBacklog(**backlog)


def lane_failures(queue: str, lanes: Sequence[str], limit: int, *, sample: int = SAMPLE) -> list[Execution]:
    """Give the latest that were given up or wait to be tried again, with their events, of the latest ``sample`` that
    were tried."""
    failed = Execution.objects.filter(pk__in=_first(_tried(queue, lanes), sample))
    failed = failed.filter(state__in=(State.DISCARDED, State.REFUSED, State.RETRYABLE), failures__gt=0)
    return list(failed.select_related("event").order_by("-created_at")[:limit])


def lane_latest(queue: str, lanes: Sequence[str], limit: int = 1, *, kind: str = "") -> list[Execution]:
    """Give the latest executions of these lanes, with their events; ``kind`` leaves out others."""
    rows = _rows(queue, lanes).filter(kind=kind) if kind else _rows(queue, lanes)
    return list(rows.select_related("event").order_by("-created_at")[:limit])


def lane_troubles(queue: str, since: datetime) -> list[tuple[str, int, datetime]]:
    """Give each lane of a queue in which something failed since then, how much, and when last."""
    # The states are those of an index that holds only these.
    failed: Any = Execution.objects.filter(state__in=TROUBLED, queue=queue, created_at__gte=since).exclude(lane="")
    counted = failed.order_by().values("lane").annotate(number=Count("pk"), last=Max("created_at"))
    return list(counted.values_list("lane", "number", "last"))


@dataclass(frozen=True, slots=True)
class LaneTitle:
    """What people call a lane, such as the endpoint that it is: a name, and where its page is. ``heading`` is over a
    list of what is in it, with ``links`` as pairs of text and address. ``waits`` says why nothing goes out now."""

    name: str
    url: str = ""
    heading: str = ""
    waits: str = ""
    links: Sequence[tuple[str, str]] = ()


#: Given the user and lanes of one queue, the titles of those that they may see.
TellLanes = Callable[[Any, Collection[str]], Mapping[str, LaneTitle]]

_tellers: dict[str, TellLanes] = {}


def register_lane_titles(queue: str, tell: TellLanes) -> None:
    """Have the lanes of a queue called so on pages. One query, please, however many lanes."""
    _tellers[queue] = tell


def lane_titles(user: Any, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], LaneTitle]:
    """Tell what these lanes, as pairs of queue and lane, are called, as far as somebody says so and the user may see
    it."""
    lanes: dict[str, set[str]] = {}
    for queue, lane in places:
        if lane and queue in _tellers:
            lanes.setdefault(queue, set()).add(lane)
    told = ((queue, _tellers[queue](user, names)) for queue, names in lanes.items())
    return {(queue, lane): title for queue, titles in told for lane, title in titles.items()}

"""What only the database knows, read for monitors: a few queries, each of which looks no further than it must."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, DateTimeField, Max, Q
from django.db.models.functions import Now

from rules_engine import conf
from rules_engine.live import cache, watcher
from rules_engine.models import Heartbeat, Pause
from rules_engine.monitoring.backlog import CAPTURED, Waiting, oldest_free, waiting
from rules_engine.monitoring.metric import Sample
from rules_engine.work.workers.heartbeats import patience


@dataclass(frozen=True, slots=True)
class Seen:
    """Who was seen at one kind of work: on how many hosts lately, and how long ago at last (None: never)."""

    kind: str
    hosts: int
    ago: timedelta | None


def seen() -> list[Seen]:
    """Say who looks for due work and who does it, by the database's clock. One query."""
    now = Now(output_field=DateTimeField())
    is_alive = Q(seen_at__gte=Now() - patience())
    rows = Heartbeat.objects.order_by().values("kind").annotate(hosts=Count("pk", filter=is_alive), at=Max("seen_at"))
    found = {
        kind: Seen(kind, hosts, max(present - at, timedelta()))
        for kind, hosts, at, present in rows.annotate(now=now).values_list("kind", "hosts", "at", "now")
    }
    return [found.get(kind, Seen(kind, 0, None)) for kind in Heartbeat.Kind.values]


def gauges() -> Iterator[Sample]:
    """Read the engine's own gauges."""
    yield from _of_backlog(waiting(), list(Pause.objects.current()))
    for kind in seen():
        yield Sample("rules_engine_worker_hosts", kind.hosts, (kind.kind,))
        if kind.ago is not None:
            yield Sample("rules_engine_worker_seen_seconds", kind.ago.total_seconds(), (kind.kind,))
    yield Sample("rules_engine_live_rules", len(cache.current().rules))
    if (age := watcher.seconds_since_look()) is not None:
        yield Sample("rules_engine_watcher_age_seconds", age)


def _of_backlog(backlog: Sequence[Waiting], pauses: Sequence[Pause]) -> Iterator[Sample]:
    by_name = {found.queue: found for found in backlog}
    held = by_name.pop("", None)
    yield Sample("rules_engine_held_matches", held.due if held else 0, ("yes",))
    yield Sample("rules_engine_held_matches", held.later if held else 0, ("no",))
    captured = by_name.pop(CAPTURED, None)
    yield Sample("rules_engine_captured_changes", captured.due if captured else 0)
    # That of the site is told although it is empty: what is not there at all, nobody is warned of.
    for queue in sorted({*by_name, conf.queue()}):
        found = by_name.get(queue, Waiting(queue, 0, 0, 0, None))
        yield Sample("rules_engine_due_executions", found.due, (queue,))
        yield Sample("rules_engine_later_executions", found.later, (queue,))
        yield Sample("rules_engine_running_executions", found.running, (queue,))
        oldest = oldest_free(queue, pauses)[1] if found.due or found.running else timedelta()
        yield Sample("rules_engine_oldest_due_seconds", oldest.total_seconds(), (queue,))

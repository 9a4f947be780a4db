"""How many actions two worker processes carry out a second, beside one Celery message each. On PostgreSQL."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.test.utils import override_settings

from rules_engine.models import AuditEntry, Execution
from rules_engine.outbox import hints
from rules_engine.testing import create_rule
from tests.benchmarks import tasks, worker
from tests.benchmarks.models import AuditedOrder, LoggedOrder, OrderFields, Outbox
from tests.benchmarks.rounds import Spread
from tests.benchmarks.site import LOG, Scale, broker, clear, fill, truncate, without_rules
from tests.benchmarks.tables import Found

AUDIT, LOGGED = "write_audit_entry", "log_message"
DEFAULTS, KEPT = "one message each, Celery's defaults", "one message each, connection kept"
ORDERS = 100
#: A column for each: what was drained, how many a second, with quartiles.
HEAD = ("", "a second", "quartiles", "to defaults", "to kept")
ACTIONS: dict[str, tuple[type[OrderFields], dict[str, Any]]] = {
    AUDIT: (AuditedOrder, {"note": "Paid {{ instance.number }}", "fields": ["status"]}),
    LOGGED: (LoggedOrder, dict(LOG[1])),
}


def measure(scale: Scale) -> Found:
    """P8: each in turn, in an order that is shuffled each round; the queue is full before anybody listens to it."""
    if connection.vendor != "postgresql" or not settings.REDIS_URL:
        return Found(remarks=("  Left out: it is measured on PostgreSQL with Redis.",))
    # Of fewer, the second in which each worker process begins would be most of it: that is in the time of ours, from
    # the first hint on, and theirs is taken from when the first message is.
    count, more = scale.of(3_000, 2_000), scale.of(12_000, 4_000)
    runs: dict[str, Callable[[], float]] = {name: partial(ours, name, more) for name in ACTIONS}
    runs |= {DEFAULTS: partial(theirs, count, "0"), KEPT: partial(theirs, count, "1")}
    found: dict[str, list[float]] = {name: [] for name in runs}
    chance = random.Random(1)
    for _ in range(scale.of(3, 2)):
        names = list(runs)
        chance.shuffle(names)
        for name in names:
            found[name].append(runs[name]())
    without_rules()
    ratios = {
        (name, base): Spread.of([one / other for one, other in zip(found[name], found[base], strict=True)]).middle
        for name in runs
        for base in (DEFAULTS, KEPT)
    }
    rows = []
    for name, values in found.items():
        spread = Spread.of(values)
        beside = [f"{ratios[name, base]:.2f}" for base in (DEFAULTS, KEPT)]
        rows.append((name, f"{spread.middle:,.0f}", f"{spread.low:,.0f}–{spread.high:,.0f}", *beside))
    figures = {"to Celery's defaults": ratios[AUDIT, DEFAULTS], "to the connection kept": ratios[AUDIT, KEPT]}
    return Found(HEAD, tuple(rows), figures)


def ours(kind: str, count: int) -> float:
    """Return how many executions of that kind a second, from the first hint to the last end."""
    with override_settings(RULES_ENGINE={**settings.RULES_ENGINE, "HINTS": False}):
        _queue_up(kind, count)
    with worker.working() as name:
        worker.listen(name, settings.RULES_ENGINE["QUEUE"])
        began = time.perf_counter()
        for _ in range(worker.PROCESSES):
            hints.send(settings.RULES_ENGINE["QUEUE"])
        worker.wait_for(lambda: Execution.objects.filter(state="succeeded").count() == count)
        return count / (time.perf_counter() - began)


def _queue_up(kind: str, count: int) -> None:
    without_rules()
    clear()
    truncate(AuditEntry)
    model, config = ACTIONS[kind]
    create_rule(model, changes=[{"field": "status"}], actions=[(kind, config)])
    keys = fill(ORDERS)
    orders = [model._default_manager.get(pk=key) for key in keys]
    with transaction.atomic():
        for number in range(count):
            order = orders[number % ORDERS]
            order.status = f"s{number}"
            order.save()
    if (found := Execution.objects.count()) != count:
        raise SystemExit(f"{found} executions were queued, not {count}.")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def theirs(count: int, kept: str) -> float:
    """Return how many messages a second, from the first that is taken to the last row."""
    clear()
    client = broker()
    assert client is not None
    for number in range(count):
        tasks.insert.delay(number)
    with worker.working(BENCH_KEPT=kept) as name:
        worker.listen(name, tasks.QUEUE)
        worker.wait_for(lambda: client.llen(tasks.QUEUE) < count, pause=0.001)
        began = time.perf_counter()
        worker.wait_for(lambda: Outbox.objects.count() == count)
        return count / (time.perf_counter() - began)

"""What a claim takes in a very large outbox, what an event weighs, how pruning holds a save up. On PostgreSQL."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

from django.db import connection, connections, models, transaction

from rules_engine.models import Attempt, Event, Execution
from rules_engine.testing import create_rule, run_due
from rules_engine.work import claims, retention, tasks
from tests.benchmarks.models import OneRuleOrder
from tests.benchmarks.site import BECOMES_PAID, HAS_SOME, LOG, Scale, changes, clear, fill, truncate, without_rules
from tests.benchmarks.tables import Found

#: Of so many executions one is due, all others are over.
ONE_IN = 10
CLAIMS = 30
BATCH = 50
#: Enough that a page of an index, of which each table has some that are half empty, does not count.
EVENTS = 2_000
SAVES = 300


def measure(scale: Scale) -> Found:
    """P12."""
    if connection.vendor != "postgresql":
        return Found(remarks=("  Left out: it is measured on PostgreSQL.",))
    rows: list[tuple[str, ...]] = []
    figures: dict[str, float] = {}
    rows += _weights(figures)
    count = 10_000_000 if scale.full else scale.of(100_000, 20_000)
    _multiply(count)
    shown = f"{count:,} executions, {count // ONE_IN:,} due"
    for name, taken in (("claim of 50", _claims()), ("which queues are due", _looks())):
        rows.append((f"{name}, {shown}", f"{statistics.median(taken):,.1f}", f"{max(taken):,.1f}", "ms"))
    figures["claim of 50"] = float(rows[-2][1].replace(",", ""))
    alone, beside = _saves_beside(lambda: None), _saves_beside(_prune)
    for name, taken in (("a save that matches, alone", alone), ("the same while pruning", beside)):
        rows.append((f"{name}, p99 for most", f"{statistics.median(taken):,.1f}", f"{_p99(taken):,.1f}", "ms"))
    figures["save while pruning, p99"] = _p99(beside)
    without_rules()
    truncate(Attempt, Execution, Event)
    return Found(("", "median", "most", ""), tuple(rows), figures)


def _weights(figures: dict[str, float]) -> list[tuple[str, ...]]:
    """Write ordinary events, carry them out, and weigh what is on the disk with its indexes."""
    without_rules()
    clear()
    truncate(Attempt, Execution, Event)
    create_rule(OneRuleOrder, changes=BECOMES_PAID, condition=HAS_SOME, actions=[LOG])
    keys = fill(200)
    for _ in range(EVENTS // len(keys)):
        OneRuleOrder.objects.update(status="new")
        changes(OneRuleOrder, keys, "paid")()
    rows = []
    for table, name in ((Event, "an ordinary event"), (Execution, "its execution")):
        figures[name] = _bytes(table)
        rows.append((name, f"{figures[name]:,.0f}", "", "bytes"))
    run_due(EVENTS // 2)
    rows.append(("an attempt", f"{_bytes(Attempt):,.0f}", "", "bytes"))
    return rows


def _bytes(table: type[models.Model]) -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(%s::regclass)", [table._meta.db_table])
        return float(cursor.fetchone()[0] / table._default_manager.count())


def _multiply(count: int) -> None:
    """Copy the executions that are there until there are so many: one in ten is due, the others are over."""
    copied = [field.column for field in Execution._meta.concrete_fields]
    other: dict[str, str] = {
        "id": "gen_random_uuid()",
        "state": f"CASE WHEN number %% {ONE_IN} = 0 THEN 'pending' ELSE 'succeeded' END",
        "next_attempt_at": "now() - (number %% 100000) * interval '1 second'",
        "created_at": "now() - interval '40 days' - (number %% 100000) * interval '1 second'",
        "finished_at": f"CASE WHEN number %% {ONE_IN} = 0 THEN NULL ELSE now() - interval '40 days' END",
        "leased_by": "''",
        "lease_until": "NULL",
    }
    columns = ", ".join(f'"{column}"' for column in copied)
    values = ", ".join(other.get(column, f'"{column}"') for column in copied)
    table = connection.ops.quote_name(Execution._meta.db_table)
    sources = Execution.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, generate_series(1, %s) AS number",
            [count // sources],
        )
        cursor.execute("ANALYZE")


def _claims() -> list[float]:
    """Claim again and again, each claim what the one before has left; all are given back at the end."""
    taken, names = [], []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        claim = claims.claim(limit=BATCH)
        taken.append((time.perf_counter() - began) * 1000)
        names.append(claim.worker)
    for name in names:
        claims.give_back(name)
    return taken


def _looks() -> list[float]:
    taken = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        tasks.due_queues()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _prune() -> None:
    try:
        retention.prune()
    finally:
        connections.close_all()


def _saves_beside(work: Any) -> list[float]:
    """Return the milliseconds that saves take which match, while that goes on in a thread."""
    thread = threading.Thread(target=work)
    thread.start()
    taken = []
    keys = fill(SAVES)
    for key in keys:
        began = time.perf_counter()
        with transaction.atomic():
            order = OneRuleOrder.objects.get(pk=key)
            order.status = "paid"
            order.save()
        taken.append((time.perf_counter() - began) * 1000)
    thread.join()
    return taken


def _p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100, method="inclusive")[98]

"""What a worker's look for what is due takes among a million objects, of which a hundred are. On PostgreSQL."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime, timedelta

from django.db import connection

from rules_engine.models import Event, Execution, Firing, Rule, Schedule
from rules_engine.testing import create_rule
from rules_engine.work.schedules.dates import Dates
from rules_engine.work.schedules.dates_looked_at import BATCH, OVERLAP
from rules_engine.work.schedules.looking import look_due
from tests.benchmarks.models import Order
from tests.benchmarks.site import LOG, Scale, clear, fields, truncate, without_rules
from tests.benchmarks.tables import Found

LOOKS = 20
DUE = 100
#: The dates of all objects are spread over so many days, half of them gone.
DAYS = 730
INDEX = "benchmarks_order_changed_at_due"
EVERY = {"kind": "date", "path": "instance.changed_at", "count": 1, "unit": "hours", "direction": "after"}


def measure(scale: Scale) -> Found:
    """P15."""
    if connection.vendor != "postgresql":
        return Found(remarks=("  Left out: it is measured on PostgreSQL.",))
    without_rules()
    clear()
    count = scale.of(1_000_000, 50_000)
    fill_with_dates(count)
    rule = create_rule(Order, signals=(), schedule=EVERY, actions=[LOG])
    now = datetime.now(tz=UTC)
    Schedule.objects.filter(rule_slug=rule.slug).update(since=now - timedelta(days=8))
    look_due(now=now)
    idle, found, due, wide = [], [], [], []
    for number in range(LOOKS):
        now += timedelta(seconds=15)
        idle.append(_look(now, is_wide=False))
        keys = list(Order.objects.order_by("-pk").values_list("pk", flat=True)[number * DUE : (number + 1) * DUE])
        Order.objects.filter(pk__in=keys).update(changed_at=now + timedelta(seconds=14) - timedelta(hours=1))
        now += timedelta(seconds=15)
        found.append(_find(rule, now))
        due.append(_look(now, is_wide=False))
        now += timedelta(seconds=15)
        wide.append(_look(now, is_wide=True))
    rows = [
        (f"{name}, {count:,} objects", f"{statistics.median(taken):,.1f}", f"{max(taken):,.1f}", "ms")
        for name, taken in (
            ("a look, none due", idle),
            (f"finding {DUE} due", found),
            (f"a look, {DUE} due, with their events", due),
            ("a look back to a week ago", wide),
        )
    ]
    figures = {"a look, none due": statistics.median(idle), "finding 100 due": statistics.median(found)}
    without_rules()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {INDEX}")
    truncate(Order, Execution, Event, Firing)
    return Found(("", "median", "most", ""), tuple(rows), figures)


def fill_with_dates(count: int) -> None:
    """Store so many orders by one statement, with an index on their dates."""
    truncate(Order)
    order = Order.objects.create(**fields(0))
    copied = [field.column for field in Order._meta.concrete_fields if not field.primary_key]
    other = {"changed_at": f"now() + (random() - 0.5) * interval '{DAYS} days'"}
    columns, values = ", ".join(copied), ", ".join(other.get(column, column) for column in copied)
    table = Order._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, generate_series(2, %s)", [count])
        cursor.execute(f"CREATE INDEX {INDEX} ON {table} (changed_at)")
        cursor.execute("ANALYZE")
    order.refresh_from_db()


def _find(rule: Rule, now: datetime) -> float:
    """Return the milliseconds of finding and reading what is due, as a look does before it tells."""
    began = time.perf_counter()
    dates = Dates(rule.slug, rule.model, EVERY, "default")
    begin = now - OVERLAP
    if len(dates.read(dates.find(begin, now, BATCH), begin, now)) < DUE:
        raise AssertionError("There should be so many that are due.")
    return (time.perf_counter() - began) * 1000


def _look(now: datetime, *, is_wide: bool) -> float:
    """Return the milliseconds of one look; nothing is carried out."""
    Schedule.objects.update(next_look_at=now, next_wide_at=now if is_wide else now + timedelta(hours=1))
    began = time.perf_counter()
    look_due(now=now)
    return (time.perf_counter() - began) * 1000

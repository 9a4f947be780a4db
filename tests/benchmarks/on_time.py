"""How late what is due is begun, among a million objects while others save; how long a run on 100,000 objects takes.

Both with a worker of two processes and without a broker, on PostgreSQL. ``lateness`` takes some minutes.
"""

from __future__ import annotations

import random
import resource
import statistics
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection, connections
from django.db.models import Max, Min

from rules_engine.models import Attempt, Event, Execution, Firing, Run, Schedule
from rules_engine.testing import create_rule
from rules_engine.work.runs.starting import start_run
from tests.benchmarks import worker
from tests.benchmarks.looks import EVERY, INDEX, fill_with_dates
from tests.benchmarks.models import Order
from tests.benchmarks.site import BECOMES_PAID, LOG, Scale, clear, fill, truncate, without_rules
from tests.benchmarks.tables import Found

SAVES_A_SECOND = 200
#: Who saves: so many, each in a thread of its own.
SAVERS = 8
#: Of so many saves one moves the date, and so far ahead is it due then (seconds).
ONE_MOVES, AHEAD = 10, (-5.0, 60.0)
#: Seconds after the last save for the last date to have come, and a look after it.
REST = 90
HOUR = timedelta(hours=1)
LEFT_OUT = Found(remarks=("  Left out: it is measured on PostgreSQL.",))


def lateness(scale: Scale) -> Found:
    """P16: seconds from when something is due to the start of its action, while 200 saves a second go on."""
    if connection.vendor != "postgresql":
        return LEFT_OUT
    without_rules()
    clear()
    count, seconds = scale.of(1_000_000, 50_000), scale.of(180, 30)
    fill_with_dates(count)
    rule = create_rule(Order, signals=(), schedule=EVERY, actions=[LOG])
    # One that hears the saves as well, as on any site; it does not match.
    create_rule(Order, changes=BECOMES_PAID, actions=[LOG])
    began = datetime.now(tz=UTC)
    with worker.working(settings.RULES_ENGINE["QUEUE"], of_celery=False, BENCH_RUNNER="worker"):
        saved = _saved(seconds)
        time.sleep(scale.of(REST, 30))
    told = dict(Firing.objects.filter(rule_slug=rule.slug, due_at__gt=began).values_list("event_id", "due_at"))
    attempts = Attempt.objects.filter(execution__event_id__in=told).values_list("execution__event_id", "started_at")
    late = sorted((started - told[event]).total_seconds() for event, started in attempts)
    wrong = len(_never(rule.slug, began)) + abs(len(told) - len(late)) + sum(seconds < 0 for seconds in late)
    figures = {"p99 of lateness": _percentile(late, 0.99), "early, twice or never": wrong}
    rows = (
        _row("a save, ms", [each * 1000 for each in saved]),
        _row("from due to the start of its action, s", late),
        ("saves a second", f"{len(saved) / seconds:,.0f}", "", "", ""),
        ("looks", f"{Schedule.objects.get(rule_slug=rule.slug).step:,}", "", "", ""),
    )
    _end()
    return Found(("", "count", "p50", "p99", "most"), rows, figures)


def run_on_all(scale: Scale) -> Found:
    """P17: seconds until 100,000 objects are told, and acted on."""
    if connection.vendor != "postgresql":
        return LEFT_OUT
    without_rules()
    clear()
    count = scale.of(100_000, 5_000)
    truncate(Order)
    fill(count)
    rule = create_rule(
        Order, changes=BECOMES_PAID, condition={"==": [{"var": "instance.status"}, "new"]}, actions=[LOG]
    )
    with worker.working(settings.RULES_ENGINE["QUEUE"], of_celery=False, BENCH_RUNNER="worker"):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        run = start_run(rule.slug)
        told = acted = 0.0
        while not acted and time.perf_counter() - began < 3600:
            time.sleep(1)
            taken = time.perf_counter() - began
            if not told and Run.objects.get(pk=run.pk).state == Run.State.DONE:
                told = taken
            if told and not Execution.objects.live().exists():
                acted = taken
    ended = Execution.objects.filter(state="succeeded").count()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    rows = (
        ("time of the workers on a core", f"{cpu:,.0f}", "s"),
        (f"told, {count:,} objects", f"{told:,.0f}", "s"),
        (f"acted on, {ended:,}", f"{acted:,.0f}", "s"),
    )
    figures = {"100,000 objects": acted * 100_000 / count, "not acted on": count - ended}
    without_rules()
    truncate(Order, Execution, Event, Attempt)
    return Found(("", "", ""), rows, figures)


def _saved(seconds: float) -> list[float]:
    """Save as often as is asked for; returns the seconds that each save took."""
    found = Order.objects.aggregate(Min("pk"), Max("pk"))
    keys = found["pk__min"], found["pk__max"]
    taken: list[float] = []
    savers = [threading.Thread(target=_save, args=(number, keys, seconds, taken.append)) for number in range(SAVERS)]
    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join()
    return taken


def _save(number: int, keys: tuple[int, int], seconds: float, note: Callable[[float], None]) -> None:
    chance, begin = random.Random(number), time.perf_counter()
    try:
        for turn in range(round(seconds * SAVES_A_SECOND / SAVERS)):
            time.sleep(max(0.0, begin + turn * SAVERS / SAVES_A_SECOND - time.perf_counter()))
            if time.perf_counter() > begin + seconds:
                return
            order = Order.objects.get(pk=chance.randint(*keys))
            order.quantity += 1
            if turn % ONE_MOVES == 0:
                order.changed_at = datetime.now(tz=UTC) - HOUR + timedelta(seconds=chance.uniform(*AHEAD))
            began = time.perf_counter()
            order.save()
            note(time.perf_counter() - began)
    finally:
        connections.close_all()


def _never(slug: str, began: datetime) -> set[tuple[str, datetime]]:
    """Return the objects, with their dates, that were due a minute ago and since it began, and of which nothing was
    told."""
    until = datetime.now(tz=UTC) - HOUR - timedelta(minutes=1)
    due = Order.objects.filter(changed_at__range=(began - HOUR, until)).values_list("pk", "changed_at")
    done = Firing.objects.filter(rule_slug=slug, due_at__gt=began).values_list("object_key", "of_moment")
    return {(str(pk), at) for pk, at in due} - set(done)


def _row(name: str, values: list[float]) -> tuple[str, ...]:
    ordered = sorted(values)
    shown = (f"{value:,.1f}" for value in (statistics.median(ordered), _percentile(ordered, 0.99), ordered[-1]))
    return (name, f"{len(ordered):,}", *shown)


def _percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def _end() -> None:
    without_rules()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {INDEX}")
    truncate(Order, Execution, Event, Firing)

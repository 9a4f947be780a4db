"""How long after a commit an idle worker starts the action. On PostgreSQL."""

from __future__ import annotations

import statistics
import subprocess
import sys

from django.conf import settings
from django.db import connection
from kombu import Connection

from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule
from tests import services
from tests.benchmarks import worker
from tests.benchmarks.models import StartedOrder
from tests.benchmarks.rule_actions import book
from tests.benchmarks.site import Scale, clear, fill, without_rules
from tests.benchmarks.tables import Found

#: For all commits of one way.
SECONDS = 300.0
NO_BROKER = "no broker"


def measure(scale: Scale) -> Found:
    """P11: by Redis, by RabbitMQ, and by the database alone, which tells ``rules_worker``."""
    if connection.vendor != "postgresql" or not settings.REDIS_URL:
        return Found(remarks=("  Left out: it is measured on PostgreSQL with Redis.",))
    count, remarks = scale.of(200, 50), []
    ways = {
        "Redis": (settings.CELERY_BROKER_URL, "celery", count),
        NO_BROKER: (settings.CELERY_BROKER_URL, "worker", count),
    }
    if rabbit := services.amqp_url():
        ways["RabbitMQ"] = (rabbit, "celery", count)
    else:
        remarks.append("  Left out: RabbitMQ was not found.")
    rows, figures = [], {}
    for way, (broker, runner, commits) in ways.items():
        taken = [one * 1000 for one in starts(broker, runner, commits)]
        percentiles = statistics.quantiles(taken, n=100, method="inclusive")
        figures[f"{way}, p50"], figures[f"{way}, p99"] = percentiles[49], percentiles[98]
        shown = (f"{one:,.1f}" for one in (min(taken), percentiles[49], percentiles[98], max(taken)))
        rows.append((way, str(commits), *shown))
    return Found(("ms", "commits", "least", "p50", "p99", "most"), tuple(rows), figures, tuple(remarks))


def starts(broker: str, runner: str, commits: int) -> list[float]:
    """Return the seconds from each commit to the start of its action: a process commits, a worker has nothing else."""
    without_rules()
    clear()
    fill(0)
    book().unlink(missing_ok=True)
    queue = f"benchmarks-rules-{connection.settings_dict['NAME']}"
    create_rule(StartedOrder, operations=["create"], actions=[("note_start", {})])
    own = {"BENCH_QUEUE": queue, "BENCH_RUNNER": runner}
    try:
        with worker.working(queue, broker, of_celery=runner == "celery", **own):
            command = [sys.executable, "-m", "tests.benchmarks.commits", str(commits)]
            said = subprocess.run(
                command, env=worker.environment(broker, **own), stdout=subprocess.PIPE, check=True, timeout=SECONDS
            )
    finally:
        with Connection(broker) as made:
            made.default_channel.queue_delete(queue)
        without_rules()
        Execution.objects.all().delete()
        Event.objects.all().delete()
    return [float(line) for line in said.stdout.decode().split()]

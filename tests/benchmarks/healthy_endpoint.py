"""How long deliveries to a healthy endpoint take beside a dead one and one that needs 10 s, with 10,000 queued on each.

``DATABASE_URL=… python -m tests.benchmarks.healthy_endpoint [ROUNDS]`` sends at a steady rate, alone and beside the
other two by turns in one run, and prints the ratios; the goal is that of the design. Never a test. The receiver is
a process of its own; a latency runs from the commit of the execution to the record of its success.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ.setdefault("DEMO_VAR", tempfile.mkdtemp(prefix="signal-rules-benchmarks-"))

import django

django.setup()

from django.conf import settings
from django.db import connection, connections
from django.test.utils import setup_databases, setup_test_environment, teardown_databases

from project.shop.models import Product
from rules_engine.models import Execution
from rules_engine.testing import create_rule, reset
from tests import http_server as behave
from tests.http_server import MisbehavingServer
from webhooks.endpoints import breaker
from webhooks.models import Endpoint
from webhooks.sending.sender import drain

QUEUED = 10_000
SECONDS = 20.0
PER_SECOND = 25
ENDPOINTS = ("well", "dead", "slow")


def receive(pipe: Connection) -> None:
    """The receiver's process: tells its port, and goes on until it hears something."""
    with MisbehavingServer() as server:
        server.on("/dead", behave.hang())
        server.on("/slow", behave.late(10.0))
        pipe.send(server.port)
        pipe.recv()


def templates() -> dict[str, Execution]:
    """An execution for each endpoint, to be copied."""
    actions = [("webhook", {"endpoint": slug, "payload": '{"id": "{{ instance.id }}"}'}) for slug in ENDPOINTS]
    create_rule(model="shop.product", signals=["post_save"], actions=actions)
    Product.objects.create(name="p", slug="p", price="1")
    found = {one.lane: one for one in Execution.objects.all()}
    Execution.objects.all().delete()
    return found


def copies(one: Execution, count: int) -> None:
    same = ("event_id", "rule_slug", "rule_version", "kind", "config", "position", "author_id", "queue", "lane")
    values = {name: getattr(one, name) for name in same}
    Execution.objects.bulk_create([Execution(**values) for _ in range(count)], batch_size=1000)


def send_until(done: threading.Event) -> None:
    try:
        while not done.is_set():
            # A worker is woken by a hint; this looks a hundred times a second.
            if not drain(10):
                time.sleep(0.01)
    finally:
        connections.close_all()


def latencies(well: Execution) -> list[float]:
    """Milliseconds that deliveries to the healthy endpoint take, with whatever else is queued."""
    done = threading.Event()
    sender = threading.Thread(target=send_until, args=(done,))
    sender.start()
    time.sleep(2)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        copies(well, 1)
        time.sleep(1 / PER_SECOND)
    rows = Execution.objects.filter(lane="well")
    while rows.live().exists():
        time.sleep(0.1)
    found = [
        (one.finished_at - one.created_at).total_seconds() * 1000 for one in rows.filter(finished_at__isnull=False)
    ]
    Execution.objects.all().delete()
    done.set()
    sender.join()
    return found


def measure(rounds: int, port: int) -> None:
    settings.WEBHOOKS = {
        "ALLOW_HTTP": True,
        "ALLOWED_NETWORKS": ["127.0.0.0/8"],
        "ALLOWED_PORTS": [port],
    }
    for slug in ENDPOINTS:
        Endpoint.objects.create(slug=slug, name=slug, url=f"http://127.0.0.1:{port}/{slug}")
    models = templates()
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(rounds):
        alone += latencies(models["well"])
        for slug in ("dead", "slow"):
            copies(models[slug], QUEUED)
            breaker.resume(Endpoint.objects.get(slug=slug))
        beside += latencies(models["well"])
    print(f"{connection.vendor}, {rounds} rounds, {len(alone)} deliveries alone and {len(beside)} beside the others")
    print(f"{'healthy endpoint, ms':<24}{'alone':>8}{'beside':>8}{'ratio':>8}{'goal':>8}")
    for name, percentile, goal in (("p50", 50, ""), ("p99", 99, "≤ 1.5")):
        first, second = (statistics.quantiles(one, n=100)[percentile - 1] for one in (alone, beside))
        print(f"{name:<24}{first:>8.1f}{second:>8.1f}{second / first:>8.2f}{goal:>8}")
    reset()


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    receiver = context.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    setup_test_environment()
    old = setup_databases(verbosity=0, interactive=False)
    try:
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3, ours.recv())
    finally:
        teardown_databases(old, verbosity=0)
        ours.send("done")
        receiver.join()

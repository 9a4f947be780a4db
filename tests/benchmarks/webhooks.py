"""What a delivery costs: our sender beside one task per delivery with ``requests``, and beside bare aiohttp.

``DATABASE_URL=… python -m tests.benchmarks.webhooks [DELIVERIES]`` prints a table of deliveries per second and CPU per
delivery, in one process, with attempt rows, for a receiver that answers after 0, 50 and 500 ms. The receiver runs in a
process of its own. Never a test.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.benchmarks.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")
os.environ.setdefault("DEMO_VAR", tempfile.mkdtemp(prefix="signal-rules-benchmarks-"))

import django

django.setup()

import requests
from celery import shared_task
from django.db import connection
from django.test.utils import override_settings, setup_databases, setup_test_environment, teardown_databases

from project.shop.models import Product
from rules_engine.models import Attempt, Event, Execution
from rules_engine.testing import create_rule
from tests.benchmarks.site import Scale, without_rules
from tests.benchmarks.tables import Found
from webhooks import conf
from webhooks.http.client import Client
from webhooks.models import Endpoint
from webhooks.sending import sender

#: As many as need all slots of a sender, of which one endpoint has half at most.
ENDPOINTS = 4
#: Enough to see what one at a time can do, and over in seconds.
ONE_BY_ONE = 60


def serve(port: Any, delay: float) -> None:
    """The receiver: a minimal HTTP server that answers 200 after ``delay`` seconds."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                await reader.readexactly(length)
                await asyncio.sleep(delay)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1000)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def receiver(delay: float) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    port = context.Value("i", 0)
    process = context.Process(target=serve, args=(port, delay), daemon=True)
    process.start()
    while not port.value:
        time.sleep(0.01)
    try:
        yield port.value
    finally:
        process.terminate()
        process.join()


def queue(count: int) -> list[Any]:
    """So many deliveries, due now."""
    Attempt.objects.all().delete()
    Execution.objects.all().delete()
    Event.objects.all().delete()
    Product.objects.create(name="A chair", slug=f"chair-{time.time_ns()}", price="120.00")
    models = list(Execution.objects.all())
    made = []
    for number in range(count):
        one = models[number % len(models)]
        made.append(
            Execution(**{f.attname: getattr(one, f.attname) for f in one._meta.concrete_fields if f.name != "id"})
        )
    Execution.objects.all().delete()
    Execution.objects.bulk_create(made, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return [one.pk for one in made]


@shared_task
def deliver_one(pk: Any) -> None:
    """What most sites write: one task, one delivery, and a row that says what came of it."""
    execution = Execution.objects.select_related("event").get(pk=pk)
    endpoint = Endpoint.objects.get(slug=execution.lane)
    answer = requests.post(endpoint.url, json=dict(execution.event.context), timeout=15)
    Attempt.objects.create(execution=execution, number=1, outcome="succeeded", detail={"status": answer.status_code})
    Execution.objects.filter(pk=pk).update(state="succeeded")


def one_by_one(count: int) -> int:
    for pk in queue(min(count, ONE_BY_ONE)):
        deliver_one.apply(args=(pk,))
    return min(count, ONE_BY_ONE)


def ours(count: int) -> int:
    sent = sender.drain(600)
    assert sent == count, f"{sent} of {count} were sent"
    assert Execution.objects.filter(state="succeeded").count() == count
    return sent


def bare(count: int, url: str) -> int:
    """Only the network: no claim, no signature, no record."""
    slots = conf.slots()

    async def run() -> None:
        left = iter(range(count))

        async def work(client: Client) -> None:
            for _ in left:
                await client.deliver(url, b'{"id":1}', {"Content-Type": "application/json"})

        async with Client(limit=slots) as client:
            await asyncio.gather(*(work(client) for _ in range(slots)))

    asyncio.run(run())
    return count


def measured(act: Callable[[], int]) -> tuple[float, float]:
    """Deliveries per second, and milliseconds of CPU for each."""
    began, cpu = time.perf_counter(), time.process_time()
    count = act()
    return count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1000


def measure(count: int) -> None:
    print(f"{connection.vendor}, {count} deliveries, {ENDPOINTS} endpoints; deliveries/s, and ms of CPU for each")
    print(f"{'receiver':<12}{'our sender':>20}{'bare aiohttp':>20}{'one task each':>20}{'ours / one task':>18}")
    for delay in (0.0, 0.05, 0.5):
        with receiving(delay) as url:
            queue(count)
            acts = (partial(ours, count), partial(bare, count, url), partial(one_by_one, count))
            cells = [measured(act) for act in acts]
        shown = "".join(f"{rate:>12.0f} {cpu:>6.2f} " for rate, cpu in cells)
        print(f"{delay * 1000:>5.0f} ms    {shown}{cells[0][0] / cells[2][0]:>17.0f}x", flush=True)


@contextmanager
def receiving(delay: float) -> Iterator[str]:
    """All endpoints are a receiver that answers after so many seconds, while the block runs."""
    with receiver(delay) as port:
        setting = {"ALLOW_HTTP": True, "ALLOWED_NETWORKS": ["127.0.0.0/8"], "ALLOWED_PORTS": [port]}
        with override_settings(WEBHOOKS=setting):
            url = f"http://127.0.0.1:{port}/hook"
            for endpoint in Endpoint.objects.all():
                endpoint.url = url
                endpoint.save()
            yield url


def goal(scale: Scale) -> Found:
    """P9: our sender and bare aiohttp by turns, at a receiver that answers after 50 ms."""
    without_rules()
    prepare()
    count = scale.of(4_000, 1_000)
    acts: dict[str, Callable[[], int]] = {"our sender": partial(ours, count)}
    found: dict[str, list[tuple[float, float]]] = {"our sender": [], "bare aiohttp": []}
    with receiving(0.05) as url:
        acts["bare aiohttp"] = partial(bare, count, url)
        for _ in range(scale.of(5, 3)):
            queue(count)
            for name, act in acts.items():
                found[name].append(measured(act))
    rows = []
    for name, taken in found.items():
        rate, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        rows.append((name, f"{rate:,.0f}", f"{cpu:.2f}"))
    pairs = list(zip(*found.values(), strict=True))
    figures = {
        "rate": statistics.median(mine[0] / other[0] for mine, other in pairs),
        "CPU a delivery": statistics.median(mine[1] / other[1] for mine, other in pairs),
    }
    Endpoint.objects.all().delete()
    without_rules()
    return Found(("", "a second", "ms of CPU"), tuple(rows), figures)


def prepare() -> None:
    setting = {"ALLOW_HTTP": True, "ALLOWED_NETWORKS": ["127.0.0.0/8"], "ALLOWED_PORTS": [80]}
    with override_settings(WEBHOOKS=setting):
        for number in range(ENDPOINTS):
            Endpoint.objects.create(slug=f"e{number}", name="e", url="http://127.0.0.1:80/hook")
    create_rule(Product, operations=["create"], actions=[("webhook", {"endpoint": f"e{n}"}) for n in range(ENDPOINTS)])


if __name__ == "__main__":
    logging.disable(logging.INFO)
    setup_test_environment()
    old = setup_databases(verbosity=0, interactive=False)
    try:
        without_rules()
        prepare()
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
    finally:
        teardown_databases(old, verbosity=0)

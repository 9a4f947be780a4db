"""Real workers that send webhooks and are killed at random: none is lost, and what is repeated was in flight.

The receiver keeps the ledger, so a test counts what arrived and not what was recorded of it. ``SENDER_KILLS`` is the
number of deliveries, 2,000 where nothing is said; ``pytest -s`` shows the figures.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from project.shop.models import Product
from rules_engine.models import Attempt, Execution
from rules_engine.testing import create_rule
from tests import http_server as behave
from tests.faults.workers import Crew, Worker, redis_server
from tests.http_server import MisbehavingServer
from webhooks.models import Endpoint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

DELIVERIES = int(os.environ.get("SENDER_KILLS", "2000"))
IN_FLIGHT = 20 if DELIVERIES <= 2000 else 100
#: How often somebody is killed, about.
KILLS = 15 if DELIVERIES <= 2000 else 60
#: Seconds that an answer takes at most: long enough for much to be in flight at a kill.
SLOWEST = 0.3
#: An execution may be in flight at more kills than a real one would live to see.
OPTIONS = {"MAX_CRASHES": 100, "LEASE_SECONDS": 4.0}


@dataclass
class Kills:
    """Who was killed, and what was in flight then: which execution at how many kills."""

    count: int = 0
    in_flight: Counter[str] = field(default_factory=Counter)
    dead: set[int] = field(default_factory=set)

    def child_of(self, workers: list[Worker], chance: random.Random) -> None:
        """One process of a pool that is sending dies."""
        alive = [pid for pid in senders() - self.dead if any(worker.has_child(pid) for worker in workers)]
        if alive:
            pid = chance.choice(sorted(alive))
            os.kill(pid, signal.SIGKILL)
            self._note({pid})

    def worker(self, worker: Worker) -> None:
        """A whole worker dies."""
        worker.signal_all(signal.SIGSTOP)
        pids = {pid for pid in senders() if worker.has_child(pid)}
        worker.kill()
        self._note(pids)

    def _note(self, pids: set[int]) -> None:
        self.count += 1
        self.dead |= pids
        # What the dead had asked of the database may still be done.
        time.sleep(0.2)
        rows = Execution.objects.filter(state="running").values_list("id", "leased_by")
        self.in_flight.update(str(pk) for pk, name in rows if pid_of(name) in pids)


def pid_of(claim: str) -> int:
    """The process of a claim's name."""
    return int(claim.split(":")[1])


def senders() -> set[int]:
    """The processes that have deliveries in flight."""
    names = Execution.objects.filter(state="running").exclude(leased_by="").values_list("leased_by", flat=True)
    return {pid_of(name) for name in names.distinct()}


def has_got_more(receiver: MisbehavingServer, than: int) -> bool:
    """Whether so many deliveries have come, or no more will."""
    return len(receiver.requests) > than or not Execution.objects.live().exists()


async def sooner_or_later(conversation: behave.Conversation) -> None:
    await asyncio.sleep(random.random() * SLOWEST)
    await behave.answer()(conversation)


@pytest.fixture
def receiver() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        running.on("/crm", sooner_or_later)
        yield running


@pytest.fixture
def crew(
    process_environment: dict[str, str], tmp_path: Path, receiver: MisbehavingServer, settings: Any
) -> Iterator[Crew]:
    """Workers with a Redis of their own, which may send to the receiver; none yet."""
    allowed = {"ALLOW_HTTP": True, "ALLOWED_NETWORKS": ["127.0.0.0/8"], "ALLOWED_PORTS": [receiver.port]}
    settings.WEBHOOKS = {**allowed, "SLOTS": 2 * IN_FLIGHT, "DEADLINE_SECONDS": 10}
    with redis_server(tmp_path) as server:
        crew = Crew(process_environment, tmp_path, server.url, settings.WEBHOOKS)
        try:
            yield crew
        finally:
            crew.end()


def order(receiver: MisbehavingServer, count: int) -> None:
    """Have so many deliveries wait for the receiver."""
    Endpoint.objects.create(slug="crm", name="CRM", url=receiver.url("/crm"))
    create_rule(
        model="shop.product",
        signals=["post_save"],
        actions=[("webhook", {"endpoint": "crm", "payload": '{"id": "{{ instance.id }}"}'})],
    )
    for start in range(0, count, 500):
        with transaction.atomic():
            for n in range(start, min(start + 500, count)):
                Product.objects.create(name=f"p{n}", slug=f"p{n}", price="1")


def test_row_29_random_kills_lose_no_delivery_and_repeat_only_what_was_in_flight(
    crew: Crew, receiver: MisbehavingServer
) -> None:
    order(receiver, DELIVERIES)
    chance, kills = random.Random(41), Kills()
    alive = list(crew.start_two(2, **OPTIONS))
    began, least = time.monotonic(), 0
    while Execution.objects.live().count() > DELIVERIES // 10:
        # A kill needs somebody who sends: a worker takes seconds to start.
        crew.eventually(partial(has_got_more, receiver, least))
        least = len(receiver.requests) + DELIVERIES // KILLS
        time.sleep(chance.random())
        if kills.count % 4 == 3:
            victim = chance.choice(alive)
            kills.worker(victim)
            alive.remove(victim)
            alive.append(crew.start(2, ready=False, **OPTIONS))
        else:
            kills.child_of(alive, chance)
    crew.eventually(lambda: not Execution.objects.live().exists(), seconds=120)
    seconds = time.monotonic() - began

    arrived = Counter(request.header("webhook-id") for request in receiver.requests)
    repeated = {pk: times for pk, times in arrived.items() if times > 1}
    print(  # noqa: T201 - for those who ask for the figures
        f"\n{DELIVERIES} deliveries in {seconds:.0f} s, {kills.count} kills, {kills.in_flight.total()} in flight then: "
        f"{DELIVERIES - len(arrived)} lost, {arrived.total() - len(arrived)} duplicates of {len(repeated)} ids"
    )
    assert set(arrived) == {str(pk) for pk in Execution.objects.values_list("pk", flat=True)}
    assert len(arrived) == DELIVERIES
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    assert kills.in_flight, "nothing was in flight at any kill"
    assert {pk: times for pk, times in repeated.items() if times > 1 + kills.in_flight[pk]} == {}
    assert Attempt.objects.filter(outcome="lost").count() <= kills.in_flight.total()
    assert not Execution.objects.exclude(lease_until=None).exists()


def test_row_41_a_worker_told_to_stop_ends_what_is_in_flight_and_leaves_no_lease(
    crew: Crew, receiver: MisbehavingServer
) -> None:
    order(receiver, 400)
    worker = crew.start(2)
    crew.eventually(lambda: len(receiver.requests) > 2 * IN_FLIGHT)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(60) == 0, worker.log
    states = Counter(Execution.objects.values_list("state", "attempts", "leased_by", "lease_until"))
    assert set(states) <= {("succeeded", 1, "", None), ("pending", 0, "", None)}
    arrived = Counter(request.header("webhook-id") for request in receiver.requests)
    succeeded = Execution.objects.filter(state="succeeded").values_list("pk", flat=True)
    assert arrived == Counter(str(pk) for pk in succeeded), "something is not on record, or was sent twice"


def test_row_41_a_sender_that_is_told_to_stop_itself_records_what_it_has_sent(
    crew: Crew, receiver: MisbehavingServer
) -> None:
    """As by ``KillMode=control-group``, which sends SIGTERM to the processes of the pool as well."""
    order(receiver, 400)
    worker = crew.start(2)
    crew.eventually(lambda: len(receiver.requests) > 2 * IN_FLIGHT)
    worker.signal_all(signal.SIGTERM)
    worker.process.wait(60)
    arrived = Counter(request.header("webhook-id") for request in receiver.requests)
    succeeded = Execution.objects.filter(state="succeeded").values_list("pk", flat=True)
    assert arrived == Counter(str(pk) for pk in succeeded), "something is not on record, or was sent twice"
    assert not Execution.objects.exclude(lease_until=None).exists()

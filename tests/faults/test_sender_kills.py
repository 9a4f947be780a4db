"""Real workers that send webhooks, and are killed, misled and stopped: no delivery is lost.

The receiver keeps the ledger, so a test counts what arrived and not what was recorded of it. ``SENDER_KILLS`` is the
number of deliveries, 2,000 where nothing is said; ``pytest -s`` shows the figures.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import transaction
from standardwebhooks import Webhook as Verifier

from project.shop.models import Product
from rules_engine.models import Attempt, Execution
from rules_engine.testing import create_rule
from rules_engine.testing.faults.processes import Worker
from rules_engine.testing.faults.servers import closed_port
from tests import http_server as behave
from tests import sessions
from tests.factories import make_endpoint
from tests.faults.processes import python, said
from tests.faults.workers import Crew, crew_with_redis
from tests.http_server import MisbehavingServer
from webhooks.models import Endpoint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.row_locks]

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
    with crew_with_redis(process_environment, tmp_path, settings.WEBHOOKS) as crew:
        yield crew


def order(receiver: MisbehavingServer, count: int) -> None:
    """Have so many deliveries wait for the receiver."""
    make_endpoint(url=receiver.url("/crm"))
    create_rule(
        model="shop.product",
        signals=["post_save"],
        actions=[("webhook", {"endpoint": "crm", "payload": '{"id": "{{ instance.id }}"}'})],
    )
    for start in range(0, count, 500):
        with transaction.atomic():
            for n in range(start, min(start + 500, count)):
                Product.objects.create(name=f"p{n}", slug=f"p{n}", price="1")


def test_row_29_random_kills_repeat_only_what_was_in_flight(crew: Crew, receiver: MisbehavingServer) -> None:
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


def kill_sender(crew: Crew) -> None:
    """The worker that has a delivery in flight is switched off; another one is there by then."""
    [pid] = senders()
    crew.owner(pid).kill()


def forget_what_waits_for_a_lock() -> None:
    time.sleep(0.5)  # what was sent right before the kill waits by then
    sessions.end_those_that_wait()


def assert_sent_again_with_the_same_id(crew: Crew, receiver: MisbehavingServer) -> None:
    crew.eventually(lambda: Execution.objects.get().state == "succeeded")
    first, second = receiver.requests
    assert first.header("webhook-id") == second.header("webhook-id") == str(Execution.objects.get().pk)
    assert first.body == second.body
    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True)) == ["lost", "succeeded"]


def test_row_29_killed_before_the_answer_it_is_sent_again_with_its_id(crew: Crew, receiver: MisbehavingServer) -> None:
    receiver.script(behave.hang())
    order(receiver, 1)
    crew.start_two()
    crew.eventually(lambda: receiver.requests)
    kill_sender(crew)
    assert_sent_again_with_the_same_id(crew, receiver)


def test_row_30_killed_before_the_record_it_is_a_duplicate_with_its_id(crew: Crew, receiver: MisbehavingServer) -> None:
    answer_it, answered = threading.Event(), threading.Event()

    async def wait_for_the_lock(conversation: behave.Conversation) -> None:
        while not answer_it.is_set():
            await asyncio.sleep(0.01)
        await behave.answer()(conversation)
        answered.set()

    receiver.script(wait_for_the_lock)
    order(receiver, 1)
    crew.start_two()
    crew.eventually(lambda: receiver.requests)
    with transaction.atomic():
        # The sender cannot record the answer while we hold the row.
        assert Execution.objects.select_for_update().get().state == "running"
        answer_it.set()
        assert answered.wait(30)
        kill_sender(crew)
        # A record that is sent is made, whoever dies then: here it was not sent.
        forget_what_waits_for_a_lock()
    assert_sent_again_with_the_same_id(crew, receiver)


def test_row_31_a_hint_delivered_ten_times_sends_each_delivery_once(crew: Crew, receiver: MisbehavingServer) -> None:
    order(receiver, 50)
    for n in range(5):
        crew.hint(10, task_id=f"the-same-message-{n}", queue="webhooks")
    crew.start(4)
    crew.eventually(lambda: not Execution.objects.live().exists())
    assert_each_arrived_once(receiver, 50)


def test_row_32_what_a_flush_of_the_broker_took_away_is_sent_all_the_same(
    crew: Crew, receiver: MisbehavingServer
) -> None:
    order(receiver, 5)
    crew.hint(3, queue="webhooks")
    with redis.Redis.from_url(crew.broker) as client:
        assert client.llen("webhooks") == 3, "the hints should wait in Redis"
        client.flushall()
    crew.start()
    crew.eventually(lambda: not Execution.objects.live().exists())
    assert_each_arrived_once(receiver, 5)


def test_row_33_what_was_saved_while_the_broker_was_down_is_sent(crew: Crew, receiver: MisbehavingServer) -> None:
    order(receiver, 0)
    code = """
    from project.shop.models import Product
    Product.objects.create(name="p", slug="p", price="1")
    say(saved=True)
    """
    without_broker = {**crew.settings(), "CELERY_BROKER_URL": f"redis://127.0.0.1:{closed_port()}/0"}
    assert said(python(code, without_broker)) == [{"saved": True}]
    crew.start()
    crew.eventually(lambda: not Execution.objects.live().exists())
    assert_each_arrived_once(receiver, 1)


@pytest.mark.parametrize("ahead", [3600.0, -3600.0], ids=["fast", "slow"])
def test_row_35_a_sender_whose_clock_is_wrong_signs_with_the_right_time(
    crew: Crew, receiver: MisbehavingServer, ahead: float
) -> None:
    order(receiver, 1)
    Endpoint.objects.update(schedule=[0.1])
    receiver.script(behave.answer(503))
    crew.start(clock=ahead)
    crew.eventually(lambda: not Execution.objects.live().exists())
    verifier = Verifier(Endpoint.objects.get().secret)
    assert len(receiver.requests) == 2
    for request in receiver.requests:
        # Refuses what is five minutes off.
        verifier.verify(request.body.decode(), {name.lower(): value for name, value in request.headers})


def assert_each_arrived_once(receiver: MisbehavingServer, count: int) -> None:
    arrived = Counter(request.header("webhook-id") for request in receiver.requests)
    assert arrived == Counter(str(pk) for pk in Execution.objects.values_list("pk", flat=True))
    assert len(arrived) == count
    assert set(Execution.objects.values_list("state", "attempts")) == {("succeeded", 1)}


def test_row_41_a_worker_told_to_stop_ends_its_flights_and_leases(crew: Crew, receiver: MisbehavingServer) -> None:
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


def test_row_41_a_sender_told_to_stop_records_what_it_has_sent(crew: Crew, receiver: MisbehavingServer) -> None:
    """As by ``KillMode=control-group``, which sends SIGTERM to the processes of the pool as well."""
    order(receiver, 400)
    worker = crew.start(2)
    crew.eventually(lambda: len(receiver.requests) > 2 * IN_FLIGHT)
    worker.signal_all(signal.SIGTERM)
    # What a lease that ended by itself leaves behind is a row that is still running.
    crew.eventually(lambda: not Execution.objects.exclude(lease_until=None).exists())
    arrived = Counter(request.header("webhook-id") for request in receiver.requests)
    succeeded = Execution.objects.filter(state="succeeded").values_list("pk", flat=True)
    assert arrived == Counter(str(pk) for pk in succeeded), "something is not on record, or was sent twice"
    assert not Attempt.objects.exclude(outcome="succeeded").exists()

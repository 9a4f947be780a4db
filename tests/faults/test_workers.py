"""Real workers that are killed, frozen, misled and told to stop.

Each effect is a line of a ledger, so a test counts what happened, not what was recorded of it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from project.clinic.models import Doctor
from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Attempt, Execution
from rules_engine.outbox import hints
from rules_engine.testing import create_rule
from rules_engine.testing.faults.servers import RedisServer
from rules_engine.work import claims
from tests.faults.processes import python
from tests.faults.workers import Crew, redis_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("probes")]

HOUR = 3600.0
NEVER = 1000.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the tests of this module that do not kill it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis_crew(crew: Crew, server: RedisServer) -> Crew:
    """Workers with a Redis that is empty."""
    with server.client() as client:
        client.flushall()
    crew.broker = server.url
    return crew


@pytest.fixture(params=["celery", "worker"])
def any_crew(request: pytest.FixtureRequest) -> Crew:
    """Workers of each kind that a site may have."""
    crew: Crew = request.getfixturevalue("redis_crew" if request.param == "celery" else "crew")
    crew.runner = request.param
    return crew


def rule(crew: Crew, kind: str = "probe_ledger", condition: Any = None, **config: Any) -> None:
    create_rule(model=Doctor, condition=condition, actions=[(kind, {"folder": str(crew.folder), **config})])


def save(*slugs: str) -> None:
    """Commit so many doctors together."""
    with transaction.atomic():
        for slug in slugs:
            Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@example.com", slug=slug)


def save_many(count: int) -> None:
    save(*(f"d{n}" for n in range(count)))


def all_ended() -> bool:
    return not Execution.objects.live().exists()


def identifiers() -> set[str]:
    return {str(pk) for pk in Execution.objects.values_list("pk", flat=True)}


def outcomes() -> list[str]:
    return list(Attempt.objects.order_by("number", "id").values_list("outcome", flat=True))


def began(crew: Crew, times: int = 1) -> int:
    """Wait until an action stands where the test wants it; gives its process id."""
    crew.eventually(lambda: len(crew.book("began")) >= times)
    return int(crew.book("began")[times - 1]["pid"])


def assert_each_done_once(crew: Crew, count: int) -> None:
    assert len(crew.done()) == len(set(crew.done())) == count
    assert set(crew.done()) == identifiers()
    assert set(Execution.objects.values_list("state", "attempts")) == {("succeeded", 1)}


# Commit and broker


def hints_alone_deliver(crew: Crew, **options: Any) -> None:
    rule(crew)
    crew.start(SWEEP_SECONDS=NEVER, **options)
    # It stays until the work is done, for a process that ends gives its hints no more than a moment.
    saver = python("with transaction.atomic(): doctor('ada')\nsys.stdin.readline()", crew.settings())
    try:
        crew.eventually(lambda: Execution.objects.exists() and all_ended())
    finally:
        saver.kill()
        saver.communicate()
    assert_each_done_once(crew, 1)


def test_a_hint_through_the_filesystem_wakes_a_worker(crew: Crew) -> None:
    hints_alone_deliver(crew, solo=True)


def test_a_hint_through_redis_wakes_a_worker(redis_crew: Crew) -> None:
    hints_alone_deliver(redis_crew)


def test_the_sweep_delivers_what_a_flush_of_redis_took_away(redis_crew: Crew, server: RedisServer) -> None:
    rule(redis_crew)
    save("before")
    redis_crew.hint(3)
    with server.client() as client:
        assert client.llen("rules") == 3, "the hints should wait in Redis"
        client.flushall()
        redis_crew.start()
        redis_crew.eventually(all_ended)
        client.flushall()
    save("after", "later")
    redis_crew.eventually(all_ended)
    assert_each_done_once(redis_crew, 3)


def test_the_sweep_delivers_when_redis_was_killed_and_came_back_empty(crew: Crew, tmp_path: Path) -> None:
    rule(crew)
    with redis_server(tmp_path) as own:
        crew.broker = own.url
        crew.start()
        save("before")
        crew.eventually(all_ended)
        own.kill()
        save("meanwhile", "too")
        own.start()
        crew.eventually(all_ended)
        save("after")
        crew.eventually(all_ended)
    assert_each_done_once(crew, 4)


def test_a_message_delivered_five_times_has_one_effect_per_execution(redis_crew: Crew) -> None:
    rule(redis_crew)
    save_many(30)
    for n in range(10):
        redis_crew.hint(5, task_id=f"the-same-message-{n}")
    redis_crew.start(4, SWEEP_SECONDS=NEVER, BATCH_SIZE=3)
    redis_crew.eventually(all_ended)
    assert_each_done_once(redis_crew, 30)


def test_the_sweep_delivers_when_another_on_commit_callback_raised(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    announced: list[str] = []
    monkeypatch.setattr(hints, "notify", announced.append)
    rule(crew)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        transaction.on_commit(fail)
        save("ada")
    assert announced == [], "the callback should have kept ours from running"
    crew.start(solo=True)
    crew.eventually(all_ended)
    assert_each_done_once(crew, 1)


# Worker


@pytest.mark.parametrize(("kind", "effects"), [("probe_before", 1), ("probe_after", 2)])
def test_an_attempt_of_a_killed_worker_is_made_again_with_its_key(any_crew: Crew, kind: str, effects: int) -> None:
    """Killed before the effect: it happens once. Killed between effect and record: twice at most."""
    rule(any_crew, kind)
    any_crew.start_two()
    save("ada")
    any_crew.owner(began(any_crew)).kill()
    any_crew.open_gate()
    any_crew.eventually(all_ended)
    assert any_crew.done() == [str(Execution.objects.get().pk)] * effects
    assert outcomes() == ["lost", "succeeded"]
    assert set(Execution.objects.values_list("state", "attempts", "crashes")) == {("succeeded", 2, 1)}


def test_the_work_of_a_killed_pool_child_is_done_again(any_crew: Crew) -> None:
    rule(any_crew, "probe_before")
    worker = any_crew.start(2)
    save("ada")
    pid = began(any_crew)
    assert worker.has_child(pid)
    os.kill(pid, signal.SIGKILL)
    any_crew.open_gate()
    any_crew.eventually(all_ended)
    assert worker.process.poll() is None
    assert outcomes() == ["lost", "succeeded"]
    [line] = any_crew.book("ledger")
    assert line["pid"] != pid


def test_what_always_crashes_is_given_up_at_no_cost_to_its_neighbours(any_crew: Crew) -> None:
    poison = {"==": [{"var": "instance.slug"}, "poison"]}
    rule(any_crew, condition={"!": [poison]})
    rule(any_crew, "probe_crash", condition=poison)
    # Enough children for every crash: Celery may take five seconds to notice and replace a dead one.
    any_crew.start(4, LEASE_SECONDS=1.0)
    save("a", "b", "c", "poison", "d", "e", "f")
    any_crew.eventually(all_ended)
    given_up = Execution.objects.get(kind="probe_crash")
    assert (given_up.state, given_up.attempts, given_up.crashes) == ("discarded", 3, 3)
    assert "3 attempts ended with the process" in given_up.error
    assert list(given_up.attempt_set.values_list("outcome", flat=True)) == ["lost"] * 3
    assert len(any_crew.book("crashes")) == 3
    neighbours = Execution.objects.filter(kind="probe_ledger")
    assert set(neighbours.values_list("state", "attempts", "crashes")) == {("succeeded", 1, 0)}
    assert Counter(any_crew.done()) == Counter(str(one.pk) for one in neighbours)
    assert neighbours.count() == 6


def test_a_worker_frozen_past_its_lease_finds_its_late_finish_refused(any_crew: Crew) -> None:
    rule(any_crew, "probe_before")
    any_crew.start_two()
    save("ada")
    frozen = any_crew.owner(began(any_crew))
    frozen.signal_all(signal.SIGSTOP)
    began(any_crew, times=2)
    any_crew.open_gate()
    any_crew.eventually(all_ended)
    in_time = Execution.objects.values().get()
    assert (in_time["state"], in_time["attempts"], in_time["summary"]) == ("succeeded", 2, "attempt 2")
    frozen.signal_all(signal.SIGCONT)
    any_crew.eventually(lambda: "passed to another worker" in frozen.log)
    assert len(any_crew.done()) == 2
    assert Execution.objects.values().get() == in_time
    assert outcomes() == ["lost", "succeeded"]


def test_two_workers_that_sweep_at_once_claim_nothing_twice(any_crew: Crew) -> None:
    # Small batches of quick work: most of the time somebody is claiming.
    rule(any_crew)
    both = any_crew.start_two(2, SWEEP_SECONDS=0.05, BATCH_SIZE=2, LEASE_SECONDS=60.0)
    save_many(300)
    any_crew.eventually(all_ended)
    assert_each_done_once(any_crew, 300)
    refused = [line for worker in both for line in worker.log.splitlines() if "passed to another worker" in line]
    assert refused == [], "two claims held the same execution, and only the fence kept it from being done twice"
    pids = {line["pid"] for line in any_crew.book("ledger")}
    assert all(any(worker.has_child(pid) for pid in pids) for worker in both), "both should have had a part in it"


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["fast", "slow"])
def test_only_the_clock_of_the_database_counts(any_crew: Crew, ahead: float) -> None:
    rule(any_crew, "probe_flaky")
    save("due", "later", "leased")
    due, later, leased = Execution.objects.order_by("id")
    Execution.objects.filter(pk=later.pk).update(next_attempt_at=seconds_from_now(HOUR / 2))
    Execution.objects.filter(pk=leased.pk).update(leased_by="another", lease_until=seconds_from_now(HOUR / 2))
    any_crew.start(clock=ahead)
    any_crew.eventually(lambda: Execution.objects.get(pk=due.pk).state == "succeeded")
    [line] = any_crew.book("ledger")
    assert (line["execution"], line["attempt"]) == (str(due.pk), 2)
    assert abs(line["time"] - time.time() - ahead) < 100, "the worker's clock should have been wrong"
    assert set(Execution.objects.exclude(pk=due.pk).values_list("attempts", flat=True)) == {0}
    assert Execution.objects.get(pk=leased.pk).leased_by == "another"


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["fast", "slow"])
def test_a_lease_ends_by_the_clock_of_the_database(any_crew: Crew, ahead: float) -> None:
    rule(any_crew, "probe_before")
    any_crew.start(clock=ahead)
    save("ada")
    began(any_crew)
    lease, now = Execution.objects.annotate(now=Now()).values_list("lease_until", "now").get()
    assert timedelta() < lease - now <= timedelta(seconds=2)
    any_crew.open_gate()
    any_crew.eventually(all_ended)
    assert_each_done_once(any_crew, 1)


def test_a_worker_told_to_stop_ends_what_it_began_and_gives_back_the_rest(any_crew: Crew) -> None:
    rule(any_crew, seconds=0.3)
    worker = any_crew.start(drain_seconds=1)
    save_many(10)
    began(any_crew)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(60) == 0, worker.log
    states = Counter(Execution.objects.values_list("state", "attempts", "leased_by"))
    assert set(states) == {("succeeded", 1, ""), ("pending", 0, "")}
    assert set(outcomes()) == {"succeeded"}
    assert len(any_crew.done()) == len(set(any_crew.done())) == states["succeeded", 1, ""]
    assert len(claims.claim().executions) == states["pending", 0, ""], "the rest should be due at once"


def test_random_kills_lose_nothing_and_repeat_no_more_than_they_interrupt(any_crew: Crew) -> None:
    """Two workers of two processes, 400 events."""
    chance, processes, interrupted = random.Random(24), 2, 0
    options = {"MAX_CRASHES": 50, "LEASE_SECONDS": 1.5, "BATCH_SIZE": 5}
    rule(any_crew, seconds=0.02)
    alive = list(any_crew.start_two(processes, **options))
    for n in range(20):
        save_many(20)
        time.sleep(0.3)
        victim = chance.choice(alive)
        if n % 4 == 3:
            victim.kill()
            interrupted += processes
            alive.remove(victim)
            alive.append(any_crew.start(processes, ready=False, **options))
        elif children := any_crew.children(victim):
            os.kill(chance.choice(children), signal.SIGKILL)
            interrupted += 1
    any_crew.eventually(all_ended)
    assert set(any_crew.done()) == identifiers()
    assert Execution.objects.count() == 400
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    lost = Attempt.objects.filter(outcome="lost").count()
    assert len(any_crew.done()) - 400 <= lost <= interrupted
    assert not Execution.objects.exclude(attempts=F("crashes") + 1).exists(), "an attempt was charged for nothing"

"""Rules on time with real workers that are killed, stopped for days, misled about the time: a ledger of what was due.

What is due is counted by its executions: an effect that a kill interrupted may come twice, as that of any action.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now

from project.shop.models import Order
from rules_engine.models import Event, Execution, Firing, Rule, Schedule
from rules_engine.testing import create_rule
from tests.faults.workers import Crew, redis_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("probes")]

HOUR = 3600.0
DAYS = timedelta(days=3)


@pytest.fixture
def runner() -> str:
    """Workers of our own."""
    return "worker"


@pytest.fixture(params=["worker", "celery"])
def any_crew(request: pytest.FixtureRequest, crew: Crew) -> Iterator[Crew]:
    """Workers of each kind that a site may have."""
    if request.param == "worker":
        yield crew
        return
    with redis_server(crew.folder) as server:
        crew.runner, crew.broker = "celery", server.url
        yield crew
        crew.end()


def on_orders(crew: Crew) -> Rule:
    """A rule that has been on for a week, of which no worker has looked for three days."""
    schedule = {"kind": "date", "path": "instance.status_changed_at", "count": 1, "unit": "hours", "direction": "after"}
    rule = create_rule(
        Order, signals=(), schedule=schedule, actions=[("probe_ledger", {"folder": str(crew.folder)})]
    )  # fmt: skip
    now = datetime.now(tz=UTC)
    Schedule.objects.update(since=now - 2 * DAYS, looked_until=now - DAYS)
    return rule


def orders(*dues: datetime) -> None:
    """Store an order that is due at each of these times."""
    Order.objects.bulk_create(
        Order(order_number=str(number), status_changed_at=due - timedelta(hours=1)) for number, due in enumerate(dues)
    )


def over_three_days(count: int) -> list[datetime]:
    now, step = datetime.now(tz=UTC), DAYS / count
    return [now - step * number for number in range(count)]


def is_all_done(count: int) -> bool:
    # A look every 15 seconds would be right, and long for a test.
    Schedule.objects.update(next_look_at=Now())
    ended = Execution.objects.filter(state="succeeded").count()
    return ended == Firing.objects.count() == count and not Execution.objects.live().exists()


def assert_each_was_told_once(count: int) -> None:
    assert Event.objects.count() == Execution.objects.count() == Firing.objects.count() == count
    assert Event.objects.values("object_pk").distinct().count() == count
    for event in Event.objects.all():
        assert datetime.fromisoformat(event.context["due"]["at"]) <= event.occurred_at


def test_workers_killed_at_any_time_tell_each_date_once(any_crew: Crew) -> None:
    on_orders(any_crew)
    soon = datetime.now(tz=UTC) + timedelta(seconds=2)
    orders(*over_three_days(700), *(soon + timedelta(milliseconds=20) * number for number in range(50)))
    chance = random.Random(7)
    for _ in range(4):
        worker = any_crew.start(ready=False)
        time.sleep(chance.uniform(0.3, 1.5))
        worker.kill()
        Schedule.objects.update(next_look_at=Now())
    any_crew.start_two()
    any_crew.eventually(lambda: is_all_done(750), seconds=60)
    assert_each_was_told_once(750)


def test_what_was_due_in_days_without_a_worker_is_told_in_order(crew: Crew) -> None:
    on_orders(crew)
    orders(*over_three_days(60))
    crew.start()
    crew.eventually(lambda: is_all_done(60))
    told = [event.context["due"]["at"] for event in Event.objects.order_by("id")]
    assert told == sorted(told)
    assert_each_was_told_once(60)


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["fast", "slow"])
def test_a_worker_whose_clock_is_wrong_is_neither_early_nor_late(crew: Crew, ahead: float) -> None:
    on_orders(crew)
    now = datetime.now(tz=UTC)
    orders(now - timedelta(minutes=1), now + timedelta(minutes=30))
    crew.start(clock=ahead)
    crew.eventually(lambda: is_all_done(1))
    assert Firing.objects.get().due_at == Order.objects.get(order_number="0").status_changed_at + timedelta(hours=1)


def test_an_idle_worker_looks_by_itself(crew: Crew) -> None:
    on_orders(crew)
    crew.start()
    crew.eventually(lambda: Schedule.objects.filter(looked_until__isnull=False, step__gt=0).exists())
    orders(datetime.now(tz=UTC) - timedelta(seconds=1))
    crew.eventually(lambda: Execution.objects.filter(state="succeeded").exists(), seconds=60)
    assert_each_was_told_once(1)

"""Workers that are killed amid what they carry out together: nothing is lost, and no more is repeated than began."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction
from django.db.models import F

from project.clinic.models import Doctor
from rules_engine.models import Attempt, AuditEntry, Execution
from rules_engine.rules import registry
from rules_engine.testing import create_rule
from tests.factories import make_doctor
from tests.faults.probe_app.actions import ManyLedgers
from tests.faults.workers import Crew, redis_server

pytestmark = pytest.mark.django_db(transaction=True)

#: What a process has in flight at most.
BATCH = 5
EVENTS, ROUNDS = 300, 15


@pytest.fixture(autouse=True)
def probe() -> Iterator[None]:
    """The kind that the workers know."""
    registry.register_action(ManyLedgers)
    yield
    del registry._actions[ManyLedgers.kind]


@pytest.fixture
def crew(crew: Crew, tmp_path: Path) -> Iterator[Crew]:
    """Workers with a Redis of their own; none yet."""
    with redis_server(tmp_path) as server:
        crew.broker = server.url
        yield crew
        crew.end()


def kill_at_random(crew: Crew) -> int:
    """Have two workers of two processes do what events lead to, and kill one or a process now and then. Gives how many
    attempts that may have interrupted."""
    chance, processes, interrupted = random.Random(24), 2, 0
    options = {"MAX_CRASHES": 50, "LEASE_SECONDS": 1.5, "BATCH_SIZE": BATCH}
    alive = list(crew.start_two(processes, **options))
    for n in range(ROUNDS):
        with transaction.atomic():
            for _ in range(EVENTS // ROUNDS):
                make_doctor()
        time.sleep(0.3)
        victim = chance.choice(alive)
        if n % 4 == 3:
            victim.kill()
            interrupted += processes * BATCH
            alive.remove(victim)
            alive.append(crew.start(processes, ready=False, **options))
        elif children := crew.children(victim):
            os.kill(chance.choice(children), signal.SIGKILL)
            interrupted += BATCH
    crew.eventually(lambda: not Execution.objects.live().exists())
    assert Counter(Execution.objects.values_list("state", flat=True)) == {"succeeded": EVENTS}
    return interrupted


def identifiers() -> set[str]:
    return set(map(str, Execution.objects.values_list("pk", flat=True)))


def test_kills_repeat_no_more_than_they_interrupt(crew: Crew) -> None:
    create_rule(Doctor, actions=[(ManyLedgers.kind, {"folder": str(crew.folder), "seconds": 0.02})])
    interrupted = kill_at_random(crew)
    assert set(crew.done()) == identifiers()
    lost = Attempt.objects.filter(outcome="lost").count()
    assert len(crew.done()) - EVENTS <= lost <= interrupted
    assert not Execution.objects.exclude(attempts=F("crashes") + 1).exists(), "an attempt was charged for nothing"


def test_kills_leave_each_effect_in_the_database_once(crew: Crew) -> None:
    create_rule(Doctor, actions=[("write_audit_entry", {"note": "{{ instance.slug }}"})])
    kill_at_random(crew)
    assert Counter(map(str, AuditEntry.objects.values_list("id", flat=True))) == Counter(identifiers())
    assert Attempt.objects.filter(outcome="succeeded").count() == EVENTS

"""A run of a rule on what is there, told by processes that are killed in the middle, and by several at once."""

from __future__ import annotations

import random
import signal
import time

import pytest
from django.db import connection

from project.clinic.models import Doctor
from rules_engine.live import cache
from rules_engine.models import Event, Execution, Run
from rules_engine.testing import create_rule, run_due
from rules_engine.work.runs import selecting, telling
from rules_engine.work.runs.starting import cancel, start_run
from tests.faults.processes import python, said
from tests.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "{{ instance.slug }}"})
TELL = """
from rules_engine.live import cache
from rules_engine.work.runs import selecting, telling
selecting.PART = 5
cache.refresh()
"""
#: A worker that dies when it has told a part and not yet written down how far it is; or when it has committed that.
DIES = {
    "before it is recorded": """
        advance = telling._advance
        def dies(run, part):
            advance(run, part)
            if run.step == 2:
                os.kill(os.getpid(), signal.SIGKILL)
        telling._advance = dies
        telling.tell_due()
    """,
    "after it is recorded": """
        from django.db import transaction
        tell = telling._tell
        def dies(pk):
            done = tell(pk)
            if telling.Run.objects.get().step == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return done
        telling._tell = dies
        telling.tell_due()
    """,
}


def stored(count: int) -> set[str]:
    Doctor.objects.bulk_create([Doctor(first_name="A", last_name="B", slug=f"d-{number}") for number in range(count)])
    return {str(pk) for pk in Doctor.objects.values_list("pk", flat=True)}


def told() -> list[str]:
    return list(Event.objects.filter(signal="run").values_list("object_pk", flat=True))


@pytest.mark.parametrize("moment", DIES)
def test_a_worker_that_dies_loses_no_object_and_doubles_none(moment: str, process_environment: dict[str, str]) -> None:
    keys = stored(23)
    start_run(create_rule(Doctor, actions=[LOG]).slug)
    process = python(TELL + DIES[moment].replace("\n        ", "\n"), process_environment)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    run = Run.objects.get()
    assert (run.state, run.looked_at) == ("running", 10 if moment == "before it is recorded" else 15)
    assert sorted(told()) == sorted(set(told()))
    assert len(told()) == run.looked_at
    run_due()
    assert sorted(told()) == sorted(keys)
    run.refresh_from_db()
    assert (run.state, run.matched) == ("done", 23)
    assert Execution.objects.filter(state="succeeded").count() == 23


def test_workers_that_are_killed_at_any_time_tell_each_object_once(process_environment: dict[str, str]) -> None:
    keys = stored(120)
    start_run(create_rule(Doctor, actions=[LOG]).slug)
    chance = random.Random(16)
    for _round in range(3):
        code = TELL + "say(ready=1)\ntelling.tell_due()\nsay(done=1)\n"
        processes = [python(code, process_environment) for _ in range(2)]
        time.sleep(chance.uniform(0.05, 0.4))
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate(timeout=60)
    run_due()
    assert sorted(told()) == sorted(keys)
    run = Run.objects.get()
    assert (run.state, run.looked_at, run.matched) == ("done", 120, 120)


def test_two_processes_at_once_share_a_run_and_double_nothing(process_environment: dict[str, str]) -> None:
    keys = stored(40)
    for _ in range(2):
        start_run(create_rule(Doctor, actions=[LOG]).slug)
    processes = [python(TELL + "say(parts=telling.tell_due())", process_environment) for _ in range(2)]
    parts = [said(process)[0]["parts"] for process in processes]
    run_due()
    assert sum(parts) <= 18
    assert sorted(told()) == sorted([*keys, *keys])
    assert set(Run.objects.values_list("state", "looked_at")) == {("done", 40)}


def test_many_threads_tell_each_part_once(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "sqlite" and connection.is_in_memory_db():  # type: ignore[attr-defined]
        pytest.skip("Each connection would have a database of its own.")
    monkeypatch.setattr(selecting, "PART", 3)
    keys = stored(30)
    start_run(create_rule(Doctor, actions=[LOG]).slug)
    cache.refresh()
    run_together(5, lambda _number: telling.tell_due(seconds=20))
    Run.objects.filter(state="running").update(due_at=Run.objects.get().created_at)
    run_due()
    assert sorted(told()) == sorted(keys)
    assert Run.objects.get().looked_at == 30


def test_a_run_is_cancelled_while_a_process_tells_it(process_environment: dict[str, str]) -> None:
    stored(60)
    run = start_run(create_rule(Doctor, actions=[LOG]).slug)
    # Between parts: SQLite's one lock is else taken again so soon that whoever cancels waits for it to the end.
    slow = "tell = telling._tell\ntelling._tell = lambda pk: (time.sleep(0.1), tell(pk))[1]\n"
    process = python(TELL + slow + "telling.tell_due()\nsay(done=1)", process_environment)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not Run.objects.filter(looked_at__gt=0).exists():
        time.sleep(0.02)
    assert cancel(run.pk)
    said(process)
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert 0 < run.looked_at < 60
    assert len(told()) == run.looked_at

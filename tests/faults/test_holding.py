"""Held matches, and processes that die while they decide."""

from __future__ import annotations

import signal

import pytest

from project.clinic.models import Doctor
from rules_engine.models import Execution, HeldMatch
from rules_engine.outbox.releasing import release_due
from rules_engine.testing import create_rule
from tests.faults.processes import python, said

pytestmark = pytest.mark.django_db(transaction=True)

#: A worker that is killed once it has decided some of the matches, and before it has committed that.
KILLED = """
from rules_engine.outbox import releasing, writing
real, left = writing.release, [3]
def release(*arguments):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
writing.release = release
releasing.release_due()
"""


def make(count: int) -> None:
    for number in range(count):
        Doctor.objects.create(first_name="Ada", slug=f"d{number}")


def states() -> dict[str, int]:
    found = list(HeldMatch.objects.values_list("state", flat=True))
    return {state: found.count(state) for state in set(found)}


def test_a_worker_killed_while_it_decides_has_decided_nothing(process_environment: dict[str, str]) -> None:
    log = ("log_message", {"message": "{{ instance.slug }}"})
    create_rule(Doctor, throttle_count=7, throttle_seconds=600, actions=[log])
    make(10)
    process = python(KILLED, process_environment)
    said(process)
    assert process.returncode == -signal.SIGKILL
    assert states() == {"waiting": 10}
    assert not Execution.objects.exists()
    release_due()
    assert states() == {"released": 7, "dropped": 3}
    assert Execution.objects.count() == 7


def test_workers_of_several_processes_let_exactly_as_many_through(process_environment: dict[str, str]) -> None:
    log = ("log_message", {"message": "{{ instance.slug }}"})
    create_rule(Doctor, throttle_count=5, throttle_seconds=600, actions=[log])
    code = """
        from rules_engine.outbox.releasing import release_due
        sys.stdin.readline()
        for number in range(6):
            doctor(f"{os.getpid()}-{number}")
            release_due()
        say(done=True)
    """
    processes = [python(code, process_environment) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert said(process) == [{"done": True}]
    release_due()
    assert states() == {"released": 5, "dropped": 13}
    assert Execution.objects.count() == 5

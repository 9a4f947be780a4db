"""Rules that wait by the clock, and count, while processes die and several are at it."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest
from django.utils import timezone

from project.clinic.models import Doctor
from rules_engine.models import Armed, Event, Execution, HeldMatch
from rules_engine.outbox.releasing import release_due
from rules_engine.testing import create_rule, run_due
from rules_engine.work.schedules import waiting
from tests.faults.processes import python, said

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "{{ instance.slug }}"})
HERE = {"==": [{"var": "instance.is_on_vacation"}, False]}
#: A worker that is killed when it has written what is due, and before it has committed that.
KILLED = """
from datetime import timedelta
from django.utils import timezone
from rules_engine.work.schedules import waiting
real = waiting.tell
def tell(*arguments, **named):
    real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
waiting.tell = tell
waiting.tell_due(now=timezone.now() + timedelta(days=4))
"""
KILLED_AS_IT_COUNTS = """
from rules_engine.outbox import releasing, writing
real, left = writing.release, [2]
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


def stays() -> None:
    schedule = {"kind": "stays", "count": 3, "unit": "days"}
    create_rule(Doctor, slug="stays", schedule=schedule, condition=HERE, actions=[LOG])
    run_due()


def test_a_worker_killed_while_it_tells_has_told_nothing(process_environment: dict[str, str]) -> None:
    stays()
    make(3)
    process = python(KILLED, process_environment)
    said(process)
    assert process.returncode == -signal.SIGKILL
    assert not Event.objects.exists()
    late = timezone.now() + timedelta(days=4)
    waiting.tell_due(now=late)
    waiting.tell_due(now=late)
    assert Execution.objects.count() == 3
    assert set(Armed.objects.values_list("state", flat=True)) == {"done"}


def test_a_save_whose_process_dies_before_its_commit_begins_nothing(process_environment: dict[str, str]) -> None:
    stays()
    code = """
    with transaction.atomic():
        doctor("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert said(python(code, process_environment)) == []
    assert not Armed.objects.exists()


def test_workers_of_several_processes_tell_each_once(process_environment: dict[str, str]) -> None:
    stays()
    make(40)
    code = """
    from datetime import timedelta
    from django.utils import timezone
    from rules_engine.work.schedules import waiting
    sys.stdin.readline()
    end = time.monotonic() + 60
    while time.monotonic() < end and waiting.is_any_due(timezone.now() + timedelta(days=4)):
        waiting.tell_due(now=timezone.now() + timedelta(days=4))
    say(done=True)
    """
    processes = [python(code, process_environment) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [said(process) for process in processes] == [[{"done": True}]] * 3
    assert Execution.objects.count() == 40
    assert Event.objects.filter(signal="due").values("object_pk").distinct().count() == 40


def test_a_worker_killed_while_it_counts_has_used_up_nothing(process_environment: dict[str, str]) -> None:
    schedule = {"kind": "often", "times": 3, "count": 10, "unit": "minutes"}
    create_rule(Doctor, schedule=schedule, actions=[LOG])
    make(10)
    process = python(KILLED_AS_IT_COUNTS, process_environment)
    said(process)
    assert process.returncode == -signal.SIGKILL
    assert not Execution.objects.exists()
    assert set(HeldMatch.objects.values_list("state", flat=True)) == {"waiting"}
    release_due()
    assert Execution.objects.count() == 3
    assert HeldMatch.objects.filter(state="waiting").count() == 1

"""Whoever notices trouble is killed as it tells it: it is told all the same, and once."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from project.clinic.models import Doctor
from rules_engine.models import Event, Execution, Trouble
from rules_engine.testing import create_rule
from tests.faults.processes import python

pytestmark = pytest.mark.django_db(transaction=True)

LOGGED = ("log_message", {"level": "info", "message": "x"})
MAIL = {"to": ["{{ instance.email }}"], "subject": "Welcome", "body": "Hello"}
OVERDUE, GIVEN_UP = "rules_engine.work_overdue", "rules_engine.execution_given_up"
#: Killed once rules have heard of it, and before that is committed.
KILLED = """
from rules_engine.work.troubles import given_up, noticing
from rules_engine.troubles import telling
told = telling.tell
def tell(*args, **facts):
    told(*args, **facts)
    os.kill(os.getpid(), signal.SIGKILL)
telling.tell = tell
"""
NOTICE = """
from rules_engine.work.troubles import noticing
noticing.notice()
"""
WORK = """
from rules_engine.work import queues
queues.drain("rules", seconds=30)
"""


def ended(process: Any) -> int:
    _out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return int(process.returncode)


def told(name: str) -> int:
    return Event.objects.filter(signal=name).count()


def test_overdue_work_is_told_once_although_who_noticed_it_was_killed(process_environment: dict[str, str]) -> None:
    create_rule(model=Doctor, slug="slow", actions=[LOGGED])
    create_rule(signals=[OVERDUE], actions=[LOGGED])
    Doctor.objects.create(first_name="Ada", last_name="Byron", slug="ada")
    Execution.objects.update(next_attempt_at=Now() - timedelta(hours=1))
    assert ended(python(KILLED + NOTICE, process_environment)) == -signal.SIGKILL
    assert (told(OVERDUE), Trouble.objects.count()) == (0, 0)
    others = [python(NOTICE, process_environment) for _ in range(2)]
    assert [ended(other) for other in others] == [0, 0]
    assert (told(OVERDUE), Trouble.objects.count()) == (1, 1)


def test_what_is_given_up_is_told_once_although_its_worker_was_killed(process_environment: dict[str, str]) -> None:
    create_rule(model=Doctor, slug="broken", actions=[("send_email", MAIL)])
    create_rule(signals=[GIVEN_UP], actions=[LOGGED])
    Doctor.objects.create(first_name="Ada", last_name="Byron", slug="ada", email="no address")
    assert ended(python(KILLED + WORK, process_environment)) == -signal.SIGKILL
    assert (told(GIVEN_UP), Execution.objects.get().state) == (0, "running")
    Execution.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert ended(python(WORK, process_environment)) == 0
    assert (told(GIVEN_UP), Execution.objects.get(rule_slug="broken").state) == (1, "discarded")

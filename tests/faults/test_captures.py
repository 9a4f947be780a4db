"""What triggers captured, told once whatever dies; and written by programs that are no Django."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing

import pytest
from django.db import connection

from project.clinic.models import Doctor
from rules_engine.live.triggers import installing
from rules_engine.models import CapturedChange, Event, Execution
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_doctor
from tests.faults.processes import python, said

pytestmark = pytest.mark.django_db(transaction=True)
LOG = [("log_message", {"message": "{{ instance.first_name }}"})]
ROWS = 5
DIES = """
from rules_engine.capture import receiver
from rules_engine.work.captures import taking
tell, point = receiver.tell, {point!r}
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def telling(*given):
    if point == "before":
        die()
    tell(*given)
    if point == "written":
        die()
receiver.tell = telling
say(told=taking.tell_due())
die()
"""


@pytest.fixture(autouse=True)
def _installed(transactional_db: None) -> Iterator[None]:
    create_rule(model=Doctor, changes=[{"field": "first_name"}], actions=LOG)
    for _ in range(ROWS):
        make_doctor()
    for capture in installing.captures_for(Doctor):
        installing.install(capture, grace=0)
    refresh()
    Execution.objects.all().delete()
    Event.objects.all().delete()
    yield
    installing.remove("clinic.doctor", lambda seconds: None, grace=0)


@pytest.mark.parametrize("point", ["before", "written", "committed"])
def test_a_worker_that_is_killed_loses_none_and_doubles_none(point: str, process_environment: dict[str, str]) -> None:
    Doctor.objects.update(first_name="Grace")
    process = python(DIES.format(point=point), process_environment)
    assert said(process) == ([{"told": ROWS}] if point == "committed" else [])
    assert Event.objects.count() == (ROWS if point == "committed" else 0)
    assert CapturedChange.objects.count() == (0 if point == "committed" else ROWS)
    run_due()
    keys = sorted(str(pk) for pk in Doctor.objects.values_list("pk", flat=True))
    assert sorted(event.object_pk for event in Event.objects.all()) == keys
    assert Execution.objects.filter(state="succeeded").count() == ROWS


def test_what_a_killed_process_had_not_committed_is_told_by_nobody(process_environment: dict[str, str]) -> None:
    code = """
    from django.db.models import Value
    with transaction.atomic():
        Doctor.objects.update(first_name="Grace")
        say(written=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert said(python(code, process_environment)) == [{"written": True}]
    run_due()
    assert not Event.objects.exists()


def test_another_process_of_django_says_who_acts(process_environment: dict[str, str]) -> None:
    code = """
    import rules_engine
    from django.contrib.auth import get_user_model
    with rules_engine.acting_as(get_user_model().objects.create_user("ada")):
        say(rows=Doctor.objects.update(first_name="Grace"))
    """
    assert said(python(code, process_environment)) == [{"rows": ROWS}]
    run_due()
    assert [event.actor_name for event in Event.objects.all()] == ["ada"] * ROWS


def other_program(statement: str) -> str:
    """Execute it by a client of the database; returns the name of its user."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(settings["NAME"], timeout=20)) as client:
            client.execute(statement)
            client.commit()
        return ""
    host, name, user = settings["HOST"] or "127.0.0.1", settings["NAME"], settings["USER"]
    if connection.vendor == "postgresql":
        command = ["psql", "-h", host, "-U", user, "-d", name, "-qc", statement]
    else:
        command = ["mariadb", "-h", host, "-u", user, name, "-e", statement]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not here.")
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    return str(user)


def test_another_program_is_seen_and_told_by_its_user() -> None:
    user = other_program("UPDATE clinic_doctor SET first_name = 'Grace'")
    run_due()
    assert [event.actor_name for event in Event.objects.all()] == [user] * ROWS
    assert Execution.objects.filter(summary__contains="Grace", state="succeeded").count() == ROWS

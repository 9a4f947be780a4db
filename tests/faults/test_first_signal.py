"""Whatever a process begins with is told to the rules: its first save, delete and signal, in threads, forks, tasks."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import m2m_changed, pre_delete, pre_save

from project.clinic.models import Department, Doctor
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule
from tests.factories import make_doctor
from tests.faults.processes import python, said

pytestmark = pytest.mark.django_db(transaction=True)

NO = ("reject", {"message": "No doctor called {{ instance.last_name }}."})
LOG = ("log_message", {"message": "x"})
#: Says what became of a save without a database statement before it.
SAVE = """
from rules_engine.errors import Rejected
def save(name="Byron", **fields):
    try:
        Doctor(first_name="Ada", last_name=name, email="ada@example.com", slug=name.lower(), **fields).save()
    except Rejected:
        return "rejected"
    return "stored"
"""


def run(code: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    return said(python(SAVE + textwrap.dedent(code), environment, connects=False))


def test_the_first_save_of_a_process_is_vetoed(process_environment: dict[str, str]) -> None:
    create_rule(Doctor, signals=["pre_save"], actions=[NO])
    [told] = run("say(first=save(), second=save())", process_environment)
    assert told == {"first": "rejected", "second": "rejected"}
    assert not Doctor.objects.exists()


@pytest.mark.parametrize("signal", ["pre_save", "post_save"])
def test_the_first_save_of_a_process_is_told_once(process_environment: dict[str, str], signal: str) -> None:
    create_rule(Doctor, signals=[signal], operations=["create"], actions=[LOG])
    run("say(first=save())", process_environment)
    [event] = Event.objects.all()
    assert (event.signal, event.operation) == (signal, "create")


@pytest.mark.parametrize("begins", ["Doctor.objects.count()", "from rules_engine.live import cache; cache.refresh()"])
@pytest.mark.parametrize("signal", ["pre_save", "post_save"])
def test_the_first_save_after_a_query_is_told_once(
    process_environment: dict[str, str], signal: str, begins: str
) -> None:
    create_rule(Doctor, signals=[signal], operations=["create"], actions=[LOG])
    run(f"{begins}; say(first=save(), second=save('Two'))", process_environment)
    assert Event.objects.count() == 2


def test_the_first_delete_of_a_process_is_vetoed(process_environment: dict[str, str]) -> None:
    doctor = make_doctor()
    create_rule(Doctor, signals=["pre_delete"], actions=[NO])
    code = f"""
    try:
        Doctor(pk={doctor.pk}, last_name="Byron").delete()
        say(deleted=True)
    except Rejected:
        say(deleted=False)
    """
    assert run(code, process_environment) == [{"deleted": False}]
    assert Doctor.objects.exists()


def test_a_signal_of_the_sites_own_is_heard_as_the_first(process_environment: dict[str, str]) -> None:
    create_rule(model="", signals=["clinic.appointment_cancelled"], actions=[LOG])
    code = """
    from rules_engine.context.signals import registered
    import asyncio
    signal = registered()["clinic.appointment_cancelled"].signal
    async def inside():
        signal.send(sender=None)
    %s
    say(sent=True)
    """
    for sending in ("signal.send(sender=None)", "asyncio.run(inside())", "asyncio.run(signal.asend(sender=None))"):
        run(code % sending, process_environment)
    assert Event.objects.count() == 3


@pytest.mark.parametrize("sending", ["send", "send_robust"])
def test_a_signal_of_the_sites_own_is_told_once_after_a_query(
    process_environment: dict[str, str], sending: str
) -> None:
    create_rule(model="", signals=["clinic.appointment_cancelled"], actions=[LOG])
    code = f"""
    from rules_engine.context.signals import registered
    Doctor.objects.count()
    signal = registered()["clinic.appointment_cancelled"].signal
    signal.{sending}(sender=None)
    signal.{sending}(sender=None)
    say(sent=True)
    """
    run(code, process_environment)
    assert Event.objects.count() == 2


def test_a_delete_and_a_relation_are_told_once_after_a_query(process_environment: dict[str, str]) -> None:
    doctor = make_doctor()
    create_rule(Doctor, signals=["pre_delete"], actions=[LOG])
    create_rule(Doctor, signals=["m2m_changed"], actions=[LOG])
    code = """
    from project.clinic.models import Department
    doctor = Doctor.objects.get()
    doctor.departments.add(Department.objects.get())
    """
    Department.objects.create(name="x")
    run(code + "say(done=True)", process_environment)
    assert Event.objects.filter(signal="m2m_changed").count() == 1
    run("Doctor.objects.get().delete(); say(done=True)", process_environment)
    assert Event.objects.filter(signal="pre_delete", object_pk=str(doctor.pk)).count() == 1


def test_threads_that_start_together_are_each_told_once(process_environment: dict[str, str]) -> None:
    create_rule(Doctor, signals=["pre_save"], actions=[LOG])
    create_rule(Doctor, signals=["pre_save"], condition={"==": [{"var": "instance.last_name"}, "No"]}, actions=[NO])
    code = """
    import threading
    barrier = threading.Barrier(8)
    said = []
    def work(number):
        barrier.wait()
        said.append(save("No" if number % 2 else f"Yes{number}"))
        connection.close()
    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    say(said=sorted(said))
    """
    assert run(code, process_environment) == [{"said": ["rejected"] * 4 + ["stored"] * 4}]
    assert Doctor.objects.count() == 4
    assert Execution.objects.filter(kind="log_message").count() == 4
    assert Event.objects.count() == 8


@pytest.mark.parametrize("has_begun", [False, True])
def test_the_first_save_of_a_forked_child_is_vetoed(process_environment: dict[str, str], has_begun: bool) -> None:
    create_rule(Doctor, signals=["pre_save"], actions=[NO])
    code = f"""
    if {has_begun}:
        save()
        connection.close()
    child = os.fork()
    if child == 0:
        said = save()
        say(child=said)
        os._exit(0)
    os.waitpid(child, 0)
    """
    assert run(code, process_environment) == [{"child": "rejected"}]
    assert not Doctor.objects.exists()


def test_the_first_save_of_a_task_and_of_an_async_view_is_vetoed(process_environment: dict[str, str]) -> None:
    create_rule(Doctor, signals=["pre_save"], actions=[NO])
    in_view = """
    import asyncio
    async def view():
        await Doctor(first_name="Ada", last_name="Byron", email="a@example.com", slug="a").asave()
    try:
        asyncio.run(view())
    except Rejected:
        say(said="rejected")
    """
    in_task = """
    from celery import shared_task
    task = shared_task(save)
    say(said=task.apply().get())
    """
    for code in (in_view, in_task):
        assert run(code, process_environment) == [{"said": "rejected"}]


def test_a_database_that_is_away_is_the_errors_cause_and_not_hidden(process_environment: dict[str, str]) -> None:
    if connection.vendor == "sqlite":
        away = "sqlite:////nowhere/at/all.sqlite3"
    else:
        away = "postgres://postgres@127.0.0.1:1/none"
    code = """
    from django.db import OperationalError
    try:
        save()
    except OperationalError:
        say(said="no database")
    """
    assert run(code, {**process_environment, "DATABASE_URL": away}) == [{"said": "no database"}]


def test_a_process_whose_first_look_met_an_outage_looks_again(process_environment: dict[str, str]) -> None:
    create_rule(Doctor, signals=["pre_save"], actions=[NO])
    code = """
    from django.db import OperationalError
    from rules_engine.live import cache
    read, outages = cache.refresh, [1]
    def refresh(**named):
        if outages:
            outages.pop()
            raise OperationalError("server closed the connection unexpectedly")
        return read(**named)
    cache.refresh = refresh
    Doctor.objects.count()
    say(first=save(), second=save())
    """
    assert run(code, process_environment) == [{"first": "rejected", "second": "rejected"}]


def test_nothing_waits_for_a_first_signal_once_the_rules_are_loaded(process_environment: dict[str, str]) -> None:
    create_rule(Doctor, signals=["post_save"], actions=[LOG])
    code = """
    from django.db.models.signals import m2m_changed, pre_delete, pre_save
    from project.clinic.models import Patient
    save()
    say(heard=[signal.has_listeners(Patient) for signal in (pre_save, pre_delete, m2m_changed)])
    """
    assert run(code, process_environment) == [{"heard": [False] * 3}]


def test_in_tests_nothing_is_waited_for() -> None:
    create_rule(Doctor, actions=[LOG])
    for signal in (pre_save, pre_delete, m2m_changed):
        assert not any("rules_engine.first" in str(receiver[0]) for receiver in signal.receivers)

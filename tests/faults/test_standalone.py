"""``manage.py rules_worker``: told by the database, ended in order, outlived by nothing, and it outlives the database's
connections."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from project.clinic.models import Doctor
from rules_engine.databases import database_of
from rules_engine.models import Execution, Heartbeat
from rules_engine.testing import create_rule
from rules_engine.testing.faults.processes import Worker
from rules_engine.testing.faults.waiting import SECONDS, eventually
from tests.faults.processes import python
from tests.faults.workers import Crew

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("probes")]

NEVER = 1000.0


@pytest.fixture
def runner() -> str:
    """Workers of our own."""
    return "worker"


def rule(crew: Crew, kind: str = "probe_ledger", **config: Any) -> None:
    create_rule(model=Doctor, actions=[(kind, {"folder": str(crew.folder), **config})])


def save(slug: str) -> None:
    Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@example.com", slug=slug)


def all_ended() -> bool:
    return not Execution.objects.live().exists()


def is_gone(pid: int) -> bool:
    """A process that has ended may wait for somebody to ask how."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def began(crew: Crew) -> int:
    crew.eventually(lambda: crew.book("began"))
    return int(crew.book("began")[0]["pid"])


def listening(worker: Worker) -> None:
    """The worker has looked once and waits."""
    worker.wait_until_ready()
    eventually(Heartbeat.objects.filter(kind=Heartbeat.Kind.SWEEP).exists, lambda: worker.log)


def tell_to_stop(worker: Worker) -> None:
    """Tell the worker, and wait until it has heard: from then on the next signal is the system's. One that comes before
    is none."""
    assert hears(worker.process.pid, signal.SIGTERM), worker.log
    worker.process.send_signal(signal.SIGTERM)
    eventually(lambda: not hears(worker.process.pid, signal.SIGTERM), lambda: worker.log)


def hears(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for that signal."""
    told = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in told.splitlines() if line.startswith("SigCgt:")).split()[1]
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_commit_of_another_process_is_announced_to_it(crew: Crew) -> None:
    rule(crew)
    listening(crew.start(SWEEP_SECONDS=NEVER))
    saver = python("with transaction.atomic(): doctor('ada')\nsys.stdin.readline()", crew.settings())
    try:
        crew.eventually(lambda: Execution.objects.exists() and all_ended())
    finally:
        saver.kill()
        saver.communicate()
    assert len(crew.done()) == 1


@pytest.mark.postgres("it alone announces anything")
def test_one_that_hears_nothing_says_so_once_and_finds_the_work(crew: Crew) -> None:
    # What is announced belongs to one database: a listener in another hears as little as one behind a pooler.
    rule(crew)
    worker = crew.start(SWEEP_SECONDS=NEVER, LISTEN={"NAME": "postgres"})
    listening(worker)
    crew.eventually(Heartbeat.objects.filter(kind=Heartbeat.Kind.UNTOLD).exists)
    save("ada")
    crew.eventually(all_ended)
    assert len(crew.done()) == 1
    assert worker.log.count("hears nothing of what PostgreSQL announces") == 1


@pytest.mark.postgres("it alone announces anything")
def test_a_listener_hears_its_own_words_and_tells_none_of_them() -> None:
    database, heard = database_of("default"), list[str]()
    silence, _held = os.pipe()
    listener = database.listen("default")
    try:
        assert not listener.hears
        database.announce("rules", "default")
        eventually(lambda: heard.extend(listener.wait(0.1, silence)) or heard)
    finally:
        listener.close()
        os.close(silence)
        os.close(_held)
    assert (listener.hears, heard) == (True, ["rules"])


def end_other_connections() -> None:
    """As a server that is started anew does; nobody is connected to a file."""
    statement = {
        "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s "
        "AND pid <> pg_backend_pid()",
    }.get(connection.vendor)
    if statement is not None:
        with connection.cursor() as cursor:
            cursor.execute(statement, [connection.settings_dict["NAME"]])


def test_what_was_committed_before_it_began_is_found(crew: Crew) -> None:
    rule(crew)
    save("ada")
    crew.start(SWEEP_SECONDS=NEVER)
    crew.eventually(all_ended)
    assert len(crew.done()) == 1


def test_a_lost_connection_is_opened_anew_and_said_once(crew: Crew) -> None:
    rule(crew)
    worker = crew.start()
    listening(worker)
    end_other_connections()
    save("ada")
    crew.eventually(all_ended)
    assert len(crew.done()) == 1
    assert worker.log.count("The database does not answer") <= 1
    assert "Traceback" not in worker.log


def test_children_do_not_outlive_a_parent_that_was_killed(crew: Crew) -> None:
    rule(crew, "probe_before")
    worker = crew.start(2)
    save("ada")
    child = began(crew)
    assert child != worker.process.pid
    worker.process.kill()
    crew.open_gate()
    crew.eventually(lambda: is_gone(child))
    assert len(crew.done()) == 1, "what it had begun was ended"


def test_told_twice_it_ends_at_once_and_another_does_its_work(crew: Crew) -> None:
    rule(crew, "probe_before")
    worker = crew.start()
    save("ada")
    began(crew)
    tell_to_stop(worker)
    assert worker.process.poll() is None, "it ends what it has begun"
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(SECONDS) == -signal.SIGTERM
    crew.open_gate()
    crew.start()
    crew.eventually(all_ended)
    assert len(crew.done()) == 1


def test_the_rest_of_what_it_has_claimed_is_given_back_when_it_stops(crew: Crew) -> None:
    rule(crew, "probe_before")
    worker = crew.start()
    for slug in "abc":
        save(slug)
    began(crew)
    tell_to_stop(worker)
    crew.open_gate()
    assert worker.process.wait(SECONDS) == 0, worker.log
    assert "Stopped." in worker.log
    left = Execution.objects.live()
    assert left.count() == 3 - len(crew.done()) >= 1
    assert set(left.values_list("leased_by", "attempts")) == {("", 0)}


def test_a_terminal_that_is_closed_ends_all_its_processes_in_order(crew: Crew) -> None:
    rule(crew, "probe_before")
    worker = crew.start(2)
    save("ada")
    child = began(crew)
    os.killpg(worker.process.pid, signal.SIGHUP)
    eventually(lambda: not hears(worker.process.pid, signal.SIGHUP), lambda: worker.log)
    assert not is_gone(child), "it ends what it has begun"
    crew.open_gate()
    assert worker.process.wait(SECONDS) == 0, worker.log
    assert len(crew.done()) == 1
    assert all_ended()

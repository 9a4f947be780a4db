"""A database or a broker that is gone for a while: what people are told, once each, and that nothing is lost."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, OperationalError, ProgrammingError, connection
from django.db.models.signals import pre_migrate
from kombu.exceptions import OperationalError as BrokerError

from project.clinic.models import Doctor
from rules_engine import conf
from rules_engine.live import cache, faults, migrated, watcher
from rules_engine.models import Execution, RuleError
from rules_engine.outbox import hints
from rules_engine.testing import create_rule
from rules_engine.work import claims, tasks
from tests.factories import make_doctor

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.first_name }}"})]


@contextmanager
def without(table: str) -> Iterator[None]:
    """The table goes by another name: what asks for it fails."""
    rename = "ALTER TABLE {} RENAME TO {}"
    names = [connection.ops.quote_name(name) for name in (table, f"{table}_away")]
    with connection.cursor() as cursor:
        cursor.execute(rename.format(*names))
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(rename.format(*reversed(names)))


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> faults.Faults:
    """The faults of this test."""
    own = faults.Faults()
    monkeypatch.setattr(faults, "of_process", own)
    return own


def test_a_full_disk_is_one_traceback_and_one_record(own: faults.Faults, caplog: pytest.LogCaptureFixture) -> None:
    create_rule(model=Doctor, actions=LOG)
    with without("rules_engine_event"):
        for number in range(5):
            make_doctor(slug=f"d{number}")
    assert Doctor.objects.count() == 5
    assert (own.total, own.unreported) == (5, 5)
    told = [record.getMessage() for record in caplog.records if record.exc_info]
    assert len(told) == len(set(told)) <= 2, "each once: that it could not be written as a whole, and not at all"
    watcher._report()
    [said] = RuleError.objects.values_list("message", flat=True)
    assert "5 changes were made that rules could not be told of" in said
    assert f"in process {os.getpid()} on" in said
    assert "rules_engine_event" in said
    watcher._report()
    assert RuleError.objects.count() == 1


def test_what_cannot_be_put_on_record_yet_is_later(own: faults.Faults) -> None:
    own.note(OSError("full"), "No.")
    with without("rules_engine_ruleerror"):
        watcher._report()
    assert own.unreported == 1
    watcher._report()
    assert own.unreported == 0
    assert "1 change was made" in RuleError.objects.get().message


def test_an_error_of_another_type_has_its_own_traceback(own: faults.Faults, caplog: pytest.LogCaptureFixture) -> None:
    own.note(OSError("full"), "No.")
    own.note(OSError("full"), "No.")
    own.note(ValueError("odd"), "Nor this.")
    assert [record.getMessage() for record in caplog.records] == ["No.", "Nor this."]


def test_a_minute_later_it_is_said_how_many_came_since(own: faults.Faults, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        own.note(OSError("full"), "No.")
    at, more = own._told["OSError",]
    own._told["OSError",] = (at - faults.QUIET_SECONDS, more)
    own.note(OSError("full"), "No.")
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "No.",
        "2 more errors like the next one came within a minute of the last that was told.",
        "No.",
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ProgrammingError('relation "rules_engine_rule" does not exist'), "If migrations are under way"),
        (OperationalError("no such table: rules_engine_rule"), "If migrations are under way"),
        (OperationalError("server closed the connection unexpectedly"), "The database does not answer: server closed"),
    ],
)
def test_an_outage_is_not_taken_for_a_migration(
    error: DatabaseError, words: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(cache, "refresh", fail)
    watcher.look()
    [record] = caplog.records
    assert words in record.getMessage()
    assert record.exc_info is None


def test_a_process_that_migrates_is_not_told_of_missing_tables(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OperationalError("no such table: rules_engine_rule")
    monkeypatch.setattr(cache, "refresh", lambda **_: (_ for _ in ()).throw(error))
    caplog.set_level(logging.INFO, "rules_engine")
    app = apps.get_app_config("rules_engine")
    sent: dict[str, Any] = {"verbosity": 0, "interactive": False, "using": "default", "apps": None, "plan": []}
    pre_migrate.send(app, app_config=app, **sent)
    watcher.look()
    assert caplog.records == []
    monkeypatch.setattr(migrated, "LONGEST_SECONDS", 0.0)
    watcher.look()
    assert len(caplog.records) == 1, "a migration that was broken off never says that it ended"
    monkeypatch.undo()
    migrated.ends()
    assert not migrated.is_under_way()


def test_a_drain_that_finds_no_database_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    create_rule(model=Doctor, actions=LOG)
    make_doctor()
    with without("rules_engine_execution"):
        assert tasks.drain("rules") == 0
    said = [record for record in caplog.records if "does not answer" in record.getMessage()]
    assert len(said) == 1
    assert said[0].exc_info is None
    assert tasks.drain("rules") == 1


def test_leases_that_cannot_be_renewed_are_one_line_an_outage(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Semaphore(0)

    def fail(*_: str) -> int:
        tried.release()
        raise OperationalError("terminating connection due to administrator command")

    monkeypatch.setattr(claims, "renew", fail)
    monkeypatch.setattr(conf, "lease_seconds", lambda: 0.03)
    with claims.LeaseKeeper("somebody"):
        assert all(tried.acquire(timeout=60) for _ in range(3)), "it goes on to try"
    said = [record for record in caplog.records if "could not be renewed" in record.getMessage()]
    assert len(said) == 1
    assert "administrator command" in said[0].getMessage()
    assert said[0].exc_info is None


def test_a_renewal_that_failed_is_tried_again_long_before_the_lease_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away for less than what is left of a lease costs no work that is in flight."""
    waits: list[float] = []
    keeper = claims.LeaseKeeper("somebody")

    class Turns:
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return len(waits) > 4

    answers = iter([OperationalError("away"), OperationalError("away"), 1, 1])

    def renew(*_: str) -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(claims, "renew", renew)
    monkeypatch.setattr(conf, "lease_seconds", lambda: 60.0)
    keeper.done = Turns()  # type: ignore[assignment]
    keeper._renew_until_done()
    assert waits == [20, 1, 1, 20, 20]


def test_where_the_broker_takes_nothing_the_sweep_works_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    create_rule(model=Doctor, actions=LOG)
    make_doctor()

    def refuse(queue: str) -> None:
        raise BrokerError("Connection refused")

    monkeypatch.setattr(hints, "send", refuse)
    with caplog.at_level(logging.WARNING):
        tasks._wake_or_work(tasks.look_for_work())
    assert list(Execution.objects.values_list("state", flat=True)) == ["succeeded"]
    assert "this process carries out what is due" in caplog.text


class Unheard(Exception):
    """An error that is neither the database's nor one of the broker's that we know, as redis has its own."""


def test_an_error_of_a_backend_that_nobody_knows_is_worked_past_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    create_rule(model=Doctor, actions=LOG)
    make_doctor()

    def refuse(queue: str) -> None:
        raise Unheard("Error 111 connecting to redis")

    monkeypatch.setattr(hints, "send", refuse)
    with caplog.at_level(logging.WARNING):
        tasks._wake_or_work(tasks.look_for_work())
    assert list(Execution.objects.values_list("state", flat=True)) == ["succeeded"]
    assert "Error 111 connecting to redis" in caplog.text


@pytest.mark.parametrize("error", [Unheard("odd"), OperationalError("gone")])
def test_the_sweep_goes_on_after_any_error_and_says_it_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns = iter([error, error, None, error])
    waits = iter([False] * 4)
    looked = []

    def look() -> list[str]:
        looked.append(turn := next(turns))
        if turn is not None:
            raise turn
        return []

    monkeypatch.setattr(tasks, "look_for_work", look)
    monkeypatch.setattr(tasks, "_stop", SimpleNamespace(wait=lambda seconds: next(waits, True)))
    thread = threading.Thread(target=tasks._sweep_while_running)
    thread.start()
    thread.join(60)
    assert looked == [error, error, None, error]
    said = [record for record in caplog.records if "it tries again" in record.getMessage()]
    assert len(said) == 2, "Once an outage."
    assert [record.exc_info is None for record in said] == [isinstance(error, DatabaseError)] * 2

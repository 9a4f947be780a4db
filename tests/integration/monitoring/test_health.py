"""Whether all is well: the view for load balancers and the command, beside services that are gone, or hang."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client, override_settings
from django.utils import timezone

from project.clinic.models import Doctor
from rules_engine.models import Execution, Heartbeat
from rules_engine.monitoring import health
from rules_engine.testing import create_rule
from rules_engine.work.workers import heartbeats
from tests.factories import make_doctor
from tests.integration.monitoring.scrapes import BEARER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_on")]

ADDRESS = "/monitoring/health"
LOG = ("log_message", {"message": "x"})


@pytest.fixture(autouse=True)
def _at_work() -> None:
    health.reset()
    heartbeats.reset()
    heartbeats.beat(Heartbeat.Kind.SWEEP)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def asked(**headers: str) -> tuple[int, dict[str, str]]:
    response = Client().get(ADDRESS, headers=headers)
    return response.status_code, {name: check["state"] for name, check in response.json()["checks"].items()}


def commanded(capsys: pytest.CaptureFixture[str], *checks: str) -> tuple[int, dict[str, Any]]:
    code = 0
    try:
        call_command("rules_health", "--json", *(f"--check={name}" for name in checks))
    except SystemExit as end:
        code = int(str(end.code))
    return code, json.loads(capsys.readouterr().out)


def with_broker(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    address = f"amqp://guest:hunter2@127.0.0.1:{port}//"
    from celery import Celery

    monkeypatch.setattr(health, "current_app", Celery(broker=address, set_as_current=False))


def test_where_all_is_well_it_says_so_to_anybody(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked() == (200, dict.fromkeys(health.NAMES, "healthy"))
    code, told = commanded(capsys)
    assert (code, told["state"]) == (0, "healthy")


def test_where_no_worker_was_seen_all_is_not_well(capsys: pytest.CaptureFixture[str]) -> None:
    Heartbeat.objects.all().delete()
    code, states = asked()
    assert (code, states["workers"], states["database"]) == (503, "unhealthy", "healthy")
    assert commanded(capsys)[0] == 1
    assert commanded(capsys, "database")[0] == 0


def test_workers_that_are_not_told_of_new_work_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "not told" not in commanded(capsys, "workers")[1]["checks"]["workers"]["says"]
    heartbeats.beat(Heartbeat.Kind.UNTOLD)
    code, told = commanded(capsys, "workers")
    assert code == 0
    assert "workers that are not told of new work, and look for it: 1." in told["checks"]["workers"]["says"]


def test_what_has_been_due_too_long_is_not_well(settings: Any) -> None:
    create_rule(Doctor, actions=[LOG])
    make_doctor()
    Execution.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=2))
    assert asked()[1]["oldest_due"] == "healthy"
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "HEALTH": {"oldest_due": 60}}
    assert asked()[1]["oldest_due"] == "unhealthy"


@pytest.mark.parametrize("server", ["closed_port", "silent_port"])
def test_a_broker_that_refuses_or_hangs_is_told_in_time(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "HINTS": True, "RUNNER": "celery", "HEALTH": {"seconds": 1.5}}
    with_broker(monkeypatch, request.getfixturevalue(server))
    response = Client().get(ADDRESS)
    states = {name: check["state"] for name, check in response.json()["checks"].items()}
    assert (response.status_code, states["broker"], states["database"]) == (503, "unhealthy", "healthy")
    assert b"hunter2" not in response.content


def threads_of_checks() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "rules-engine-health"}


def test_however_often_it_is_asked_what_hangs_takes_one_thread(
    monkeypatch: pytest.MonkeyPatch, settings: Any, silent_port: int
) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "HINTS": True, "RUNNER": "celery", "HEALTH": {"seconds": 0.2}}
    with_broker(monkeypatch, silent_port)
    before = threads_of_checks()
    for _ in range(4):
        assert [check.state for check in health.checks(["broker"])] == ["unhealthy"]
    assert len(threads_of_checks() - before) == 1
    monkeypatch.setattr(health, "AGAIN_SECONDS", 0.0)
    health.checks(["broker"])
    assert len(threads_of_checks() - before) == 2, "One that hangs for long may hang for ever: another is begun."


def test_who_asks_while_others_do_has_the_same_answer(settings: Any) -> None:
    made: list[int] = []
    begun, may_end = threading.Event(), threading.Event()

    def check() -> Any:
        made.append(1)
        begun.set()
        assert may_end.wait(30)
        return "healthy", "x"

    asked = health._Asked(check)
    futures = [asked.begin()]
    assert begun.wait(30)
    futures += [asked.begin() for _ in range(20)]
    may_end.set()
    assert {future.result(30) for future in futures} == {("healthy", "x")}
    assert asked.begin().result(30) == ("healthy", "x")
    assert len(made) == 2


def test_without_its_database_it_tells_what_it_cannot_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], closed_port: int
) -> None:
    # A connection of each check's own: it is made anew, in a thread, and there is nothing to connect to.
    gone = {**connections["default"].settings_dict, "HOST": "127.0.0.1", "PORT": str(closed_port)}
    if connections["default"].vendor == "sqlite":
        gone["NAME"] = "/nowhere/at/all.sqlite3"
    monkeypatch.setitem(connections.settings, "default", gone)
    assert asked()[0] == 503
    code, told = commanded(capsys)
    states = {name: check["state"] for name, check in told["checks"].items()}
    assert (code, states["database"], states["workers"]) == (1, "unhealthy", "unknown")
    assert commanded(capsys, "workers")[0] == 2


def test_where_it_is_not_public_the_token_or_staff_may_ask(admin_client: Client) -> None:
    with override_settings(RULES_ENGINE={"METRICS": {"token": "a-token-of-the-tests"}, "HEALTH": {"public": False}}):
        assert Client().get(ADDRESS).status_code == 401
        assert admin_client.get(ADDRESS).status_code in (200, 503)
        assert Client().get(ADDRESS, headers=BEARER).status_code in (200, 503)


def test_a_setting_that_cannot_be_used_could_not_be_found_out() -> None:
    with override_settings(RULES_ENGINE={"HEALTH": {"seconds": "soon"}}), pytest.raises(SystemExit) as end:
        call_command("rules_health")
    assert end.value.code == 2

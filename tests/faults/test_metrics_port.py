"""``manage.py rules_worker --metrics-port``: what Prometheus is told, whichever process of a worker is killed."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from project.clinic.models import Doctor
from rules_engine.testing import create_rule
from rules_engine.testing.faults.processes import Worker
from rules_engine.testing.faults.servers import closed_port
from rules_engine.testing.faults.waiting import SECONDS
from tests.faults.workers import Crew
from tests.integration.monitoring.scrapes import BEARER, TOKEN, samples

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("probes")]

METRICS = {"token": TOKEN}
DONE = ("rules_engine_executions_total", {"kind": "probe_ledger", "outcome": "succeeded"})


@pytest.fixture
def runner() -> str:
    """Workers of our own."""
    return "worker"


def start(crew: Crew, port: int, processes: int = 1, **rules: Any) -> Worker:
    return crew.start(processes, options=[f"--metrics-port={port}"], ready=False, **rules)


def answer(port: int, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    """The status and the text that are answered; 0 where nobody is there."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except (URLError, ConnectionError):
        return 0, ""


def done(port: int) -> float:
    """How many effects the port tells of."""
    status, text = answer(port, **BEARER)
    return sum(one.value for one in samples(text) if (one.name, one.labels) == DONE) if status == 200 else -1


def processes_of(worker: Worker) -> list[int]:
    """The process of a worker that began it, and its children."""
    pid = worker.process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def descriptors(pid: int) -> list[str]:
    try:
        return [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except FileNotFoundError:
        return []


def listener(worker: Worker, port: int) -> int | None:
    """The process that has the port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{port:04X}") and line[3] == "0A"}
    return next((pid for pid in processes_of(worker) if sockets & set(descriptors(pid))), None)


def save(crew: Crew, slug: str) -> None:
    Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@example.com", slug=slug)
    crew.eventually(lambda: crew.done())


def test_it_tells_what_workers_have_done_to_who_has_the_token(crew: Crew) -> None:
    create_rule(model=Doctor, actions=[("probe_ledger", {"folder": str(crew.folder)})])
    port = closed_port()
    worker = start(crew, port, METRICS=METRICS)
    save(crew, "ada")
    crew.eventually(lambda: done(port) == 1)
    assert listener(worker, port) == worker.process.pid
    assert answer(port)[0] == 401
    assert answer(port, "/", **BEARER)[0] == 404


def test_another_process_tells_when_the_one_that_told_is_killed(crew: Crew) -> None:
    create_rule(model=Doctor, actions=[("probe_ledger", {"folder": str(crew.folder)})])
    port = closed_port()
    worker = start(crew, port, 2, METRICS=METRICS)
    save(crew, "ada")
    crew.eventually(lambda: done(port) == 1)
    first = listener(worker, port)
    assert first is not None
    assert first != worker.process.pid
    os.kill(first, signal.SIGKILL)
    crew.eventually(lambda: listener(worker, port) not in (None, first))
    assert done(port) == 1


def test_what_keeps_it_from_telling_is_said_at_once(crew: Crew) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = start(crew, port, METRICS=METRICS)
        assert refused.process.wait(SECONDS) == 1
    assert f"Metrics cannot be told at 127.0.0.1:{port}: Address already in use." in refused.log
    without = start(crew, port)
    assert without.process.wait(SECONDS) == 1
    assert "Metrics are off." in without.log
    assert "Traceback" not in refused.log + without.log

"""The workers of a test, and a Redis server of its own; each is ended by its own process id."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kombu
import pytest

from project.celery import app
from rules_engine.outbox import hints
from rules_engine.testing.faults.processes import Process, Worker
from rules_engine.testing.faults.servers import Missing, RedisServer
from rules_engine.testing.faults.waiting import SECONDS, eventually
from tests import nursery, services
from tests.faults.processes import ROOT

#: How long a worker drains at a time, unless a test says otherwise.
DRAIN_SECONDS = 10.0
#: Short, so that a test sees a lease end and a sweep begin. Sweeps come often enough to stand for hints.
RULES_ENGINE: Mapping[str, Any] = {
    "LEASE_SECONDS": 2.0,
    "SWEEP_SECONDS": 0.3,
    "RETRY_SCHEDULE": [0.2, 0.2, 0.2],
    "RETRY_JITTER": 0,
}


@dataclass
class Crew:
    """The workers of a test, their common broker and database, and the folder in which their actions keep books."""

    environment: Mapping[str, str]
    folder: Path
    broker: str = "filesystem://localhost"
    webhooks: Mapping[str, Any] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    #: Who carries out what is due: ``RULES_ENGINE["RUNNER"]``.
    runner: str = "celery"

    def settings(self, **rules: Any) -> dict[str, str]:
        """The environment of a process of this crew, with these settings of ``RULES_ENGINE``."""
        return {
            **self.environment,
            "CELERY_BROKER_URL": self.broker,
            "DEMO_VAR": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "tests.faults.worker_settings",
            "LOG_LEVEL": "INFO",
            "PROBE_RULES_ENGINE": json.dumps({**RULES_ENGINE, "RUNNER": self.runner, **rules}),
            "PROBE_WEBHOOKS": json.dumps(dict(self.webhooks)),
        }

    def start(
        self,
        processes: int = 1,
        *,
        solo: bool = False,
        pool: str = "",
        ready: bool = True,
        clock: float = 0,
        drain_seconds: float = DRAIN_SECONDS,
        options: Sequence[str] = (),
        **rules: Any,
    ) -> Worker:
        """A new worker with that many processes, born of the nursery unless what it is to be differs from its start on:
        ``clock`` is how many seconds its own is ahead. ``options`` come after its command."""
        name = f"worker{len(self.workers)}"
        entry = ["tests.faults.wrong_clock", str(clock)] if clock else []
        # The filesystem transport drives Celery's older pool, whose children share a lock that dies with its holder.
        chosen = pool or ("solo" if solo else "prefork")
        commands = {
            "celery": _celery(name, processes, chosen),
            "worker": ["django", "rules_worker", f"--processes={processes}"],
            "tasks": ["django", "db_worker", "--queue-name=*", "--interval=0.05", "--no-startup-delay", "-v3"],
        }
        arguments = ["-m", *entry, *commands[self.runner], *options]
        path = self.folder / f"{name}.log"
        environment = {**self.settings(**rules), "PROBE_DRAIN_SECONDS": str(drain_seconds)}
        process: Process
        with path.open("wb") as log:
            if clock or pool or drain_seconds != DRAIN_SECONDS:
                whole, said = [sys.executable, *arguments], subprocess.STDOUT
                process = subprocess.Popen(
                    whole, cwd=ROOT, env=environment, stdout=log, stderr=said, start_new_session=True
                )
            else:
                process = nursery.born(arguments, environment, log)
        worker = Worker(process, path, is_alone=self.runner != "celery" and processes == 1)
        self.workers.append(worker)
        if ready:
            worker.wait_until_ready()
        return worker

    def start_two(self, processes: int = 1, **options: Any) -> tuple[Worker, Worker]:
        """Two workers that come up side by side."""
        both = self.start(processes, ready=False, **options), self.start(processes, ready=False, **options)
        for worker in both:
            worker.wait_until_ready()
        return both

    def end(self) -> None:
        """Nothing of the crew is left, whatever became of the test."""
        for worker in self.workers:
            worker.kill()

    def eventually(self, is_met: Callable[[], Any], seconds: float = SECONDS) -> None:
        """Wait until that is so; a failure shows what the workers and the books say."""
        eventually(is_met, self._said, seconds)

    def _said(self) -> str:
        logs = [f"{worker.path.name} ({worker.process.poll()}):\n{worker.log[-4000:]}" for worker in self.workers]
        return "\n".join([*logs, f"began: {self.book('began')[-5:]}", f"ledger: {self.book('ledger')[-5:]}"])

    def book(self, name: str) -> list[dict[str, Any]]:
        """The lines that actions wrote into a book."""
        file = self.folder / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def done(self) -> list[str]:
        """The executions of the ledger, one entry for each time an effect happened."""
        return [line["execution"] for line in self.book("ledger")]

    def owner(self, pid: int) -> Worker:
        """The worker whose process that is."""
        return next(worker for worker in self.workers if worker.has_child(pid))

    def children(self, worker: Worker) -> list[int]:
        """The processes of a worker's pool that have done something."""
        return sorted({line["pid"] for line in self.book("began") if worker.has_child(line["pid"])})

    def open_gate(self) -> None:
        """Let the actions that wait go on, now and later."""
        (self.folder / "gate").touch()

    def hint(self, times: int = 1, task_id: str | None = None, queue: str = "rules") -> None:
        """Publish a hint through this crew's broker, the same message as often as asked."""
        with kombu.Connection(self.broker) as connection:
            for _ in range(times):
                app.send_task(hints.DRAIN, kwargs={"queue": queue}, queue=queue, task_id=task_id, connection=connection)


def _celery(name: str, processes: int, pool: str) -> list[str]:
    """The command of a worker of Celery's."""
    told = ["celery", "-A", "project", "worker", "-Q", "celery,rules,webhooks", "-l", "info", "-n", f"{name}@%h"]
    return [*told, "-c", str(processes), "-P", pool, "--without-mingle", "--without-gossip", "--without-heartbeat"]


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A Redis server while the block runs; without the program a test is skipped, or fails where CI=true."""
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    except Missing as error:
        (pytest.fail if services.in_ci() else pytest.skip)(str(error))
    finally:
        server.kill()


@contextmanager
def crew_with_redis(environment: Mapping[str, str], folder: Path, webhooks: Mapping[str, Any]) -> Iterator[Crew]:
    """Workers that send webhooks, with a Redis of their own for a broker; none yet."""
    with redis_server(folder) as server:
        crew = Crew(environment, folder, server.url, webhooks)
        try:
            yield crew
        finally:
            crew.end()

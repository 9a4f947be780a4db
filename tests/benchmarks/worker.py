"""A worker process of a measure: Celery with two children, on the database and the broker of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from project.celery import app
from tests.conftest import database_url

PROCESSES = 2
#: For a worker to come up, and for all that it is given to be done.
SECONDS = 180.0
IDLE_QUEUE = "benchmarks-idle"


def environment(broker: str = "", **own: str) -> dict[str, str]:
    """Return the environment of a process on the database, the broker and the folder of this run."""
    connection.ensure_connection()
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "CELERY_BROKER_URL": broker or settings.CELERY_BROKER_URL,
        "DEMO_VAR": str(settings.VAR),
        "PYTHONWARNINGS": "ignore",
        **own,
    }


@contextmanager
def working(queues: str = IDLE_QUEUE, broker: str = "", *, of_celery: bool = True, **own: str) -> Iterator[str]:
    """Run one while the block does, Celery's or ``rules_worker``; yields its name. Raises ``SystemExit``, with what it
    said, if it does not come up.

    It and its children are gone afterwards, whatever happened.
    """
    name = f"benchmark{os.getpid()}@localhost"
    path = Path(settings.VAR) / "worker.log"
    celery = ["celery", "-A", "project", "worker", "-Q", queues, "-n", name, "-l", "info"]
    celery += ["-P", "prefork", "-c", str(PROCESSES), "--without-gossip", "--without-mingle"]
    ours = ["django", "rules_worker", "--queue", queues, "--processes", str(PROCESSES)]
    command = [sys.executable, "-m", *(celery if of_celery else ours)]
    with path.open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment(broker, **own),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(lambda: " ready." in path.read_text(encoding="utf-8") or process.poll() is not None)
        if process.poll() is not None:
            raise SystemExit(f"The worker did not come up:\n{path.read_text(encoding='utf-8')[-3000:]}")
        yield name
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        # The group is the worker's own; it may be gone already.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def listen(name: str, queue: str) -> None:
    """Make it take what is in that queue, from now on: it is told until it says so, since it may not listen yet."""
    wait_for(lambda: app.control.add_consumer(queue, destination=[name], reply=True, timeout=2))


def wait_for(is_met: Callable[[], Any], pause: float = 0.02) -> None:
    """Wait until that is so. Raises ``SystemExit`` where it does not come to be."""
    end = time.monotonic() + SECONDS
    while not is_met():
        if time.monotonic() > end:
            raise SystemExit("A worker was given work and has not done it.")
        time.sleep(pause)

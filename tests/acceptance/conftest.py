"""A real worker process, a real mail server and a real receiver of webhooks."""

from __future__ import annotations

import email
import email.policy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings

from project.demo.ports import HOST, free_ports
from tests import nursery
from tests.http_server import MisbehavingServer

#: For anything to arrive; it takes a fraction of a second, and the sweep's five where a hint was lost, but for a
#: machine that has much else to do.
SECONDS = 60.0


@dataclass
class Mailbox:
    """A mail server on loopback, and what it was given."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [message for message in list(self.messages) if message["To"] == address]


@dataclass(frozen=True)
class Worker:
    """A worker process. ``log`` is all it has said."""

    process: subprocess.Popen[bytes] | nursery.Child
    path: Path

    @property
    def log(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def eventually(self, is_met: Callable[[], Any]) -> None:
        """Wait until that is so; the test fails, with the worker's log, when it does not come to be."""
        end = time.monotonic() + SECONDS
        while not is_met():
            if time.monotonic() > end or self.process.poll() is not None:
                pytest.fail(f"It did not happen. The worker ({self.process.poll()}) said:\n{self.log[-6000:]}")
            time.sleep(0.05)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server that the worker uses."""
    [port] = free_ports(1)
    box = Mailbox(port)
    controller = Controller(box, hostname=HOST, port=port)
    controller.start()
    yield box
    controller.stop()


@pytest.fixture
def receiver() -> Iterator[MisbehavingServer]:
    """A web server that webhooks may be sent to; it answers 200."""
    with MisbehavingServer() as server:
        yield server


@pytest.fixture
def outside(
    process_environment: dict[str, str], mailbox: Mailbox, receiver: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment of processes of this site, whose mail and webhooks go to the test."""
    monkeypatch.setitem(settings.WEBHOOKS, "ALLOWED_PORTS", [receiver.port])
    return {
        **process_environment,
        "EMAIL_HOST": HOST,
        "EMAIL_PORT": str(mailbox.port),
        "WEBHOOK_ALLOWED_PORTS": str(receiver.port),
        "LOG_LEVEL": "INFO",
    }


@pytest.fixture
def worker(outside: dict[str, str], tmp_path: Path) -> Iterator[Worker]:
    """A worker of all queues that is ready."""
    with working(outside, "celery,rules,webhooks", tmp_path) as ready:
        yield ready


@contextmanager
def working(environment: Mapping[str, str], queues: str, folder: Path, by_command: bool = False) -> Iterator[Worker]:
    """A worker process runs while the block does; it and its children are gone afterwards, whatever happened.

    It is born of the nursery, or started ``by_command`` as an operator does it.
    """
    path = folder / "worker.log"
    name = f"test{os.getpid()}@%h"
    arguments = ["-m", "celery", "-A", "project", "worker", "-Q", queues, "-c", "2", "-n", name, "-l", "info"]
    process: subprocess.Popen[bytes] | nursery.Child
    with path.open("wb") as log:
        if by_command:
            command, said = [sys.executable, *arguments], subprocess.STDOUT
            process = subprocess.Popen(command, env=dict(environment), stdout=log, stderr=said, start_new_session=True)
        else:
            process = nursery.born(arguments, environment, log)
    try:
        worker = Worker(process, path)
        worker.eventually(lambda: " ready." in worker.log)
        yield worker
    finally:
        # The group is the worker's own; it may be gone already.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

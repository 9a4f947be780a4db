"""One process that a test may freeze and kill, with all of its children; and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rules_engine.testing.faults.waiting import SECONDS, eventually

#: What a worker says once it works: Celery's and our own, and that of django-tasks-db.
READY = (" ready.", "Starting worker")


class Process(Protocol):
    """What is asked of a process: as ``subprocess.Popen`` has it."""

    pid: int

    def poll(self) -> int | None:
        """Give the exit status, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""

    def send_signal(self, number: int, /) -> None:
        """Send it a signal, unless it has ended."""


@dataclass
class Worker:
    """A process in a group of its own. ``path`` is the file with all it has said."""

    process: Process
    path: Path
    #: Whether it does its work itself, and not in children.
    is_alone: bool = False

    @property
    def log(self) -> str:
        """All it has said."""
        return self.path.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self, seconds: float = SECONDS) -> None:
        """Wait until it says that it works. Raises ``AssertionError`` with its log where it ends before, or is late."""
        eventually(lambda: self._is_ready() or self.process.poll() is not None, lambda: self.log, seconds)
        if self.process.poll() is not None:
            raise AssertionError(self.log)

    def _is_ready(self) -> bool:
        return any(sign in self.log for sign in READY)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children; they may be gone already."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Kill it and its children: the machine is switched off."""
        self.signal_all(signal.SIGKILL)
        self.process.wait(SECONDS)

    def has(self, pid: int) -> bool:
        """Say whether that process lives, and is this one or a child of its pool."""
        try:
            return os.getpgid(pid) == self.process.pid
        except ProcessLookupError:
            return False

    def has_child(self, pid: int) -> bool:
        """Say whether that process lives and belongs to this worker's pool."""
        return (self.is_alone or pid != self.process.pid) and self.has(pid)


def begin(command: Sequence[str], environment: Mapping[str, str], path: Path, user: str | None = None) -> Worker:
    """Start a command in a process group of its own; what it says is added to the file."""
    with path.open("ab") as log:
        process = subprocess.Popen(
            command, env=dict(environment), stdout=log, stderr=subprocess.STDOUT, start_new_session=True, user=user
        )
    return Worker(process, path)

"""The processes of an ordeal, by their parts: who is killed is begun anew in the same place."""

from __future__ import annotations

import os
import random
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from django.db import DatabaseError, InterfaceError, connections

from rules_engine.models import Execution
from rules_engine.models.execution import State
from rules_engine.testing.faults.processes import Worker, begin

Part = Literal["producer", "worker", "sweeper"]
#: What a process that is stopped had asked of the database just before is done by then.
SETTLE_SECONDS = 0.2
MODULES = "rules_engine.testing.faults"


@dataclass
class Member:
    """A place in the crew: its part, its command, and who fills it now."""

    part: Part
    command: Sequence[str]
    path: Path
    worker: Worker | None = None

    def has(self, pid: int) -> bool:
        """Say whether that process is of this place."""
        return self.worker is not None and self.worker.has(pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        if self.worker is not None and self.worker.process.poll() is None:
            self.worker.signal_all(number)


@dataclass
class Crew:
    """All of them, with the environment that they share."""

    environment: Mapping[str, str]
    folder: Path
    members: list[Member] = field(default_factory=list)

    def add(self, part: Part, command: Sequence[str]) -> Member:
        """Add a process, and begin it."""
        number = sum(member.part == part for member in self.members)
        member = Member(part, command, self.folder / f"{part}-{number}.log")
        self.members.append(member)
        self.begin(member)
        return member

    def begin(self, member: Member) -> None:
        """Begin whoever fills the place from now on."""
        member.worker = begin(member.command, self.environment, member.path)

    def of(self, *parts: Part) -> list[Member]:
        """Return the places of these parts, of all where none is named."""
        return [member for member in self.members if not parts or member.part in parts]

    def choose(self, chance: random.Random, *parts: Part) -> Member:
        """Return one of them, by chance."""
        return chance.choice(self.of(*parts))

    def stop(self, *members: Member) -> list[str]:
        """Stop these (SIGSTOP), and return the executions that they have in flight."""
        for member in members:
            member.signal(signal.SIGSTOP)
        time.sleep(SETTLE_SECONDS)
        return in_flight(lambda pid: any(member.has(pid) for member in members))

    def kill(self, *members: Member) -> list[str]:
        """Kill these, with what they have in flight, which is returned. They are not begun anew yet."""
        executions = self.stop(*members)
        for member in members:
            if member.worker is not None:
                member.worker.kill()
        return executions

    def kill_child(self, chance: random.Random, member: Member) -> list[str]:
        """Kill one process of its pool that is at work, if one is; returns what it had in flight."""
        pids = sorted(pid for pid in pids_at_work() if member.worker is not None and member.worker.has_child(pid))
        if not pids:
            return []
        pid = chance.choice(pids)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(SETTLE_SECONDS)
        executions = in_flight(lambda other: other == pid)
        os.kill(pid, signal.SIGKILL)
        return executions

    def revive(self) -> list[str]:
        """Begin those workers and sweepers anew that ended without being killed, as a service manager does; returns the
        names of their places."""
        workers = [(member, member.worker) for member in self.of("worker", "sweeper")]
        ended = [member for member, worker in workers if worker is not None and worker.process.poll() is not None]
        for member in ended:
            self.begin(member)
        return [member.path.stem for member in ended]

    def end(self) -> None:
        """Kill all, whatever became of the ordeal."""
        for member in self.members:
            if member.worker is not None:
                member.worker.kill()

    def tracebacks(self) -> int:
        """Count the tracebacks in all that workers and sweepers have said."""
        return sum(member.path.read_text(errors="replace").count("Traceback (") for member in self.of())


def in_flight(belongs: Callable[[int], bool]) -> list[str]:
    """Return the executions that these processes have begun and not ended."""
    return [key for key, pid in _running() if belongs(pid)]


def pids_at_work() -> set[int]:
    """Return the processes that have begun an execution and not ended it."""
    return {pid for _key, pid in _running()}


def _running() -> list[tuple[str, int]]:
    """Give those executions with their processes. Asked again where the server has just been restarted."""
    for tries_left in (3, 2, 1, 0):
        try:
            rows = Execution.objects.filter(state=State.RUNNING).exclude(leased_by="").values_list("pk", "leased_by")
            return [(str(key), int(claim.split(":")[1])) for key, claim in rows]
        except (DatabaseError, InterfaceError):
            if not tries_left:
                raise
            time.sleep(1)
        finally:
            connections.close_all()
    return []


def worker_command(runner: str, app: str, number: int, processes: int) -> Sequence[str]:
    """Return the command of a worker of a runner: of the setting ``RUNNER``, or a command line with ``{number}``."""
    if runner == "celery":
        told = ["celery", "-A", app, "worker", "-Q", "celery,rules,webhooks", "-n", f"ordeal{number}@%h", "-l", "info"]
        told += ["-c", str(processes), "--without-mingle", "--without-gossip"]
        return [sys.executable, "-m", *told]
    if runner == "worker":
        return [sys.executable, "-m", "django", "rules_worker", f"--processes={processes}"]
    return shlex.split(runner.replace("{number}", str(number)))


def producer_command(scenario: str, book: Path, *numbers: float) -> Sequence[str]:
    """Return the command of a producer; the numbers are those of ``producer.produce``, in their order."""
    return [sys.executable, "-m", f"{MODULES}.producer", scenario, str(book), *map(str, numbers)]


def sweeper_command() -> Sequence[str]:
    """Return the command of a sweeper."""
    return [sys.executable, "-m", f"{MODULES}.sweeper"]

"""An ordeal from beginning to end: servers and processes begin, faults come by a seed, and the ledger is drawn up."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connections
from django.db.models import Count
from django.utils.module_loading import import_string

from rules_engine import conf
from rules_engine.models import Execution
from rules_engine.testing.faults import crew as crews
from rules_engine.testing.faults import kinds, report
from rules_engine.testing.faults.ledger import Ledger
from rules_engine.testing.faults.producer import BEGUN, COMMITTED, Book, name_of
from rules_engine.testing.faults.scenario import Scenario
from rules_engine.testing.faults.servers import START_SECONDS, PostgreSQLServer, Server

T = TypeVar("T")

#: Seconds in which something more has to be done, at the end. How long all of it takes is the machine's affair.
END_SECONDS = 300.0
#: Seconds that a fault waits for somebody who is at work, at most.
WORK_SECONDS = 15.0


@dataclass(frozen=True)
class Plan:
    """How much, how long and by which chance: changes, seconds, and seconds from one fault to the next.

    ``faults`` is how many there are, however long they take; None: as many as there is time for.
    """

    scenario: str
    runner: str = "celery"
    app: str = ""
    changes: int = 50_000
    seconds: float = 600.0
    every: float = 20.0
    faults: int | None = None
    seed: int = 1
    producers: int = 2
    workers: int = 2
    processes: int = 2
    sweepers: int = 1
    migrates: bool = True


@dataclass
class Ordeal:
    """The plan on its servers. ``environment`` is what the processes are given; ``say`` is told what happens."""

    plan: Plan
    environment: Mapping[str, str]
    folder: Path
    database: PostgreSQLServer
    broker: Server | None
    ledger: Ledger
    say: Callable[[str], None]
    faults: list[report.Fault] = field(default_factory=list)
    #: The names of those who ended without being killed.
    ended: list[str] = field(default_factory=list)

    def run(self) -> report.Report:
        """Have it happen, and judge it. Raises whatever goes wrong with the servers; nothing is left running."""
        scenario: Scenario = import_string(self.plan.scenario)()
        if self.plan.migrates:
            self._migrate()
        scenario.prepare(self.ledger.url)
        connections.close_all()
        self.say("The database has its tables, and the rules are made.")
        began = time.time()
        with ExitStack() as stack:
            crew = crews.Crew(self.environment, self.folder)
            stack.callback(crew.end)
            self._begin(crew)
            self._harm(crew)
            self._wait(crew)
            return self._judge(scenario, crew, time.time() - began)

    def _migrate(self) -> None:
        """Make the tables, in a process of its own: this one reads its rules once there are all of them."""
        command = [sys.executable, "-m", "django", "migrate", "-v0"]
        subprocess.run(command, check=True, env=dict(self.environment))

    def _begin(self, crew: crews.Crew) -> None:
        plan = self.plan
        for number in range(plan.workers):
            crew.add("worker", crews.worker_command(plan.runner, plan.app, number, plan.processes))
        for _ in range(plan.sweepers):
            crew.add("sweeper", crews.sweeper_command())
        for member in crew.of():
            if member.worker is not None:
                member.worker.wait_until_ready(START_SECONDS)
        rate = plan.changes / plan.seconds / plan.producers
        for first in range(plan.producers):
            given = (first, plan.producers, plan.changes, rate, time.time())
            crew.add("producer", crews.producer_command(plan.scenario, self._book(first).path, *given))
        self.say(f"{len(crew.members)} processes have begun.")

    def _book(self, producer: int) -> Book:
        return Book(self.folder / f"changes-{producer}")

    def _books(self) -> list[Book]:
        return [self._book(producer) for producer in range(self.plan.producers)]

    def _harm(self, crew: crews.Crew) -> None:
        """Do a fault each so many seconds, in an order by chance in which every kind comes before one comes again."""
        chance, end = random.Random(self.plan.seed), time.monotonic() + self.plan.seconds
        stage = kinds.Stage(crew, self.database, self.broker, chance, conf.lease_seconds())
        of_stage = kinds.for_stage(stage)
        waiting: list[str] = []
        while self._has_more(end):
            time.sleep(self.plan.every)
            self._revive(crew)
            if not self._has_work():
                break
            if not waiting:
                waiting = chance.sample(sorted(of_stage), len(of_stage))
            name = waiting.pop()
            began = time.time()
            executions = of_stage[name](stage)
            self.faults.append(report.Fault(name, began, time.time(), executions))
            self.say(f"{name}; {len(executions)} in flight")
        time.sleep(max(0.0, end - time.monotonic()))

    def _revive(self, crew: crews.Crew) -> None:
        for name in crew.revive():
            self.ended.append(name)
            self.say(f"{name} had ended by itself, and is begun anew")

    def _has_more(self, end: float) -> bool:
        if self.plan.faults is not None:
            return len(self.faults) < self.plan.faults
        return time.monotonic() + self.plan.every < end

    def _has_work(self) -> bool:
        """Wait until somebody is at work, for a fault needs that: a process takes seconds to begin. False when all is
        done."""
        end = time.monotonic() + WORK_SECONDS
        while not crews.pids_at_work() and not self._is_done() and time.monotonic() < end:
            time.sleep(0.2)
        return not self._is_done()

    def _is_done(self) -> bool:
        """Say whether all changes are begun, and nothing is left to be done."""
        last = {self.plan.changes - 1 - number for number in range(self.plan.producers)}
        begun = {number for book in self._books() for number, _at in book.lines(BEGUN)}
        return last <= begun and not asked(lambda: Execution.objects.live().exists())

    def _wait(self, crew: crews.Crew) -> None:
        """Wait until all changes are made and all is done; what never is stands in the report."""
        so_far, end = self._progress(), time.monotonic() + END_SECONDS
        while not self._is_done():
            if (now := self._progress()) != so_far:
                so_far, end = now, time.monotonic() + END_SECONDS
            if time.monotonic() > end:
                self.say(f"Something is left to be done, and for {END_SECONDS:g} s nothing more was.")
                return
            time.sleep(0.5)
            self._revive(crew)

    def _progress(self) -> tuple[int, int]:
        """Return how much is begun and how much of it is booked."""
        return sum(len(list(book.lines(BEGUN))) for book in self._books()), len(self.ledger.bookings)

    def _judge(self, scenario: Scenario, crew: crews.Crew, seconds: float) -> report.Report:
        saved = set(asked(lambda: list(scenario.saved())))
        times = {name_of(number): at for book in self._books() for number, at in book.lines(COMMITTED)}
        keys = Counter(key for fault in self.faults for key in fault.in_flight)
        effects = [report.booked_effects(kind, self.ledger.of_kind(kind), saved, keys) for kind in scenario.kinds]
        stored = asked(scenario.in_database)
        effects += [report.stored_effects(kind, changes, saved) for kind, changes in stored.items()]
        self.ledger.write(self.folder / "ledger")
        report.repetitions(self.faults, self.ledger.bookings)
        done = self.ledger.first_times(scenario.kinds)
        report.recoveries(self.faults, self.ledger.bookings, times, done)
        states = asked(lambda: dict(Execution.objects.values_list("state").annotate(Count("pk")).order_by("state")))
        broker = f" on {self.broker.name}" if self.broker is not None else ""
        what = f"{self.plan.runner}{broker}: {self.plan.changes} changes in {self.plan.seconds:g} s"
        return report.Report(
            what, self.plan.seed, len(saved), len(times.keys() - saved), seconds, effects, self.faults, states,
            crew.tracebacks(), len(self.ended),
        )  # fmt: skip


def asked(question: Callable[[], T], tries: int = 5) -> T:
    """Ask the database, on a new connection where the server has cut the old one."""
    while True:
        tries -= 1
        try:
            return question()
        except (DatabaseError, InterfaceError):
            if not tries:
                raise
            time.sleep(1)
        finally:
            connections.close_all()

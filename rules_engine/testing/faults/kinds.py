"""The kinds of faults. Each does its harm, has all begin anew, and returns the executions that it found in flight."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rules_engine.testing.faults.crew import Crew
from rules_engine.testing.faults.servers import PostgreSQLServer, RedisServer, Server

#: Seconds that a server stays away, at most.
AWAY_SECONDS = 2.0


@dataclass(frozen=True)
class Stage:
    """What faults are done to, by which chance, and how long a lease lasts there (seconds)."""

    crew: Crew
    database: PostgreSQLServer
    broker: Server | None
    chance: random.Random
    lease_seconds: float


def kill_worker(stage: Stage) -> list[str]:
    """SIGKILL a worker or sweeper with all of its children."""
    member = stage.crew.choose(stage.chance, "worker", "worker", "sweeper")
    executions = stage.crew.kill(member)
    stage.crew.begin(member)
    return executions


def kill_child(stage: Stage) -> list[str]:
    """SIGKILL one process of a worker's pool, as the kernel does when memory is short."""
    return stage.crew.kill_child(stage.chance, stage.crew.choose(stage.chance, "worker"))


def kill_producer(stage: Stage) -> list[str]:
    """SIGKILL a process that saves."""
    member = stage.crew.choose(stage.chance, "producer")
    executions = stage.crew.kill(member)
    stage.crew.begin(member)
    return executions


def freeze_worker(stage: Stage) -> list[str]:
    """SIGSTOP a worker for longer than its lease, then SIGCONT."""
    member = stage.crew.choose(stage.chance, "worker")
    executions = stage.crew.stop(member)
    time.sleep(1.3 * stage.lease_seconds)
    member.signal(signal.SIGCONT)
    return executions


def flush_broker(stage: Stage) -> list[str]:
    """FLUSHALL: every hint that waits is gone, and whatever Celery has written there."""
    assert isinstance(stage.broker, RedisServer)  # noqa: S101 - for_stage offers it of Redis alone
    stage.broker.flush()
    return []


def restart_broker(stage: Stage) -> list[str]:
    """SIGKILL the broker; it comes back after a while."""
    assert stage.broker is not None  # noqa: S101 - for_stage offers it where there is one
    stage.broker.kill()
    time.sleep(stage.chance.random() * AWAY_SECONDS)
    stage.broker.start()
    return []


def restart_database(stage: Stage) -> list[str]:
    """Restart PostgreSQL in order: connections are cut, what was open is rolled back."""
    return _without_database(stage, stage.database.shut_down)


def kill_database(stage: Stage) -> list[str]:
    """SIGKILL PostgreSQL; it recovers what was committed."""
    return _without_database(stage, stage.database.kill)


def _without_database(stage: Stage, end: Callable[[], None]) -> list[str]:
    """End it while nobody can begin anything, so that what is in flight then is known; start it anew."""
    members = stage.crew.of("worker", "sweeper")
    executions = stage.crew.stop(*members)
    end()
    for member in members:
        member.signal(signal.SIGCONT)
    stage.database.start()
    return executions


def kill_all(stage: Stage) -> list[str]:
    """SIGKILL everything together: the power fails."""
    executions = stage.crew.kill(*stage.crew.members)
    stage.database.kill()
    if stage.broker is not None:
        stage.broker.kill()
        stage.broker.start()
    stage.database.start()
    for member in stage.crew.members:
        stage.crew.begin(member)
    return executions


def for_stage(stage: Stage) -> Mapping[str, Callable[[Stage], list[str]]]:
    """Return the faults that can be done there, by their names."""
    faults = {
        "worker killed": kill_worker,
        "child of a pool killed": kill_child,
        "producer killed": kill_producer,
        "worker frozen past its lease": freeze_worker,
        "PostgreSQL restarted": restart_database,
        "PostgreSQL killed": kill_database,
        "all killed together": kill_all,
    }
    if stage.broker is not None:
        faults[f"{stage.broker.name} killed"] = restart_broker
    if isinstance(stage.broker, RedisServer):
        faults["FLUSHALL"] = flush_broker
    return faults

"""Celery's side: workers drain the outbox when a hint arrives, and look for what no hint announced."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from celery import current_task, shared_task
from celery.signals import worker_ready, worker_shutdown
from django.db import DatabaseError, InterfaceError, connections, router

from rules_engine import conf
from rules_engine.audit import sealing
from rules_engine.context.actor import paused
from rules_engine.databases import database_of
from rules_engine.databases.keeping import kept_connection
from rules_engine.databases.pools import give_back
from rules_engine.models import Execution, Heartbeat
from rules_engine.outbox import hints, releasing
from rules_engine.work import claims, large_changes, queues, retention, sequence
from rules_engine.work.captures import taking
from rules_engine.work.repeating import against_rivals
from rules_engine.work.runs import telling as runs
from rules_engine.work.schedules import looking
from rules_engine.work.workers import heartbeats

logger = logging.getLogger("rules_engine")

#: Seconds one drain may go on. A warm shutdown waits for it; what is left is announced again.
DRAIN_SECONDS = 10.0
#: Seconds of one drain in which runs are told: what others want done is not to wait for that.
RUN_SECONDS = 2.0
#: Seconds of one drain in which it is looked for what is due by time, and told.
LOOK_SECONDS = 5.0
#: Seconds one sweep may seal the audit trail; the next goes on.
SEAL_SECONDS = 1.0

_stop = threading.Event()


@shared_task(name="rules_engine.tasks.drain", ignore_result=True)
def drain(queue: str) -> int:
    """Run what is due in a queue until nothing is; returns how many executions it ran.

    A database that does not answer is one line of the log: the sweep asks again, and nothing is lost.
    """
    try:
        with kept_connection(router.db_for_write(Execution)) if _has_a_process() else nullcontext():
            return drain_queue(queue)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The database does not answer (%s); what is due waits for the next look.", str(error).strip())
        return 0


def _has_a_process() -> bool:
    """Say whether this is a task that a worker runs in a process which works on one task at a time."""
    request = getattr(current_task, "request", None)
    is_of_worker = request is not None and not request.called_directly and not request.is_eager
    return is_of_worker and threading.current_thread() is threading.main_thread()


def drain_queue(queue: str) -> int:
    """Run what is due in a queue, in whatever process this is; returns how many executions it ran."""
    end = time.monotonic() + DRAIN_SECONDS
    heartbeats.beat(Heartbeat.Kind.WORK)
    # First what a hint is mostly about: somebody may be waiting for it.
    ran, released = queues.drain(queue, seconds=DRAIN_SECONDS), 0
    if queue == conf.queue():
        with paused():
            released = taking.tell_due(seconds=DRAIN_SECONDS) + large_changes.tell_due(seconds=DRAIN_SECONDS)
            released += looking.look_due(seconds=LOOK_SECONDS) + runs.tell_due(seconds=RUN_SECONDS)
            released += releasing.release_due(seconds=DRAIN_SECONDS)
        if released:
            ran += queues.drain(queue, seconds=end - time.monotonic())
    # What is due and was left alone waits for something, such as a paused endpoint: the sweep asks for it again.
    if (ran or released) and due_queues(queue):
        hints.notify(queue)
    return ran


@shared_task(name="rules_engine.tasks.sweep", ignore_result=True)
def sweep() -> list[str]:
    """Wake workers for every queue in which something is due; returns those queues. For beat; workers do it idle."""
    heartbeats.beat(Heartbeat.Kind.SWEEP)
    sequence.settle_forgotten()
    seal()
    due = due_queues()
    for queue in due:
        hints.notify(queue)
    return due


@shared_task(name="rules_engine.tasks.prune", ignore_result=True)
def prune() -> dict[str, int]:
    """Forget what is older than the retention settings; returns the rows removed by table."""
    return retention.prune()


def seal(seconds: float = SEAL_SECONDS) -> int:
    """Seal what was added to the audit trail; returns the entries sealed."""
    return against_rivals(partial(sealing.seal_due, seconds))


def due_queues(*only: str) -> list[str]:
    """Give the queues in which something is due now."""
    rows = claims.unpaused(Execution.objects.due())
    if only:
        rows = rows.of_queues(only)
    queues_due = set(database_of(rows.db).due_queues(rows))
    told = (releasing, large_changes, runs, taking, looking)
    if (not only or conf.queue() in only) and any(kind.is_any_due() for kind in told):
        queues_due.add(conf.queue())
    return sorted(queues_due)


def look_for_work() -> list[str]:
    """Give the queues in which something is due, from a thread that keeps no connection which a task may need."""
    with paused():  # opening this thread's connection is no event
        heartbeats.beat(Heartbeat.Kind.SWEEP)
        sequence.settle_forgotten()
        seal()
        due = due_queues()
    give_back(router.db_for_write(Execution))
    return due


def _sweep_while_running() -> None:
    failed = False
    while not _stop.wait(conf.sweep_seconds()):
        try:
            _wake_or_work(look_for_work())
            failed = False
        except (DatabaseError, InterfaceError) as error:
            # Said once an outage, not every five seconds; the next look opens a new connection.
            if not failed:
                logger.warning("The sweep could not look for due work (%s); it tries again.", error)
            failed = True
            connections[router.db_for_write(Execution)].close()
    connections.close_all()


def _wake_or_work(queues_due: Sequence[str]) -> None:
    """Tell workers of these queues. Where the broker does not take it, nobody can be told, and this process works."""
    for queue in queues_due:
        try:
            hints.send(queue)
        except hints.BROKER_ERRORS as error:
            logger.warning("Workers cannot be told of new work (%s); this process carries out what is due.", error)
            drain_queue(queue)


@worker_ready.connect(dispatch_uid="rules_engine.sweeper")
def start_sweeper(**_: Any) -> None:
    """Sweep in every worker, from a thread of its main process, so that beat is recommended and not required."""
    _stop.clear()
    threading.Thread(target=_sweep_while_running, name="rules-engine-sweeper", daemon=True).start()


@worker_shutdown.connect(dispatch_uid="rules_engine.sweeper")
def stop_sweeper(**_: Any) -> None:
    """End the sweeper with its worker."""
    _stop.set()

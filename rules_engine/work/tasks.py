"""Celery's side: workers drain the outbox when a hint arrives, and look for what no hint announced."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import cache, partial
from itertools import compress
from typing import Any, NamedTuple

from celery import current_task, shared_task
from celery.signals import worker_ready, worker_shutdown
from django.db import DatabaseError, InterfaceError, connections, router
from django.db.models import Exists, QuerySet

from rules_engine import conf
from rules_engine.audit import sealing
from rules_engine.context.actor import paused
from rules_engine.databases import database_of
from rules_engine.databases.keeping import kept_connection
from rules_engine.databases.pools import give_back
from rules_engine.databases.prepared.queries import Prepared, prepare
from rules_engine.models import Execution, Heartbeat
from rules_engine.models.rule_set import RuleSetVersion
from rules_engine.outbox import hints, releasing
from rules_engine.types import Unread, ask
from rules_engine.work import large_changes, queues, retention, sequence
from rules_engine.work.captures import taking
from rules_engine.work.leases import leasing
from rules_engine.work.repeating import against_rivals
from rules_engine.work.runs import telling as runs
from rules_engine.work.schedules import looking, waiting
from rules_engine.work.schedules.arming import keep_armed
from rules_engine.work.troubles import noticing
from rules_engine.work.workers import heartbeats

logger = logging.getLogger("rules_engine")

#: Seconds one drain may go on. A warm shutdown waits for it; what is left is announced again.
DRAIN_SECONDS = 10.0
#: Seconds after which nothing ends.
NEVER = float("inf")
#: Seconds of one drain in which runs are told: what others want done is not to wait for that.
RUN_SECONDS = 2.0
#: Seconds of one drain in which it is looked for what is due by time, and told.
LOOK_SECONDS = 5.0
#: Seconds one sweep may seal the audit trail; the next goes on.
SEAL_SECONDS = 1.0


class Besides(NamedTuple):
    """What workers tell rules of, or decide, before there are executions: what of it is due, telling it, and how many
    seconds of one drain this may take."""

    due: Callable[[], QuerySet[Any]]
    is_any_due: Callable[[], bool]
    tell: Callable[..., int]
    seconds: float
    #: Whether it takes the time to go by, for tests.
    is_timed: bool = False


#: In the order in which it is done.
BESIDES = (
    Besides(taking.due, taking.is_any_due, taking.tell_due, DRAIN_SECONDS),
    Besides(large_changes.due, large_changes.is_any_due, large_changes.tell_due, DRAIN_SECONDS),
    Besides(waiting.due, waiting.is_any_due, waiting.tell_due, LOOK_SECONDS, is_timed=True),
    Besides(looking.due, looking.is_any_due, looking.look_due, LOOK_SECONDS, is_timed=True),
    Besides(runs.due, runs.is_any_due, runs.tell_due, RUN_SECONDS),
    Besides(releasing.due, releasing.is_any_due, releasing.release_due, DRAIN_SECONDS),
)

_stop = threading.Event()


@shared_task(name="rules_engine.tasks.drain", ignore_result=True)
def drain(queue: str) -> int:
    """Run what is due in a queue until nothing is; returns how many executions it ran.

    A database that does not answer is one line of the log: the sweep asks again, and nothing is lost.
    """
    return drain_if_answered(queue, keeps_connection=_has_a_process())


def drain_if_answered(queue: str, *, keeps_connection: bool = False) -> int:
    """Do as ``drain_queue``, where the database answers; else say so in one line, and return 0."""
    try:
        with kept_connection(router.db_for_write(Execution)) if keeps_connection else nullcontext():
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
            released = tell_besides(in_turn=True)
        if released:
            ran += queues.drain(queue, seconds=end - time.monotonic())
    # What is due and was left alone waits for something, such as a paused endpoint: the sweep asks for it again.
    if (ran or released) and due_queues(queue):
        hints.notify(queue)
    return ran


@shared_task(name="rules_engine.tasks.sweep", ignore_result=True)
def sweep() -> list[str]:
    """Wake workers for every queue in which something is due; returns those queues. For beat; workers do it idle."""
    # Before the sign of life, or nobody would see that there was none.
    noticing.notice_if_due()
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
    rows = leasing.due(leasing.of_queues(leasing.unpaused(leasing.rows()), *only))
    queues_due = set(database_of(rows.db).due_queues(rows))
    if (not only or conf.queue() in only) and _is_any_due_besides():
        queues_due.add(conf.queue())
    return sorted(queues_due)


def tell_besides(seconds: float = NEVER, *, in_turn: bool = False, now: datetime | None = None) -> int:
    """Do what is due before there are executions, for so many seconds at most; ``in_turn``, each kind only for as long
    as a drain gives it. ``now`` is the time by which rules on time are due, for tests. Returns how much was done."""
    end, done = time.monotonic() + seconds, 0
    due = BESIDES if now is not None else _due_besides()
    # What one kind does may be work for those after it.
    for kind in BESIDES[BESIDES.index(due[0]) :] if due else ():
        by = {"now": now} if kind.is_timed else {}
        most = kind.seconds if in_turn else NEVER
        done += kind.tell(seconds=min(most, end - time.monotonic()), **by)
    return done


def _due_besides() -> Sequence[Besides]:
    """Return what is to be told besides executions, asked by one query: nearly always there is nothing."""
    found = next(iter(_asking(router.db_for_write(RuleSetVersion)).ask()), None)
    # The row is not there before the first rule; a kind that has nothing to tell says so itself.
    return BESIDES if found is None else list(compress(BESIDES, found))


@cache
def _asking(using: str) -> Prepared[Any]:
    """The question, of the one row that is always there: made once, for it is asked with every hint."""
    return prepare(RuleSetVersion.objects.using(using).values_list(*(Exists(kind.due()) for kind in BESIDES))[:1])


def _is_any_due_besides() -> bool:
    keep_armed()
    # What is due may be stopped by a pause.
    return any(kind.is_any_due() for kind in _due_besides())


def look_for_work() -> list[str]:
    """Give the queues in which something is due, from a thread that keeps no connection which a task may need."""
    with paused():  # opening this thread's connection is no event
        noticing.notice_if_due()
        heartbeats.beat(Heartbeat.Kind.SWEEP)
        sequence.settle_forgotten()
        seal()
        due = due_queues()
    give_back(router.db_for_write(Execution))
    return due


def _sweep_while_running() -> None:
    failed = False
    while not _stop.wait(conf.sweep_seconds()):
        turn = ask(_take_turn)
        if isinstance(turn, Unread):
            # Said once an outage, not every five seconds; the next look opens a new connection.
            if not failed:
                _say_that_it_failed(turn.error)
            connections[router.db_for_write(Execution)].close()
        failed = isinstance(turn, Unread)
    connections.close_all()


def _take_turn() -> None:
    _wake_or_work(look_for_work())


def _say_that_it_failed(error: Exception) -> None:
    is_known = isinstance(error, (DatabaseError, InterfaceError))
    text = "The sweep could not look for due work, or not carry it out (%s); it tries again."
    logger.warning(text, str(error).strip(), exc_info=None if is_known else error)


def _wake_or_work(queues_due: Sequence[str]) -> None:
    """Tell workers of these queues. Where the broker does not take it, nobody can be told, and this process works."""
    for queue in queues_due:
        # A backend of Django's tasks raises errors of its own.
        sent = ask(hints.send, queue)
        if isinstance(sent, Unread):
            logger.warning("Workers cannot be told of new work (%s); this process carries out what is due.", sent.error)
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

"""Claims: a worker's right to carry executions out, for a time. Claiming and giving back charges no attempt."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from types import TracebackType

from django.db import DatabaseError, InterfaceError, connections, router
from django.db.models import Q

from rules_engine import conf
from rules_engine.context.actor import paused
from rules_engine.databases import database_of
from rules_engine.databases.pools import outside_pool
from rules_engine.models import Execution
from rules_engine.models.execution import ExecutionQuerySet
from rules_engine.tracing import spans
from rules_engine.types import Unread, ask
from rules_engine.work.leases import leasing
from rules_engine.work.leases.leasing import due, leasable, of_queues, rows, unpaused
from rules_engine.work.repeating import against_rivals

logger = logging.getLogger("rules_engine")

#: Seconds until leases are renewed again where the database did not answer.
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Executions leased together. ``worker`` names the claim and is the fence of every later write."""

    worker: str
    executions: tuple[Execution, ...]

    def __bool__(self) -> bool:
        return bool(self.executions)


def _now() -> int:
    """Return the time at which a claim begins, for its span; 0 where there is none."""
    return spans.now() if spans.is_on() else 0


def _claim_of(worker: str, executions: Sequence[Execution], began: int) -> Claim:
    if began:
        spans.claimed(executions, began)
    return Claim(worker, tuple(executions))


def worker_name() -> str:
    """Return a name that no claim has had."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def claim(*queues: str, lane: str | None = None, limit: int | None = None, lease: float | None = None) -> Claim:
    """Lease what is due in these queues (all, when none is named), oldest first.

    ``limit`` and ``lease`` (seconds) default to the settings BATCH_SIZE and LEASE_SECONDS. One whose lease expired
    comes alone, marked as suspect: its last worker died or stalled, perhaps because of it, and if it takes this process
    down too, its neighbours lose nothing.
    """
    limit, worker, lease = limit or conf.batch_size(), worker_name(), lease or conf.lease_seconds()
    began = _now()
    every, has_expired = _allowed()
    if lane is not None:
        every = _of_lane(every, lane)
    executions = list[Execution]()
    if has_expired:
        executions = leasing.lease(of_queues(every, *queues), 1, worker=worker, lease=lease, suspects=True)
    if not executions:
        names = queues or database_of(every.db).due_queues(due(every))
        if len(names) == 1:
            executions = leasing.lease(_in_order(of_queues(every, *names)), limit, worker=worker, lease=lease)
        elif names:
            executions = leasing.lease(_oldest(every, names, limit), limit, worker=worker, lease=lease)
    return _claim_of(worker, executions, began)


def _allowed() -> tuple[ExecutionQuerySet, bool]:
    """Return the executions that no pause stops, and whether the lease of any has expired."""
    every = rows()
    unusual = leasing.unusual(every.db)
    return unpaused(every) if unusual.is_paused else every, unusual.has_expired


@lru_cache(maxsize=64)
def _of_lane(executions: ExecutionQuerySet, lane: str) -> ExecutionQuerySet:
    return executions.filter(lane=lane)


@lru_cache(maxsize=64)
def _in_order(executions: ExecutionQuerySet) -> ExecutionQuerySet:
    return database_of(executions.db).in_order(executions)


def _oldest(executions: ExecutionQuerySet, queues: Sequence[str], limit: int) -> ExecutionQuerySet:
    """Return the oldest of these that are due, of several queues together.

    One query a queue, each as far as it takes: there is an order in each, and all that is due would be sorted for one
    over all of them. Of one queue the lease itself finds them.
    """
    of_each = (_in_order(of_queues(leasable(executions), name)) for name in queues)
    oldest = sorted(pair for rows in of_each for pair in rows.values_list("next_attempt_at", "pk")[:limit])
    return executions.filter(pk__in=[pk for _due, pk in oldest[:limit]])


def claim_in_turn(queue: str, limit: int) -> Claim:
    """Lease what is due in this queue, of each rule as many, and the oldest of them; else as ``claim``: where more
    waits than is claimed at once, one rule with a flood must not hold up all others.

    The order of what one rule does stays. What is over, because some have less than their share, goes to the oldest of
    all.
    """
    began, worker, lease = _now(), worker_name(), conf.lease_seconds()
    allowed, has_expired = _allowed()
    every = of_queues(allowed, queue)
    if has_expired and (suspects := leasing.lease(every, 1, worker=worker, lease=lease, suspects=True)):
        return _claim_of(worker, suspects, began)
    database, executions = database_of(every.db), list[Execution]()
    waiting, reading = _in_order(leasable(every)), leasing.with_events(every.db)
    slugs = database.due_rules(waiting, queue)
    if len(slugs) > 1:
        chosen = random.sample(slugs, limit) if len(slugs) > limit else slugs
        rooms = dict.fromkeys(chosen, limit // len(chosen))
        executions += database.lease_rules(waiting, rooms, reading, worker=worker, seconds=lease)
    if len(executions) < limit:
        executions += database.lease(waiting, limit - len(executions), reading, worker=worker, seconds=lease)
    return _claim_of(worker, leasing.in_order_of_time(executions), began)


def claim_lanes(queue: str, rooms: Mapping[str, int], *, in_order: bool = False, suspects: bool = True) -> Claim:
    """Lease what is due in these lanes, up to so many of each, oldest first, what was in flight when a process died
    before the rest: what waits for one receiver must not wait behind what waits for another.

    Without ``suspects`` those are left to another claim.
    ``in_order`` leaves out what has to wait for an earlier execution with the same order key. An execution that has
    taken a process down twice is left to ``claim_crashed``.
    """
    began = _now()
    allowed, has_expired = _allowed()
    waiting = of_queues(allowed, queue)
    if in_order:
        firsts = rows().filter(queue=queue, lane__in=list(rooms)).firsts()
        waiting = waiting.filter(Q(order_key="") | Q(pk__in=firsts.values("pk")))
    worker, lease = worker_name(), conf.lease_seconds()
    executions: list[Execution] = []
    if suspects and rooms and has_expired:
        executions = leasing.lease_lanes(_uncrashed(waiting), rooms, worker=worker, lease=lease, suspects=True)
    taken = Counter(execution.lane for execution in executions)
    left = {lane: room - taken[lane] for lane, room in rooms.items() if room > taken[lane]}
    if left:
        executions += leasing.lease_lanes(waiting, left, worker=worker, lease=lease)
    return _claim_of(worker, executions, began)


@lru_cache(maxsize=64)
def _uncrashed(executions: ExecutionQuerySet) -> ExecutionQuerySet:
    return executions.filter(crashes=0)


def claim_crashed(queue: str, lanes: Sequence[str]) -> Claim:
    """Lease one execution that was in flight when a process died for the second time. Carry it out alone."""
    began, worker = _now(), worker_name()
    allowed, has_expired = _allowed()
    if not has_expired:
        return Claim(worker, ())
    crashed = of_queues(allowed, queue).filter(lane__in=lanes, crashes__gt=0)
    executions = leasing.lease(crashed, 1, worker=worker, lease=conf.lease_seconds(), suspects=True)
    return _claim_of(worker, executions, began)


def renew(*workers: str, lease: float | None = None) -> int:
    """Keep claims for another ``lease`` seconds; returns how many executions they still hold."""
    return rows().renew(workers, lease or conf.lease_seconds())


def give_back(worker: str) -> int:
    """Give back what the claim did not start, at no charge; returns how many."""
    return rows().give_back(worker)


def postpone(execution: Execution, worker: str, seconds: float) -> int:
    """Give back one that the claim did not start, to be due in so many seconds; no attempt is charged."""
    return rows().filter(pk=execution.pk).postpone(worker, seconds)


def cancel(reason: str, *, queue: str, lane: str) -> int:
    """Cancel what waits in a lane, such as a disabled endpoint's; ``reason`` is a sentence. Returns how many."""
    return rows().filter(queue=queue, lane=lane).cancel(reason)


class LeaseKeeper:
    """Renews the leases of claims from a thread of its own, for as long as the ``with`` block runs.

    ``workers`` are the names of the claims; more may be added, and old ones taken away, meanwhile. The thread
    connects to the database only if the block outlasts a third of the lease.
    """

    def __init__(self, *workers: str) -> None:
        self.workers = set(workers)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._keep, name="rules-engine-lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.done.set()
        self.thread.join()

    def _keep(self) -> None:
        # Whoever waits for the pool while its threads are at work would lose the leases of all of them.
        with outside_pool(router.db_for_write(Execution)):
            self._renew_until_done()

    def _renew_until_done(self) -> None:
        used = has_failed = False
        while not self.done.wait(_seconds_to_renewal(has_failed)):
            used = True
            with paused():  # as in drain: opening this thread's connection is no event
                # A lease that is lost is noticed by the fence; this thread goes on.
                renewed = ask(against_rivals, partial(renew, *self.workers.copy()))
            if isinstance(renewed, Unread):
                if not has_failed:
                    _say_that_leases_may_end(renewed.error)
                connections[router.db_for_write(Execution)].close()
            has_failed = isinstance(renewed, Unread)
        if used:
            connections.close_all()


def _seconds_to_renewal(has_failed: bool) -> float:
    """After a third of the lease; sooner where the last try failed: a server that comes back in time keeps them all."""
    third = conf.lease_seconds() / 3
    return min(third, RETRY_SECONDS) if has_failed else third


def _say_that_leases_may_end(error: Exception) -> None:
    """Say it in one line where the database does not answer, and with its place where something else is wrong."""
    is_known = isinstance(error, (DatabaseError, InterfaceError))
    text = "Leases could not be renewed (%s); it is tried again, and what ends until then passes to other workers."
    logger.warning(text, str(error).strip(), exc_info=None if is_known else error)

"""Wakes workers: "there is work in this queue", through Celery, the database or Django's tasks, from a
thread of its own.

Never published by the thread that commits: measured, a publish there can hold a save for 6 s when Redis refuses, 20 s
when it is silent, 4 s with AMQP, whatever the timeouts. The caller adds a name to a set and goes on. The first hint of
a queue is sent at once, and the next not before PACE is over: a message costs this process as much as a small save
does, under the same interpreter lock. A hint that is lost costs latency only, the sweep finds the work.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import Any

from celery import current_app
from django.db import DatabaseError, InterfaceError, connections, router
from django.utils.module_loading import import_string
from kombu import pools
from kombu.exceptions import KombuError, OperationalError

from rules_engine import conf
from rules_engine.context.actor import paused
from rules_engine.databases import database_of
from rules_engine.models import Execution
from rules_engine.models.tallies import counting
from rules_engine.outbox.crowding import has_room, say_if_unbounded
from rules_engine.types import Unread, ask

logger = logging.getLogger("rules_engine")

DRAIN = "rules_engine.tasks.drain"
#: By its name, as Celery's: only sites that have Django's tasks can import it.
ENQUEUE = "rules_engine.work.standalone.django_tasks.enqueue"
#: A hint that no worker took by then is stale: the sweep has long found its work.
EXPIRES_SECONDS = 30.0
#: Seconds between two hints of one queue. A worker that was told a moment ago is at work still, and what it does not
#: see any more waits no longer than this.
PACE = 0.02
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
FLUSH_AT_EXIT_SECONDS = 0.3
#: A fork waits this long for a hint that is being sent; a broker may be silent for longer.
FORK_WAITS_SECONDS = 5.0

#: What telling may raise when a broker or the database refuses, hangs up or is misconfigured.
BROKER_ERRORS = (OperationalError, KombuError, OSError, RuntimeError, ValueError, LookupError)
PUBLISH_ERRORS = (*BROKER_ERRORS, DatabaseError, InterfaceError)


class Publisher:
    """The queues with work to announce, and the thread that announces them. One for each process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.queues: set[str] = set()
        #: What the thread has taken from ``queues`` and is announcing now.
        self.publishing: set[str] = set()
        #: Those that were announced a moment ago, and when they may be again.
        self.paced: dict[str, float] = {}
        self.wake = threading.Condition()
        self.thread: threading.Thread | None = None
        self.failing = False

    def notify(self, queue: str) -> None:
        """Announce work in the queue soon; returns at once."""
        with self.wake:
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._run, name="rules-engine-hints", daemon=True)
                self.thread.start()
            if queue not in self.queues:
                self.queues.add(queue)
                # The thread looks by itself when a pace is over; woken before, it would take the caller's time.
                if queue not in self.paced:
                    self.wake.notify_all()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self.wake:
                while not (due := self._due()):
                    self.wake.wait(self._seconds_to_wait())
                self.publishing, self.queues = due, self.queues - due
            with _sending:
                left = {queue for queue in self.publishing if not self._publish(queue)}
            with self.wake:
                self.paced.update(dict.fromkeys(due - left, time.monotonic() + PACE))
                self.queues |= left
                self.publishing = set()
            if left:
                time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE) if left else FIRST_PAUSE

    def _due(self) -> set[str]:
        """Return what may be announced now."""
        now = time.monotonic()
        self.paced = {queue: end for queue, end in self.paced.items() if end > now}
        return self.queues - self.paced.keys()

    def _seconds_to_wait(self) -> float | None:
        """Return how long the next pace still goes on; None where there is none, and only ``notify`` ends waiting."""
        return max(0.0, min(self.paced.values()) - time.monotonic()) if self.paced else None

    def _publish(self, queue: str) -> bool:
        # The thread must outlive whatever a transport raises.
        sent = ask(send, queue)
        counting.add(counting.HINTS, ("failed" if isinstance(sent, Unread) else "sent",))
        if not isinstance(sent, Unread):
            self.failing = False
            return True
        if not self.failing:
            # RabbitMQ's refusal of a message that is to be confirmed has no words.
            why = str(sent.error) or type(sent.error).__name__
            logger.warning("Workers cannot be told of new work (%s); it waits for their sweep.", why)
        self.failing = True
        return False

    def flush(self, seconds: float) -> None:
        """Wait until all is announced, for at most this long."""
        end = time.monotonic() + seconds
        while (self.queues or self.publishing) and time.monotonic() < end:
            time.sleep(0.005)


_publisher: Publisher | None = None
#: Held while hints are sent, and over a fork: what its thread was in the midst of stays so in the child for ever. Seen:
#: a child that could not import Celery's transport, as its parent was importing it for the first hint.
_sending = threading.RLock()
_is_held_over_fork = False
#: Kept, since a connection to a broker that is collected as garbage ends its socket for the parent as well.
_of_parent: list[Any] = []


def notify(queue: str) -> None:
    """Say that a queue has work; call it after the commit. Takes microseconds and never fails for the broker."""
    global _publisher
    if not conf.hints():
        return
    # A forked child has the object and not its thread; its lock may be held by one that did not come along.
    if _publisher is None or _publisher.pid != os.getpid():
        if _publisher is not None:
            _leave_to_parent()
        _publisher = Publisher()
    _publisher.notify(queue)


def _before_fork() -> None:
    global _is_held_over_fork
    _is_held_over_fork = _sending.acquire(timeout=FORK_WAITS_SECONDS)


def _after_fork_in_parent() -> None:
    if _is_held_over_fork:
        _sending.release()


def _after_fork_in_child() -> None:
    global _sending
    _sending = threading.RLock()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def _leave_to_parent() -> None:
    """Have this process connect to the broker by itself. Celery does so where billiard or multiprocessing forked, and
    not for a plain fork: parent and children would write to one socket, and read each other's answers."""
    _of_parent.extend((*pools.connections.values(), *pools.producers.values()))
    pools.connections.clear()
    pools.producers.clear()
    current_app._after_fork()


def send(queue: str) -> None:
    """Tell the workers of a queue now, by what the site's workers hear. Raises one of ``PUBLISH_ERRORS`` when that
    cannot be reached."""
    runner = conf.runner()
    if runner == "worker":
        _announce(queue)
    elif runner == "tasks":
        import_string(ENQUEUE)(queue)
    else:
        _publish(queue)


def _announce(queue: str) -> None:
    using = router.db_for_write(Execution)
    try:
        with paused():  # this thread's connecting is no event
            database_of(using).announce(queue, using)
    except (DatabaseError, InterfaceError):
        if not connections[using].in_atomic_block:
            connections[using].close()  # the next hint opens another
        raise


def _publish(queue: str) -> None:
    if not has_room(queue):
        return
    current_app.send_task(
        DRAIN, kwargs={"queue": queue}, queue=queue, expires=EXPIRES_SECONDS, ignore_result=True, retry=False
    )
    say_if_unbounded(queue)


def flush(seconds: float = FLUSH_AT_EXIT_SECONDS) -> None:
    """Give hints that were not published yet this long; at exit, so that a short command's work starts at once."""
    if _publisher is not None and _publisher.pid == os.getpid():
        _publisher.flush(seconds)


atexit.register(flush)

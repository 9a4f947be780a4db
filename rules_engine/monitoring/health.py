"""Whether all is well: a few checks, each with its answer in a bounded time, whatever hangs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock, Thread
from typing import Literal

from celery import current_app
from django.db import connections

from rules_engine import conf
from rules_engine.context.actor import paused
from rules_engine.databases import database_of
from rules_engine.live import watcher
from rules_engine.models import Execution, Heartbeat, Pause
from rules_engine.monitoring.backlog import oldest_free
from rules_engine.monitoring.figures import seen
from rules_engine.setting_values import ConfiguredHealth
from rules_engine.types import Unread, ask
from rules_engine.work.queues import has_drain

State = Literal["healthy", "unhealthy", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """What one check came to. ``says`` is a sentence for people, without names of hosts, rules or users, and without
    what a server said."""

    name: str
    state: State
    says: str


def limits() -> ConfiguredHealth:
    """Return from where on something is not well."""
    return conf.health() or ConfiguredHealth()


def checks(names: Sequence[str] = ()) -> list[Check]:
    """Make these checks, or all, at once, and wait no longer for them than the setting says.

    What does not answer until then is unknown, as is what could not be asked because the database is not there.
    """
    give_up = time.monotonic() + limits().seconds
    asked = [(name, _asked[name].begin()) for name in names or _CHECKS]
    return [_answer(name, future, give_up) for name, future in asked]


def overall(made: Sequence[Check]) -> State:
    """Return what all of them come to: unhealthy where one is, else unknown where one is."""
    states = {check.state for check in made}
    return "unhealthy" if "unhealthy" in states else "unknown" if "unknown" in states else "healthy"


Answer = tuple[State, str]


#: Seconds until a check that hangs is begun anew, at first and at most: twice as long with each that hangs.
AGAIN_SECONDS, LONGEST_AGAIN = 10.0, 120.0


class _Asked:
    """One check: whoever asks while it is under way has the same answer.

    Each takes a thread and perhaps a connection. So however often a monitor asks, or many do at once, a database that
    hangs costs this process a thread a minute or two at most, and one that is there a connection for each check.
    """

    def __init__(self, check: Callable[[], Answer]) -> None:
        self._check = check
        self._lock = Lock()
        self._under_way: list[Future[Answer | Unread]] = []
        self._begun_at = 0.0

    def begin(self) -> Future[Answer | Unread]:
        """Return the answer that is under way; begin a check where none is, or where those that are have hung for
        long: in a thread of its own, for one that hangs is left behind, and holds up no exit."""
        with self._lock:
            self._under_way = [future for future in self._under_way if not future.done()]
            patience = min(AGAIN_SECONDS * 2 ** min(len(self._under_way) - 1, 10), LONGEST_AGAIN)
            if self._under_way and time.monotonic() - self._begun_at < patience:
                return self._under_way[-1]
            future: Future[Answer | Unread] = Future()
            Thread(target=_run, args=(self._check, future), name="rules-engine-health", daemon=True).start()
            self._under_way.append(future)
            self._begun_at = time.monotonic()
            return future


def _run(check: Callable[[], Answer], future: Future[Answer | Unread]) -> None:
    with paused():  # this thread's connecting is no event
        answer = ask(check)
    connections.close_all()
    future.set_result(answer)


def _answer(name: str, future: Future[Answer | Unread], give_up: float) -> Check:
    try:
        answer = future.result(max(give_up - time.monotonic(), 0.0))
    except TookTooLong:
        # What does not answer is itself unwell where it is what is asked; else nobody can tell.
        state: State = "unhealthy" if name in ("database", "broker") else "unknown"
        return Check(name, state, f"No answer within {limits().seconds:g} s.")
    if isinstance(answer, Unread):
        state = "unhealthy" if name in ("database", "broker") else "unknown"
        return Check(name, state, f"It could not be asked: {type(answer.error).__name__}.")
    return Check(name, *answer)


def _database() -> Answer:
    Execution.objects.order_by("pk").values_list("pk", flat=True).first()
    return "healthy", "The database answers."


def _workers() -> Answer:
    by_kind = {found.kind: found for found in seen()}
    sweep, untold = by_kind[Heartbeat.Kind.SWEEP], by_kind[Heartbeat.Kind.UNTOLD]
    if sweep.hosts:
        late = f" Of them with workers that are not told of new work, and look for it: {untold.hosts}."
        return "healthy", f"Hosts that look for due work: {sweep.hosts}.{late if untold.hosts else ''}"
    when = "ever" if sweep.ago is None else f"for {sweep.ago.total_seconds():.0f} s"
    return "unhealthy", f"No worker was seen {when}."


def _oldest_due() -> Answer:
    live, pauses = Execution.objects.live(), list(Pause.objects.current())
    # A queue that an app has taken over waits for others: it tells of them itself.
    queues = [name for name in database_of(live.db).due_queues(live) if not has_drain(name)]
    oldest = max((oldest_free(name, pauses)[1] for name in queues), default=timedelta())
    state: State = "unhealthy" if oldest.total_seconds() > limits().oldest_due else "healthy"
    return state, f"The oldest due execution has been due for {oldest.total_seconds():.0f} s."


def _watcher() -> Answer:
    age = watcher.seconds_since_look()
    if age is None:
        return "healthy", "This process has not read the rules yet."
    state: State = "unhealthy" if age > limits().watcher else "healthy"
    return state, f"This process read the rules {age:.0f} s ago."


def _broker() -> Answer:
    if conf.runner() != "celery" or not conf.hints():
        return "healthy", "No broker is used."
    with current_app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=limits().seconds)
    return "healthy", "The broker answers."


_CHECKS: Mapping[str, Callable[[], Answer]] = {
    "database": _database,
    "workers": _workers,
    "oldest_due": _oldest_due,
    "watcher": _watcher,
    "broker": _broker,
}
NAMES = tuple(_CHECKS)
_asked: Mapping[str, _Asked] = {}


def reset() -> None:
    """Leave behind what hangs: for tests, and in a forked child, where nobody would answer."""
    global _asked
    _asked = {name: _Asked(check) for name, check in _CHECKS.items()}


reset()
os.register_at_fork(after_in_child=reset)

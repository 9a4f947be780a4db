"""Counting in memory, and writing it down. Whoever counts asks no database and waits for no lock: each thread has
numbers of its own, which only it changes, and the thread that looks for changed rules adds up what came to them.

Nothing is counted where ``RULES_ENGINE["METRICS"]`` is off. A process that is killed takes along what it has counted
since it last wrote: a few seconds' worth.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from django.db import DatabaseError, InterfaceError, connections, router, transaction
from django.db.transaction import TransactionManagementError

from rules_engine import conf
from rules_engine.context.snapshot import clean_text
from rules_engine.models.tallies.tally import Key, Tally

#: Seconds between two writings of a process: several in the time between two scrapes, and few beside its other work.
EVERY_SECONDS = 5.0
#: The upper ends, in seconds, of the classes that durations are counted in.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
#: The name that evaluations are counted by, with the rule and what came of it.
EVALUATIONS = "rules_engine_evaluations"
#: The name that executions which have ended are counted by, with their kind and state.
EXECUTIONS, OF_ANY_KIND = "rules_engine_executions", "(any)"
#: The name that hints are counted by, with whether they could be sent.
HINTS = "rules_engine_hints"
#: Characters of a label's value; a slug has a hundred.
LONGEST_LABEL = 200
#: Durations are added up in whole microseconds.
MICROSECONDS = 1_000_000


@dataclass(slots=True)
class _OfThread:
    """What a thread has counted, and how much of it is taken already."""

    thread: threading.Thread
    counts: dict[Key, int] = field(default_factory=dict)
    taken: dict[Key, int] = field(default_factory=dict)


class Counts:
    """What this process has counted and not written down yet."""

    def __init__(self) -> None:
        self.local = threading.local()
        self.threads: list[_OfThread] = []
        #: Taken from the threads, and not in the database yet.
        self.unwritten: Counter[Key] = Counter()
        self.written_at = time.monotonic()
        self.writing = threading.Lock()

    def own(self) -> dict[Key, int]:
        """Return the numbers of the thread that asks."""
        try:
            counts: dict[Key, int] = self.local.counts
        except AttributeError:
            mine = _OfThread(threading.current_thread())
            counts = self.local.counts = mine.counts
            self.threads.append(mine)
        return counts

    def take(self) -> None:
        """Take what threads have counted since; forget those that have ended."""
        for of_thread in list(self.threads):
            has_ended = not of_thread.thread.is_alive()
            now = of_thread.counts.copy()
            for key, number in now.items():
                if more := number - of_thread.taken.get(key, 0):
                    self.unwritten[_storable(key)] += more
            of_thread.taken = now
            if has_ended:
                self.threads.remove(of_thread)

    def write(self) -> None:
        """Write down what there is. Raises ``DatabaseError`` and ``InterfaceError``; then it is for the next time."""
        with self.writing:
            self.take()
            self.written_at = time.monotonic()
            settings = conf.metrics()
            if settings is None or not self.unwritten:
                return
            written = self.unwritten.copy()
            Tally.objects.using(router.db_for_write(Tally)).add(written, settings.labels)
            self.unwritten -= written


def _storable(key: Key) -> Key:
    # One label that no database takes would keep all that a process has counted from being written, for ever.
    name, labels = key
    return name, tuple(clean_text(str(label), LONGEST_LABEL) for label in labels)


_counts = Counts()


def _after_fork() -> None:
    # What the parent counted, the parent writes.
    global _counts
    _counts = Counts()


os.register_at_fork(after_in_child=_after_fork)


def add(name: str, labels: tuple[str, ...] = (), amount: int = 1) -> None:
    """Count so many, in memory. Asks no database, and does nothing where metrics are off."""
    if conf.metrics() is not None:
        counts = _counts.own()
        counts[name, labels] = counts.get((name, labels), 0) + amount


def add_evaluations(evaluations: Iterable[tuple[str, str]]) -> None:
    """Count what rules said of a change, by their slugs: in the path of saves, where metrics are known to be on."""
    counts = _counts.own()
    for labels in evaluations:
        key = EVALUATIONS, labels
        counts[key] = counts.get(key, 0) + 1


class Counted(Counter[Key]):
    """Counts that belong together, to be added at once."""

    def observe(self, name: str, labels: tuple[str, ...], seconds: float) -> None:
        """Count a duration: in its class, and in the sum of all."""
        bound = next((f"{bound:g}" for bound in BOUNDS if seconds <= bound), "+Inf")
        self[f"{name}_bucket", (*labels, bound)] += 1
        self[f"{name}_sum", labels] += round(seconds * MICROSECONDS)


def count_after_commit(counts: Mapping[Key, int], using: str) -> None:
    """Count these once the open transaction is committed: what it undoes has not happened."""
    if conf.metrics() is None or not counts:
        return
    try:
        transaction.on_commit(partial(_add_all, counts), using=using, robust=True)
    except TransactionManagementError:  # the caller manages its transaction by hand
        _add_all(counts)


def _add_all(counts: Mapping[Key, int]) -> None:
    for (name, labels), amount in counts.items():
        add(name, labels, amount)


def cancelled(number: int, using: str) -> int:
    """Count so many executions that were cancelled by one statement, of whichever kinds; returns the number."""
    if number:
        count_after_commit({(EXECUTIONS, (OF_ANY_KIND, "cancelled")): number}, using)
    return number


def write_now() -> None:
    """Write down what this process has counted. Raises ``DatabaseError`` and ``InterfaceError``; nothing is lost
    then."""
    _counts.write()


def write_if_due() -> None:
    """``write_now``, unless this process has just done so."""
    if conf.metrics() is not None and time.monotonic() - _counts.written_at >= EVERY_SECONDS:
        _counts.write()


def write_at_end() -> None:
    """Write down what is left, over the connection that is open, if one is: nobody waits for a database to exit."""
    connection = connections[router.db_for_write(Tally)]
    if conf.metrics() is not None and connection.connection is not None and not connection.in_atomic_block:
        with suppress(DatabaseError, InterfaceError):
            _counts.write()


def threads_known() -> int:
    """Say of how many threads numbers are kept."""
    return len(_counts.threads)


def reset() -> None:
    """Forget what was counted and not written: for tests, whose tables are emptied."""
    _after_fork()


def _at_exit() -> None:
    if _counts.threads:
        write_at_end()


atexit.register(_at_exit)

"""Several threads at once, as several workers or requests are."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connections

Outcome = TypeVar("Outcome")
#: For all threads to have started.
SECONDS = 60


def run_together(count: int, work: Callable[[int], Outcome]) -> list[Outcome]:
    """Call ``work`` with 0, 1, 2 … in so many threads that are let go together; returns what the calls return.

    Each thread has connections of its own, which are closed when it ends. Raises what the first of them raised, when
    all have ended.
    """
    gate = Barrier(count)

    def run(number: int) -> Outcome:
        try:
            gate.wait(SECONDS)
            return work(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))

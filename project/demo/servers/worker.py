"""A Celery worker in a thread of this process, with the sweeper that every worker has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from celery import signals
from celery.worker import WorkController, state
from django.db import connections

from project.celery import app
from rules_engine.outbox import hints

QUEUES = ("celery", "rules", "webhooks")
#: A worker that is in the middle of something longer is left: what it had is due again when its lease ends.
STOP_SECONDS = 1.0


class Worker(WorkController):  # type: ignore[misc]  # celery has no types
    """Celery's worker without its command line's part: no signal handlers, which only a main thread may set."""

    def on_after_init(self, **_: Any) -> None:
        """Let Celery's Django fixup know, which keeps database connections fresh."""
        signals.worker_init.send(sender=self)

    def on_consumer_ready(self, consumer: Any) -> None:
        """Start what starts with a worker: the sweeper."""
        signals.worker_ready.send(sender=consumer)


def _work(ready: threading.Event) -> None:
    def say_ready(**_: Any) -> None:
        ready.set()

    signals.worker_ready.connect(say_ready)
    worker = Worker(
        app=app,
        hostname="demo@localhost",
        pool_cls="solo",
        concurrency=1,
        queues=QUEUES,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    try:
        worker.start()
    finally:
        connections.close_all()


@contextmanager
def working(start_seconds: float = 20.0) -> Iterator[None]:
    """A worker runs while the block does. Raises ``RuntimeError`` when it does not come up."""
    ready = threading.Event()
    state.should_stop = None
    thread = threading.Thread(target=_work, args=(ready,), name="demo-worker", daemon=True)
    thread.start()
    try:
        if not ready.wait(start_seconds):
            raise RuntimeError("The Celery worker did not start; its log, above, says why.")
        yield
    finally:
        state.should_stop = 0
        with suppress(*hints.PUBLISH_ERRORS):
            # It waits two seconds for a message before it looks whether to stop, and once more when it has looked.
            for _ in range(2):
                hints.send(QUEUES[0])
        thread.join(STOP_SECONDS)

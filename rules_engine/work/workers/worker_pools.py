"""Celery's pools, as far as the engine cares: how many connections to the database a worker's process needs."""

from __future__ import annotations

import logging
import os
from typing import Any

from celery import current_app
from celery.signals import worker_init
from django.db import router

from rules_engine.databases.pools import pool_size
from rules_engine.models import Execution

logger = logging.getLogger("rules_engine")

#: Pools whose tasks share a process, as parts of the names that Celery knows them by; in others each has its own.
SHARING = ("thread", "gevent", "eventlet")


def connections_needed(pool: Any, concurrency: Any) -> int:
    """Return how many connections a process of such a pool needs at once: one for each task, and one for its looks for
    changed rules and for work. Leases are renewed over one more, which is not the pool's."""
    names = str(pool)
    tasks = _number(concurrency) if any(name in names for name in SHARING) else 1
    return tasks + 1


def _number(concurrency: Any) -> int:
    return int(concurrency) if str(concurrency).isdigit() and int(concurrency) else os.cpu_count() or 1


def problem(pool: Any, concurrency: Any) -> str:
    """Say in a sentence that the database's pool is too small for such a worker; else nothing."""
    using = router.db_for_write(Execution)
    size, needed = pool_size(using), connections_needed(pool, concurrency)
    if size is None or size >= needed:
        return ""
    return (
        f'The pool of DATABASES["{using}"] has {size} connections; a worker needs {needed} in one process, one for '
        "each task at work and one for its looks: else its tasks wait for each other."
    )


def configured_problem() -> str:
    """``problem`` of the workers that Celery's settings describe."""
    return problem(current_app.conf.worker_pool, current_app.conf.worker_concurrency)


@worker_init.connect(dispatch_uid="rules_engine.worker_pools")
def say_what_is_needed(sender: Any = None, **_: Any) -> None:
    """Say at a worker's start what its command line makes of it, which no setting tells."""
    said = problem(getattr(sender, "pool_cls", ""), getattr(sender, "concurrency", None))
    if said:
        logger.warning("%s", said)

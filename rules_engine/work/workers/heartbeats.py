"""Leaves signs of life for the overview page; a fault in that never holds up the work."""

from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, router, transaction

from rules_engine import conf
from rules_engine.models import Heartbeat

logger = logging.getLogger("rules_engine")

#: A process says no more often than this that it is at work.
EVERY_SECONDS = 5.0
#: Nobody who is at work is silent for so many sweeps.
SILENT_SWEEPS = 6

_last: dict[str, float] = {}
_lock = threading.Lock()


def beat(kind: str) -> None:
    """Say that this host does something of that kind, unless this process has just said so."""
    now = time.monotonic()
    with _lock:
        if now - _last.get(kind, float("-inf")) < EVERY_SECONDS * 0.9:
            return
        _last[kind] = now
    using = router.db_for_write(Heartbeat)
    try:
        with transaction.atomic(using=using):
            Heartbeat.objects.using(using).beat(kind, socket.gethostname()[:200])
    except (DatabaseError, InterfaceError) as error:
        logger.warning("No sign of life could be left for the overview page (%s); the work goes on.", error)


def patience() -> timedelta:
    """Return how long a worker may be silent and still be taken to be at work."""
    return timedelta(seconds=SILENT_SWEEPS * conf.sweep_seconds())


def reset() -> None:
    """Forget what was said: for tests, whose tables are emptied."""
    with _lock:
        _last.clear()

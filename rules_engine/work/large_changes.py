"""Tells the rules of large many-to-many changes, part by part: the work that nobody waits for in a save."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import models, router, transaction
from django.db.models import F
from django.db.models.functions import Now

from rules_engine.capture import receiver
from rules_engine.databases.generic import seconds_from_now
from rules_engine.live import cache
from rules_engine.models import LargeChange
from rules_engine.surroundings.state import within
from rules_engine.types import Unread, ask

logger = logging.getLogger("rules_engine")

#: Seconds until a part that could not be told is tried again, doubled each time up to the longest.
FIRST_WAIT, LONGEST_WAIT = 10.0, 3600.0


def due() -> models.QuerySet[LargeChange]:
    """Return the parts of large changes that rules are to be told of."""
    return LargeChange.objects.using(router.db_for_write(LargeChange)).filter(due_at__lte=Now())


def is_any_due() -> bool:
    """Say whether some part is to be told."""
    return due().exists()


def tell_due(*, seconds: float = float("inf")) -> int:
    """Tell what is due until nothing is, or the time is up. Returns how many parts were told."""
    end, told = time.monotonic() + seconds, 0
    while time.monotonic() < end and (pk := _next()) is not None:
        # The rules as they are now: those that heard the change may be newer than what this process has.
        cache.refresh()
        done = ask(_tell, pk)
        if isinstance(done, Unread):
            _put_back(pk, done.error)
        else:
            told += done
    return told


def _next() -> Any:
    return due().order_by("due_at", "id").values_list("pk", flat=True).first()


def _tell(pk: Any) -> int:
    rows = LargeChange.objects.using(router.db_for_write(LargeChange)).filter(pk=pk)
    surroundings = rows.values_list("surroundings", flat=True).first()
    with within(surroundings or ""), transaction.atomic(using=rows.db):
        # Taken away first: of two workers the second waits here, and finds that it is gone.
        change = rows.first()
        if change is None or not rows.delete()[0]:
            return 0
        receiver.tell_large_change(change)
    return 1


def _put_back(pk: Any, error: Exception) -> None:
    logger.error("A part of a large change could not be told; it is tried again.", exc_info=error)
    rows = LargeChange.objects.using(router.db_for_write(LargeChange)).filter(pk=pk)
    change = rows.first()
    if change is not None:
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(change.failures, 20))
        rows.update(failures=F("failures") + 1, due_at=seconds_from_now(wait))

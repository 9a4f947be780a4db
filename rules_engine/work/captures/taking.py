"""Takes what triggers have captured, in order, and tells rules of it: exactly once, for a row is taken away in the
transaction that records what it led to.

One worker at a time: so that what happened to an object is told in the order in which it happened. A row that cannot be
told takes along what waits of its object by then; what is captured of it later is told first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from django.db import router, transaction
from django.db.models import F

from rules_engine.capture import receiver
from rules_engine.databases import database_of
from rules_engine.databases.generic import passing_locked, seconds_from_now
from rules_engine.live import cache
from rules_engine.models import CapturedChange
from rules_engine.surroundings.state import within
from rules_engine.types import Unread, ask
from rules_engine.work.captures.reading import Writers, readings

logger = logging.getLogger("rules_engine")

#: Rows told in one transaction.
BATCH = 500
#: The lock that the worker has who takes them; no other lock of ours has this number.
TURN = 7_263_845_104
#: Seconds until a row that could not be told is tried again, doubled each time up to the longest.
FIRST_WAIT, LONGEST_WAIT = 10.0, 3600.0


class _TakenByAnother(Exception):
    """Somebody else has taken the same rows, where no lock keeps workers apart."""


def due() -> Any:
    """Return the captured changes that rules are to be told of."""
    return CapturedChange.objects.using(router.db_for_write(CapturedChange)).due()


def is_any_due() -> bool:
    """Say whether some captured change is to be told."""
    return bool(due().exists())


def tell_due(*, seconds: float = float("inf")) -> int:
    """Tell what is due until nothing is, somebody else is at it, or the time is up. Returns how many rows were told."""
    end, told = time.monotonic() + seconds, 0
    size = BATCH
    while time.monotonic() < end and is_any_due():
        # The rules as they are now: at least as new as those of whoever wrote.
        cache.refresh()
        done = ask(_tell, size)
        if not isinstance(done, Unread):
            told += done
            size = min(BATCH, size * 2)
            if not done:
                break
        elif _is_rivalry(done.error):
            break  # nothing is wrong with any of them: the next look goes on
        elif size > 1:
            # Something is wrong with one of them: it is to hold up as few others as can be.
            logger.warning("%s captured changes could not be told together (%s).", size, done.message)
            size = max(1, size // 8)
        else:
            _put_back(done.error)
    return told


def _is_rivalry(error: Exception) -> bool:
    return isinstance(error, _TakenByAnother) or database_of(due().db).is_rivalry(error)


def _tell(size: int) -> int:
    using = router.db_for_write(CapturedChange)
    with transaction.atomic(using=using):
        if not database_of(using).has_turn(TURN, using):
            return 0
        rows = list(_next(size))
        # Taken away first: whoever comes second finds that they are gone.
        gone, _ = due().filter(pk__in=[row.pk for row in rows]).delete() if rows else (0, {})
        if gone != len(rows):
            raise _TakenByAnother("Another worker has taken the same captured changes; they are looked for again.")
        if rows:
            _tell_rows(rows)
    return len(rows)


def _next(size: int) -> Any:
    # What is read to be locked is what is there now, and not when the transaction began. MariaDB and MySQL would wait
    # for those of which the transaction goes on.
    return passing_locked(due().order_by("id"))[:size]


def _tell_rows(rows: Sequence[CapturedChange]) -> None:
    writers = Writers()

    def by_writer(row: CapturedChange) -> tuple[str, int | None]:
        return writers.of(row).surroundings, writers.of(row).rule_set

    for (surroundings, number), together in groupby(rows, key=by_writer):
        with within(surroundings):
            receiver.tell(readings(list(together), receiver.table_at(number), writers), rows[0].model)


def _put_back(error: Exception) -> None:
    """Leave the first row that is due for later, and with it what waits of its object: that comes after it."""
    using = router.db_for_write(CapturedChange)
    with transaction.atomic(using=using):
        # What it says is what cannot be read, it may be.
        row = next(iter(_next(1).defer("old", "new", "origin")), None)
        if row is None:
            return
        logger.error("The captured change %s could not be told; it is tried again.", row, exc_info=error)
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(row.failures, 20))
        of_object = due().filter(model=row.model, object_pk=row.object_pk) if row.object_pk else due().filter(pk=row.pk)
        keys = list(passing_locked(of_object).values_list("pk", flat=True))
        CapturedChange.objects.using(using).filter(pk=row.pk).update(failures=F("failures") + 1)
        CapturedChange.objects.using(using).filter(pk__in=keys).update(retry_at=seconds_from_now(wait))

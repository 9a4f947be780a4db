"""Doing something to many rows by one click: batch by batch, each committed with its record, in a request's time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction
from django.db.models import QuerySet

#: Rows changed in one transaction: some milliseconds of locks.
BATCH = 500
#: No batch is begun later than this; web servers commonly give up after thirty.
SECONDS = 20.0

#: Does it to the rows of these keys, and returns those that it did it to.
Act = Callable[[list[Any]], Sequence[Any]]


@dataclass(slots=True)
class Done:
    """To how many rows it was done, and whether the time was up before all of them had their turn."""

    count: int = 0
    is_cut_short: bool = False


def in_batches(user_id: Any, chosen: QuerySet[Any], act: Act, message: str) -> Done:
    """Do it to the chosen rows. Whatever ends it early, what was done is committed, and is on record.

    A few rows are in the admin's log one by one, many as one entry with their number.
    """
    done, entry, end = Done(), None, time.monotonic() + SECONDS
    for keys in _batches(chosen):
        if time.monotonic() > end:
            done.is_cut_short = True
            break
        is_many = len(keys) == BATCH or done.count > 0
        with transaction.atomic(using=router.db_for_write(chosen.model)):
            rows = act(keys)
            done.count += len(rows)
            if not is_many:
                log_each(user_id, rows, message)
            elif rows:
                entry = _log_many(entry, user_id, chosen.model, done.count, message)
    return done


def _batches(chosen: QuerySet[Any]) -> Iterator[list[Any]]:
    """The keys of the rows in their order, read batch by batch: what is done changes what is still chosen."""
    rows = chosen.using(router.db_for_write(chosen.model)).order_by("pk").values_list("pk", flat=True)
    last = rows.last()
    batch: list[Any] = list(rows[:BATCH])
    while batch:
        yield batch
        # What comes meanwhile was not there to be chosen.
        batch = list(rows.filter(pk__gt=batch[-1], pk__lte=last)[:BATCH]) if len(batch) == BATCH else []


def log_each(user_id: Any, rows: Sequence[Any], message: str) -> None:
    """Each row in the admin's log, as changed by this user."""
    if rows:
        LogEntry.objects.log_actions(user_id, rows, CHANGE, message)


def _log_many(entry: LogEntry | None, user_id: Any, model: Any, count: int, message: str) -> LogEntry:
    """One entry for all of them, brought up to date with each batch."""
    if entry is None:
        of_what = ContentType.objects.get_for_model(model)
        entry = LogEntry(user_id=user_id, content_type=of_what, action_flag=CHANGE, change_message=message)
    entry.object_repr = f"{count:,} {model._meta.verbose_name_plural}"[:200]
    entry.save()
    return entry

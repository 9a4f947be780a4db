"""Executions that are not due at once: that wait for so long, or for a time of day, by the database's clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from rules_engine.databases.generic import seconds_from_now
from rules_engine.databases.prepared.queries import Mark, PreparedUpdate, prepare_update
from rules_engine.models import Execution
from rules_engine.rules.schedules.later import due_of

#: Executions that are put off by a text that is made once for their number: nearly always there is one.
FEW = 10


def wait_for_seconds(keys: Sequence[Any], seconds: float, using: str) -> None:
    """Put these off by so long. Raises ``DatabaseError``."""
    if len(keys) <= FEW:
        _putting_off(using, seconds, len(keys)).make(*keys)
    else:
        Execution.objects.using(using).filter(pk__in=keys).update(next_attempt_at=seconds_from_now(seconds))


@lru_cache(maxsize=64)
def _putting_off(using: str, seconds: float, count: int) -> PreparedUpdate:
    marks = [Mark.of(Execution, "pk", number) for number in range(count)]
    rows = Execution.objects.using(using).filter(pk__in=[mark.value for mark in marks])
    return prepare_update(rows, {"next_attempt_at": seconds_from_now(seconds)}, *marks)


def wait_for_time(keys: Collection[Any], using: str) -> None:
    """Put off each of these, from when it would be due to the next time of day that it waits for.

    What it would be due at came of the database's clock; one statement more for all of one time.
    """
    rows = Execution.objects.using(using).filter(pk__in=keys, next_attempt_at__isnull=False).order_by()
    by_due: dict[Any, list[Any]] = {}
    for key, since, given in rows.values_list("pk", "next_attempt_at", "given"):
        if since is not None:
            by_due.setdefault(due_of(since, given or {}), []).append(key)
    for due, these in by_due.items():
        Execution.objects.using(using).filter(pk__in=these).update(next_attempt_at=due)

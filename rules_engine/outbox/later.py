"""Executions that wait for a time of day, by the database's clock."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rules_engine.models import Execution
from rules_engine.rules.schedules.later import due_of


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

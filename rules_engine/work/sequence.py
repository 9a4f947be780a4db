"""Actions that wait for those before them in their rule: let go on, or ended, once those have ended."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import router, transaction
from django.db.models import Exists, Min, OuterRef, Q

from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Execution
from rules_engine.models.execution import FAILED, LIVE, NOT_AFTER_THAT
from rules_engine.outbox import hints
from rules_engine.outbox.later import wait_for_time
from rules_engine.work.leases.leasing import rows

#: Groups looked at by one sweep.
FORGOTTEN = 500


def settle_after(executions: Iterable[Execution]) -> None:
    """Let go on, or end, what waited for these executions, as far as they have ended."""
    groups = {
        (execution.event_id, execution.rule_slug)
        for execution in executions
        if execution.on_failure == "stop" and execution.state not in LIVE
    }
    # In one order everywhere: two workers that settle several groups lock them one after another.
    for event_id, rule_slug in sorted(groups, key=str):
        settle(event_id, rule_slug)


def settle(event_id: Any, rule_slug: str) -> None:
    """Let go on what waited for another action of its rule, or end it, now that more is known of that one.

    The first waiting row is locked: of two workers that finish the last two at once, the second sees both ends.
    """
    using = router.db_for_write(Execution)
    with transaction.atomic(using=using):
        of_rule = rows().filter(event_id=event_id, rule_slug=rule_slug)
        waiting = of_rule.waiting().filter(next_attempt_at__isnull=True).order_by()
        if waiting.order_by("pk").select_for_update().values_list("pk").first() is None:
            return
        stops = of_rule.filter(on_failure="stop").order_by()
        failed = stops.filter(state__in=FAILED).aggregate(first=Min("position"))["first"]
        if failed is not None:
            waiting.filter(position__gt=failed).cancel(NOT_AFTER_THAT)
        live = stops.live().aggregate(first=Min("position"))["first"]
        ready = waiting if live is None else waiting.filter(position__lte=live)
        timed = list(ready.filter(given__has_key="at").values_list("pk", flat=True))
        for queue, delay in list(ready.values_list("queue", "delay").distinct()):
            ready.filter(queue=queue, delay=delay).update(next_attempt_at=seconds_from_now(delay))
            transaction.on_commit(partial(hints.notify, queue), using=using, robust=True)
        if timed:
            wait_for_time(timed, using)


def settle_forgotten() -> int:
    """``settle`` for whatever waits for nothing any more: what it waited for was cancelled by hand, say. Returns the
    groups."""
    before = rows().filter(
        event_id=OuterRef("event_id"),
        rule_slug=OuterRef("rule_slug"),
        position__lt=OuterRef("position"),
        on_failure="stop",
    )
    waits_on = ~Exists(before.filter(state__in=FAILED)) & Exists(before.live())
    forgotten = rows().waiting().filter(~Q(waits_on), next_attempt_at__isnull=True)
    groups = list(forgotten.order_by().values_list("event_id", "rule_slug").distinct()[:FORGOTTEN])
    for event_id, rule_slug in groups:
        settle(event_id, rule_slug)
    return len(groups)

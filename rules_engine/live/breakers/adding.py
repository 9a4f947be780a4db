"""Adds what this process has counted to the rows that all processes share, and opens breakers.

By the thread that looks for changed rules, and by a worker that has given something up: nobody waits for it.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import DateTimeField
from django.db.models.functions import Now

from rules_engine import conf
from rules_engine.live.breakers import judging
from rules_engine.live.breakers.opening import is_open, open_breaker
from rules_engine.models import Rule, RuleFailures
from rules_engine.troubles import failures
from rules_engine.troubles.failures import Count, Counted

#: Seconds between two looks at which rules failed lately, in whatever process.
LOOK_SECONDS = 5.0

_looked_at = float("-inf")
_lock = threading.Lock()


def add_up() -> None:
    """Add what was counted since the last time. Nothing is asked of the database where nothing was, but every few
    seconds which rules failed elsewhere. Raises ``DatabaseError``, with nothing lost."""
    using = router.db_for_write(RuleFailures)
    counts = failures.take()
    while counts:
        key = next(iter(counts))
        is_added = False
        try:
            _add(key, counts[key], using)
            is_added = True
        finally:
            if not is_added:
                for left in counts.items():
                    failures.put_back(*left)
        del counts[key]
    if conf.breaker().is_on and _is_time_to_look():
        since = Now() - timedelta(seconds=conf.breaker().seconds)
        failing = RuleFailures.objects.using(using).filter(last_failed_at__gte=since)
        failures.watch(set(failing.values_list("rule_slug", flat=True)[: failures.MOST]))


def _is_time_to_look() -> bool:
    global _looked_at
    with _lock:
        now = time.monotonic()
        if now - _looked_at < LOOK_SECONDS:
            return False
        _looked_at = now
        return True


def _add(key: Counted, count: Count, using: str) -> None:
    rows: Any = RuleFailures.objects.using(using).filter(rule_slug=key.slug, part=key.part)
    with transaction.atomic(using=using):
        # A write first: it locks the row, and SQLite has no other lock.
        if not rows.update(part=key.part):
            if not count.failed or not Rule.objects.using(using).filter(slug=key.slug).exists():
                return
            new = RuleFailures(rule_slug=key.slug, part=key.part, version=key.version)
            RuleFailures.objects.using(using).bulk_create([new], ignore_conflicts=True)
            rows.update(part=key.part)
        row = rows.annotate(now=Now(output_field=DateTimeField())).get()
        if key.version < row.version:
            return  # what an edit has mended, perhaps
        _add_to(row, key, count, row.now)
        row.save(using=using)


def _add_to(row: RuleFailures, key: Counted, count: Count, now: datetime) -> None:
    settings = conf.breaker()
    if key.version > row.version:
        row.version, row.opened_at = key.version, None
        judging.begin_anew(row, now)
    if is_open(row, now):
        return  # what was under way when it opened
    judging.add(row, count, now, settings.seconds)
    judgement = judging.judge(row, settings)
    if judgement is not None and open_breaker(row, judgement):
        row.opened_at = now
        judging.begin_anew(row, now)

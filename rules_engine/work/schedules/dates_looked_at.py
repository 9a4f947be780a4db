"""A look at one rule's dates: what is due is found without a lock, and told in a transaction of the worker that has it.

Nearly always nothing is due, and then a look is one query by the index, and one UPDATE of the rule's own schedule.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rules_engine.capture.one_rule.telling import Occasion, tell
from rules_engine.context import actor
from rules_engine.databases.prepared.inserts import insert
from rules_engine.live import cache
from rules_engine.models import Firing, Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kinds import DUE
from rules_engine.surroundings.listed import are_listed
from rules_engine.work.schedules.arming import how_many
from rules_engine.work.schedules.dates import DISORDER, Dates, Due
from rules_engine.work.schedules.lateness import earliest

logger = logging.getLogger("rules_engine")

KIND = "date"
#: Objects that are told, and recorded, in one transaction.
BATCH = 500
#: Seconds between two looks for dates: four of these pass at most before what is due is begun.
LOOK_SECONDS = 15
#: Where there are many places, each is looked at so seldom that looks for all take about a fourth of one worker's time,
#: at some ten milliseconds each; but not less often than this.
SECONDS_A_PLACE, LONGEST_SECONDS = 0.04, 300
#: How far an ordinary look goes back, for dates that a transaction brought in which was begun before the last one.
OVERLAP = timedelta(minutes=10)
#: Seconds between two looks that go back as far as anything may be late; more, where one takes long.
WIDE_SECONDS = 60
#: A wide look is made so seldom that looks take no more than this part of a worker's time.
WIDE_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Found:
    """What is due of a rule, one more than are told at once where there are more, and what its schedule is to say."""

    dates: Dates
    rule: CompiledRule
    begin: datetime
    now: datetime
    due: Sequence[Due]
    #: What was due and is too late by now.
    skipped: int
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        """Say whether nothing is to be told, or counted."""
        return not self.due and not self.skipped


def find(row: Schedule, rule: CompiledRule, now: datetime, using: str) -> Found:
    """Find what is due. Nothing is locked: who tells it makes sure first that nobody else has looked since."""
    started = time.monotonic()
    dates = Dates(rule.slug, rule.model, rule.schedule or {}, using, since=row.since, place=row.surroundings)
    begin, is_wide = earliest(row, rule, now), row.looked_until is None or row.next_wide_at <= now
    skipped = _skipped(row, dates, begin)
    if not is_wide and row.looked_until is not None:
        begin = max(begin, row.looked_until - OVERLAP)
    due = dates.find(begin, now, BATCH + 1)
    columns: dict[str, Any] = {"skipped": row.skipped + skipped}
    if is_wide:
        wait = max(WIDE_SECONDS, (time.monotonic() - started) / WIDE_SHARE)
        columns["next_wide_at"] = now + timedelta(seconds=wait)
    if len(due) > BATCH:
        # The next batch goes on from here, in order.
        last = due[BATCH - 1].due_at
        columns |= {"looked_until": last if dates.is_in_order else last - DISORDER, "next_look_at": now}
    else:
        columns |= {"looked_until": now, "next_look_at": now + timedelta(seconds=seconds_between())}
    return Found(dates, rule, begin, now, due, skipped, columns)


def seconds_between() -> float:
    """Return the seconds between two looks of a rule at a place, by how many such looks there are to make."""
    return min(max(LOOK_SECONDS, how_many() * SECONDS_A_PLACE), LONGEST_SECONDS) if are_listed() else LOOK_SECONDS


def tell_found(found: Found) -> int:
    """Tell the rule of what is still due of that, and record that it is done with; to be called in the transaction of
    the worker that has the rule. Returns how much was told."""
    if found.skipped:
        logger.warning("%s left out %s objects that were due too long ago.", found.rule.slug, found.skipped)
    dates = found.dates
    due = dates.read(found.due[:BATCH], found.begin, found.now) if found.due else []
    if not due:
        return 0
    answers = tell(
        found.rule,
        [each.instance for each in due if each.instance is not None],
        Occasion(DUE, found.now, actor.NOWHERE),
        using=dates.using,
        rule_set=cache.current().number,
        dues=[dates.told(each) for each in due],
    )
    firings = [dates.firing(each, answer.event_id) for each, answer in zip(due, answers, strict=True)]
    insert(Firing, firings, dates.using)
    return len(due)


def _skipped(row: Schedule, dates: Dates, begin: datetime) -> int:
    """Count what was due since the last look and is too late by now. One query, after a stop alone."""
    if row.looked_until is None or begin <= max(row.looked_until, row.since):
        return 0
    since = max(row.looked_until, row.since)
    found = dates.windows(since, begin)
    return dates.unfired(found, since).count() if found else 0

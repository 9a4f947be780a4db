"""When a rule keeps failing. Pure: counts, settings and a moment in, no query and no clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from rules_engine.models import RuleFailures
from rules_engine.setting_values import ConfiguredBreaker
from rules_engine.troubles.failures import Count

#: What a column for a positive whole number takes in every database.
LARGEST = 2_147_483_647


class Judgement(NamedTuple):
    """That a rule keeps failing: how many failures that were, and of how many; the same number for those in a row."""

    failed: int
    tried: int


def add(row: RuleFailures, count: Count, now: datetime, seconds: float) -> None:
    """Add what a process has counted to the rule's row."""
    half = timedelta(seconds=seconds / 2)
    # A clock that was set back, or a window that was made longer, begins anew.
    age = abs(now - row.half_from)
    if age >= half:
        is_next = age < 2 * half
        row.failed_before, row.succeeded_before = (row.failed, row.succeeded) if is_next else (0, 0)
        row.failed = row.succeeded = 0
        row.half_from = now
    row.failed = min(row.failed + count.failed, LARGEST)
    row.succeeded = min(row.succeeded + count.succeeded, LARGEST)
    row.in_a_row = min(count.in_a_row + (0 if count.succeeded else row.in_a_row), LARGEST)
    if count.failed:
        row.last_failed_at = now
        row.last_error = count.error


def begin_anew(row: RuleFailures, now: datetime) -> None:
    """Forget what was counted."""
    row.in_a_row = row.failed = row.succeeded = row.failed_before = row.succeeded_before = 0
    row.half_from = now


def judge(row: RuleFailures, settings: ConfiguredBreaker) -> Judgement | None:
    """Say that the rule keeps failing, None where it does not."""
    if settings.in_a_row and row.in_a_row >= settings.in_a_row:
        return Judgement(row.in_a_row, row.in_a_row)
    failed = row.failed + row.failed_before
    tried = failed + row.succeeded + row.succeeded_before
    if settings.percent and tried >= settings.least and failed * 100 >= settings.percent * tried:
        return Judgement(failed, tried)
    return None

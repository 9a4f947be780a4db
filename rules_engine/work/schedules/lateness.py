"""How late something may be and still act."""

from __future__ import annotations

from datetime import datetime, timedelta

from rules_engine.models import Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kind import GRACE, LATENESS


def earliest(row: Schedule, rule: CompiledRule, now: datetime) -> datetime:
    """Return since when what is due may act: the rule was on, and it is not too late."""
    return max(row.since, now - lateness_of(rule))


def lateness_of(rule: CompiledRule) -> timedelta:
    """Return by how much something may be late and still act. Where what a stop of the workers held up is to be left
    out, that is what is not nearly in time."""
    schedule = rule.schedule or {}
    seconds = schedule.get("lateness") or LATENESS
    return timedelta(seconds=min(seconds, GRACE) if schedule.get("late") == "skip" else seconds)

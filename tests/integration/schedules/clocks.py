"""Rules on time by a clock that tests set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rules_engine.models import Firing, Rule, Schedule
from rules_engine.testing import create_rule, run_due
from rules_engine.work.schedules.looking import look_due

#: A Monday.
BEGIN = datetime(2031, 5, 5, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAME = ("note", {"text": "{{ instance.name }}"})


def on(path: str = "fed_at", count: int = 1, unit: str = "hours", direction: str = "after", **others: Any) -> Any:
    """Say a schedule of the kind ``date``."""
    plan = {"kind": "date", "path": f"instance.{path}", "count": count, "unit": unit, "direction": direction}
    return {**plan, "zone": "UTC", **others}


def timed(schedule: Mapping[str, Any], model: Any = "zoo.animal", begin: datetime = BEGIN, **fields: Any) -> Rule:
    """Make a rule on time that has been on since ``begin``."""
    rule = create_rule(model, signals=(), schedule=dict(schedule), **{"actions": [NAME], **fields})
    set_back(rule, begin)
    return rule


def set_back(rule: Rule, begin: datetime) -> None:
    """Have a rule on time begin then."""
    Schedule.objects.filter(rule_slug=rule.slug).update(
        since=begin, looked_until=None, next_look_at=begin, next_wide_at=begin
    )


def look(at: datetime) -> int:
    """Look at that time, whichever the next look would be. Returns how much was told."""
    Schedule.objects.filter(next_look_at__gt=at).update(next_look_at=at)
    return look_due(now=at)


def act(at: datetime) -> None:
    """Look at that time, and carry out what comes of it."""
    look(at)
    run_due(now=at)


def fired(rule: Rule) -> list[tuple[str, datetime]]:
    """Return what the rule is done with, in order."""
    rows = Firing.objects.filter(rule_slug=rule.slug).order_by("due_at", "object_key")
    return list(rows.values_list("object_key", "due_at"))

"""The first look of a rule that waits by the clock: what is so already is waited for from then on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models

from rules_engine.capture.by_clock.marking import add, placed
from rules_engine.models import Armed, Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.arms import Arms
from rules_engine.work.runs.starting import ARMING, start_run
from rules_engine.work.schedules.waiting import begin

#: Days until the next look: nothing is left to be done by it.
NEVER = timedelta(days=3_650)


def begin_to_wait(row: Schedule, rule: CompiledRule, arms: Arms, now: datetime, using: str) -> dict[str, Any]:
    """Have the rule wait for what there is, once it is on or says another time. Returns the schedule's columns.

    A run looks at the objects, part by part. Silence that is not counted by itself begins now; of anything else nobody
    knows before it has come once.
    """
    if row.looked_until is None:
        armed = _armed_there(row, using)
        begin(armed.filter(state=Armed.State.WAITING), arms)
        if arms.kind == "stays":
            start_run(rule.slug, signal=ARMING)
        elif not arms.by and not armed.exists():
            key, surroundings = placed("")
            add([{"rule_slug": rule.slug, "key": key, "surroundings": surroundings}], using)
    return {"looked_until": now, "next_look_at": now + NEVER}


def _armed_there(row: Schedule, using: str) -> models.QuerySet[Armed]:
    """Return what the rule waits for in a place; at home, what it waits for wherever else it is not looked after."""
    armed = Armed.objects.using(using).filter(rule_slug=row.rule_slug)
    if row.surroundings:
        return armed.filter(surroundings=row.surroundings)
    others = Schedule.objects.using(using).filter(rule_slug=row.rule_slug).exclude(surroundings="")
    return armed.exclude(surroundings__in=others.values("surroundings"))

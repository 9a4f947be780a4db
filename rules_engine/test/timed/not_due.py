"""Why a rule on time does not act on an object, or has not yet: one reason, the first that counts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import models
from django.db.models import F

from rules_engine.context import snapshot
from rules_engine.context.stored_form import key_value
from rules_engine.live.compiler import compile_rule
from rules_engine.models import Armed, Firing, Rule, Schedule
from rules_engine.rules.gates import GateSeen
from rules_engine.rules.schedules.times import next_times
from rules_engine.surroundings.listed import place_here
from rules_engine.surroundings.state import here
from rules_engine.test.timed.asked import asked
from rules_engine.test.timed.clock import compiled_at
from rules_engine.test.timed.happening import (
    Counted,
    counted_of,
    is_asked_of_a_change,
    is_keyed_by_a_change,
    last_acted,
    silence_of,
)
from rules_engine.types import RuleSpec
from rules_engine.work.schedules.dates import DATE, Dates, Due
from rules_engine.work.schedules.lateness import lateness_of

#: ``acted`` and ``stopped`` are past; ``coming`` is ahead, and ``now`` is what the next look finds.
Reason = Literal[
    "off",
    "gone",
    "not_waiting",
    "unarmed",
    "stayed",
    "empty",
    "never",
    "acted",
    "stopped",
    "before",
    "late",
    "coming",
    "not_then",
    "not_now",
    "error",
    "now",
    "over",
    "not_counted",
    "counted",
    "silent",
    "not_begun",
    "apart",
]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """The reason; ``due_at`` is when the object is, or was, due; ``at`` the moment that the reason is about."""

    reason: Reason
    due_at: datetime | None = None
    at: datetime | None = None
    event_id: uuid.UUID | None = None
    stop: GateSeen | None = None
    detail: str = ""
    counted: Counted | None = None


def why_not_due(rule: Rule, instance: models.Model, now: datetime, using: str) -> WhyNot:
    """Say why a rule of the kind ``date`` does not act on that object. Raises ``UnknownPath`` and ``LookupError``."""
    spec = rule.spec()
    place = place_here(spec.surroundings)
    dates = Dates(spec.slug, spec.model, spec.schedule or {}, using, place=place)
    row = dates.rows().filter(pk=instance.pk).annotate(**{DATE: F(dates.column.lookup)}).first()
    if row is None:
        return WhyNot("gone")
    value: Any = row.__dict__[DATE]
    due_at = dates.due_of(value)
    if due_at is None:
        return WhyNot("empty" if value is None else "never")
    of_rule = Firing.objects.using(using).filter(rule_slug=spec.slug, surroundings=place)
    fired = of_rule.filter(object_key=dates.key(row.pk), due_at=due_at).first()
    if fired is not None:
        return WhyNot("acted" if fired.event_id else "stopped", due_at, fired.created_at, fired.event_id)
    if not spec.enabled:
        return WhyNot("off", due_at)
    return _of_its_time(spec, row, dates.told(Due(row.pk, due_at, value)), due_at, now)


def why_not_waiting(rule: Rule, instance: models.Model, now: datetime) -> WhyNot:
    """Say why a rule of the kind ``stays`` does not act on that object."""
    spec = rule.spec()
    if not spec.enabled:
        return WhyNot("off")
    rows = Armed.objects.filter(rule_slug=spec.slug, surroundings=here(), holds=True)
    rows = rows.filter(object_pk=snapshot.plain(key_value(instance)))
    armed = rows.exclude(state=Armed.State.NEW).order_by("-created_at").first()
    if armed is not None and armed.state == Armed.State.WAITING:
        return WhyNot("coming" if armed.due_at > now else "now", armed.due_at)
    said = asked(compiled_at(spec, now), instance, now)
    if said.answer != "acts":
        return WhyNot("not_waiting", stop=said.stop, detail=said.detail)
    if armed is not None and armed.event_id:
        return WhyNot("stayed", at=armed.created_at, event_id=armed.event_id)
    return WhyNot("unarmed")


def why_not_selected(rule: Rule, instance: models.Model, now: datetime) -> WhyNot:
    """Say whether a rule of the kind ``every`` acts on that object when its time comes next, and why not."""
    spec = rule.spec()
    if not spec.enabled:
        return WhyNot("off")
    at = next(iter(next_times(spec.schedule or {}, now, 1)), None)
    if at is None:
        return WhyNot("over")
    said = asked(compiled_at(spec, at), instance, at)
    if said.answer == "acts":
        return WhyNot("coming", at)
    return WhyNot("error" if said.answer == "error" else "not_then", at, stop=said.stop, detail=said.detail)


def why_not_often(rule: Rule, instance: models.Model, now: datetime) -> WhyNot:
    """Say how many have come of what a rule of the kind ``often`` counts with that object. Raises as ``counted_of``."""
    spec = rule.spec()
    if (why := _not_heard(spec, instance, now)) is not None:
        return why
    if is_keyed_by_a_change(spec):
        return WhyNot("apart")
    counted = counted_of(spec, instance, now)
    acted = last_acted(spec.slug, counted.key)
    if acted is None:
        return WhyNot("counted", counted=counted)
    return WhyNot("counted", at=acted.decided_at, event_id=acted.event_id, counted=counted)


def why_not_silent(rule: Rule, instance: models.Model, now: datetime) -> WhyNot:
    """Say since when nothing has come of what a rule of the kind ``silent`` waits for. Raises as ``silence_of``."""
    spec = rule.spec()
    if not spec.enabled:
        return WhyNot("off")
    if is_keyed_by_a_change(spec):
        return WhyNot("apart")
    silence = silence_of(spec, instance, now)
    if silence is None:
        return _not_heard(spec, instance, now) or WhyNot("not_begun")
    return WhyNot("silent" if silence.due_at > now else "now", silence.due_at, silence.since)


def _not_heard(spec: RuleSpec, instance: models.Model, now: datetime) -> WhyNot | None:
    """Say why what happens to that object is nothing to the rule; None where it is, as far as the object tells."""
    if not spec.enabled:
        return WhyNot("off")
    compiled = compiled_at(spec, now)
    said = None if is_asked_of_a_change(compiled) else asked(compiled, instance, now)
    if said is None or said.answer == "acts":
        return None
    return WhyNot("not_counted", stop=said.stop, detail=said.detail)


def _of_its_time(spec: RuleSpec, row: models.Model, due: Mapping[str, Any], due_at: datetime, now: datetime) -> WhyNot:
    schedules = Schedule.objects.using(row._state.db).filter(rule_slug=spec.slug)
    looked = schedules.filter(surroundings=place_here(spec.surroundings)).first()
    if looked is not None and due_at <= looked.since:
        return WhyNot("before", due_at, looked.since)
    compiled = compile_rule(spec, 0)
    if due_at <= now - lateness_of(compiled):
        return WhyNot("late", due_at, due_at + lateness_of(compiled))
    said = asked(compiled_at(spec, max(now, due_at)), row, max(now, due_at), due)
    if said.answer != "acts":
        reason: Reason = "error" if said.answer == "error" else "not_then" if due_at > now else "not_now"
        return WhyNot(reason, due_at, stop=said.stop, detail=said.detail)
    if due_at > now:
        return WhyNot("coming", due_at)
    return WhyNot("now", due_at, detail=looked.error if looked is not None else "")

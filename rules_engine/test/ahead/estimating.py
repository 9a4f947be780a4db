"""Counts what an estimate of a rule is made of: recorded events, times of its schedule, dates of objects. In samples,
so that it takes as long with a million rows as with a thousand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from rules_engine.capture.one_rule.telling import Occasion, as_told
from rules_engine.context.paths import find_model
from rules_engine.context.visible import MayView
from rules_engine.live import cache
from rules_engine.live.compiler import compile_rule
from rules_engine.models import Event
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kinds import DUE, is_on_time_alone
from rules_engine.rules.schedules.times import times_between
from rules_engine.test.ahead.estimate import Basis, Estimate, estimated
from rules_engine.test.ahead.what_is_there import look_at
from rules_engine.test.backtest import AsItWas, events_of, run
from rules_engine.test.previews import rows_of
from rules_engine.types import RuleSpec
from rules_engine.work.runs import selecting
from rules_engine.work.schedules.dates import Dates

#: Days that are looked back, and of a schedule ahead.
DAYS = 7
#: Recorded events that are looked at: the newest.
MOST_EVENTS = 500
#: Of those on which it would have acted, so many tell of how many rows an action acts for each.
MOST_ROWS = 20
#: Objects that are counted, times of a schedule, and the seconds that objects are asked.
MOST_OBJECTS, MOST_TIMES, SECONDS = 10_000, 20_000, 0.3


def estimate_of(spec: RuleSpec, may_view: MayView | None = None) -> Estimate | None:
    """Return how often the rule would act in a day; None where nothing tells. Raises ``DatabaseError``."""
    now = timezone.now()
    basis = _on_time(spec, now) if is_on_time_alone(spec) else _on_events(spec, now, may_view)
    return None if basis is None else estimated(spec, basis)


def _on_events(spec: RuleSpec, now: datetime, may_view: MayView | None) -> Basis | None:
    since = now - timedelta(days=DAYS)
    result = run(spec, AsItWas(spec.slug), since, most=MOST_EVENTS, may_view=may_view)
    # Those that did not store what it reads tell how often something happens, and not on what it acts.
    known = result.tried - result.not_recorded
    if not known:
        return None
    begin = _first(spec, since, result.tried) if result.is_cut else _recorded_since(since)
    days = max((now - begin).total_seconds(), 3600.0) / (24 * 3600)
    rows = _rows_a_match(spec, [event.pk for event in result.fired.events[:MOST_ROWS]])
    return Basis("events", result.tried, days, round(result.fired.count * result.tried / known), rows)


def _first(spec: RuleSpec, since: datetime, count: int) -> datetime:
    """Return when the first of the newest so many events was recorded."""
    newest = events_of(spec).filter(created_at__gte=since).order_by("-created_at")
    return newest.values_list("created_at", flat=True)[count - 1 : count].first() or since


def _recorded_since(since: datetime) -> datetime:
    """Return since when events were recorded at all, if that is less long ago."""
    first = Event.objects.order_by("created_at").values_list("created_at", flat=True).first()
    return max(since, first) if first is not None else since


def _rows_a_match(spec: RuleSpec, events: Sequence[Any]) -> dict[int, float]:
    """Return for how many rows each action acts, on average of these events."""
    rule = compile_rule(spec, 0)
    if not events or not any(action.each is not None for action in rule.actions):
        return {}
    counts: dict[int, list[int]] = {}
    for event in Event.objects.filter(pk__in=events):
        context = event.captured().context
        for position, rows in rows_of(rule.actions, lambda each, context=context: context):
            # None may be none, or not recorded.
            if rows and not isinstance(rows, str):
                counts.setdefault(position, []).append(len(rows))
    return {position: sum(found) / len(found) for position, found in counts.items()}


def _on_time(spec: RuleSpec, now: datetime) -> Basis | None:
    schedule, until = spec.schedule or {}, now + timedelta(days=DAYS)
    rule = compile_rule(spec, 0)
    if rule.fault:
        return None
    if schedule.get("kind") == "date":
        dates = Dates(spec.slug, spec.model, schedule, cache.alias())
        found = dates.windows(now, until)
        objects = dates.within(found) if found else dates.rows().none()
        count = objects.order_by()[:MOST_OBJECTS].count()
        return Basis("dates", count, DAYS, round(count * _share_of(rule, objects[:MOST_OBJECTS])))
    count = len(times_between(schedule, now, until, MOST_TIMES))
    model = find_model(spec.model) if spec.model else None
    if schedule.get("of") != "each" or model is None:
        return Basis("times", count, DAYS, count)
    told = as_told(rule)
    rows = selecting.rows_of(model, told, cache.alias())
    look = look_at(told, rows, Occasion(DUE, now), cache.alias(), seconds=SECONDS)
    return Basis("times", count, DAYS, count * look.about)


def _share_of(rule: CompiledRule, objects: QuerySet[Any]) -> float:
    """Return of how many of these objects, the first of them, the condition holds as they are."""
    if rule.condition is None:
        return 1.0
    look = look_at(
        as_told(rule), list(objects[:MOST_EVENTS]), Occasion(DUE, timezone.now()), cache.alias(), seconds=SECONDS
    )
    return look.matched / look.looked_at if look.looked_at else 1.0

"""A rule on time tested without effect, as if it were due: on an object, on the list that it selects, or on nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.db import models

from rules_engine.capture.one_rule.telling import Occasion, subject_of
from rules_engine.context import actor, snapshot
from rules_engine.context.actor import acting_as
from rules_engine.context.paths import find_model, label_of
from rules_engine.context.subject import Subject
from rules_engine.errors import Unreadable, not_read
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.repetition import MOST_ROWS
from rules_engine.rules.schedules.kinds import DUE
from rules_engine.rules.schedules.zones import local, zone_of
from rules_engine.test.gates_seen import all_seen, state_of
from rules_engine.test.previews import Planner, rows_of
from rules_engine.test.rule_test import Tested, without_consequence
from rules_engine.test.timed.clock import compiled_at
from rules_engine.test.timed.coming import Selected, selected_now
from rules_engine.types import MatchSubject, Path, RuleSpec, Unread
from rules_engine.work.schedules.dates import Dates, Due

#: Of the objects that a list is made of, so many are taken; a digest of more says how many there are.
MOST_IN_LIST = 50


def tested_when_due(
    spec: RuleSpec,
    instance: models.Model | None,
    at: datetime,
    user: Any,
    rows: models.QuerySet[Any] | None,
    may_see: Callable[[Any], bool] | None,
) -> Tested:
    """Test the rule as if it were due at that time. ``rows`` are the objects that the user sees, for a rule that makes
    a list, as far as ``may_see`` lets each through. Raises ``UnknownPath``, ``LookupError`` and ``Unreadable``."""
    rule = compiled_at(spec, at)
    with without_consequence(), acting_as(user):
        chosen = _chosen(spec, instance, at, rows, may_see)
        subject = _subject(spec, rule, instance, at, chosen)
        context = _read(subject, _reads(rule), whole=True)
        shown = MatchSubject(signal=DUE, operation=None, changes={}, now=at, context=_read(subject, rule.reads))
        # The condition has selected them, one by one.
        gates = all_seen(rule if subject.rows is None else replace(rule, condition=None), shown)
        event = subject.event(context)
        planned = Planner(spec, event, user, instance).plan(
            dict(rows_of(rule.actions, lambda each: _all(subject, each)))
        )
        is_cut = chosen is not None and not chosen.is_whole
        return Tested(state_of(gates), gates, planned, context, is_cut=is_cut)


def _chosen(spec: RuleSpec, instance: models.Model | None, at: datetime, rows: Any, may_see: Any) -> Selected | None:
    """Return the objects that a list is made of; None where the rule makes none."""
    if instance is not None or rows is None:
        return None
    return selected_now(spec, rows, at, MOST_IN_LIST, may_see)


def _subject(
    spec: RuleSpec, rule: CompiledRule, instance: models.Model | None, at: datetime, found: Selected | None
) -> Subject:
    due = _due(spec, instance, at)
    if instance is not None:
        return subject_of(instance, Occasion(DUE, at, actor.NOWHERE, due))
    model = find_model(spec.model) if spec.model else None
    if model is None or found is None:
        return Subject(DUE, knows_changes=False, due=due, occurred_at=at)
    chosen = model._base_manager.filter(pk__in=[each.pk for each in found.rows]).order_by("pk")
    with snapshot.within_event({}):
        told = snapshot.rows_of(chosen, snapshot.tree_of(rule.action_reads).get("rows", {}))
    due = {**due, "count": len(found.rows)}
    return Subject(DUE, knows_changes=False, due=due, rows=list(told), label=label_of(model), occurred_at=at)


def _due(spec: RuleSpec, instance: models.Model | None, at: datetime) -> Mapping[str, Any]:
    """What its event says of the time: of an object with a date that one, else the day."""
    schedule = spec.schedule or {}
    if schedule.get("kind") == "date" and instance is not None:
        dates = Dates(spec.slug, spec.model, schedule, instance._state.db or "default")
        value = dates.rows().filter(pk=instance.pk).values_list(dates.column.lookup, flat=True).first()
        return dates.told(Due(instance.pk, at, value))
    return {"at": at.astimezone(UTC).isoformat(), "date": local(at, zone_of(schedule)).date().isoformat()}


def _reads(rule: CompiledRule) -> set[Path]:
    repeated = (path for action in rule.actions if action.each is not None for path in action.each.reads)
    return {*rule.reads, *rule.action_reads, *repeated}


def _read(subject: Subject, paths: Any, *, whole: bool = False) -> Mapping[str, Any]:
    context = subject.read(paths, whole=whole)
    if isinstance(context, Unread):
        raise Unreadable(not_read(context.error)) from context.error
    return context


def _all(subject: Subject, each: Any) -> Mapping[str, Any]:
    with snapshot.up_to(MOST_ROWS + 1):
        return _read(subject, each.reads)

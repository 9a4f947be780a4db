"""A rule run over recorded events: on how many it would have acted, and on which otherwise than another form of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Q, QuerySet

from rules_engine import types
from rules_engine.capture.watches import senders
from rules_engine.context.paths import find_model
from rules_engine.live.compiler import compile_rule
from rules_engine.models import Event
from rules_engine.rules.gates import GateSeen, State
from rules_engine.rules.matching import CompiledRule
from rules_engine.test.gates_seen import first_shut
from rules_engine.test.recorded import recorded_subject
from rules_engine.types import RuleSpec

#: Events of one run, the newest ones; read in chunks, so that their number costs time and no memory.
MOST = 10_000
CHUNK = 200
#: Events named under one heading; the rest is a number.
NAMED = 50

#: What the other form says of an event, given its evaluations too; None where it was not tried on it.
Baseline = Callable[[types.Event, Any], State | None]


@dataclass(slots=True)
class Listed:
    """Events under one heading: how many, and the newest of them."""

    count: int = 0
    events: list[Event] = field(default_factory=list)

    def add(self, event: types.Event, object_pk: str) -> None:
        """One more. Of those that are named nothing is kept but what names them."""
        self.count += 1
        if len(self.events) < NAMED:
            row = Event(pk=event.id, signal=event.signal, operation=event.operation or "", model=event.model)
            row.object_pk, row.occurred_at = object_pk, event.occurred_at
            self.events.append(row)


@dataclass(slots=True)
class Result:
    """What came of a run. ``missing`` counts, by path, the events that did not store what the rule reads."""

    tried: int = 0
    is_cut: bool = False
    fired: Listed = field(default_factory=Listed)
    stopped: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    not_recorded: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    newly: Listed = field(default_factory=Listed)
    no_longer: Listed = field(default_factory=Listed)
    incomparable: int = 0


def run(spec: RuleSpec, baseline: Baseline, since: datetime, most: int = MOST) -> Result:
    """The rule over the events that it listens to since then, each by itself.

    What decides over several events (throttles, once, stop_processing) and chance are left out.
    """
    rule, result = compile_rule(spec, 0), Result()
    rows = events_of(spec).filter(created_at__gte=since).order_by("-created_at")[: most + 1]
    # Instances would take as long again as all the rest.
    for object_pk, told, *columns in rows.values_list("object_pk", "evaluations", *Event.CAPTURED).iterator(CHUNK):
        if result.tried == most:
            result.is_cut = True
            break
        event = Event.captured_of(*columns)
        _count(result, rule, event, object_pk, baseline(event, told))
    return result


def _count(result: Result, rule: CompiledRule, event: types.Event, object_pk: str, before: State | None) -> None:
    stop = first_shut(rule, recorded_subject(rule, event))
    state: State = stop.state if stop is not None else "open"
    result.tried += 1
    if state == "open":
        result.fired.add(event, object_pk)
    elif stop is not None and state == "shut":
        result.stopped[stop.name] += 1
    elif stop is not None and state == "error":
        result.errors[stop.detail] += 1
    elif stop is not None:
        result.not_recorded += 1
        result.missing.update(_missing(stop))
    if "not_recorded" in (state, before):
        result.incomparable += 1
    elif state == "open" != before:
        result.newly.add(event, object_pk)
    elif before == "open" != state:
        result.no_longer.add(event, object_pk)


def _missing(stop: GateSeen) -> Iterator[str]:
    yield from (".".join(path) for path in stop.missing)
    yield from (f"changes.{change.field}" for change in stop.changes if change.state == "not_recorded")


def another_form(spec: RuleSpec) -> Baseline:
    """Held against another form of the rule, tried on the same events."""
    rule = compile_rule(spec, 0)

    def state(event: types.Event, told: Any) -> State:
        if event.model not in labels:
            return "shut"
        stop = first_shut(rule, recorded_subject(rule, event))
        return stop.state if stop is not None else "open"

    labels = {label for signal in rule.signals for label in heard(signal, spec.model)}
    return state


def as_it_was(slug: str) -> Baseline:
    """Held against what the rule did when the event happened."""
    states: dict[str, State] = {"matched": "open", "not_matched": "shut", "error": "error"}

    def state(event: types.Event, told: Any) -> State | None:
        mine = next((one for one in told if one.get("rule") == slug), None)
        return None if mine is None else states.get(str(mine.get("outcome")))

    return state


def events_of(spec: RuleSpec) -> QuerySet[Event]:
    """The recorded events that the rule listens to."""
    wanted = Q(pk__in=[])
    for signal in spec.signals:
        wanted |= Q(signal=signal, model__in=heard(str(signal), spec.model))
    return Event.objects.filter(wanted)


def heard(signal: str, label: str) -> set[str]:
    """The models whose events a rule on that model hears, as events name them."""
    if not label:
        return {""}
    model = find_model(label)
    if model is None:
        return set()
    classes = (
        senders(signal, model)
        if signal.endswith("_delete")
        else {one for one in apps.get_models() if issubclass(one, model)}
    )
    return {(one._meta.concrete_model or one)._meta.label_lower for one in classes}

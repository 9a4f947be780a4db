"""A rule run over recorded events: on how many it would have acted, and on which otherwise than another form of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.apps import apps
from django.db.models import Q, QuerySet

from rules_engine import types
from rules_engine.capture.watches import senders
from rules_engine.context.paths import find_model
from rules_engine.context.visible import MayView, visible
from rules_engine.live.compiler import compile_rule
from rules_engine.models import Event, Firing
from rules_engine.rules.gates import GateSeen, State
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kinds import DUE
from rules_engine.surroundings.state import seen_from_here
from rules_engine.test.gates_seen import first_shut
from rules_engine.test.recorded import recorded_subject
from rules_engine.types import RuleSpec

#: Events of one run, the newest ones; read in chunks, so that their number costs time and no memory.
MOST = 10_000
CHUNK = 200
#: Events named under one heading; the rest is a number.
NAMED = 50
#: What was recorded of a rule, as a gate says it.
OUTCOMES: Mapping[str, State] = {"matched": "open", "not_matched": "shut", "error": "error"}


class Baseline(Protocol):
    """What a rule is compared with."""

    def state(self, event: types.Event, evaluations: Any) -> State | None:
        """Return what it says of an event with these evaluations; None where it was not tried on it."""


@dataclass(slots=True)
class Listed:
    """Events under one heading: how many, and the newest of them."""

    count: int = 0
    events: list[Event] = field(default_factory=list)

    def add(self, event: types.Event, object_pk: str) -> None:
        """Count one more. Of those that are named nothing is kept but what names them."""
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

    def count(self, stop: GateSeen | None, event: types.Event, object_pk: str) -> None:
        """Count one more event, by where the rule stopped on it."""
        self.tried += 1
        if stop is None:
            self.fired.add(event, object_pk)
        elif stop.state == "shut":
            self.stopped[stop.name] += 1
        elif stop.state == "error":
            self.errors[stop.detail] += 1
        else:
            self.not_recorded += 1
            self.missing.update(_missing(stop))

    def compare(self, now: State, before: State | None, event: types.Event, object_pk: str) -> None:
        """Say whether the rule says of the event what the other form said."""
        if "not_recorded" in (now, before):
            self.incomparable += 1
        elif now == "open" != before:
            self.newly.add(event, object_pk)
        elif before == "open" != now:
            self.no_longer.add(event, object_pk)


def run(
    spec: RuleSpec, baseline: Baseline, since: datetime, most: int = MOST, may_view: MayView | None = None
) -> Result:
    """Run the rule over the events that it listens to since then, each by itself, over what may be viewed of them.

    What decides over several events (throttles, once, stop_processing) and chance are left out.
    """
    rule, result = compile_rule(spec, 0), Result()
    rows = events_of(spec).filter(created_at__gte=since).order_by("-created_at")[: most + 1]
    columns = ("object_pk", "evaluations", *Event.CAPTURED)
    # Instances would take as long again as all the rest.
    for object_pk, evaluations, *captured in rows.values_list(*columns).iterator(CHUNK):
        if result.tried == most:
            result.is_cut = True
            break
        event = Event.captured_of(*captured)
        if may_view is not None and event.context.get("signal"):
            # Of which models the objects are that a signal sent is known now, and not when the page was opened.
            event = event._replace(context=visible(event.context, event.model, may_view)[0])
        stop = first_shut(rule, recorded_subject(rule, event))
        result.count(stop, event, object_pk)
        result.compare(_state_at(stop), baseline.state(event, evaluations), event, object_pk)
    return result


def _state_at(stop: GateSeen | None) -> State:
    return "open" if stop is None else stop.state


def _missing(stop: GateSeen) -> Iterator[str]:
    yield from (".".join(path) for path in stop.missing)
    yield from (f"changes.{change.field}" for change in stop.changes if change.state == "not_recorded")


@dataclass(frozen=True, slots=True)
class AnotherForm:
    """Another form of the rule, on the same events."""

    rule: CompiledRule
    #: The models whose events it hears.
    models: frozenset[str]

    @classmethod
    def of(cls, spec: RuleSpec) -> AnotherForm:
        """Compile it."""
        rule = compile_rule(spec, 0)
        return cls(rule, frozenset(label for signal in rule.signals for label in heard(signal, spec.model)))

    def state(self, event: types.Event, evaluations: Any) -> State:
        """Return what it would have said."""
        if event.model not in self.models:
            return "shut"
        return _state_at(first_shut(self.rule, recorded_subject(self.rule, event)))


@dataclass(frozen=True, slots=True)
class AsItWas:
    """What the rule did when the events happened."""

    slug: str

    def state(self, event: types.Event, evaluations: Any) -> State | None:
        """Return what was recorded."""
        own = (evaluation for evaluation in evaluations if evaluation.get("rule") == self.slug)
        outcome = next((str(evaluation.get("outcome")) for evaluation in own), "")
        return OUTCOMES.get(outcome)


def events_of(spec: RuleSpec) -> QuerySet[Event]:
    """Return the recorded events that the rule listens to."""
    wanted = Q(pk__in=[])
    for signal in spec.signals:
        wanted |= Q(signal=signal, model__in=heard(str(signal), spec.model))
    if spec.schedule is not None:
        # What was due is told to the rule alone whose time had come.
        due = Firing.objects.filter(rule_slug=spec.slug, event_id__isnull=False)
        wanted |= Q(signal=DUE, pk__in=due.values("event_id"))
    return Event.objects.filter(wanted, **seen_from_here())


def heard(signal: str, label: str) -> set[str]:
    """Return the models whose events a rule on that model hears, as events name them."""
    if not label:
        return {""}
    model = find_model(label)
    if model is None:
        return set()
    if signal.endswith("_delete"):
        classes = senders(signal, model)
    else:
        classes = {other for other in apps.get_models() if issubclass(other, model)}
    return {(other._meta.concrete_model or other)._meta.label_lower for other in classes}

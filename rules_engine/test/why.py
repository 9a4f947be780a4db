"""Why rules did, or did not, act on an object: from what was recorded, and never from what was not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import QuerySet
from django.utils.translation import gettext

from rules_engine.context.paths import find_model, label_of
from rules_engine.live.compiler import compile_rule, content_of, digest_of
from rules_engine.models import Event, Execution, Rule, RuleVersion
from rules_engine.models.inheritance import ObjectName, is_stored, of_names
from rules_engine.rules.gates import GATES, OWN_CHANGE, SIGNALS, GateSeen
from rules_engine.rules.matching import CompiledRule
from rules_engine.surroundings.own_rules import made_here
from rules_engine.surroundings.state import here
from rules_engine.test.backtest import heard
from rules_engine.test.gates_seen import all_seen, first_not_open
from rules_engine.test.recorded import missing_of, recorded_subject
from rules_engine.types import MatchSubject, Path

#: ``untried`` are those that did not come to be asked: off, of another signal, stopped by another rule.
Answer = Literal["matched", "not_matched", "error", "untried", "not_recorded"]
#: Why a rule was not asked. ``unknown``: it was off or paused then, or is younger than the event.
Untried = Literal["other_signal", "off", "own_change", "ended_by", "unknown"]
LATEST = 10
#: Those that acted or failed come first, then those that came furthest through the gates, then those without a record.
DISTANCES: Mapping[str, int] = {"": 0, **{gate.name: place for place, gate in enumerate(reversed(GATES), start=1)}}
FARTHEST = len(DISTANCES)
#: People give a time to the minute.
AROUND = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Said:
    """What one rule said to one event. ``is_recorded``: then, by the form it had; else worked out by today's.

    ``stop`` is the gate with the values that it saw, where the rule is still what it was then. Where not all of them
    were stored, ``missing`` are their names, and ``stored`` has those that were.
    """

    rule: Rule | None
    slug: str
    verdict: Answer
    gate: str = ""
    detail: str = ""
    is_recorded: bool = False
    version: int | None = None
    stop: GateSeen | None = None
    stored: Mapping[str, Any] = field(default_factory=dict)
    missing: Sequence[str] = ()
    #: Why it was not asked, where it was not; empty for all else.
    untried: Untried | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class Told:
    """An event with what each rule on its model said to it. ``caused_by`` is the slug of the rule whose action made
    the change."""

    event: Event
    said: Sequence[Said]
    caused_by: str | None = None


def rules_on(labels: Collection[str]) -> QuerySet[Rule]:
    """Return the rules that may hear of objects of these models, those that are off included, in the order they are
    tried."""
    rules = Rule.objects.filter(surroundings=made_here())
    every = rules.exclude(model="").order_by("model").values_list("model", flat=True).distinct()
    models = [model for model in every if not heard("post_save", model).isdisjoint(labels)]
    return rules.filter(model__in=models).order_by("position", "slug").prefetch_related("actions")


def labels_of(names: Sequence[ObjectName], told: Iterable[str]) -> set[str]:
    """Return the models under which rules may hear of the object: its own, and those that something was told under."""
    return {_concrete_label(names[0].label), *told}


def labels_there(names: Sequence[ObjectName]) -> set[str]:
    """Return the models that an object is of, as far as rules watch them: a query for each model below its own that
    others than the rules on its own watch."""
    own, *others = names
    rules = Rule.objects.exclude(model="").order_by().values_list("model", flat=True).distinct() if others else ()
    watched = [heard("post_save", model) for model in rules]
    below = {label for labels in watched if own.label not in labels for label in labels}
    return {own.label, *(name.label for name in others if name.label in below and is_stored(name))}


def _concrete_label(label: str) -> str:
    model = find_model(label)
    return label if model is None or model._meta.concrete_model is None else label_of(model._meta.concrete_model)


def events_about(names: Iterable[ObjectName], at: datetime | None = None) -> Any:
    """Return the recorded events of the object under these names, the newest first; those up to ``at`` where a time is
    given."""
    events = Event.objects.filter(of_names(names))
    if surroundings := here():
        # Under the same key there is another object elsewhere.
        events = events.filter(surroundings__in=("", surroundings))
    if at is not None:
        events = events.filter(occurred_at__lte=at + AROUND)
    return events.order_by("-occurred_at", "-id")


def nearest_first(events: Iterable[Event], slugs: Iterable[str]) -> list[str]:
    """Return the slugs, and those of rules that are no more but left a record, by how near they came to acting; else as
    they come."""
    every: dict[str, None] = dict.fromkeys(slugs)
    nearest: dict[str, int] = {}
    for said in (said for event in events for said in event.evaluations):
        slug, gate = str(said.get("rule")), str(said.get("gate") or "")
        distance = DISTANCES.get(gate, FARTHEST) if said.get("outcome") == "not_matched" else 0
        nearest[slug] = min(distance, nearest.get(slug, FARTHEST))
        every.setdefault(slug, None)
    return sorted(every, key=lambda slug: nearest.get(slug, FARTHEST + 1))


def tell(events: Iterable[Event], rules: Sequence[Rule], only: Collection[str] | None = None) -> list[Told]:
    """Return each event with what each of the rules said to it. ``only``: of no other slugs is anything told."""
    events = list(events)
    causes = {event.cause_id for event in events if event.cause_id}
    steps = Execution.objects.filter(pk__in=causes).values_list("pk", "rule_slug")
    causing: dict[Any, str] = dict(steps) if causes else {}
    # Those alone that were asked: to compare all takes long where there are many.
    asked = {str(evaluation.get("rule")) for event in events for evaluation in event.evaluations}
    unchanged = _unchanged(rule for rule in rules if rule.slug in asked)
    ends = _ends_among(events)
    told = []
    hearing: dict[tuple[str, str, str], bool] = {}
    for event in events:
        listening = [rule for rule in rules if _hears(rule, event, hearing)]
        around = _Around(listening, unchanged, causing.get(event.cause_id), _ended_by(event, ends), only)
        told.append(Told(event, _said_to(event, around), around.caused_by))
    return told


def _hears(rule: Rule, event: Event, known: dict[tuple[str, str, str], bool]) -> bool:
    """Say whether the rule hears what happens to objects of the event's model."""
    key = event.signal, event.model, rule.model
    if key not in known:
        known[key] = event.model in heard(event.signal, rule.model)
    return known[key]


def _matched(event: Event) -> list[str]:
    """Return the slugs of the rules that matched the event, in the order they were tried."""
    return [str(said.get("rule")) for said in event.evaluations if said.get("outcome") == "matched"]


def _ends_among(events: Iterable[Event]) -> dict[str, Rule]:
    """Return, by slug, those that matched one of the events and end the processing of rules behind them."""
    matched = {slug for event in events for slug in _matched(event)}
    rules = Rule.objects.filter(slug__in=matched, stop_processing=True, shadow=False)
    return {rule.slug: rule for rule in rules}


def _ended_by(event: Event, ends: Mapping[str, Rule]) -> Rule | None:
    """Return the rule that ended the processing of the event."""
    return next((ends[slug] for slug in _matched(event) if slug in ends), None)


def _unchanged(rules: Iterable[Rule]) -> set[tuple[str, int]]:
    """Return slug and number of the versions that are the rules as they are now."""
    digests = {rule.slug: digest_of(content_of(rule.spec())) for rule in rules}
    versions = RuleVersion.objects.filter(rule_slug__in=digests, digest__in=digests.values())
    rows = versions.values_list("rule_slug", "number", "digest")
    return {(slug, number) for slug, number, digest in rows if digests[slug] == digest}


@dataclass(frozen=True, slots=True)
class _Around:
    """What one event's explanation is made from, besides the event."""

    rules: Sequence[Rule]
    #: Versions that are the rules as they are now.
    unchanged: Collection[tuple[str, int]]
    #: The slug of the rule whose action made the change.
    caused_by: str | None
    ended_by: Rule | None
    only: Collection[str] | None


def _said_to(event: Event, around: _Around) -> list[Said]:
    """Return what each rule said to the event: recorded ones first, in the order they were tried."""
    by_slug = {rule.slug: rule for rule in around.rules}
    only = around.only
    evaluations = [said for said in event.evaluations if only is None or said.get("rule") in only]
    recorded = [_recorded(said, event, by_slug, around.unchanged) for said in evaluations]
    known = {said.slug for said in recorded}
    others = [rule for rule in around.rules if rule.slug not in known]
    return [*recorded, *(_worked_out(rule, event, around) for rule in others)]


def _recorded(
    evaluation: Any, event: Event, by_slug: Mapping[str, Rule], unchanged: Collection[tuple[str, int]]
) -> Said:
    slug, gate, version = str(evaluation.get("rule")), str(evaluation.get("gate") or ""), evaluation.get("version")
    verdict: Any = evaluation.get("outcome")
    rule = by_slug.get(slug)
    stop = None
    if rule is not None and gate and (slug, version) in unchanged:
        stop = _stop(rule, event)
    if stop is not None and stop.name != gate:
        stop = None
    stored = _stored(rule, event) if rule is not None and stop is not None and stop.missing else {}
    return Said(rule, slug, verdict, gate, str(evaluation.get("detail") or ""), True, version, stop, stored)


def _compiled(rule: Any) -> CompiledRule:
    # Kept with the rule for the next event: that is what takes time where there are many.
    if "compiled" not in rule.__dict__:
        rule.compiled = compile_rule(rule.spec(), 0)
    return rule.compiled  # type: ignore[no-any-return]


def _stored(rule: Rule, event: Event) -> dict[str, Any]:
    """Return what the rule's condition reads and is there, by its path."""
    compiled = _compiled(rule)
    missing = missing_of(compiled.reads, event.captured())
    there = sorted(path for path in compiled.reads if path not in missing)
    values = {".".join(path): _value_at(event.context, path) for path in there}
    return {name: value for name, value in values.items() if not isinstance(value, Mapping | list)}


def _value_at(context: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(context, Mapping):
            return None
        context = context.get(step)
    return context


def _stop(rule: Rule, event: Event) -> GateSeen | None:
    compiled = _compiled(rule)
    return first_not_open(all_seen(compiled, recorded_subject(compiled, event.captured())))


def _worked_out(rule: Rule, event: Event, around: _Around) -> Said:
    untried, why = _untried(rule, event, around)
    if untried:
        return Said(rule, rule.slug, "untried", detail=why, untried=untried)
    stop = _stop(rule, event)
    if stop is None:
        text = gettext("It was not tried then: off, paused, or written later. As it is now, it would match.")
        return Said(rule, rule.slug, "untried", detail=text, untried="unknown")
    if stop.state == "not_recorded":
        names = [".".join(path) for path in stop.missing]
        names += [f"instance.{change.field}" for change in stop.changes if change.state == "not_recorded"]
        return Said(rule, rule.slug, "not_recorded", stop.name, missing=tuple(names))
    verdict: Answer = "error" if stop.state == "error" else "not_matched"
    return Said(rule, rule.slug, verdict, stop.name, stop.detail, stop=stop)


def _untried(rule: Rule, event: Event, around: _Around) -> tuple[Untried | Literal[""], str]:
    """Say why the rule was not asked, as far as that is known, also as a sentence; both are empty where it may have
    been."""
    compiled = _compiled(rule)
    # Just what these two gates look at.
    subject = MatchSubject(event.signal, None, {}, event.occurred_at, caused_by=around.caused_by)
    if (stop := SIGNALS.stop(compiled, subject)) is not None:
        return "other_signal", stop.why()
    if not rule.enabled:
        return "off", gettext("It is switched off.")
    if (stop := OWN_CHANGE.stop(compiled, subject)) is not None:
        return "own_change", stop.why()
    ended_by = around.ended_by
    if ended_by is not None and (ended_by.position, ended_by.slug) < (rule.position, rule.slug):
        return "ended_by", gettext("%s matched before, and ended the processing.") % ended_by
    return "", ""

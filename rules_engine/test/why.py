"""Why rules did, or did not, act on an object: from what was recorded, and never from what was not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import QuerySet
from django.utils.translation import gettext

from rules_engine.live.compiler import compile_rule, content_of, digest_of
from rules_engine.models import Event, Execution, Rule, RuleVersion
from rules_engine.rules.matching import CompiledRule
from rules_engine.test.backtest import heard
from rules_engine.test.gate_values import Gate, gates, stopped_at
from rules_engine.test.recorded import missing_of, sight_of
from rules_engine.types import Path

#: ``untried`` are those that did not come to be asked: off, of another signal, stopped by another rule.
Verdict = Literal["matched", "not_matched", "error", "untried", "not_recorded"]
LATEST = 10
#: Those that acted or failed come first, then those that came furthest through the gates, then those without a record.
DISTANCES = {"": 0, "condition": 1, "changes": 2, "operations": 3}
FARTHEST = 4
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
    verdict: Verdict
    gate: str = ""
    detail: str = ""
    is_recorded: bool = False
    version: int | None = None
    stop: Gate | None = None
    stored: Mapping[str, Any] = field(default_factory=dict)
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """An event with what each rule on its model said to it."""

    event: Event
    said: Sequence[Said]
    executions: Sequence[Execution]


def rules_on(label: str) -> QuerySet[Rule]:
    """The rules that may hear of objects of the model, those that are off included, in the order they are tried."""
    every = Rule.objects.exclude(model="").order_by("model").values_list("model", flat=True).distinct()
    models = [one for one in every if label in heard("post_save", one)]
    return Rule.objects.filter(model__in=models).order_by("position", "slug").prefetch_related("actions")


def events_about(label: str, pk: str, at: datetime | None = None) -> Any:
    """The recorded events of the object, the newest first; those up to ``at`` where a time is given."""
    events = Event.objects.filter(model=label, object_pk=pk)
    if at is not None:
        events = events.filter(occurred_at__lte=at + AROUND)
    return events.order_by("-occurred_at", "-id")


def nearest_first(events: Iterable[Event], slugs: Iterable[str]) -> list[str]:
    """The slugs, and those of rules that are no more but left a record, by how near they came to acting; else as they
    come."""
    every: dict[str, None] = dict.fromkeys(slugs)
    nearest: dict[str, int] = {}
    for said in (said for event in events for said in event.evaluations):
        slug, gate = str(said.get("rule")), str(said.get("gate") or "")
        distance = DISTANCES.get(gate, FARTHEST) if said.get("outcome") == "not_matched" else 0
        nearest[slug] = min(distance, nearest.get(slug, FARTHEST))
        every.setdefault(slug, None)
    return sorted(every, key=lambda slug: nearest.get(slug, FARTHEST + 1))


def tell(events: Iterable[Event], rules: Sequence[Rule], only: Collection[str] | None = None) -> list[Told]:
    """Each event with what each of the rules said to it. ``only``: of no other slugs is anything told."""
    found = list(events)
    causes = {one.cause_id for one in found if one.cause_id}
    steps = Execution.objects.filter(pk__in=causes).values_list("pk", "rule_slug")
    slugs: dict[Any, str] = dict(steps) if causes else {}
    # Those alone that were asked: to compare all takes long where there are many.
    asked = {str(said.get("rule")) for one in found for said in one.evaluations}
    unchanged = _unchanged(rule for rule in rules if rule.slug in asked)
    ends, executions = _ends_among(found), _executions_of(found, only)
    return [
        Told(
            one,
            _said_to(one, rules, unchanged, str(slugs.get(one.cause_id, "")), ends, only),
            executions.get(one.pk, ()),
        )
        for one in found
    ]


def _executions_of(events: Sequence[Event], only: Collection[str] | None) -> dict[Any, list[Execution]]:
    rows = Execution.objects.filter(event__in=events)
    if only is not None:
        rows = rows.filter(rule_slug__in=only)
    found: dict[Any, list[Execution]] = {}
    for one in rows:
        found.setdefault(one.event_id, []).append(one)
    return found


def _ends_among(events: Iterable[Event]) -> dict[str, Rule]:
    """By slug, those that matched one of the events and end the processing of rules behind them."""
    matched = {str(one.get("rule")) for event in events for one in event.evaluations if one.get("outcome") == "matched"}
    rules = Rule.objects.filter(slug__in=matched, stop_processing=True, shadow=False)
    return {rule.slug: rule for rule in rules}


def _unchanged(rules: Iterable[Rule]) -> set[tuple[str, int]]:
    """Slug and number of the versions that are the rules as they are now."""
    digests = {rule.slug: digest_of(content_of(rule.spec())) for rule in rules}
    rows = RuleVersion.objects.filter(rule_slug__in=digests, digest__in=digests.values())
    found = rows.values_list("rule_slug", "number", "digest")
    return {(slug, number) for slug, number, digest in found if digests[slug] == digest}


def _said_to(
    event: Event,
    rules: Sequence[Rule],
    unchanged: Collection[tuple[str, int]],
    caused_by: str,
    ends: Mapping[str, Rule],
    only: Collection[str] | None,
) -> list[Said]:
    """What each rule said to the event: recorded ones first, in the order they were tried."""
    by_slug = {rule.slug: rule for rule in rules}
    told = [one for one in event.evaluations if only is None or one.get("rule") in only]
    recorded = [_recorded(one, event, by_slug, unchanged) for one in told]
    known = {one.slug for one in recorded}
    matched = (str(one.get("rule")) for one in event.evaluations if one.get("outcome") == "matched")
    ended_by = next((ends[slug] for slug in matched if slug in ends), None)
    others = [rule for rule in rules if rule.slug not in known]
    return [*recorded, *(_worked_out(rule, event, caused_by, ended_by) for rule in others)]


def _recorded(one: Any, event: Event, by_slug: dict[str, Rule], unchanged: Collection[tuple[str, int]]) -> Said:
    slug, gate, version = str(one.get("rule")), str(one.get("gate") or ""), one.get("version")
    verdict: Any = one.get("outcome")
    rule = by_slug.get(slug)
    stop = _stop(rule, event) if rule is not None and gate and (slug, version) in unchanged else None
    same = stop if stop is not None and stop.name == gate else None
    stored = _stored(rule, event) if rule is not None and same is not None and same.missing else {}
    return Said(rule, slug, verdict, gate, str(one.get("detail") or ""), True, version, same, stored)


def _compiled(rule: Any) -> CompiledRule:
    # Kept with the rule for the next event: that is what takes time where there are many.
    if "compiled" not in rule.__dict__:
        rule.compiled = compile_rule(rule.spec(), 0)
    return rule.compiled  # type: ignore[no-any-return]


def _stored(rule: Rule, event: Event) -> dict[str, Any]:
    """What the rule's condition reads and is there, by its path."""
    compiled = _compiled(rule)
    missing = missing_of(compiled.reads, event.captured())
    there = sorted(path for path in compiled.reads if path not in missing)
    found = {".".join(path): _value_at(event.context, path) for path in there}
    return {name: value for name, value in found.items() if not isinstance(value, Mapping | list)}


def _value_at(context: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(context, Mapping):
            return None
        context = context.get(step)
    return context


def _stop(rule: Rule, event: Event) -> Gate | None:
    compiled = _compiled(rule)
    return stopped_at(gates(compiled, sight_of(compiled, event.captured())))


def _worked_out(rule: Rule, event: Event, caused_by: str, ended_by: Rule | None) -> Said:
    if why := _untried(rule, event, caused_by, ended_by):
        return Said(rule, rule.slug, "untried", detail=why)
    stop = _stop(rule, event)
    if stop is None:
        text = gettext("It was not tried then: off, paused, or written later. As it is now, it would match.")
        return Said(rule, rule.slug, "untried", detail=text)
    if stop.state == "not_recorded":
        names = [".".join(path) for path in stop.missing]
        names += [f"instance.{one.field}" for one in stop.changes if one.state == "not_recorded"]
        return Said(rule, rule.slug, "not_recorded", stop.name, missing=tuple(names))
    verdict: Verdict = "error" if stop.state == "error" else "not_matched"
    return Said(rule, rule.slug, verdict, stop.name, stop.detail, stop=stop)


def _untried(rule: Rule, event: Event, caused_by: str, ended_by: Rule | None) -> str:
    if event.signal not in rule.spec_with([]).signals:
        return gettext("It does not listen to %s.") % event.signal
    if not rule.enabled:
        return gettext("It is switched off.")
    if rule.slug == caused_by:
        return gettext("Its own action made the change, and no rule sets off itself.")
    if ended_by is not None and (ended_by.position, ended_by.slug) < (rule.position, rule.slug):
        return gettext("%s matched before, and ended the processing.") % ended_by
    return ""

"""Why rules did, or did not, act on an object: from what was recorded, and never from what was not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.utils.translation import gettext

from rules_engine.models import Event, Execution, Rule
from rules_engine.rules.compiler import compile_rule
from rules_engine.trials.backtest import heard
from rules_engine.trials.gates import gates, stopped_at
from rules_engine.trials.recorded import sight_of

#: ``untried`` are those that did not come to be asked: off, of another signal, stopped by another rule.
Verdict = Literal["matched", "not_matched", "error", "untried", "not_recorded"]
LATEST = 10
#: People give a time to the minute.
AROUND = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Said:
    """What one rule said to one event. ``is_recorded``: then, by the form it had; else worked out by today's."""

    rule: Rule | None
    slug: str
    verdict: Verdict
    gate: str = ""
    detail: str = ""
    is_recorded: bool = False
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An event with what each rule on its model said to it."""

    event: Event
    said: Sequence[Said]
    executions: Sequence[Execution]


def rules_on(label: str) -> list[Rule]:
    """The rules that may hear of objects of the model, those that are off included, in the order they are tried."""
    rules = Rule.objects.exclude(model="").order_by("position", "slug").prefetch_related("actions")
    return [rule for rule in rules if label in heard("post_save", rule.model)]


def events_about(label: str, pk: str, at: datetime | None = None) -> Any:
    """The recorded events of the object, the newest first; those up to ``at`` where a time is given."""
    events = Event.objects.filter(model=label, object_pk=pk)
    if at is not None:
        events = events.filter(occurred_at__lte=at + AROUND)
    return events.order_by("-occurred_at", "-id").prefetch_related("executions")


def tell(events: Iterable[Event], rules: Sequence[Rule]) -> list[Told]:
    """Each event with what each of the rules said to it."""
    found = list(events)
    causes = {one.cause_id for one in found if one.cause_id}
    steps = Execution.objects.filter(pk__in=causes).values_list("pk", "rule_slug")
    slugs: dict[Any, str] = dict(steps) if causes else {}
    return [
        Told(one, said_to(one, rules, str(slugs.get(one.cause_id, ""))), list(one.executions.all())) for one in found
    ]


def said_to(event: Event, rules: Sequence[Rule], caused_by: str = "") -> list[Said]:
    """What each rule said to the event: recorded ones first, in the order they were tried."""
    by_slug = {rule.slug: rule for rule in rules}
    recorded = [_recorded(one, by_slug) for one in event.evaluations]
    known = {one.slug for one in recorded}
    ended_by = next((one.rule for one in recorded if one.verdict == "matched" and _ends(one.rule)), None)
    others = [rule for rule in rules if rule.slug not in known]
    return [*recorded, *(_worked_out(rule, event, caused_by, ended_by) for rule in others)]


def _ends(rule: Rule | None) -> bool:
    return rule is not None and rule.stop_processing and not rule.shadow


def _recorded(one: Any, by_slug: dict[str, Rule]) -> Said:
    slug, gate = str(one.get("rule")), str(one.get("gate") or "")
    verdict: Any = one.get("outcome")
    return Said(by_slug.get(slug), slug, verdict, gate, str(one.get("detail") or ""), True, one.get("version"))


def _worked_out(rule: Rule, event: Event, caused_by: str, ended_by: Rule | None) -> Said:
    if why := _untried(rule, event, caused_by, ended_by):
        return Said(rule, rule.slug, "untried", detail=why)
    compiled, captured = compile_rule(rule.spec(), 0), event.captured()
    stop = stopped_at(gates(compiled, sight_of(compiled, captured)))
    if stop is None:
        text = gettext("It was not tried then: off, paused, or written later. As it is now, it would match.")
        return Said(rule, rule.slug, "untried", detail=text)
    if stop.state == "not_recorded":
        names = [".".join(path) for path in stop.missing]
        names += [one.field for one in stop.changes if one.state == "not_recorded"]
        return Said(rule, rule.slug, "not_recorded", stop.name, ", ".join(names))
    return Said(rule, rule.slug, "error" if stop.state == "error" else "not_matched", stop.name, stop.detail)


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

"""From a pack's objects to rules, and everything that can be said against them on the way. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from rules_engine.errors import Problem, did_you_mean
from rules_engine.logic.shape import shape_problems
from rules_engine.models import Rule, RuleAction, RuleTest
from rules_engine.models.rule import new_constant_keys
from rules_engine.packs.fields import brief, field_problems
from rules_engine.rules.expected.expectation import expectation_problems
from rules_engine.rules.signals import hearing
from rules_engine.rules.validation import rule_problems
from rules_engine.types import ActionSpec, RuleSpec, RuleTestSpec

MODELS: Mapping[str, type[models.Model]] = {
    "rules_engine.rule": Rule,
    "rules_engine.ruleaction": RuleAction,
    "rules_engine.ruletest": RuleTest,
}
OBJECT_KEYS = ("model", "fields", "pk")
#: A hostile pack could say as much as it is long.
MOST_FINDINGS = 500
#: Rules, actions and tests of one pack: each is held against the site's models.
MOST_OBJECTS = 20_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a pack. ``place`` is a rule's slug, or the number of an object in the file."""

    place: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.place} {self.problem}".strip()


@dataclass(slots=True)
class Pack:
    """What a pack says: its rules in the file's order, what stops it, and what is worth knowing.

    A rule that the pack ships switched off may lack something of the site, such as a webhook's endpoint: a note.
    """

    rules: list[RuleSpec] = field(default_factory=list)
    #: The tests that are kept with its rules, by the rule's slug.
    tests: dict[str, list[RuleTestSpec]] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    #: What is no mistake: where a rule's signals are not heard.
    remarks: list[Finding] = field(default_factory=list)
    left_out: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether so much is wrong that the rest was not looked at."""
        return self.left_out >= MOST_FINDINGS

    def report(self, place: str, problems: Iterable[Problem], *, as_notes: bool = False) -> bool:
        """Add problems; returns whether there were any."""
        findings = [Finding(place, problem) for problem in problems]
        listed = self.notes if as_notes else self.problems
        room = max(0, MOST_FINDINGS - len(listed))
        listed += findings[:room]
        self.left_out += len(findings[room:])
        return bool(findings)


def check(objects: Any) -> Pack:
    """Check what was read from a pack's file. Never raises for what stands in it."""
    pack = Pack()
    if not isinstance(objects, list):
        pack.report("", [Problem("", f"Expected a list of objects, and got {brief(objects)}.")])
        return pack
    if len(objects) > MOST_OBJECTS:
        message = f"The pack has {len(objects):,} objects; at most {MOST_OBJECTS:,} are read: split it."
        pack.report("", [Problem("", message)])
        return pack
    rules: dict[str, RuleSpec | None] = {}
    actions: dict[str, dict[int, ActionSpec]] = {}
    usable = [
        (number, MODELS[item["model"].lower()], item["fields"])
        for number, item in enumerate(objects, start=1)
        if not (pack.is_cut or pack.report(f"object {number}", _object_problems(item)))
    ]
    later = {values["slug"] for _, model, values in usable if model is Rule and isinstance(values.get("slug"), str)}
    for number, model, values in usable:
        if pack.is_cut:
            return pack
        if model is Rule:
            _take_rule(pack, rules, number, values)
        elif model is RuleAction:
            _take_action(pack, rules, actions, number, values, later)
        else:
            _take_test(pack, rules, number, values, later)
    if not rules and not pack.problems:
        pack.report("", [Problem("", "The pack has no rules.")])
    for slug, rule in rules.items():
        if rule is not None and not pack.is_cut:
            _take_whole(pack, rule, actions.get(slug, {}))
    return pack


def _object_problems(item: Any) -> Iterator[Problem]:
    if not isinstance(item, dict):
        yield Problem("", f'Expected an object with "model" and "fields", and got {brief(item)}.')
        return
    misshapen = shape_problems(item)
    if misshapen:
        yield from misshapen
        return
    for key in item:
        if key not in OBJECT_KEYS:
            yield Problem("", f"{brief(key)} is not known here.{did_you_mean(key[:100], OBJECT_KEYS)}")
    if item.get("pk") is not None:
        yield Problem("/pk", "Rules of a pack are known by their slug; remove the pk.")
    yield from _model_problems(item.get("model"))
    if not isinstance(item.get("fields"), dict):
        yield Problem("/fields", f"Expected an object, and got {brief(item.get('fields'))}.")


def _model_problems(label: Any) -> Iterator[Problem]:
    if not isinstance(label, str):
        yield Problem("/model", f"Expected rules_engine.rule or rules_engine.ruleaction, and got {brief(label)}.")
    elif label.lower() not in MODELS:
        known = ", ".join(MODELS)
        if label.count(".") == 1 and _is_installed(label):
            yield Problem("/model", f"A pack holds rules and nothing else, and this is {brief(label)}; remove it.")
        else:
            hint = did_you_mean(label[:100].lower(), list(MODELS))
            yield Problem("/model", f"There is no model {brief(label)}.{hint} A pack holds: {known}.")


def _is_installed(label: str) -> bool:
    try:
        return bool(apps.get_model(label))
    except LookupError:
        return False


def _take_rule(pack: Pack, rules: dict[str, RuleSpec | None], number: int, values: Mapping[str, Any]) -> None:
    slug = values.get("slug")
    place = slug[:100] if isinstance(slug, str) and slug else f"object {number}"
    broken = pack.report(place, field_problems(Rule, values))
    if not isinstance(slug, str):
        return
    if slug in rules:
        pack.report(f"object {number}", [Problem("/slug", f'There is a rule "{slug}" above; give this one another.')])
        return
    rules[slug] = None if broken else _rule(values)


def _rule(values: Mapping[str, Any]) -> RuleSpec:
    lists: dict[str, Any] = {name: tuple(values.get(name, ())) for name in ("signals", "operations", "changes")}
    plain = {name: value for name, value in values.items() if name not in (*lists, "author", "updated_at")}
    times = {name: _time(values.get(name)) for name in ("active_from", "active_until")}
    return RuleSpec(**{**plain, **times}, **lists)


def _moment(value: str) -> datetime:
    moment = _time(value)
    if moment is None:
        raise ValueError(f"{value!r} was to be a time.")
    return moment


def _time(value: Any) -> datetime | None:
    """Return a time as a column holds it: one without a zone is meant in the site's."""
    moment = parse_datetime(value) if isinstance(value, str) else None
    return make_aware(moment) if moment is not None and is_naive(moment) and settings.USE_TZ else moment


def _take_action(
    pack: Pack,
    rules: Mapping[str, RuleSpec | None],
    actions: dict[str, dict[int, ActionSpec]],
    number: int,
    values: Mapping[str, Any],
    later: Collection[str],
) -> None:
    if pack.report(f"object {number}", field_problems(RuleAction, values)):
        return
    slug, position = values["rule"][0], values.get("position", 0)
    if trouble := _no_rule("action", slug, rules, later):
        pack.report(f"object {number}", [Problem("/rule/0", trouble)])
    elif position in actions.setdefault(slug, {}):
        message = f"The rule has an action at position {position} above; give this one another."
        pack.report(slug, [Problem(f"/actions/{len(actions[slug])}/position", message)])
    else:
        rest = {name: value for name, value in values.items() if name not in ("rule", "config", "position")}
        actions[slug][position] = ActionSpec(config=values.get("config", {}), position=position, **rest)


def _no_rule(what: str, slug: str, rules: Mapping[str, RuleSpec | None], later: Collection[str]) -> str:
    """Say why an action or a test is no rule's; empty where its rule stands above it."""
    if slug in rules:
        return ""
    if slug in later:
        # Django's deserializer asks for the rule as soon as it reads the action.
        return f"The {what} stands before its rule {brief(slug)}; loaddata wants the rule first."
    return f"The pack has no rule {brief(slug)}.{did_you_mean(slug[:100], list(rules))}"


def _take_test(
    pack: Pack,
    rules: Mapping[str, RuleSpec | None],
    number: int,
    values: Mapping[str, Any],
    later: Collection[str],
) -> None:
    if pack.report(f"object {number}", field_problems(RuleTest, values)):
        return
    slug, name = values["rule"][0], values["name"]
    if trouble := _no_rule("test", slug, rules, later):
        pack.report(f"object {number}", [Problem("/rule/0", trouble)])
        return
    place, kept = f"{slug} test {brief(name)}", pack.tests.setdefault(slug, [])
    if any(test.name == name for test in kept):
        pack.report(place, [Problem("/name", "The rule has a test of this name above; give this one another.")])
    elif not pack.report(place, [problem.under("/expected") for problem in expectation_problems(values["expected"])]):
        rest = {part: value for part, value in values.items() if part not in ("rule", "occurred_at")}
        kept.append(RuleTestSpec(occurred_at=_moment(values["occurred_at"]), **rest))


def _take_whole(pack: Pack, rule: RuleSpec, actions: Mapping[int, ActionSpec]) -> None:
    whole = replace(rule, actions=tuple(action for _, action in sorted(actions.items())))
    pack.rules.append(whole)
    pack.report(whole.slug, [*problems_of(whole), *new_constant_keys(whole)], as_notes=not whole.enabled)
    pack.remarks += [Finding(whole.slug, Problem("/signals", message)) for message in hearing(whole)]


def problems_of(rule: RuleSpec) -> list[Problem]:
    """``rule_problems``, for rules whose actions' code may not have expected what stands in their config."""
    try:
        return rule_problems(rule)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        message = f"An action's config has a value of a type that its kind cannot take ({error}); compare the docs."
        return [Problem("/actions", message)]

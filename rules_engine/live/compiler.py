"""From a rule as written to a rule that can be tried: its condition compiled, its reads known, its actions routed."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils import translation

from rules_engine.context.paths import find_model
from rules_engine.errors import InvalidRule
from rules_engine.live.arming import with_arms
from rules_engine.logic import jsonlogic
from rules_engine.rules import registry
from rules_engine.rules.changes import compile_changes
from rules_engine.rules.contract import Action
from rules_engine.rules.holding import hold_of, key_reads
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.rules.repetition import EACH, compile_each, rule_seen_by
from rules_engine.rules.schedules import kinds as schedules
from rules_engine.rules.schedules import listed
from rules_engine.rules.schedules.later import given_of
from rules_engine.rules.scope import path_problem, reads_whole
from rules_engine.rules.validation import condition_problems, type_problems
from rules_engine.types import ActionSpec, Path, RuleSpec, Unread, ask, shared

NOTHING: frozenset[Path] = frozenset()
#: How rules are grouped, and whether one is on, do not change what it does.
NOT_PART_OF_A_VERSION = ("labels", "enabled", "author_id", "each", "objects", "surroundings")
PART_OF_A_VERSION = tuple(part.name for part in fields(RuleSpec) if part.name not in NOT_PART_OF_A_VERSION)
OF_AN_ACTION = tuple(part.name for part in fields(ActionSpec))
#: What came later and is left out where it is as it was without: what no action uses makes no new version of it.
LATER_PARTS = {part.name: part.default for part in fields(ActionSpec) if part.name in ("at", "zone", "asks_again")}


def content_of(spec: RuleSpec) -> dict[str, Any]:
    """Return a rule's plain form: what versions store and compare."""
    content: dict[str, Any] = json.loads(json.dumps(_members(spec, PART_OF_A_VERSION), default=_plain))
    if content["schedule"] is None:
        # What was stored before rules could act on time is the same form still.
        del content["schedule"]
    return content


def _members(spec: RuleSpec | ActionSpec, names: Iterable[str]) -> dict[str, Any]:
    """Return what ``asdict`` does, without copies of what is below."""
    return {name: getattr(spec, name) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, ActionSpec):
        members = _members(value, OF_AN_ACTION)
        return {name: part for name, part in members.items() if LATER_PARTS.get(name, ...) != part}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return dict(value) if isinstance(value, Mapping) else str(value)


def digest_of(content: Mapping[str, Any]) -> str:
    """Return a fingerprint of a rule's plain form: equal for equal rules, in every process."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def compile_rule(spec: RuleSpec, version: int) -> CompiledRule:
    """Return the rule, ready to be tried. Never raises for what is written in a rule: it gets a ``fault`` instead."""
    with in_sites_language():
        rule = ask(_compile, spec, version)
        return _faulty(spec, version, rule.message) if isinstance(rule, Unread) else rule


def in_sites_language() -> AbstractContextManager[None]:
    """Return what has the faults of rules told in the site's language. They are logged, and kept for whoever looks
    next: not in the language of who happens to load the rules."""
    is_so = translation.get_language() == settings.LANGUAGE_CODE
    return nullcontext() if is_so else translation.override(settings.LANGUAGE_CODE)


def _faulty(spec: RuleSpec, version: int, fault: str) -> CompiledRule:
    return CompiledRule(
        slug=spec.slug,
        version=version,
        model=spec.model if isinstance(spec.model, str) else "",
        signals=frozenset(name for name in spec.signals if isinstance(name, str)),
        operations=frozenset(name for name in spec.operations if isinstance(name, str)),
        shadow=spec.shadow,
        author_id=spec.author_id,
        surroundings=shared(spec.surroundings),
        fault=fault,
    )


def _compile(spec: RuleSpec, version: int) -> CompiledRule:
    problems = type_problems(spec) or [
        *(problem.under("/condition") for problem in condition_problems(spec)),
        *schedules.problems(spec),
    ]
    if problems:
        raise InvalidRule(problems)
    condition = None if spec.condition is None else jsonlogic.compile_checked(spec.condition)
    actions = tuple(_compile_action(action, spec) for action in spec.actions if action.enabled)
    repeated = (path for action in actions if action.each is not None for path in action.each.reads)
    hold = hold_of(spec)
    if hold is not None and any(listed.lists(action.reads or ()) for action in actions):
        hold = replace(hold, lists=True)
    reads, keys = condition.reads if condition else NOTHING, _key_reads(spec)
    rule = CompiledRule(
        slug=spec.slug,
        version=version,
        model=shared(spec.model),
        signals=shared(frozenset(spec.signals)),
        operations=shared(frozenset(spec.operations)),
        changes=compile_changes(find_model(spec.model) if spec.model else None, spec.changes),
        condition=condition,
        reads=reads,
        reads_whole=reads_whole(spec),
        actions=actions,
        action_reads=shared(keys.union(*(action.reads or NOTHING for action in actions))),
        match_reads=shared(frozenset({*reads, *keys, *repeated})),
        shadow=spec.shadow,
        stop_processing=spec.stop_processing,
        author_id=spec.author_id,
        raw=spec.raw,
        sample=spec.sample_percent / 100,
        active_from=spec.active_from,
        active_until=spec.active_until,
        hold=hold,
        schedule=spec.schedule,
        surroundings=shared(spec.surroundings),
    )
    return with_arms(rule, spec)


def _compile_action(spec: ActionSpec, rule: RuleSpec) -> CompiledAction:
    action = registry.find(spec.kind)
    # A kind that is not installed here may be in the worker; there it is found, or discarded with the reason.
    route = action.route(spec.config) if action else registry.default_route()
    reads = _all_reads(action, spec, rule)
    return CompiledAction(
        position=spec.position,
        kind=shared(spec.kind),
        config=_with_shared_keys(spec.config),
        timing=shared(spec.timing),
        queue=shared(route.queue),
        lane=shared(route.lane),
        order_key=route.order_key,
        delay=spec.delay,
        on_failure=shared(spec.on_failure),
        each=None if spec.for_each is None else compile_each(spec.for_each, reads),
        later=given_of(spec),
        reads=shared(frozenset(path for path in reads if path[:1] != (EACH,))),
    )


def _with_shared_keys(value: Any) -> Any:
    """Return JSON whose keys are those of all other rules: each that is read by itself has keys of its own."""
    if isinstance(value, dict):
        return {sys.intern(key) if type(key) is str else key: _with_shared_keys(item) for key, item in value.items()}
    return [_with_shared_keys(item) for item in value] if isinstance(value, list) else value


def _key_reads(spec: RuleSpec) -> frozenset[Path]:
    return frozenset(
        path for path in key_reads(spec) | schedules.reads(spec.schedule) if path_problem(spec, path) is None
    )


def _all_reads(action: Action | None, spec: ActionSpec, rule: RuleSpec) -> set[Path]:
    rule = rule_seen_by(spec, rule)
    paths = listed.with_each(action.reads(spec.config, rule)) if action else set()
    # A path that is gone must not keep the event from being recorded: the action fails by itself, where it is seen.
    return {path for path in paths if path_problem(rule, path) is None}

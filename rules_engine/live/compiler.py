"""From a rule as written to a rule that can be tried: its condition compiled, its reads known, its actions routed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils import translation

from rules_engine.context.paths import find_model
from rules_engine.errors import InvalidRule
from rules_engine.logic import jsonlogic
from rules_engine.rules import registry
from rules_engine.rules.changes import compile_changes
from rules_engine.rules.holding import hold_of, key_reads
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.rules.repetition import EACH, compile_each, rule_seen_by
from rules_engine.rules.scope import path_problem, reads_whole
from rules_engine.rules.validation import condition_problems, type_problems
from rules_engine.types import ActionSpec, Path, RuleSpec, Unread, ask

#: What the rule is called and whether it is on do not change what it does.
NOT_PART_OF_A_VERSION = ("enabled", "author_id", "each", "objects")


def content_of(spec: RuleSpec) -> dict[str, Any]:
    """Return a rule's plain form: what versions store and compare."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(spec), default=_plain))
    for name in NOT_PART_OF_A_VERSION:
        del content[name]
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return dict(value) if isinstance(value, Mapping) else str(value)


def digest_of(content: Mapping[str, Any]) -> str:
    """Return a fingerprint of a rule's plain form: equal for equal rules, in every process."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def compile_rule(spec: RuleSpec, version: int) -> CompiledRule:
    """Return the rule, ready to be tried. Never raises for what is written in a rule: it gets a ``fault`` instead."""
    # Its faults are logged, and kept for whoever looks next: not in the language of who happens to load the rules.
    with translation.override(settings.LANGUAGE_CODE):
        rule = ask(_compile, spec, version)
        return _faulty(spec, version, rule.message) if isinstance(rule, Unread) else rule


def _faulty(spec: RuleSpec, version: int, fault: str) -> CompiledRule:
    return CompiledRule(
        slug=spec.slug,
        version=version,
        model=spec.model if isinstance(spec.model, str) else "",
        signals=frozenset(name for name in spec.signals if isinstance(name, str)),
        operations=frozenset(name for name in spec.operations if isinstance(name, str)),
        shadow=spec.shadow,
        author_id=spec.author_id,
        fault=fault,
    )


def _compile(spec: RuleSpec, version: int) -> CompiledRule:
    problems = type_problems(spec) or [problem.under("/condition") for problem in condition_problems(spec)]
    if problems:
        raise InvalidRule(problems)
    condition = None if spec.condition is None else jsonlogic.compile_condition(spec.condition)
    active = [action for action in spec.actions if action.enabled]
    actions = tuple(_compile_action(action, spec) for action in active)
    repeated = (path for action in actions if action.each is not None for path in action.each.reads)
    return CompiledRule(
        slug=spec.slug,
        version=version,
        model=spec.model,
        signals=frozenset(spec.signals),
        operations=frozenset(spec.operations),
        changes=compile_changes(find_model(spec.model) if spec.model else None, spec.changes),
        condition=condition,
        reads=condition.reads if condition else frozenset(),
        reads_whole=reads_whole(spec),
        actions=actions,
        action_reads=frozenset(path for action in active for path in _reads(action, spec)) | _key_reads(spec),
        match_reads=frozenset({*(condition.reads if condition else ()), *_key_reads(spec), *repeated}),
        shadow=spec.shadow,
        stop_processing=spec.stop_processing,
        author_id=spec.author_id,
        raw=spec.raw,
        sample=spec.sample_percent / 100,
        active_from=spec.active_from,
        active_until=spec.active_until,
        hold=hold_of(spec),
    )


def _compile_action(spec: ActionSpec, rule: RuleSpec) -> CompiledAction:
    action = registry.find(spec.kind)
    # A kind that is not installed here may be in the worker; there it is found, or discarded with the reason.
    route = action.route(spec.config) if action else registry.default_route()
    return CompiledAction(
        position=spec.position,
        kind=spec.kind,
        config=spec.config,
        timing=spec.timing,
        queue=route.queue,
        lane=route.lane,
        order_key=route.order_key,
        delay=spec.delay,
        on_failure=spec.on_failure,
        each=None if spec.for_each is None else compile_each(spec.for_each, _all_reads(spec, rule)),
        reads=frozenset(_reads(spec, rule)),
    )


def _key_reads(spec: RuleSpec) -> set[Path]:
    return {path for path in key_reads(spec) if path_problem(spec, path) is None}


def _reads(spec: ActionSpec, rule: RuleSpec) -> set[Path]:
    return {path for path in _all_reads(spec, rule) if path[:1] != (EACH,)}


def _all_reads(spec: ActionSpec, rule: RuleSpec) -> set[Path]:
    action = registry.find(spec.kind)
    rule = rule_seen_by(spec, rule)
    paths = action.reads(spec.config, rule) if action else ()
    # A path that is gone must not keep the event from being recorded: the action fails by itself, where it is seen.
    return {path for path in paths if path_problem(rule, path) is None}

"""Rules as the text of a pack: always the same text for the same rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rules_engine.hidden.secret_names import is_secret
from rules_engine.packs.fields import ACTION_FIELDS, RULE_FIELDS, TEST_FIELDS
from rules_engine.rules import registry
from rules_engine.rules.changes import KEYS
from rules_engine.types import ActionSpec, RuleSpec, RuleTestSpec

#: Written even where they say what goes without saying.
ALWAYS = ("slug", "name", "enabled", "model", "signals", "position", "kind", "config")
_NO_RULE = RuleSpec(slug="")
_NO_ACTION = ActionSpec("", {})


#: Tests of rules, by the rule's slug.
Tests = Mapping[str, Sequence[RuleTestSpec]]


def objects(rules: Iterable[RuleSpec], tests: Tests | None = None) -> Iterator[dict[str, Any]]:
    """Each rule, followed by its actions and its tests, as a fixture has them."""
    for rule in rules:
        yield {"model": "rules_engine.rule", "fields": _fields(rule, _NO_RULE, RULE_FIELDS, without=("position",))}
        for action in rule.actions:
            fields = _fields(action, _NO_ACTION, ACTION_FIELDS, without=("enabled",))
            yield {"model": "rules_engine.ruleaction", "fields": {"rule": [rule.slug], **fields}}
        for test in (tests or {}).get(rule.slug, ()):
            yield {"model": "rules_engine.ruletest", "fields": _test_fields(rule, test)}


def _test_fields(rule: RuleSpec, test: RuleTestSpec) -> dict[str, Any]:
    values = {name: _ordered(getattr(test, name)) for name in TEST_FIELDS if name != "rule"}
    values["context"] = without_secret_values(values["context"])
    return {"rule": [rule.slug], **{name: value for name, value in values.items() if value not in ("", {})}}


def _fields(spec: Any, default: Any, names: Iterable[str], without: tuple[str, ...]) -> dict[str, Any]:
    values = {}
    for name in names:
        value = getattr(spec, name, None)
        if name != "rule" and ((name in ALWAYS and name not in without) or value != getattr(default, name)):
            values[name] = _ordered(value, _first_keys(spec, name))
    return values


def _first_keys(spec: Any, name: str) -> Sequence[str]:
    if name == "changes":
        return KEYS
    action = registry.find(spec.kind) if name == "config" else None
    return list(action.schema.get("keys", ())) if action is not None else ()


def _ordered(value: Any, first: Sequence[str] = ()) -> Any:
    """Return the value with its keys in the form's order, then by alphabet: PostgreSQL's jsonb has an order of its
    own."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return [_ordered(item, first) for item in value]
    if not isinstance(value, Mapping):
        return value
    known = [key for key in first if key in value]
    return {key: _ordered(value[key]) for key in (*known, *sorted(value.keys() - set(known)))}


def text(rules: Iterable[RuleSpec], tests: Tests | None = None) -> str:
    """Return the pack's text, ending in a line break."""
    return json.dumps(list(objects(rules, tests)), indent=2, ensure_ascii=False) + "\n"


def without_secrets(rule: RuleSpec) -> tuple[RuleSpec, list[str]]:
    """Return the rule with nothing in place of what looks like a secret in its actions' configs, and where that was.

    Secrets belong in endpoints and settings; this catches one that somebody wrote into a rule all the same.
    """
    removed: list[str] = []
    actions = tuple(
        replace(action, config=_cleaned(action.config, f"/actions/{index}/config", removed))
        for index, action in enumerate(rule.actions)
    )
    return replace(rule, actions=actions), removed


def without_secret_values(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings, or a sample of data, with nothing in place of what looks like a secret."""
    cleaned: Mapping[str, Any] = _cleaned(value, "", [])
    return cleaned


def _cleaned(value: Any, pointer: str, removed: list[str]) -> Any:
    if isinstance(value, list):
        return [_cleaned(part, f"{pointer}/{index}", removed) for index, part in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    made = {}
    for key, part in value.items():
        if isinstance(part, str) and part and "{{" not in part and is_secret(str(key)):
            removed.append(f"{pointer}/{key}")
            part = ""
        made[key] = _cleaned(part, f"{pointer}/{key}", removed)
    return made

"""Settings of actions and parts of rules that are of another type, or of no use: sentences at their place, no crash."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.live.compiler import compile_rule
from rules_engine.rules import registry
from rules_engine.rules.validation import rule_problems
from rules_engine.types import ActionSpec, RuleSpec

pytestmark = pytest.mark.django_db

ODD: list[Any] = [
    *(None, "", 0, 1, -1, 1.5, True, "x", "\ud800", "a\x00", "{{", "{{ instance.nme }}", "{% if %}", b"x", object()),
    *([], {}, [1], ["x"], [None], [[]], [{}], {"a": 1}, {None: 1}, {"var": "instance.nme"}, {"kind": 5}),
    *(float("nan"), float("inf"), 10**30, datetime(2026, 1, 31, tzinfo=UTC)),
]
#: What is a tuple by the time that a rule is made of its row.
TUPLES = {"signals", "operations", "changes", "actions"}
#: All that rules are made of; the engine replays by one that nobody writes settings for.
KINDS = sorted({*registry.kinds(also_ordered=True)} - {"replay_executions"})


def rule(**more: Any) -> RuleSpec:
    log = ActionSpec("log_message", {"message": "x"})
    return RuleSpec(
        **{"slug": "r", "name": "R", "model": "zoo.animal", "signals": ("post_save",), "actions": (log,), **more}
    )


def problems_of(spec: RuleSpec) -> list[tuple[str, str]]:
    found = [(problem.pointer, problem.message) for problem in rule_problems(spec)]
    assert all(message.strip() and not message.startswith("<") for _pointer, message in found)
    compile_rule(spec, 1)  # a fault of its own at most, which is recorded when it is tried
    return found


def keys_of(kind: str) -> list[str]:
    action = registry.find(kind)
    schema = {} if action is None else action.schema
    return sorted({*schema.get("keys", {}), *schema.get("properties", {}), "unknown"})


@pytest.mark.parametrize("kind", KINDS)
def test_each_setting_of_an_action_is_looked_at_whatever_it_is(kind: str) -> None:
    for key in keys_of(kind):
        for value in ODD:
            found = problems_of(rule(actions=(ActionSpec(kind, {key: value}),)))
            assert all(pointer.startswith(("/actions/0", "/signals", "/model")) for pointer, _message in found)
            if key == "unknown":
                assert any("unknown" in message for _pointer, message in found)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_are_no_object_are_said_to_be_none(kind: str) -> None:
    for value in ODD:
        if not isinstance(value, dict):
            found = problems_of(rule(actions=(ActionSpec(kind, value),)))
            assert any(pointer.startswith("/actions/0/config") for pointer, _message in found)


@pytest.mark.parametrize("name", [field.name for field in fields(RuleSpec) if field.name not in TUPLES])
def test_each_part_of_a_rule_is_looked_at_whatever_it_is(name: str) -> None:
    for value in ODD:
        for model in ("zoo.animal", ""):
            list(rule_problems(rule(**{"model": model, name: value})))


@pytest.mark.parametrize("name", [field.name for field in fields(ActionSpec) if field.name != "config"])
def test_each_part_of_an_action_is_looked_at_whatever_it_is(name: str) -> None:
    for value in ODD:
        action = ActionSpec(**{"kind": "log_message", "config": {"message": "x"}, name: value})
        list(rule_problems(rule(actions=(action,))))

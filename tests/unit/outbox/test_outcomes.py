"""Where rules stop because of what came of their actions in the process of a save."""

from __future__ import annotations

from typing import Any

from rules_engine.models.execution import State
from rules_engine.outbox.outcomes import ActionOutcome, stops
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import ActionSpec
from tests.unit.compiled import compiled


def actions(*timings: str) -> CompiledRule:
    """A rule whose actions stop it where they fail."""
    specs: Any = [
        ActionSpec("log_message", {"message": "x"}, position, timing=timing, on_failure="stop")  # type: ignore[arg-type]
        for position, timing in enumerate(timings)
    ]
    return compiled("rule", *specs)


LATER = "after_commit"


def test_a_rule_stops_at_its_first_action_that_did_not_succeed():
    rule = actions("before_save", "before_save", LATER)
    ended = [
        ActionOutcome(rule, rule.actions[1], State.DISCARDED),
        ActionOutcome(rule, rule.actions[0], State.REFUSED),
    ]
    assert stops(ended) == {"rule": 0}


def test_what_succeeds_stops_nothing():
    rule = actions("before_save", LATER)
    assert stops([ActionOutcome(rule, rule.actions[0], State.SUCCEEDED)]) == {}


def test_an_action_that_says_go_on_stops_nothing():
    [action] = compiled("r", ActionSpec("log_message", {"message": "x"}, timing="before_save")).actions
    assert stops([ActionOutcome(compiled("r"), action, State.DISCARDED)]) == {}

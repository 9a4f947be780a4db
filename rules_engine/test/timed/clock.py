"""A rule as if it were some other time: ``now`` in its condition is that time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rules_engine.live.compiler import compile_rule
from rules_engine.logic import jsonlogic
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import RuleSpec


def moment_logic(at: datetime) -> dict[str, Any]:
    """Return a moment as logic has it."""
    return {"datetime": at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")}


def fixed(logic: Any, moment: Mapping[str, Any]) -> Any:
    """Return the logic with that moment in the place of ``now``."""
    if isinstance(logic, Mapping):
        if logic.keys() == {"now"}:
            return dict(moment)
        return {key: fixed(value, moment) for key, value in logic.items()}
    return [fixed(value, moment) for value in logic] if isinstance(logic, list) else logic


def compiled_at(rule: RuleSpec, at: datetime) -> CompiledRule:
    """Return the rule, compiled, with that moment for now in its condition. Raises what ``compile_rule`` raises."""
    compiled = compile_rule(rule, 0)
    if compiled.condition is None:
        return compiled
    # Compiled by itself: a condition that asks for nothing but the time would now be refused as a constant.
    return replace(compiled, condition=jsonlogic.compile_checked(fixed(rule.condition, moment_logic(at))))

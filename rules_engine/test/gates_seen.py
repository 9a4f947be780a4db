"""Every gate of a rule with the values that it saw, also those behind the first that is shut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rules_engine.errors import ConditionError, InvalidRule
from rules_engine.logic import jsonlogic
from rules_engine.rules.gates import CONDITION, GATES, GateSeen, State
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import MatchSubject


def all_seen(rule: CompiledRule, subject: MatchSubject) -> list[GateSeen]:
    """Return the gates in the order they are passed, the condition with its trace. A rule without some has fewer."""
    shown = [seen for gate in GATES if (seen := gate.seen(rule, subject)) is not None]
    return [_traced(seen, rule, subject) if seen.gate is CONDITION else seen for seen in shown]


def first_shut(rule: CompiledRule, subject: MatchSubject) -> GateSeen | None:
    """Return the first gate that is not open, without the trace of its condition, which takes a hundred times as
    long."""
    return first_not_open(seen for gate in GATES if (seen := gate.seen(rule, subject)) is not None)


def first_not_open(shown: Iterable[GateSeen]) -> GateSeen | None:
    """Return the first gate that is not open, None where all are."""
    return next((seen for seen in shown if seen.state != "open"), None)


def state_of(shown: Iterable[GateSeen]) -> State:
    """Return what the first gate that is not open says; "open" where all are."""
    stop = first_not_open(shown)
    return "open" if stop is None else stop.state


def _traced(seen: GateSeen, rule: CompiledRule, subject: MatchSubject) -> GateSeen:
    source = getattr(rule.condition, "source", None)
    if source is None or seen.state == "not_recorded":
        return seen
    return replace(seen, tree=_trace(source, subject.context))


def _trace(source: Any, context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    try:
        return jsonlogic.trace(source, context)
    except (ConditionError, InvalidRule):
        return None

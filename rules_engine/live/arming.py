"""Rules that wait by the clock, compiled: what their matches begin, and the rule beside each that ends it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rules_engine.context.paths import field_of, find_model
from rules_engine.logic import jsonlogic
from rules_engine.rules import values
from rules_engine.rules.changes import compile_changes
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.arms import Arms, said_of
from rules_engine.rules.schedules.happening import seconds_of
from rules_engine.rules.schedules.kinds import by_of, name_of
from rules_engine.types import RuleSpec

#: Changes after which something may hold no more. A new object was never so before.
ENDING = frozenset({"update", "add", "remove", "clear"})
PLAIN = (str, int, bool, float, type(None))


def with_arms(rule: CompiledRule, spec: RuleSpec) -> CompiledRule:
    """Return the compiled rule with what its matches begin, where it waits by the clock."""
    kind = name_of(spec.schedule)
    if spec.schedule is None or kind not in ("stays", "silent"):
        return rule
    if kind == "silent":
        by = by_of(spec.schedule)
        arms = Arms(kind, seconds_of(spec.schedule), by=by, by_reads=frozenset(values.reads(by)))
        return replace(rule, arms=arms)
    said, parts = said_of(spec.condition, spec.changes), list(_holding(spec))
    if not parts:
        return replace(rule, arms=Arms(kind, seconds_of(spec.schedule), said=said))
    holding: Any = parts[0] if len(parts) == 1 else {"and": parts}
    condition = jsonlogic.compile_checked(holding)
    arms = Arms(kind, seconds_of(spec.schedule), condition=condition, reads=condition.reads, said=said)
    return replace(rule, arms=arms, ending=_ending(rule, holding, arms))


def _holding(spec: RuleSpec) -> Iterator[Any]:
    """Yield what has to go on holding: the condition, and the values that fields had to change to."""
    if spec.condition is not None:
        yield spec.condition
    model = find_model(spec.model)
    for change in compile_changes(model, spec.changes):
        if model is not None and change.has_new and isinstance(change.new, PLAIN):
            yield {"==": [{"var": f"instance.{field_of(model, change.field).attname}"}, change.new]}


def _ending(rule: CompiledRule, holding: Any, arms: Arms) -> CompiledRule:
    """Return the rule that matches where this one's condition does not hold after a change."""
    condition = jsonlogic.compile_checked({"!": [holding]})
    return replace(
        rule,
        signals=(rule.signals | {"post_save"}) - {"post_delete"},
        operations=ENDING,
        changes=(),
        condition=condition,
        reads=condition.reads,
        actions=(),
        action_reads=frozenset(),
        match_reads=frozenset(),
        stop_processing=False,
        sample=1.0,
        hold=None,
        arms=replace(arms, holds=False),
    )

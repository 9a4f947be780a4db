"""Which rules an event matches. Pure: no database, no settings, no clock.

A rule passes three gates in turn: its operations, its change conditions (all of them), its condition. The cheap ones
come first, and the context is built only for the rules that get as far as their condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rules_engine.errors import ConditionError
from rules_engine.types import Evaluation, FieldChange, Gate, Operation, Path, Timing


class Predicate(Protocol):
    """What matching needs of a compiled condition."""

    def matches(self, data: Any, /) -> bool:
        """Whether it holds for the data; raises ``ConditionError`` when that cannot be said."""


@dataclass(frozen=True, slots=True)
class CompiledChange:
    """A change condition whose values are in the form that events carry."""

    field: str
    has_old: bool = False
    old: Any = None
    has_new: bool = False
    new: Any = None

    def holds(self, changes: Mapping[str, FieldChange]) -> bool:
        """Whether the field changed, and from and to what was asked."""
        change = changes.get(self.field)
        if change is None:
            return False
        return (not self.has_old or change.old == self.old) and (not self.has_new or change.new == self.new)


@dataclass(frozen=True, slots=True)
class CompiledAction:
    """An action ready to be written to the outbox."""

    position: int
    kind: str
    config: Mapping[str, Any]
    timing: Timing
    queue: str
    lane: str = ""
    order_key: str = ""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to be tried. ``fault`` says why it cannot be: then every evaluation of it is an error."""

    slug: str
    version: int
    model: str
    signals: frozenset[str]
    operations: frozenset[str] = frozenset()
    changes: tuple[CompiledChange, ...] = ()
    condition: Predicate | None = None
    reads: frozenset[Path] = frozenset()
    actions: tuple[CompiledAction, ...] = ()
    action_reads: frozenset[Path] = frozenset()
    shadow: bool = False
    stop_processing: bool = False
    author_id: Any = None
    fault: str = ""


@dataclass(slots=True)
class Tried:
    """How far each rule has come; the evaluations are in the order of the rules."""

    rules: Sequence[CompiledRule]
    stopped: dict[str, Evaluation] = field(default_factory=dict)

    def stop(self, rule: CompiledRule, gate: Gate, detail: str = "") -> None:
        """The rule does not match, and this is where that showed."""
        self.stopped[rule.slug] = Evaluation(rule.slug, rule.version, "not_matched", gate, detail)

    def fail(self, rule: CompiledRule, gate: Gate, detail: str) -> None:
        """Whether the rule matches cannot be said."""
        self.stopped[rule.slug] = Evaluation(rule.slug, rule.version, "error", gate, detail)


def match(
    rules: Sequence[CompiledRule],
    operation: Operation | None,
    changes: Mapping[str, FieldChange],
    data_for: Callable[[Sequence[CompiledRule]], Any],
) -> list[Evaluation]:
    """Try the rules in order; one evaluation each, up to the first match that stops processing.

    ``data_for`` gives the context, as the conditions take it, for the rules that came as far as their condition. What
    it raises goes to the caller; a condition that cannot be evaluated is an "error" evaluation of its rule alone.
    """
    tried = Tried(rules)
    for rule in rules:
        _early_gates(tried, rule, operation, changes)
    left = [rule for rule in rules if rule.slug not in tried.stopped and rule.condition is not None]
    data = data_for(left) if left else None
    found: list[Evaluation] = []
    for rule in rules:
        evaluation = tried.stopped.get(rule.slug) or _last_gate(rule, data)
        found.append(evaluation)
        if evaluation.outcome == "matched" and rule.stop_processing:
            break
    return found


def _early_gates(
    tried: Tried, rule: CompiledRule, operation: Operation | None, changes: Mapping[str, FieldChange]
) -> None:
    if rule.operations and operation not in rule.operations:
        tried.stop(rule, "operations", f"This was: {operation or 'a signal without operation'}.")
    elif rule.fault:
        tried.fail(rule, "condition", rule.fault)
    else:
        missed = next((change.field for change in rule.changes if not change.holds(changes)), None)
        if missed is not None:
            tried.stop(rule, "changes", f"{missed} did not change as asked.")


def _last_gate(rule: CompiledRule, data: Any) -> Evaluation:
    try:
        holds = rule.condition is None or rule.condition.matches(data)
    except ConditionError as error:
        return Evaluation(rule.slug, rule.version, "error", "condition", str(error))
    if holds:
        return Evaluation(rule.slug, rule.version, "matched")
    return Evaluation(rule.slug, rule.version, "not_matched", "condition", "The condition is false.")

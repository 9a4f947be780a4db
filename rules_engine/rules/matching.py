"""Which rules an event matches. Pure: no database, no settings, no clock.

A rule passes three gates in turn: its operations, its change conditions (all of them), its condition. The cheap ones
come first, and the context is built only for the rules that get as far as their condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from rules_engine.errors import ConditionError
from rules_engine.types import Evaluation, FieldChange, Gate, OnFailure, Operation, Outcome, Path, Timing

if TYPE_CHECKING:
    from rules_engine.rules.holding import Hold
    from rules_engine.rules.repetition import Each


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
    delay: int = 0
    on_failure: OnFailure = "go_on"
    each: Each | None = None


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
    #: Whether the condition looks at objects as wholes, and so would see of them what other rules read.
    reads_whole: bool = False
    actions: tuple[CompiledAction, ...] = ()
    action_reads: frozenset[Path] = frozenset()
    shadow: bool = False
    stop_processing: bool = False
    author_id: Any = None
    fault: str = ""
    raw: bool = False
    #: The share of events it is tried on, 1.0 for all.
    sample: float = 1.0
    active_from: datetime | None = None
    active_until: datetime | None = None
    hold: Hold | None = None
    #: Whether it is paused; its matches are kept, and what acts in the process of the save does not.
    is_paused: bool = False

    @property
    def is_always_tried(self) -> bool:
        """Whether no date and no chance decides if it is tried."""
        return self.sample >= 1.0 and self.active_from is None and self.active_until is None

    def is_active(self, now: datetime) -> bool:
        """Whether the time lies between its dates."""
        return (self.active_from is None or self.active_from <= now) and (
            self.active_until is None or now < self.active_until
        )


#: Where a rule stopped and what is to be said of it; None is nowhere.
Stop = tuple[Outcome, Gate, str]
#: Shared by all rules that stop there, so that a rule that does not match costs no object.
FALSE: Stop = ("not_matched", "condition", "The condition is false.")


def match(
    rules: Sequence[CompiledRule],
    operation: Operation | None,
    changes: Mapping[str, FieldChange],
    data_for: Callable[[Sequence[CompiledRule]], Any],
) -> list[Evaluation]:
    """Try the rules in order; one evaluation each, up to the first match that stops processing.

    Empty where no rule matched and none failed: then there is nothing to tell, and that is the case that must be fast.
    ``data_for`` gives the context, as the conditions take it, for the rules that came as far as their condition. What
    it raises goes to the caller; a condition that cannot be evaluated is an "error" evaluation of its rule alone.
    """
    stops, told = try_rules(rules, operation, changes, data_for)
    return [_evaluation(rule, stop) for rule, stop in zip(rules, stops, strict=False)] if told else []


def try_rules(
    rules: Sequence[CompiledRule],
    operation: Operation | None,
    changes: Mapping[str, FieldChange],
    data_for: Callable[[Sequence[CompiledRule]], Any],
) -> tuple[list[Stop | None], bool]:
    """Where each rule stopped, in order, and whether any matched or failed; see ``match``."""
    early = [_early_gates(rule, operation, changes) for rule in rules]
    left = [rule for rule, stop in zip(rules, early, strict=True) if stop is None and rule.condition is not None]
    data_of = _shared_or_each(left, data_for)
    stops: list[Stop | None] = []
    told = False
    for rule, stop in zip(rules, early, strict=True):
        if stop is None and rule.condition is not None:
            stop = _condition_gate(rule, rule.condition, data_of)
        stops.append(stop)
        told = told or stop is None or stop[0] == "error"
        # A rule on trial changes nothing, and so not what the others do.
        if stop is None and rule.stop_processing and not rule.shadow:
            break
    return stops, told


def _early_gates(rule: CompiledRule, operation: Operation | None, changes: Mapping[str, FieldChange]) -> Stop | None:
    if rule.operations and operation not in rule.operations:
        return "not_matched", "operations", f"This was: {operation or 'a signal without operation'}."
    if rule.fault:
        return "error", "condition", rule.fault
    for change in rule.changes:
        if not change.holds(changes):
            return "not_matched", "changes", f"{change.field} did not change as asked."
    return None


def _shared_or_each(
    left: Sequence[CompiledRule], data_for: Callable[[Sequence[CompiledRule]], Any]
) -> Callable[[CompiledRule], Any]:
    """One context for all; where what one rule reads cannot be read, one for each, so that the others are tried."""
    try:
        shared = data_for(left) if left else None
    except ConditionError:
        return lambda rule: data_for([rule])
    alone = len(left) == 1
    return lambda rule: data_for([rule]) if rule.reads_whole and not alone else shared


def _condition_gate(rule: CompiledRule, condition: Predicate, data_of: Callable[[CompiledRule], Any]) -> Stop | None:
    try:
        return None if condition.matches(data_of(rule)) else FALSE
    except ConditionError as error:
        return "error", "condition", str(error)


def _evaluation(rule: CompiledRule, stop: Stop | None) -> Evaluation:
    if stop is None:
        return Evaluation(rule.slug, rule.version, "matched")
    return Evaluation(rule.slug, rule.version, *stop)


def evaluate(
    rule: CompiledRule, operation: Operation | None, changes: Mapping[str, FieldChange], data: Any
) -> Evaluation:
    """What one rule says, whatever it is: for explanations."""
    [stop], _ = try_rules([rule], operation, changes, lambda _: data)
    return _evaluation(rule, stop)

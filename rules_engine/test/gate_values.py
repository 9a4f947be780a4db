"""Every gate of a rule with the values that it saw, also those behind the first that is shut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rules_engine.errors import ConditionError, InvalidRule
from rules_engine.logic import jsonlogic
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import FieldChange, Operation, Path

#: What came of a gate: a gate that reads what was not stored has no verdict.
State = Literal["open", "shut", "error", "not_recorded"]
Name = Literal["dates", "operations", "changes", "condition"]


Trace = Callable[[Any, "Sight"], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class ChangeSeen:
    """A change condition beside what happened to its field; ``change`` is None where it did not change."""

    field: str
    asked: Mapping[str, Any]
    change: FieldChange | None
    state: State


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate. ``detail`` is about an error; ``tree`` is the condition's trace; ``missing`` was not stored."""

    name: Name
    state: State
    detail: str = ""
    changes: Sequence[ChangeSeen] = ()
    tree: Mapping[str, Any] | None = None
    missing: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """What a rule is shown: the event's operation, changes and context, and what of it is not there.

    ``unknown`` are the fields of which it was not stored whether they changed; ``missing`` are paths.
    """

    operation: Operation | None
    changes: Mapping[str, FieldChange]
    context: Mapping[str, Any]
    occurred_at: datetime
    unknown: frozenset[str] = frozenset()
    missing: Sequence[Path] = ()


def gates(rule: CompiledRule, sight: Sight) -> list[Gate]:
    """The gates in the order they are passed. A rule without some has fewer."""
    return list(_gates(rule, sight, _traced))


def first_stop(rule: CompiledRule, sight: Sight) -> Gate | None:
    """The first gate that is not open, without the trace of its condition, which takes a hundred times as long."""
    return stopped_at(_gates(rule, sight, _not_traced))


def outcome(found: Sequence[Gate]) -> State:
    """What the first gate that is not open says; "open" where all are."""
    return next((gate.state for gate in found if gate.state != "open"), "open")


def stopped_at(found: Iterable[Gate]) -> Gate | None:
    """The first gate that is not open."""
    return next((gate for gate in found if gate.state != "open"), None)


def _gates(rule: CompiledRule, sight: Sight, trace: Trace) -> Iterator[Gate]:
    if rule.active_from is not None or rule.active_until is not None:
        yield Gate("dates", "open" if rule.is_active(sight.occurred_at) else "shut")
    if rule.operations:
        yield Gate("operations", "open" if sight.operation in rule.operations else "shut")
    if rule.fault:
        yield Gate("condition", "error", rule.fault)
        return
    if rule.changes:
        seen = [_change(one, sight) for one in rule.changes]
        yield Gate("changes", _worst([one.state for one in seen]), changes=seen)
    if rule.condition is not None:
        yield _condition(rule.condition, sight, trace)


def _change(asked: Any, sight: Sight) -> ChangeSeen:
    values = {**({"from": asked.old} if asked.has_old else {}), **({"to": asked.new} if asked.has_new else {})}
    state: State = "open" if asked.holds(sight.changes) else "shut"
    if asked.field in sight.unknown:
        state = "not_recorded"
    return ChangeSeen(asked.field, values, sight.changes.get(asked.field), state)


def _worst(states: Sequence[State]) -> State:
    # Live, the first that does not hold decides; one that is known not to hold decides whatever the others were.
    return "shut" if "shut" in states else "not_recorded" if "not_recorded" in states else "open"


def _condition(condition: Any, sight: Sight, trace: Trace) -> Gate:
    if sight.missing:
        return Gate("condition", "not_recorded", missing=sight.missing)
    try:
        state: State = "open" if condition.matches(jsonlogic.data_handle(dict(sight.context))) else "shut"
    except ConditionError as error:
        return Gate("condition", "error", str(error), tree=trace(condition, sight))
    return Gate("condition", state, tree=trace(condition, sight))


def _not_traced(condition: Any, sight: Sight) -> None:
    return None


def _traced(condition: Any, sight: Sight) -> Mapping[str, Any] | None:
    try:
        return jsonlogic.trace(condition.source, sight.context)
    except (ConditionError, InvalidRule):
        return None

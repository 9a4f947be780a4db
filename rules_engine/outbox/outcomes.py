"""What came of actions in the process of a save, and where their rules stop because of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from rules_engine import types
from rules_engine.models.execution import NOT_AFTER_THAT, State
from rules_engine.rules.matching import CompiledAction, CompiledRule


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """What came of an action in the process of the save: the state its execution ends in, and a line about it."""

    rule: CompiledRule
    action: CompiledAction
    state: State
    text: str = ""
    id: UUID = field(default_factory=types.new_id)


def stops(ended: Iterable[ActionOutcome]) -> dict[str, int]:
    """Return where the rules of these actions stop, by slug: after the first that did not succeed and says so."""
    stopped: dict[str, int] = {}
    for end in ended:
        slug, position = end.rule.slug, end.action.position
        if end.state != State.SUCCEEDED and end.action.on_failure == "stop":
            stopped[slug] = min(position, stopped.get(slug, position))
    return stopped


def cut_off(rule: CompiledRule, action: CompiledAction) -> ActionOutcome:
    """Return the record of an action that is not carried out after one that failed."""
    return ActionOutcome(rule, action, State.CANCELLED, NOT_AFTER_THAT)

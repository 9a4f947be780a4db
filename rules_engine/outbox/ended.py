"""What came of actions in the process of a save, and where their rules stop because of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from rules_engine import types
from rules_engine.models.execution import NOT_AFTER_THAT, State
from rules_engine.rules.matching import CompiledAction, CompiledRule


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of an action in the process of the save: the state its execution ends in, and a line about it."""

    rule: CompiledRule
    action: CompiledAction
    state: State
    text: str = ""
    id: UUID = field(default_factory=types.new_id)


def stops(ended: Iterable[Ended]) -> dict[str, int]:
    """Return where the rules of these actions stop, by slug: after the first that did not succeed and says so."""
    stopped: dict[str, int] = {}
    for end in ended:
        slug, position = end.rule.slug, end.action.position
        if end.state != State.SUCCEEDED and end.action.on_failure == "stop":
            stopped[slug] = min(position, stopped.get(slug, position))
    return stopped


def cut_off(rule: CompiledRule, action: CompiledAction) -> Ended:
    """Return the record of an action that is not carried out after one that failed."""
    return Ended(rule, action, State.CANCELLED, NOT_AFTER_THAT)


def later_actions(rule: CompiledRule, stopped: Mapping[str, int]) -> list[CompiledAction]:
    """Return the actions that workers are to carry out: one that failed at once may have stopped those after it."""
    last = stopped.get(rule.slug)
    return [action for action in _of_workers(rule) if last is None or action.position < last]


def cut_off_later(rules: Sequence[CompiledRule], stopped: Mapping[str, int]) -> list[Ended]:
    """Return the records of those that workers would have carried out, and are not to."""
    return [
        cut_off(rule, action)
        for rule in rules
        if rule.slug in stopped
        for action in _of_workers(rule)
        if action.position > stopped[rule.slug]
    ]


def _of_workers(rule: CompiledRule) -> Iterable[CompiledAction]:
    return [] if rule.shadow else [action for action in rule.actions if action.timing == "after_commit"]

"""A claim in parts: which of its executions are carried out together, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from rules_engine.models import Execution
from rules_engine.rules import registry
from rules_engine.rules.contract import can_share, does_many


def parts_of(executions: Iterable[Execution], most: int) -> list[list[Execution]]:
    """Return the executions in the parts in which they are carried out, one part after another.

    Together come those of one kind and one author, whatever their rules are, where the kind has a way of doing many.
    The actions of one event, and those of one kind about one object, stay in the order in which they were claimed.
    A part has at most so many, unless its kind does many in the transaction of their records: of what is outside no
    more is in flight, and perhaps done again, when the process dies.
    What may have taken its process down comes by itself. Of what shares a transaction a part has one of each chain:
    what it leads to is counted against the chain's budget, and others see that when it is committed.
    """
    parts: list[list[Execution]] = []
    left = list(executions)
    while len(left) > 1:
        # First what comes by itself: the more of the others wait, the more of them are done at once.
        alone, left = _take(left, _comes_alone)
        parts += [[execution] for execution in alone]
        if left:
            together, left = _take(left, partial(_shares_with, left[0]), one_a_chain=_is_apart_in_chain(left[0]))
            parts += _cut(together, most)
    return [*parts, left] if left else parts


def _cut(together: list[Execution], most: int) -> list[list[Execution]]:
    action = registry.find(together[0].kind)
    if action is not None and action.crash_safe and does_many(action):
        return [together]
    return [together[start : start + most] for start in range(0, len(together), most)]


def _take(
    executions: Sequence[Execution], wanted: Callable[[Execution], bool], *, one_a_chain: bool = False
) -> tuple[list[Execution], list[Execution]]:
    """Part those that are wanted, as far as nothing has to come before them, from the others."""
    taken: list[Execution] = []
    left: list[Execution] = []
    blocked: set[Any] = set()
    chains: set[Any] = set()
    for execution in executions:
        event = execution.event
        keys = {event.pk, (event.model, event.object_pk, execution.kind)}
        is_of_chain = event.root_id in chains
        if not is_of_chain and blocked.isdisjoint(keys) and wanted(execution):
            taken.append(execution)
            if one_a_chain:
                chains.add(event.root_id)
        else:
            left.append(execution)
            blocked |= keys
    return taken, left


def _comes_alone(execution: Execution) -> bool:
    return execution.may_have_crashed or not can_share(registry.find(execution.kind))


def _is_apart_in_chain(execution: Execution) -> bool:
    action = registry.find(execution.kind)
    return action is not None and not does_many(action)


def _shares_with(other: Execution, execution: Execution) -> bool:
    is_alike = (execution.kind, execution.author_id) == (other.kind, other.author_id)
    # A user of a tenant and one of the shared schema may have the same key.
    is_alike = is_alike and execution.author_place == other.author_place
    return is_alike and not _comes_alone(execution)

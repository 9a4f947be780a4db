"""Conditions: whatever is written is refused with problems, or evaluated to a value or to an error of ours."""

from __future__ import annotations

import random
from typing import Any

from rules_engine.errors import ConditionError, InvalidRule, Problem
from rules_engine.logic import jsonlogic
from rules_engine.logic.evaluator import operators
from tests.fuzz import making
from tests.fuzz.running import fuzz

COUNT = 600
OPERATORS = sorted(operators())
ROWS = ("map", "filter", "reduce", "all", "some", "none")


def logic(chance: random.Random, depth: int = 4) -> Any:
    """A condition, mostly of the right shape."""
    kind = chance.random()
    if depth == 0 or kind < 0.15:
        return making.leaf(chance)
    if kind < 0.35:
        return {"var": ".".join(chance.choice(making.NAMES) for _ in range(chance.randint(1, 3)))}
    if kind < 0.4:
        return making.json_value(chance, 2)
    operator = chance.choice(ROWS if chance.random() < 0.2 else OPERATORS)
    return {operator: [logic(chance, depth - 1) for _ in range(chance.choice((1, 2, 2, 2, 3, 4)))]}


def context(chance: random.Random) -> dict[str, Any]:
    """What an event tells, or nearly."""
    rows = [{"quantity": making.leaf(chance), "total": making.leaf(chance)} for _ in range(chance.randint(0, 5))]
    instance = {name: making.json_value(chance, 1) for name in making.NAMES if chance.random() < 0.5}
    made: dict[str, Any] = {"instance": {**instance, "items": rows}, "changed": making.some(chance, making.leaf)}
    return {**made, **{name: making.json_value(chance, 2) for name in ("old", "m2m", "held") if chance.random() < 0.3}}


def surface(chance: random.Random) -> None:
    written = making.deep(chance) if chance.random() < 0.02 else logic(chance)
    problems = jsonlogic.check(written)
    assert all(isinstance(problem, Problem) and problem.message for problem in problems)
    assert len(problems) <= 60
    try:
        read = jsonlogic.parse(making.json_text(chance, written))
    except InvalidRule as error:
        assert str(error)
    else:
        jsonlogic.check(read)
    if not problems:
        _evaluate(written, context(chance))


def _evaluate(written: Any, data: dict[str, Any]) -> None:
    condition = jsonlogic.compile_condition(written)
    try:
        handle = jsonlogic.data_handle(data)
    except ConditionError:
        return
    for ask in (condition.matches, condition.value):
        try:
            ask(handle)
        except ConditionError as error:
            assert str(error)
    try:
        assert jsonlogic.trace(written, data)["pointer"] == ""
    except (InvalidRule, ConditionError) as error:
        assert str(error)


def test_any_condition_is_refused_or_evaluated() -> None:
    fuzz(surface, COUNT)

"""Every operator says how many arguments it takes, and a rule with too few or too many is refused when it is saved."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.logic import jsonlogic
from rules_engine.logic.arity import arity_problems
from rules_engine.logic.evaluator import operators

STATUS = {"var": "instance.status"}


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"in": []}, '"in" takes exactly 2 arguments, not 0.'),
        ({"in": [STATUS]}, '"in" takes exactly 2 arguments, not 1.'),
        ({"in": STATUS}, '"in" takes exactly 2 arguments, not 1.'),
        ({"missing_some": [1]}, '"missing_some" takes exactly 2 arguments, not 1.'),
        ({"switch": [STATUS]}, '"switch" takes 2 to 3 arguments, not 1.'),
        ({"match": [STATUS]}, '"match" takes 2 to 3 arguments, not 1.'),
        ({"and": []}, '"and" takes at least 1 argument, not 0.'),
        ({"or": []}, '"or" takes at least 1 argument, not 0.'),
        ({"if": []}, '"if" takes at least 2 arguments, not 0.'),
        ({"substr": [STATUS]}, '"substr" takes 2 to 3 arguments, not 1.'),
        ({"type": []}, '"type" takes exactly 1 argument, not 0.'),
        ({"try": []}, '"try" takes at least 2 arguments, not 0.'),
        ({"!": []}, '"!" takes exactly 1 argument, not 0.'),
        ({"!": [STATUS, 1]}, '"!" takes exactly 1 argument, not 2.'),
        ({"now": [1]}, '"now" takes exactly 0 arguments, not 1.'),
        ({"cat": []}, '"cat" takes at least 1 argument, not 0.'),
        ({"??": []}, '"??" takes at least 1 argument, not 0.'),
    ],
    ids=str,
)
def test_a_wrong_number_of_arguments_is_said_at_its_place(part: Any, sentence: str) -> None:
    problems = jsonlogic.check({"and": [STATUS, {"!": [part]}]})
    assert [(problem.pointer, problem.message) for problem in problems] == [("/and/1/!/0", sentence)]


@pytest.mark.parametrize("name", sorted(set(operators()) - {"throw", "var", "val"}))
def test_no_operator_is_taken_without_the_arguments_it_needs(name: str) -> None:
    taken = [count for count in range(7) if not arity_problems({name: [STATUS] * count})]
    assert taken, name
    # Without any it is a constant, and only the time is meant as one.
    assert (0 in taken) == (name == "now")
    assert taken == list(range(taken[0], taken[-1] + 1))


@pytest.mark.parametrize("logic", [{"var": ""}, {"+": STATUS}, {"max": STATUS}, {"if": [STATUS, 1]}, {"x": []}, 5, []])
def test_other_forms_are_left_to_the_other_checks(logic: Any) -> None:
    assert arity_problems(logic) == []

"""Decimals that an expression chooses keep their digits; one that has too many to calculate with is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rules_engine.errors import ConditionError
from rules_engine.rules import values

#: A number has room for 15 digits, and these have 20.
PRECISE, OTHER = Decimal("1234567890123456.7891"), Decimal("1234567890123456.7892")
DATA: dict[str, Any] = {
    "instance": {
        "total": PRECISE,
        "other": OTHER,
        "small": Decimal("2.50"),
        "is_paid": True,
        "lines": [{"at": PRECISE}],
    }
}
TOTAL, SMALL = {"var": "instance.total"}, {"var": "instance.small"}


@pytest.mark.parametrize(
    "expression",
    [
        {"if": [{"var": "instance.is_paid"}, TOTAL, 0]},
        {"max": [TOTAL, 3]},
        {"var": "instance.lines.0.at"},
    ],
    ids=["chosen", "compared", "in a row"],
)
def test_a_decimal_that_is_chosen_has_all_its_digits(expression: Any) -> None:
    assert values.exact(expression, DATA) == PRECISE
    assert values.evaluate(expression, DATA) == PRECISE


def test_decimals_within_what_is_chosen_have_theirs_too() -> None:
    # Records and lists are gone through: a number that was no decimal is left alone.
    assert values.exact({"var": "instance.lines"}, DATA) == [{"at": PRECISE}]
    assert values.exact({"merge": [[TOTAL], [7, True, "x"]]}, DATA) == [PRECISE, 7, True, "x"]


def test_a_decimal_that_a_number_holds_is_one_but_for_rows() -> None:
    assert values.evaluate(SMALL, DATA) == 2.5
    assert type(values.exact(SMALL, DATA)) is Decimal


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "cat"])
def test_it_is_said_which_value_has_too_many_digits_to_calculate_with(operator: str) -> None:
    with pytest.raises(ConditionError, match=r'"instance\.total" has more digits than') as refused:
        values.exact({operator: [TOTAL, 1]}, DATA)
    assert f'"{operator}"' in str(refused.value)


def test_what_calculates_elsewhere_in_the_expression_refuses_nothing() -> None:
    chosen = {"if": [{">": [{"+": [SMALL, 1]}, 3]}, TOTAL, 0]}
    assert values.exact(chosen, DATA) == PRECISE


def test_two_decimals_that_look_alike_to_the_evaluator_are_not_mixed_up() -> None:
    # One of them would be written where the other was chosen.
    with pytest.raises(ConditionError, match="differ in more than 15 digits"):
        values.exact({"if": [True, TOTAL, {"var": "instance.other"}]}, DATA)

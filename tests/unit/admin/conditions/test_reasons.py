"""What kept a condition from holding, in words: what was there, and what it has to be."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.reasons import reasons
from rules_engine.logic import jsonlogic

TOTAL, STATUS = {"var": "instance.total"}, {"var": "instance.status"}
ORDER: dict[str, Any] = {"instance": {"total": 80, "status": "draft", "order_number": "A-1", "status_changed_at": None}}


def said(logic: Any) -> list[str]:
    return reasons(jsonlogic.trace(logic, ORDER), Titles.of("shop.order"))


@pytest.mark.parametrize(
    ("logic", "sentence"),
    [
        ({">": [TOTAL, 100]}, "Total was 80; it has to be more than 100"),
        ({"<=": [TOTAL, 50]}, "Total was 80; it has to be at most 50"),
        ({"<=": [100, TOTAL, 200]}, "Total was 80; it has to be between 100 – 200"),
        ({"==": [STATUS, "paid"]}, "Status was Draft; it has to be Paid"),
        ({"!=": [STATUS, "draft"]}, "Status was Draft; it must not be Draft"),
        ({"in": [STATUS, ["paid", "shipped"]]}, "Status was Draft; it has to be one of: Paid, Shipped"),
        ({"!": [{"in": [STATUS, ["draft"]]}]}, "Status was Draft; it must be none of: Draft"),
        ({"!!": [{"var": "instance.status_changed_at"}]}, "Status changed at had no value; it has to be filled in"),
        ({"!": [{">": [TOTAL, 10]}]}, "this must not hold: Total is more than 10"),
        ({"==": [{"+": [TOTAL, 1]}, 3]}, "this has to hold: +(instance.total, 1) = 3"),
    ],
)
def test_a_comparison_says_what_was_there_and_what_has_to_be(logic: Any, sentence: str) -> None:
    assert said(logic) == [sentence]


def test_of_all_that_has_to_hold_the_first_that_does_not_is_told() -> None:
    logic = {"and": [{">": [TOTAL, 10]}, {"==": [STATUS, "paid"]}, {">": [TOTAL, 100]}]}
    assert said(logic) == ["Status was Draft; it has to be Paid"]


def test_of_several_that_would_do_all_are_told() -> None:
    logic = {"or": [{"==": [STATUS, "paid"]}, {"and": [{">": [TOTAL, 10]}, {">": [TOTAL, 100]}]}]}
    assert said(logic) == ["Status was Draft; it has to be Paid", "Total was 80; it has to be more than 100"]


def test_none_of_these_names_the_one_that_held() -> None:
    logic = {"!": [{"or": [{"==": [STATUS, "paid"]}, {">": [TOTAL, 10]}]}]}
    assert said(logic) == ["this must not hold: Total is more than 10"]

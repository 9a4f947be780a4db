"""The operators of ``if``: numbers beside decimals, null beside anything, and what cannot be compared."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.errors import TemplateError
from rules_engine.texts import compile_text, render
from rules_engine.texts.limits import WORDS


def holds(condition: str, **names: Any) -> bool:
    return render("{% if " + condition + " %}yes{% endif %}", names) == "yes"


@pytest.mark.parametrize(
    ("condition", "a", "b", "expected"),
    [
        ("a == b", "1.50", 1.5, True),
        ("a == b", 2, "2", True),
        ("a == b", "2 ", 2, False),
        ("a == b", "two", 2, False),
        ("a == b", "1e3", 1000, False),
        ("a == b", True, "1", False),
        ("a == b", None, "", False),
        ("a == b", None, None, True),
        ("a == b", 0, None, False),
        ("a != b", "1.50", 1.5, False),
        ("a != b", "a", "b", True),
        ("a > b", "10", "9", True),
        ("a > b", "10", "x", False),
        ("a > b", "10.5", 10, True),
        ("a >= b", "10.50", 10.5, True),
        ("a < b", "a", "b", True),
        ("a <= b", "b", "b", True),
        ("a < b", -1, "0", True),
        ("a < b", None, 5, False),
        ("a > b", None, 5, False),
        ("a <= b", None, None, False),
        ("a < b", 0.1, "0.1", False),
        ("a in b", "b", ["a", "b"], True),
        ("a in b", 1, [1.0], True),
        ("a in b", "ell", "hello", True),
        ("a in b", "a", {"a": 1}, True),
        ("a in b", "a", None, False),
        ("a not in b", "a", None, True),
        ("a not in b", "c", ["a"], True),
        ("a is b", None, None, True),
        ("a is not b", None, "", True),
        ("not a", None, None, True),
        ("not a", [], None, True),
        ("not a", [0], None, False),
        ("a and b", 1, 0, False),
        ("a or b", 0, 1, True),
    ],
)
def test_a_comparison_comes_out_as_the_values_are(condition: str, a: Any, b: Any, expected: bool) -> None:
    assert holds(condition, a=a, b=b) is expected


@pytest.mark.parametrize(
    ("condition", "a", "b", "said"),
    [
        ("a == b", [1], [1], "compares a list with a list; compare single fields"),
        ("a == b", {"x": 1}, "x", "compares a record with text"),
        ("a != b", 5, [5], "compares a number with a list"),
        ("a < b", "soon", 5, "puts text and a number in order"),
        ("a > b", True, 0, "puts true or false and a number in order"),
        ("a >= b", [1], 0, "puts a list and a number in order"),
        ("a in b", 1, "123", "looks for a number in text"),
        ("a in b", "a", 5, "looks for text in a number"),
    ],
)
def test_what_cannot_be_compared_says_so_by_kind(condition: str, a: Any, b: Any, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        holds(condition, a=a, b=b)
    assert said in str(caught.value)
    assert str(caught.value).startswith("Line 1: ")


def test_no_number_is_larger_or_smaller_than_another() -> None:
    with pytest.raises(TemplateError, match="in order"):
        holds("a < b", a=float("nan"), b=1)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a or b and c", True),
        ("not a and b", False),
        ("not b or c", True),
        ("a == 1 and b == 0 or c == 5", True),
        ("not a == 1", False),
        ("b == 0 == True", True),
    ],
)
def test_operators_bind_as_they_do_in_python(condition: str, expected: bool) -> None:
    assert holds(condition, a=1, b=0, c=0) is expected


def test_the_second_side_is_not_asked_where_the_first_decides() -> None:
    assert holds("a or nothing.here", a=1)
    assert not holds("a and nothing.here", a=0)


@pytest.mark.parametrize("condition", ["", "a ==", "== a", "a b", "and", "not", "a not", "a in"])
def test_a_condition_that_is_no_sentence_cannot_be_compiled(condition: str) -> None:
    with pytest.raises(TemplateError):
        compile_text("{% if " + condition + " %}x{% endif %}")


def test_a_condition_has_a_bounded_number_of_words() -> None:
    compile_text("{% if " + " or ".join(["a"] * (WORDS // 2)) + " %}x{% endif %}")
    with pytest.raises(TemplateError, match=f"may have {WORDS} words"):
        compile_text("{% if " + " or ".join(["a"] * WORDS) + " %}x{% endif %}")

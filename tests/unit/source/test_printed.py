"""The functions that are printed along with a module do as JSONLogic and the rule do."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest

from rules_engine.errors import ConditionError
from rules_engine.logic import jsonlogic
from rules_engine.source.printed import FUNCTIONS
from tests.zoo.models import Animal, Keeper

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    0.1,
    1.5,
    "",
    "0",
    "1",
    "1.5",
    "text",
    "true",
    "false",
    "True",
    "\u202e",
]


def printed(name: str) -> Callable[..., Any]:
    """The function as a module has it, with what it needs."""
    names: dict[str, Any] = {}
    _add(name, names)
    function: Callable[..., Any] = names[name]
    return function


def _add(name: str, names: dict[str, Any]) -> None:
    function = FUNCTIONS[name]
    for home, wanted in function.imports:
        names[wanted] = getattr(import_module(home), wanted) if home else import_module(wanted)
    for other in function.functions:
        _add(other, names)
    exec(function.source, names)


def outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (ConditionError, TypeError, ValueError):
        return "an error"


def by_rule(logic: Any, **data: Any) -> Any:
    return outcome(lambda: jsonlogic.compile_expression(logic).value(jsonlogic.data_handle(data)))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_each_function_is_one_and_says_what_it_does(name: str) -> None:
    [function] = ast.parse(FUNCTIONS[name].source).body
    assert isinstance(function, ast.FunctionDef)
    assert function.name == name
    assert ast.get_docstring(function)
    assert callable(printed(name))


@pytest.mark.parametrize("right", VALUES, ids=repr)
@pytest.mark.parametrize("left", VALUES, ids=repr)
def test_equal_and_identical_are_those_of_the_rule(left: Any, right: Any) -> None:
    both = [{"var": "left"}, {"var": "right"}]
    assert outcome(lambda: printed("identical")(left, right)) == by_rule({"===": both}, left=left, right=right)
    equal = by_rule({"==": both}, left=left, right=right)
    # An empty text is no number to the rule; the function takes it for 0.
    assert outcome(lambda: printed("same")(left, right)) == equal or (equal == "an error" and "" in (left, right))


@pytest.mark.parametrize(("sign", "compare"), [("<", operator.lt), ("<=", operator.le), (">", operator.gt)])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 2), (2, 1), (1, 1), (1, None), (None, 1), (None, None), ("a", "b"), ("b", "a"), ("10", 9), (9, "10"),
        ("", 1), (1, ""), (True, 0), (0.1, 0.2), ("2026-01-31", "2026-02-01"),
    ],
)  # fmt: skip
def test_order_is_that_of_the_rule(sign: str, compare: Any, left: Any, right: Any) -> None:
    both = [{"var": "left"}, {"var": "right"}]
    assert printed("ordered")(compare, left, right) == by_rule({sign: both}, left=left, right=right)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Decimal("2.00"), 2),
        (Decimal("2.50"), 2.5),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 8), "2026-01-31T08:00:00"),  # noqa: DTZ001
        (UUID(int=1), str(UUID(int=1))),
        ((1, Decimal("1")), [1, 1]),
        ({1: Decimal("0.5")}, {"1": 0.5}),
        (Keeper(pk=7), 7),
        (Keeper(), None),
        (None, None),
        (True, True),
    ],
)
def test_a_value_is_as_json_has_it(value: Any, plain: Any) -> None:
    result = printed("plain")(value)
    assert result == plain
    assert type(result) is type(plain)


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1), ("1.5", 1.5), ("", 0), (True, 1), (Decimal("2.5"), 2.5), (" 1 ", 1.0)],
)
def test_what_is_a_number_is_one(value: Any, number: float) -> None:
    assert printed("number")(value) == number


@pytest.mark.parametrize("value", [None, [], {}, "text", "1,5", [1]])
def test_what_is_no_number_is_an_error(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        printed("number")(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), ("", ""), ("a", "a"), (True, "true"), (False, "false"), (1, "1"), (1.5, "1.5"),
        (Decimal("2.50"), "2.5"), (date(2026, 1, 31), "2026-01-31"),
    ],
)  # fmt: skip
def test_a_value_is_a_text_as_in_the_rule(value: Any, text: str) -> None:
    assert printed("text")(value) == text
    if not isinstance(value, Decimal | date):
        assert by_rule({"cat": [{"var": "value"}]}, value=value) == text


@pytest.mark.parametrize("length", [None, -9, -2, -1, 0, 1, 3, 99])
@pytest.mark.parametrize("start", [-99, -5, -2, 0, 1, 5, 99])
@pytest.mark.parametrize("text", ["", "jsonlogic", "äö🙂"])
def test_a_part_of_a_text_is_that_of_the_rule(text: str, start: int, length: int | None) -> None:
    numbers = [start] if length is None else [start, length]
    assert printed("substr")(text, *numbers) == by_rule({"substr": [{"var": "text"}, *numbers]}, text=text)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ((1,), [1]),
        (([1], 2, [3, [4]]), [1, 2, 3, [4]]),
        (([], None), []),
        (([None, 0, False],), [0, False]),
        (("ab",), ["ab"]),
    ],
)
def test_lists_and_values_are_one_list(parts: tuple[Any, ...], whole: list[Any]) -> None:
    assert printed("merge")(*parts) == whole
    assert by_rule({"merge": list(parts)}) == whole


@pytest.mark.parametrize(
    ("rows", "holds"), [([], False), (None, False), ([1, 2], True), ([1, 0], False), (iter([1]), True)]
)
def test_of_no_rows_nothing_holds(rows: Any, holds: bool) -> None:
    assert printed("every")(rows, bool) is holds


@pytest.mark.parametrize(
    ("value", "steps", "found"),
    [
        ({"a": {"b": 1}}, ("a", "b"), 1),
        ({"a": 1}, ("b",), None),
        ({"a": None}, ("a", "b"), None),
        ([10, 20], ("1",), 20),
        ([10, 20], ("2",), None),
        ([10, 20], ("-1",), None),
        ([10, 20], ("x",), None),
        (None, ("a", "b", "c"), None),
        (Keeper(name="Ann"), ("name",), "Ann"),
        (Keeper(name="Ann"), ("nowhere", "name"), None),
        ("text", (), "text"),
    ],
)
def test_what_lies_below_a_value_is_found_or_nothing(value: Any, steps: tuple[str, ...], found: Any) -> None:
    assert printed("read")(value, *steps) == found


@pytest.mark.parametrize(("text", "line"), [("a\nb", "a b"), ("\r\n a \t b ", "a b"), ("", ""), ("a\u2028b", "a b")])
def test_a_subject_is_one_line(text: str, line: str) -> None:
    assert printed("one_line")(text) == line


def test_what_is_not_translated_says_so() -> None:
    with pytest.raises(NotImplementedError, match="odd"):
        printed("not_in_python")("odd")
    assert printed("current_user")() is None
    assert printed("current_request")() is None


@pytest.mark.parametrize(
    ("source", "autoescape", "said"),
    [
        ("{{ a }}", False, "<b>"),
        ("{{ a }}", True, "&lt;b&gt;"),
        ("{{ n }}", False, "1234.5"),
        ("{{ nowhere }}", False, ""),
    ],
)
def test_a_text_is_rendered_by_django(source: str, autoescape: bool, said: str) -> None:
    assert printed("render")(source, autoescape=autoescape, a="<b>", n=1234.5) == said


@pytest.mark.parametrize(
    ("old", "update_fields", "changes"),
    [
        (None, None, {"name": {"old": None, "new": "Rex"}, "legs": {"old": None, "new": 4}}),
        ({"name": "Rex", "legs": 4, "notes": ""}, None, {}),
        ({"name": "Max", "legs": 4, "notes": ""}, None, {"name": {"old": "Max", "new": "Rex"}}),
        ({"name": "Max", "legs": 3, "notes": ""}, ["legs"], {"legs": {"old": 3, "new": 4}}),
        ({"name": "Max", "legs": 3, "notes": ""}, [], {}),
    ],
)
def test_what_a_save_changes_is_told_by_field(old: Any, update_fields: Any, changes: dict[str, Any]) -> None:
    rex = Animal(name="Rex", legs="4")
    assert printed("changes_of")(rex, old, ["name", "legs", "notes"], update_fields) == changes


def test_only_fields_with_another_value_are_set() -> None:
    rex = Animal(name="Rex", legs=4, weight=Decimal("2.50"))
    assert printed("set_values")(rex, name="Rex", legs="4", weight="2.50") == []
    assert printed("set_values")(rex, name="Max", legs="3", weight="") == ["name", "legs", "weight"]
    assert (rex.name, rex.legs, rex.weight) == ("Max", 3, None)

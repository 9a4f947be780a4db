"""Named arguments of tasks and signals: their rows, checked and evaluated."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.actions import arguments
from rules_engine.errors import PermanentError
from rules_engine.types import RuleSpec

RULE = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",))


def row(name: Any, value: Any = "x") -> dict[str, Any]:
    return {"name": name, "value": value}


def said(written: Any) -> list[tuple[str, str]]:
    config = {"arguments": written}
    return [(problem.pointer, problem.message) for problem in arguments.problems(config, RULE, ("self", "sender"))]


@pytest.mark.parametrize(
    "written", [None, [], "", [row("a"), row("b_2"), row("größe")], [row("a", None)], [row("a", 5)]]
)
def test_arguments_with_names_of_their_own_have_no_problem(written: Any) -> None:
    assert said(written) == []


@pytest.mark.parametrize(
    ("written", "pointer", "message"),
    [
        ({"a": 1}, "/arguments", "Expected a list of names and values, and got {'a': 1}."),
        ("a=1", "/arguments", "Expected a list of names and values, and got 'a=1'."),
        (["a"], "/arguments/0", "Expected a name and a value, and got 'a'."),
        ([row("")], "/arguments/0/name", "Name the argument, or remove the row."),
        ([row(None)], "/arguments/0/name", "Name the argument, or remove the row."),
        ([row(5)], "/arguments/0/name", "Expected a name of letters, digits and _, such as order_id, and got 5."),
        ([row("a b")], "/arguments/0/name", "and got 'a b'."),
        ([row("1st")], "/arguments/0/name", "and got '1st'."),
        ([row("a"), row("self")], "/arguments/1/name", '"self" is taken; choose another name.'),
        ([row("a"), row("a")], "/arguments/0/name", '"a" is given 2 times; once is enough.'),
        ([row("a", "{{ instance.nme }}")], "/arguments/0/value", 'Did you mean "name"?'),
        ([row("a", {"vra": "x"})], "/arguments/0/value", "There is no operator"),
    ],
)
def test_a_row_that_cannot_be_used_is_told_at_its_place(written: Any, pointer: str, message: str) -> None:
    place, words = said(written)[0]
    assert place.startswith(pointer)
    assert message in words


def test_arguments_are_worked_out_by_name_and_keep_their_types() -> None:
    config = {"arguments": [row("a", "{{ n }}"), row("b", {"var": "n"}), row("c", None), row("d", True)]}
    assert arguments.evaluate(config, {"n": 7}) == {"a": "7", "b": 7, "c": None, "d": True}


@pytest.mark.parametrize("value", ["{{ nothing }}", {"+": [{"var": "nothing"}, 1]}])
def test_an_argument_that_has_no_value_fails_for_good(value: Any) -> None:
    with pytest.raises(PermanentError):
        arguments.evaluate({"arguments": [row("a", value)]}, {})


@pytest.mark.parametrize("written", [None, "a", {"a": 1}, [5, None]])
def test_rows_that_are_none_are_left_out(written: Any) -> None:
    assert arguments.rows({"arguments": written}) == []
    assert arguments.reads({"arguments": written}) == set()
    assert arguments.evaluate({"arguments": written}, {}) == {}


def test_what_arguments_read_is_known_beforehand() -> None:
    config = {"arguments": [row("a", "{{ instance.name }}"), row("b", {"var": "instance.keeper.name"}), row("c", 5)]}
    assert arguments.reads(config) == {("instance", "name"), ("instance", "keeper", "name")}

"""What a condition is said to read is all that it reads: without the rest of an event it comes to the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules_engine.errors import ConditionError
from rules_engine.logic import jsonlogic
from rules_engine.logic.jsonlogic import variables
from tests.examples import examples

DATA = {
    "instance": {
        "a": 1,
        "b": 0,
        "keeper": {"name": "Ada", "age": 3, "boss": {"name": "Eve", "age": 5}},
        "items": [
            {"p": 2, "q": "x", "rows": [{"x": 1, "y": 2}, {"x": 0, "y": 3}], "kind": {"name": "lamp", "age": 1}},
            {"p": 3, "q": "y", "rows": [{"x": 4, "y": 0}], "kind": {"name": "table", "age": 2}},
        ],
    },
    "old": {"a": 2, "b": 7},
    "actor": {"id": 9},
}
TOP = [
    "instance.a",
    "instance.b",
    "instance.keeper.name",
    "instance.keeper.boss.age",
    "instance.keeper",
    "old.a",
    "actor.id",
]
LISTS = ["instance.items", "instance.nothing"]
ROW = ["p", "q", "kind.name", "kind", "rows", "nothing", ""]
INNER = ["x", "y", ""]
SEARCHES = ["some", "all", "none", "filter", "map"]


def reads_at(level: int) -> st.SearchStrategy[Any]:
    """Make a read in so many loops: of the row, of a row around it, of the event, of the row's number."""
    outside = st.sampled_from(TOP).map(lambda name: name.split("."))
    if level == 0:
        dotted = st.sampled_from([*TOP, "instance.nothing", "instance.items.0.p", "instance.items.1.kind.name"])
        return st.one_of(
            dotted.map(lambda name: {"var": name}),
            outside.map(lambda steps: {"val": steps}),
            outside.map(lambda steps: {"exists": steps}),
            dotted.map(lambda name: {"missing": [name, "instance.a"]}),
            dotted.map(lambda name: {"missing_some": [1, [name, "instance.zzz"]]}),
        )
    own = st.sampled_from(ROW if level == 1 else INNER)
    options = [
        own.map(lambda name: {"var": name}),
        own.filter(bool).map(lambda name: {"val": name.split(".")}),
        outside.map(lambda steps: {"val": [[2 * level], *steps]}),
        st.just({"val": [[1], "index"]}),
    ]
    if level == 2:
        options.append(st.sampled_from(ROW[:4]).map(lambda name: {"val": [[2], *name.split(".")]}))
    return st.one_of(options)


def lists_at(level: int) -> st.SearchStrategy[Any]:
    if level == 0:
        return st.sampled_from(LISTS).map(lambda name: {"var": name})
    return st.just({"var": "rows"})


def expressions(level: int = 0, depth: int = 3) -> st.SearchStrategy[Any]:
    reads = reads_at(level)
    if depth == 0:
        return reads | st.integers(0, 3)
    below = expressions(level, depth - 1)
    options = [
        reads,
        st.tuples(st.sampled_from(["==", "??", "and", "or", "merge"]), below, below).map(
            lambda p: {p[0]: [p[1], p[2]]}
        ),
        st.tuples(below, below, below).map(lambda parts: {"if": list(parts)}),
        below.map(lambda part: {"!!": [part]}),
        st.tuples(below, below).map(lambda parts: {"cat": list(parts)}),
        below.map(lambda part: {"try": [part, {"var": "type"}]}),
    ]
    if level < 2:
        inner = expressions(level + 1, depth - 1)
        lists = lists_at(level)
        options += [
            st.tuples(st.sampled_from(SEARCHES), lists, inner).map(lambda p: {p[0]: [p[1], p[2]]}),
            st.tuples(lists, inner, inner).map(lambda p: {"map": [{"filter": [p[0], p[1]]}, p[2]]}),
            st.tuples(lists, st.sampled_from(ROW[:3] if level == 0 else INNER[:2])).map(
                lambda p: {"reduce": [p[0], {"cat": [{"var": "accumulator"}, {"var": f"current.{p[1]}"}]}, ""]}
            ),
        ]
    return st.one_of(options)


def only(value: Any, paths: Iterable[tuple[str, ...]]) -> Any:
    """Return the value with nothing but what stands at these paths and below them; of lists, of each row."""
    paths = list(paths)
    if () in paths or not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        return [only(row, [path[1:] if path[0].isdecimal() else path for path in paths]) for row in value]
    return {
        name: only(item, [path[1:] for path in paths if path[0] == name])
        for name, item in value.items()
        if name in {path[0] for path in paths}
    }


def outcome(condition: jsonlogic.Condition, data: Any) -> Any:
    try:
        return condition.value(jsonlogic.data_handle(data))
    except ConditionError as error:
        return str(error)


@settings(max_examples=examples(150), deadline=None)
@given(expressions())
def test_without_what_is_not_read_an_expression_comes_to_the_same(logic: Any) -> None:
    assume(not jsonlogic.check_expression(logic))
    condition = jsonlogic.compile_expression(logic)
    read = {(*(variable.within or ()), *variable.path) for variable in variables(logic)}
    assert outcome(condition, only(DATA, read)) == outcome(condition, DATA)
    # And so without what is not captured for it: rows are captured with all their own columns.
    asked = {path[:-1] if path[-1] == "*" else path for path in condition.reads}
    assert outcome(condition, only(DATA, asked)) == outcome(condition, DATA)


@settings(max_examples=examples(100), deadline=None)
@given(expressions(depth=2))
def test_a_trace_comes_to_what_the_condition_does_part_by_part(logic: Any) -> None:
    # The last part of "try" reads the error that was caught, which nothing outside of it has.
    assume(isinstance(logic, dict) and "try" not in str(logic) and not jsonlogic.check_expression(logic))
    tree = jsonlogic.trace(logic, DATA)
    value = outcome(jsonlogic.compile_expression(logic), DATA)
    assert tree["expression"] == logic
    # Made a text, an object has its keys in another order there.
    assert sorted(str(tree["value"])) == sorted(str(value)) if "value" in tree else "error" in tree
    for child in tree["children"]:
        if "value" in child and not jsonlogic.check_expression(child["expression"]):
            value = outcome(jsonlogic.compile_expression(child["expression"]), DATA)
            assert sorted(str(child["value"])) == sorted(str(value))


@pytest.mark.parametrize(
    ("logic", "part"),
    [
        ({"val": [[True], "a"]}, "The name to read is computed here"),
        ({"val": [["x"], "a"]}, "The name to read is computed here"),
        ({"val": [[1, 2], "a"]}, "The name to read is computed here"),
        ({"val": [{"var": "instance.a"}]}, "The name to read is computed here"),
        ({"exists": [True]}, "The name to read is computed here"),
        ({"var": {"var": "instance.a"}}, "The name to read is computed here"),
        ({"missing": [["instance.a", {"var": "x"}]]}, "The name to read is computed here"),
        ({"exists": ["instance.a"]}, 'write ["instance", "a"]'),
        ({"var": ""}, "This names nothing, and so reads the whole event"),
        ({"val": []}, "This names nothing, and so reads the whole event"),
        ({"var": ".".join("a" * 17)}, "at most 16 steps of 200 characters"),
        ({"var": "instance." + "a" * 201}, "at most 16 steps of 200 characters"),
        ({"reduce": [{"var": "instance.items"}, {"var": "p"}, 0]}, 'only "current" and "accumulator" can be read'),
        ({"try": [{"var": "instance.a"}, {"var": "message"}]}, 'only "type" can be read'),
    ],
)
def test_a_read_that_nobody_can_foresee_is_refused(logic: Any, part: str) -> None:
    said = [problem.message for problem in jsonlogic.check_expression(logic)]
    assert any(part in message for message in said), said


def test_a_name_may_be_as_long_as_is_said() -> None:
    for name in (".".join("a" * 16), "instance." + "a" * 200):
        assert jsonlogic.check_expression({"var": name}) == []

"""What an evaluation may make is bounded in bytes, whatever way it grows; what is not large comes out as it did."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules_engine import conf
from rules_engine.errors import ConditionError
from rules_engine.logic import jsonlogic, metering
from rules_engine.logic.evaluator import engine_for

ROWS = {"var": "instance.rows"}
TEXT = {"var": "instance.text"}
ACCUMULATOR, CURRENT = {"var": "accumulator"}, {"var": "current"}
OUTER_TEXT = {"val": [[2], "instance", "text"]}
DATA = {"instance": {"rows": [{"name": f"n{number}", "n": number} for number in range(40)], "text": "t" * 50}}

GROWING = [
    {"reduce": [ROWS, {"cat": [ACCUMULATOR, ACCUMULATOR]}, "a"]},
    {"reduce": [ROWS, {"merge": [ACCUMULATOR, ACCUMULATOR]}, ["a"]]},
    {"reduce": [ROWS, [ACCUMULATOR, ACCUMULATOR], "a"]},
    {"reduce": [ROWS, {"map": [ACCUMULATOR, [{"var": ""}, {"var": ""}]]}, ["a"]]},
    {"reduce": [ROWS, {"if": [True, {"cat": [ACCUMULATOR, "-", ACCUMULATOR]}]}, "a"]},
    {"reduce": [ROWS, {"cat": [ACCUMULATOR, {"var": "current.name"}, "x" * 100]}, ""]},
    {"map": [ROWS, OUTER_TEXT]},
    {"map": [ROWS, [OUTER_TEXT, OUTER_TEXT]]},
    {"map": [ROWS, {"val": [[2], "instance"]}]},
    {"some": [ROWS, {"in": ["z", {"cat": [OUTER_TEXT, OUTER_TEXT]}]}]},
    {"all": [ROWS, {"!=": [{"upper": OUTER_TEXT}, "z"]}]},
    {"none": [ROWS, {"in": ["z", {"split": [OUTER_TEXT, ""]}]}]},
    {"filter": [ROWS, {"==": [{"length": {"values": {"val": [[2], "instance"]}}}, 0]}]},
    {"filter": [ROWS, {"==": [{"length": {"slice": [{"val": [[2], "instance", "rows"]}, 0, 30]}}, 0]}]},
    {"sort": [ROWS, True, {"cat": [{"var": "name"}, {"val": [[2], "instance", "text"]}]}]},
    {"cat": [TEXT] * 60},
    {"merge": [ROWS] * 40},
    [ROWS] * 40,
    {"if": [TEXT, [[ROWS] * 40]]},
    {"try": [{"reduce": [ROWS, {"cat": [ACCUMULATOR, ACCUMULATOR]}, "a"]}, "went on"]},
    {"or": [{"==": [{"try": [{"map": [ROWS, OUTER_TEXT]}, 0]}, 1]}, True]},
]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few characters may be made that small data is too much."""
    monkeypatch.setattr(metering, "MOST_MADE", 1_500)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("logic", GROWING, ids=lambda logic: json.dumps(logic)[:60])
def test_what_grows_is_stopped_however_it_grows(logic: Any) -> None:
    data = jsonlogic.data_handle(DATA)
    for work in (jsonlogic.compile_expression(logic).value, jsonlogic.compile_expression(logic).matches):
        with pytest.raises(ConditionError, match=r"put together more than 1,500 characters on this event"):
            work(data)
    tree = jsonlogic.trace(logic, DATA)
    assert "put together more than 1,500 characters" in tree["error"]
    assert tree["children"] == []


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    "logic",
    [
        {"some": [ROWS, {"==": [{"lower": {"var": "name"}}, "n39"]}]},
        {"reduce": [ROWS, {"+": [ACCUMULATOR, {"var": "current.n"}]}, 0]},
        {"map": [ROWS, {"*": [{"var": "n"}, 2]}]},
        {"cat": [TEXT, " ", TEXT, {"upper": TEXT}]},
        {"length": {"filter": [ROWS, {">": [{"var": "n"}, 3]}]}},
        {"and": [{"!=": [TEXT, str(number)]} for number in range(100)]},
        ROWS,
        {"var": "instance"},
    ],
    ids=lambda logic: json.dumps(logic)[:60],
)
def test_what_does_not_grow_is_not_stopped(logic: Any) -> None:
    condition = jsonlogic.compile_expression(logic)
    assert condition.value(jsonlogic.data_handle(DATA)) == plain(logic, DATA)
    assert condition.matches(jsonlogic.data_handle(DATA)) is bool(plain(logic, DATA))


def test_each_evaluation_counts_anew(few: None) -> None:
    fits = jsonlogic.compile_expression({"map": [ROWS, {"cat": [{"var": "name"}, "-"]}]})
    grows = jsonlogic.compile_expression(GROWING[0])
    data = jsonlogic.data_handle(DATA)
    for _ in range(20):
        assert len(fits.value(data)) == 40
        with pytest.raises(ConditionError):
            grows.value(data)


def test_an_error_is_told_at_its_place_in_what_was_written() -> None:
    logic = {"map": [ROWS, {"cat": [{"-": [{"var": "name"}, 1]}]}]}
    for work in (jsonlogic.compile_expression(logic).value, jsonlogic.compile_expression(logic).matches):
        with pytest.raises(ConditionError, match=r"at /map/1/cat/0\)"):
            work(jsonlogic.data_handle(DATA))


def test_nobody_can_write_the_operator_that_counts() -> None:
    assert 'There is no operator "bounded"' in jsonlogic.check({"bounded": [TEXT]})[0].message


LEAVES = st.sampled_from(
    [None, True, False, 0, 1, -1.5, 2**53, "", "x", "0", 'é\u2028"\\', [], [1, "a"], TEXT, ROWS, {"var": "instance.no"}]
)
IN_LOOPS = st.sampled_from([{"var": "n"}, {"var": "name"}, {"var": ""}, OUTER_TEXT, "x", 0, None])


def _deeper(inner: Any) -> Any:
    several = st.lists(inner, min_size=1, max_size=3)
    body = st.one_of(
        IN_LOOPS, st.builds(lambda a, b: {"cat": [a, b]}, IN_LOOPS, IN_LOOPS), st.lists(IN_LOOPS, max_size=2)
    )
    return st.one_of(
        several,
        st.builds(lambda name, parts: {name: parts}, st.sampled_from(["cat", "merge", "and", "or", "??"]), several),
        st.builds(lambda name, part: {name: part}, st.sampled_from(["!", "!!", "upper", "length", "values"]), inner),
        st.builds(lambda name, part: {name: [ROWS, part]}, st.sampled_from(["map", "filter", "some", "all"]), body),
        st.builds(lambda part: {"reduce": [ROWS, {"cat": [ACCUMULATOR, CURRENT, part]}, ""]}, st.just("-")),
    )


@given(st.recursive(LEAVES, _deeper, max_leaves=10))
def test_what_is_counted_comes_to_the_same(logic: Any) -> None:
    if jsonlogic.check_expression(logic):
        return
    expected = plain(logic, DATA)
    condition = jsonlogic.compile_expression(logic)
    data = jsonlogic.data_handle(DATA)
    if isinstance(expected, Exception):
        with pytest.raises(ConditionError):
            condition.value(data)
    else:
        assert condition.value(data) == expected
        assert condition.matches(data) is bool(expected)


def plain(logic: Any, data: Any) -> Any:
    """What the evaluator says without counting."""
    try:
        return engine_for(conf.condition_budget()).compile(json.dumps(logic)).evaluate_data(jsonlogic.data_handle(data))
    except Exception as error:
        return error

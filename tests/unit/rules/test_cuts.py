"""What conditions say of data of which some was cut off: what the kept part decides, and else an error."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.context.plain_data import plain, restore, safe
from rules_engine.errors import ConditionError
from rules_engine.logic import jsonlogic
from rules_engine.types import CutList, CutMapping, CutRows, CutText

ITEMS, BODY, TAGS = {"var": "instance.items"}, {"var": "instance.body"}, {"var": "instance.tags"}
STATUS = {"var": "instance.status"}
LONG = CutText("needle " + "x" * 9_993 + "…abcdef01")
DATA = {
    "instance": {
        "status": "open",
        "body": LONG,
        "items": CutRows([{"pk": 1, "price": 5, "note": "short"}, {"pk": 2, "price": 7, "note": LONG}]),
        "tags": CutList(["red", "…abcdef01"]),
        "extra": CutMapping({"known": 1, "…": "…abcdef01"}),
    }
}


def over(least: int) -> dict[str, Any]:
    return {">": [{"var": "price"}, least]}


#: What the kept rows and characters decide.
DECIDED: list[tuple[Any, Any]] = [
    ({"some": [ITEMS, over(6)]}, True),
    ({"all": [ITEMS, over(6)]}, False),
    ({"none": [ITEMS, over(6)]}, False),
    ({"!": [{"none": [ITEMS, over(6)]}]}, True),
    ({"some": [{"filter": [ITEMS, over(1)]}, over(6)]}, True),
    ({"!!": [{"filter": [ITEMS, over(6)]}]}, True),
    ({"!!": [ITEMS]}, True),
    ({"var": "instance.items.0.price"}, 5),
    ({"and": [{"==": [STATUS, "paid"]}, {"none": [ITEMS, over(9)]}]}, False),
    ({"or": [{"==": [STATUS, "open"]}, {"none": [ITEMS, over(9)]}]}, True),
    ({"if": [{"==": [STATUS, "open"]}, 1, {"length": ITEMS}]}, 1),
    ({"in": ["needle", BODY]}, True),
    ({"in": ["red", TAGS]}, True),
    ({"==": [BODY, "x"]}, False),
    ({"!": [BODY]}, False),
    ({"starts_with": [BODY, "needle"]}, True),
    (BODY, LONG),
    ({"some": [ITEMS, {"in": ["needle", {"var": "note"}]}]}, True),
    ({"var": "instance.extra.known"}, 1),
]
#: What was cut off would decide.
UNDECIDED: list[Any] = [
    {"some": [ITEMS, over(9)]},
    {"all": [ITEMS, over(1)]},
    {"none": [ITEMS, over(9)]},
    {"!": [{"some": [ITEMS, over(9)]}]},
    {"none": [{"sort": [ITEMS]}, over(9)]},
    {"!": [{"filter": [ITEMS, over(9)]}]},
    {">": [{"length": ITEMS}, 1]},
    {"reduce": [ITEMS, {"+": [{"var": "accumulator"}, {"var": "current.price"}]}, 0]},
    {"in": [9, {"map": [ITEMS, {"var": "price"}]}]},
    {"==": [ITEMS, []]},
    {"in": ["haystack", BODY]},
    {"in": ["haystack", {"or": [BODY, ""]}]},
    {"in": ["blue", TAGS]},
    {">": [{"length": BODY}, 5]},
    {"ends_with": [BODY, "x"]},
    {"cat": [BODY, "!"]},
    {"all": [{"filter": [ITEMS, {"==": [{"var": "pk"}, 2]}]}, {"in": ["haystack", {"var": "note"}]}]},
    {"==": [{"var": "instance.extra.unknown"}, None]},
]


@pytest.mark.parametrize(("logic", "expected"), DECIDED)
def test_what_was_kept_decides_where_it_can(logic: Any, expected: Any) -> None:
    condition, data = jsonlogic.compile_expression(logic), jsonlogic.data_handle(DATA)
    assert condition.value(data) == expected
    assert condition.matches(data) is bool(expected)


@pytest.mark.parametrize("logic", UNDECIDED)
def test_what_was_cut_off_and_would_decide_is_an_error(logic: Any) -> None:
    condition, data = jsonlogic.compile_expression(logic), jsonlogic.data_handle(DATA)
    with pytest.raises(ConditionError, match="would decide here"):
        condition.matches(data)
    with pytest.raises(ConditionError, match="would decide here"):
        condition.value(data)


@pytest.mark.parametrize(
    ("logic", "kept"),
    [
        # Of all tags that were kept it holds; the mark behind them is no tag, and the others may be as these.
        ({"some": [TAGS, {"!=": [{"var": ""}, "red"]}]}, ["red", "red"]),
        ({"all": [TAGS, {"starts_with": [{"var": ""}, "r"]}]}, ["red", "rose"]),
        ({"none": [TAGS, {"in": ["abc", {"var": ""}]}]}, ["red", "rose"]),
        ({"!!": [{"filter": [TAGS, {"in": ["…", {"var": ""}]}]}]}, ["red"]),
        ({"some": [TAGS, {"==": [{"var": ""}, 1]}]}, [0, 2]),
        ({"in": ["…abcdef01", TAGS]}, ["red"]),
        ({"in": ["f0", BODY]}, []),
        ({"in": ["…", BODY]}, []),
    ],
)
def test_the_mark_of_what_was_cut_off_is_nothing_that_was_kept(logic: Any, kept: list[Any]) -> None:
    data = {"instance": {**DATA["instance"], "tags": CutList([*kept, "…abcdef01"])}}
    with pytest.raises(ConditionError, match="would decide here"):
        jsonlogic.compile_condition(logic).matches(jsonlogic.data_handle(data))


def test_of_several_rows_each_has_its_own_list_whole_or_cut() -> None:
    rows = [{"tags": CutList(["red", "…abcdef01"])}, {"tags": ["red", "…"]}]
    some = {"some": [{"var": "instance.items"}, {"in": ["…", {"var": "tags"}]}]}
    data = jsonlogic.data_handle({"instance": {"items": rows[1:], "other": rows[0]["tags"]}})
    assert jsonlogic.compile_condition(some).matches(data)
    with pytest.raises(ConditionError, match="would decide here"):
        jsonlogic.compile_condition(some).matches(jsonlogic.data_handle({"instance": {"items": rows[:1]}}))


@pytest.mark.parametrize("logic", UNDECIDED)
def test_data_that_is_whole_has_an_answer(logic: Any) -> None:
    whole = {"instance": {"status": "open", "body": "x", "items": [], "tags": [], "extra": {}}}
    assert jsonlogic.compile_expression(logic).matches(jsonlogic.data_handle(whole)) in (True, False)


def test_a_trace_says_that_what_was_cut_off_would_decide() -> None:
    tree = jsonlogic.trace({"none": [ITEMS, over(9)]}, DATA)
    assert "would decide here" in tree["error"]


def test_a_stored_event_still_knows_what_was_cut_off() -> None:
    cut: list[str] = []
    decimals: list[str] = []
    stored = plain(DATA, found=decimals, cut=cut)
    assert type(stored["instance"]["items"]) is list
    restored = restore(stored, [*cut, *decimals])
    for name in ("items", "body", "tags", "extra"):
        assert type(restored["instance"][name]) is type(DATA["instance"][name])
    assert type(restored["instance"]["items"][1]["note"]) is CutText


def test_values_that_are_cut_say_so(settings: Any) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2, "TEXT_LIMIT": 250}
    assert type(safe([1, 2, 3])) is CutList
    assert type(safe({"a": 1, "b": 2, "c": 3})) is CutMapping
    assert type(safe("x" * 251)) is CutText
    assert {type(value) for value in safe([[1], "x" * 250])} == {list, str}

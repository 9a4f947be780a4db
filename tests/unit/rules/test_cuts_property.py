"""Conditions of any form over rows and texts of which a part was cut off: never another verdict than over the whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.errors import ConditionError
from rules_engine.logic import jsonlogic
from rules_engine.logic.cuts import CutOffError
from rules_engine.types import CutList, CutRows, CutText
from tests.examples import examples

NUMBERS = st.integers(0, 3)
ITEMS = {"var": "instance.items"}
#: As much as is kept of a text where TEXT_LIMIT has its default.
KEPT = 10_000
WORDS = ("needle", "haystack", "straw")


def compared(left: Any) -> st.SearchStrategy[Any]:
    return st.builds(lambda name, number: {name: [left, number]}, st.sampled_from(["==", "!=", "<", ">="]), NUMBERS)


def joined(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda part: {"!": [part]}, parts),
        st.builds(lambda part: {"!!": [part]}, parts),
        st.builds(
            lambda name, several: {name: several},
            st.sampled_from(["and", "or", "??"]),
            st.lists(parts, min_size=2, max_size=3),
        ),
        st.builds(
            lambda name, several: {name: several},
            st.sampled_from(["if", "?:"]),
            st.lists(parts, min_size=3, max_size=3),
        ),
        st.builds(lambda several: {"if": several}, st.lists(parts, min_size=5, max_size=5)),
    )


#: What is asked of one row, and of a tag that is a number.
OF_A_ROW = st.recursive(compared({"var": "price"}) | compared({"val": ["price"]}), joined, max_leaves=3)
OF_A_TAG = compared({"var": ""}) | st.builds(
    lambda name, word: {name: [{"cat": [{"var": ""}, "!"]}, word]},
    st.sampled_from(["starts_with", "!="]),
    st.sampled_from("0123"),
)
ROWS = st.recursive(
    st.just(ITEMS),
    lambda rows: (
        st.builds(lambda inner, asked: {"filter": [inner, asked]}, rows, OF_A_ROW)
        | st.builds(lambda inner: {"sort": [inner, {"var": "price"}]}, rows)
        | st.builds(lambda inner: {"distinct": [inner]}, rows)
        | st.builds(lambda inner, first: {"slice": [inner, first]}, rows, NUMBERS)
        | st.builds(
            lambda status, one, other: {"if": [status, one, other]}, compared({"var": "instance.status"}), rows, rows
        )
    ),
    max_leaves=3,
)
SEARCHES = st.sampled_from(["some", "all", "none"])
ABOUT_ROWS = st.one_of(
    st.builds(lambda name, rows, asked: {name: [rows, asked]}, SEARCHES, ROWS, OF_A_ROW),
    st.builds(lambda rows, number: {">": [{"length": [rows]}, number]}, ROWS, NUMBERS),
    st.builds(lambda rows: {"!!": [rows]}, ROWS),
    st.builds(lambda rows: {"!": [rows]}, ROWS),
    st.builds(lambda rows, number: {"in": [number, {"map": [rows, {"var": "price"}]}]}, ROWS, NUMBERS),
    st.builds(
        lambda rows, number: {
            "<": [{"reduce": [rows, {"+": [{"var": "accumulator"}, {"var": "current.price"}]}, 0]}, number]
        },
        ROWS,
        NUMBERS,
    ),
    st.builds(lambda number: {"==": [{"var": "instance.items.0.price"}, number]}, NUMBERS),
)
BODY = {"var": "instance.body"}
ABOUT_TEXTS = st.one_of(
    st.builds(lambda word: {"in": [word, BODY]}, st.sampled_from(WORDS)),
    st.builds(
        lambda name, word: {name: [BODY, word]},
        st.sampled_from(["starts_with", "ends_with", "==", "!="]),
        st.sampled_from(WORDS),
    ),
    st.builds(lambda number: {">": [{"length": [BODY]}, number * 5_000]}, NUMBERS),
    st.just({"!!": [BODY]}),
    st.builds(lambda word: {"in": [word, {"cat": [BODY, "!"]}]}, st.sampled_from(WORDS)),
    st.builds(lambda word: {"in": [word, {"or": [BODY, ""]}]}, st.sampled_from(WORDS)),
)
ABOUT_TAGS = st.builds(lambda name, asked: {name: [{"var": "instance.tags"}, asked]}, SEARCHES, OF_A_TAG) | st.builds(
    lambda number: {"in": [number, {"var": "instance.tags"}]}, NUMBERS
)
CONDITIONS = st.recursive(
    ABOUT_ROWS | ABOUT_TEXTS | ABOUT_TAGS | compared({"var": "instance.status"}), joined, max_leaves=4
)


def of(status: int, items: list[int], body: str, tags: list[int]) -> dict[str, Any]:
    rows = [{"pk": number, "price": price} for number, price in enumerate(items)]
    return {"instance": {"status": status, "items": rows, "body": body, "tags": tags}}


def cut(data: dict[str, Any], rows: int, tags: int) -> dict[str, Any]:
    """Return what an event keeps of it: so many rows and tags, and what fits of the text."""
    whole = data["instance"]
    told = dict(whole)
    if rows < len(whole["items"]):
        told["items"] = CutRows(whole["items"][:rows])
    if tags < len(whole["tags"]):
        told["tags"] = CutList([*whole["tags"][:tags], "…abcdef01"])
    if len(whole["body"]) > KEPT:
        told["body"] = CutText(whole["body"][:KEPT] + "…abcdef01")
    return {"instance": told}


def verdict(logic: Any, data: dict[str, Any]) -> Any:
    try:
        return jsonlogic.compile_condition(logic).matches(jsonlogic.data_handle(data))
    except CutOffError:
        return "cut off"
    except ConditionError:
        return "failed"


TEXTS = st.builds(
    lambda first, filler, last: first + "." * filler + last,
    st.sampled_from(["", *WORDS]),
    st.sampled_from([0, 1, 9_990, 9_996, 10_000, 12_000]),
    st.sampled_from(["", *WORDS]),
)


@settings(max_examples=examples(120), deadline=None)
@given(CONDITIONS, NUMBERS, st.lists(NUMBERS, max_size=5), TEXTS, st.lists(NUMBERS, max_size=4), NUMBERS, NUMBERS)
def test_a_verdict_over_a_part_is_the_one_over_the_whole(
    logic: Any, status: int, items: list[int], body: str, tags: list[int], rows: int, kept_tags: int
) -> None:
    whole = of(status, items, body, tags)
    told = cut(whole, rows + 1, kept_tags + 1)
    over_part, over_whole = verdict(logic, told), verdict(logic, whole)
    assert over_part in ("cut off", over_whole)
    if told == whole:
        assert over_part == over_whole


@settings(max_examples=examples(50), deadline=None)
@given(SEARCHES, OF_A_ROW, st.lists(NUMBERS, min_size=1, max_size=5))
def test_a_search_is_undecided_only_where_no_kept_row_decides(name: str, asked: Any, kept: list[int]) -> None:
    told = of(0, kept, "", [])
    logic = {name: [ITEMS, asked]}
    over_kept = verdict(logic, told)
    told["instance"]["items"] = CutRows(told["instance"]["items"])
    # One that fits decides that some do; one that does not, that not all do; one that fits, that none is wrong.
    assert verdict(logic, told) == (over_kept if over_kept == (name == "some") else "cut off")


@pytest.mark.parametrize("name", ["length", "cat"])
def test_what_needs_the_whole_of_a_value_asks_for_it_at_any_depth(name: str) -> None:
    told = cut(of(0, [1, 2, 3], "x" * 10_001, []), 2, 1)
    for reads in (ITEMS, BODY):
        for around in ([reads], [{"if": [True, reads, reads]}], [{"or": [reads, reads]}], [{"??": [reads, 0]}]):
            assert verdict({"==": [{name: around}, 7]}, told) == "cut off"

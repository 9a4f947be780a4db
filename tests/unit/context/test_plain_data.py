"""Plain data: what equals what, about how large it is, what was cut off, and back again as it was."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.context.plain_data import CUT, clean_text, is_cut, is_cut_text, plain, restore, safe, same, size_of
from rules_engine.types import CUT_TYPES, CutList, CutMapping, CutRows, CutText
from tests.examples import examples

NUMBERS = st.sampled_from([0, 1, -1, 2**63 - 1, 1.0, 0.5, -0.0, Decimal("1"), Decimal("1.0"), Decimal("0.50")])
LEAVES = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "1", "True", "a", "ü", "😀", CUT, 'q"\\\n'])
KEYS = st.sampled_from(["a", "b", "a/b", "~", "~1", "", "0"])
DATA = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
#: The same, of which some was cut off.
CUT_DATA = st.recursive(
    LEAVES | st.builds(CutText, st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3),
        st.builds(CutRows, st.lists(inner, max_size=2)),
        st.builds(CutList, st.lists(inner, max_size=2)),
        st.builds(CutMapping, st.dictionaries(KEYS, inner, max_size=2)),
    ),
    max_leaves=8,
)


def is_json_equal(one: Any, other: Any) -> bool:
    """Say plainly whether two values are the same JSON: a number is no truth, and 1.0 is 1."""
    kinds = [dict, list, str, bool, type(None)]
    kind = next((kind for kind in kinds if isinstance(one, kind) or isinstance(other, kind)), None)
    if kind is None:
        return bool(one == other)
    if not (isinstance(one, kind) and isinstance(other, kind)):
        return False
    if kind is dict:
        return one.keys() == other.keys() and all(is_json_equal(one[key], other[key]) for key in one)
    if kind is list:
        return len(one) == len(other) and all(map(is_json_equal, one, other))
    return bool(one == other)


def types_in(value: Any) -> Any:
    if isinstance(value, dict):
        return type(value), {key: types_in(item) for key, item in value.items()}
    if isinstance(value, list):
        return type(value), [types_in(item) for item in value]
    return type(value)


@settings(max_examples=examples(120), deadline=None)
@given(DATA, DATA)
def test_two_values_are_the_same_where_their_json_is(one: Any, other: Any) -> None:
    assert same(one, other) == is_json_equal(one, other)
    assert same(one, json.loads(json.dumps(one, default=float)))


@settings(max_examples=examples(100), deadline=None)
@given(DATA)
def test_the_size_is_about_that_of_its_json_and_not_below_the_text(value: Any) -> None:
    written = len(json.dumps(value, ensure_ascii=False, default=str).encode())
    texts = sum(len(text.encode()) for text in _texts(value))
    assert texts <= size_of(value) <= 12 * (written + 2)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@settings(max_examples=examples(100), deadline=None)
@given(CUT_DATA)
def test_what_is_stored_comes_back_as_it_was_with_its_marks(value: Any) -> None:
    found: list[str] = []
    cut: list[str] = []
    stored = json.loads(json.dumps(plain({"": value}, found=found, cut=cut)))
    restored = restore(stored, [*cut, *found])[""]
    assert restored == value
    assert types_in(restored) == types_in(value)
    # Of what holds nothing of either kind, nothing is noted.
    kinds = str(types_in(value))
    assert bool(found) == ("Decimal" in kinds)
    assert bool(cut) == any(kind.__name__ in kinds for kind in CUT_TYPES)


@settings(max_examples=examples(100), deadline=None)
@given(DATA, st.integers(1, 3))
def test_of_what_is_long_so_much_is_kept_and_marked(value: Any, most: int) -> None:
    with override_settings(RULES_ENGINE={"ROWS_LIMIT": most}):
        told = safe(value)
        assert safe(told) == told or CUT in json.dumps(told, ensure_ascii=False, default=str)
    if isinstance(value, list | dict):
        assert len(told) == len(value) if len(value) <= most else len(told) == most + 1
        assert isinstance(told, CutList | CutMapping) == (len(value) > most)
        assert is_cut(told) or len(value) <= most


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ([], False),
        (["a"], False),
        (["a", "…0123abcd"], True),
        (["…0123abcde"], False),
        (["a", ["…"]], False),
        (["…", "a"], False),
        ({}, False),
        ({"…": "…0123abcd"}, True),
        ("…", False),
        (None, False),
    ],
)
def test_a_mark_is_the_last_item_or_a_key_of_its_own(value: Any, is_one: bool) -> None:
    assert is_cut(value) is is_one


@pytest.mark.parametrize(
    ("length", "ending", "is_one"), [(250, "…", True), (250, "", False), (251, "…", False), (249, "…", False)]
)
def test_a_cut_text_has_its_mark_just_behind_the_limit(length: int, ending: str, is_one: bool, settings: Any) -> None:
    settings.RULES_ENGINE = {"TEXT_LIMIT": 250}
    assert is_cut_text("x" * length + ending) is is_one
    assert is_cut_text(clean_text("x" * 251))


@pytest.mark.parametrize(
    ("text", "limit", "cleaned"),
    [
        ("a\x00b", None, "a\ufffdb"),
        ("\ud83d", None, "?"),
        ("😀", None, "😀"),
        ("abc", 3, "abc"),
        ("abcd", 3, "abc…"),
        ("", 0, ""),
        ("a", 0, "…"),
        ("ab\ud800", 2, "ab…"),
    ],
)
def test_a_text_is_one_that_every_database_takes(text: str, limit: int | None, cleaned: str) -> None:
    assert clean_text(text, limit) == cleaned


def test_what_differs_behind_the_cut_differs(settings: Any) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2, "TEXT_LIMIT": 250}
    assert safe([1, 2, 3]) == safe([1, 2, 3.0]) != safe([1, 2, 4])
    assert safe({"a": 1, "b": 2, "c": 3}) == safe({"c": 3, "b": 2, "a": 1}) != safe({"a": 1, "b": 2, "c": 4})
    assert safe("x" * 251) == safe("x" * 251) != safe("x" * 250 + "y")
    assert safe({"k" * 201: 1}) != safe({"k" * 202: 1})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (2**64, str(2**64)),
        (10**22, 1e22),
        (2**64 + 1, str(2**64 + 1)),
        (10**300, 1e300),
        (10**400, str(10**400)),
        (-(10**307), -1e307),
        (-(2**1024), str(-(2**1024))),
        (1 << 4_001, {"type": "int", "text": hex(1 << 4_001)[:10_000]}),
        (Decimal("1e300"), Decimal("1e300")),
        (Decimal("1e301"), "1E+301"),
        (Decimal("1e-301"), "1E-301"),
    ],
)
def test_a_number_beyond_the_ordinary_is_told_by_its_digits(value: Any, told: Any) -> None:
    found = safe(value)
    assert found == told
    assert type(found) is type(told)

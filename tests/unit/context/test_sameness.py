"""Which values are equal to a rule, how large they are told to be, and what a mark tells apart."""

from __future__ import annotations

import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from django.core.files.base import ContentFile

from rules_engine.context.plain_data import (
    CUT,
    KEY_CHARACTERS,
    MAX_DEPTH,
    MOST_BITS,
    clean_text,
    is_cut,
    is_cut_text,
    plain,
    restore,
    safe,
    same,
    size_of,
)
from rules_engine.types import CutList, CutMapping, CutRows, CutText
from tests.zoo.models import Animal


@pytest.fixture(autouse=True)
def few_rows(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "ROWS_LIMIT": 3, "TEXT_LIMIT": 250}


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (0.0, False, False),
        (Decimal(1), True, False),
        (Decimal(0), False, False),
        (Decimal("1.50"), 1.5, True),
        (Decimal("1.50"), Decimal("1.5"), True),
        ("1", 1, False),
        ("", None, False),
        ("a", CutText("a"), True),
        ([1], [True], False),
        ([1, [0]], [1, [False]], False),
        ([Decimal(1)], [True], False),
        ([1, 2], [1], False),
        ({"a": 1}, {"a": True}, False),
        ({"a": {"b": Decimal(1)}}, {"a": {"b": True}}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, True),
        ({"a": None}, {}, False),
        (float("inf"), float("-inf"), False),
    ],
)
def test_values_are_equal_as_json_has_it(one: Any, other: Any, is_same: bool) -> None:
    assert same(one, other) is is_same
    assert same(other, one) is is_same


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("", 2),
        ("abc", 5),
        ("ü", 4),
        ("😀", 6),
        ("\ud800", 3),
        (7, 8),
        (None, 8),
        ({}, 2),
        ([], 2),
        ([1, 2], 26),
        (["ab", 1], 22),
        (("ab", 1), 22),
        ({"key": 1}, 17),
        ({"key": "ab"}, 13),
        ({"key": ["ab"]}, 19),
        (MappingProxyType({"key": "ab"}), 13),
        (CutRows(["ab"]), 10),
    ],
)
def test_the_size_counts_the_bytes_of_texts_and_a_little_for_the_rest(value: Any, size: int) -> None:
    assert size_of(value) == size


def test_a_file_is_told_by_its_name_and_one_without_by_nothing() -> None:
    assert safe(ContentFile(b"x", name="invoices/1.pdf")) == "invoices/1.pdf"
    assert safe(ContentFile(b"x")) == ""


def test_an_object_inside_of_other_data_is_told_by_its_model_and_key() -> None:
    assert safe([Animal(pk=5, name="Rex")]) == [{"model": "zoo.animal", "pk": 5}]


@pytest.mark.parametrize(
    ("bits", "kind"), [(62, int), (63, str), (1_023, str), (1_024, str), (MOST_BITS - 1, str), (MOST_BITS, dict)]
)
def test_a_whole_number_is_told_by_its_digits_until_they_are_too_many(bits: int, kind: type) -> None:
    number = (1 << bits) + 1
    told = safe(number)
    assert type(told) is kind
    assert told == ({"type": "int", "text": clean_text(hex(number))} if kind is dict else kind(number))


def nested(levels: int) -> Any:
    value: Any = ["end"]
    for _ in range(levels):
        value = [value]
    return value


def test_data_is_told_to_a_depth_and_marked_below() -> None:
    assert safe(nested(MAX_DEPTH - 1)) == nested(MAX_DEPTH - 1)
    below = safe(nested(MAX_DEPTH))
    for _ in range(MAX_DEPTH):
        [below] = below
    assert type(below) is CutMapping
    assert below["type"] == "truncated"
    assert below["text"].startswith(CUT)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 5], False),
        ([1, 2, 3, 4], [1, 2, 3, 4, 4], False),
        ([1, 2, 3, 4], [1, 2, 3, 4.0], True),
        ([1, 2, 3, 0.5], [1, 2, 3, 0.25], False),
        ([1, 2, 3, Decimal("1.5")], [1, 2, 3, Decimal("2.5")], False),
        ([1, 2, 3, datetime.date(2031, 5, 1)], [1, 2, 3, datetime.date(2031, 5, 2)], False),
        ([1, 2, 3, UUID(int=1)], [1, 2, 3, UUID(int=2)], False),
        # An address in memory is no change.
        ([1, 2, 3, object()], [1, 2, 3, object()], True),
        ([1, 2, 3, {"a": 1, "b": 2}], [1, 2, 3, {"b": 2, "a": 1}], True),
        (dict.fromkeys("abcd", 0), dict.fromkeys("dcba", 0), True),
        (dict.fromkeys("abcd", 0), dict.fromkeys("abce", 0), False),
    ],
)
def test_what_changed_behind_the_cut_is_a_change(one: Any, other: Any, is_same: bool) -> None:
    assert is_cut(safe(one))
    assert is_cut(safe(other))
    assert same(safe(one), safe(other)) is is_same


def test_of_many_keys_the_first_in_their_order_are_told() -> None:
    assert list(safe(dict.fromkeys("dcba", 0))) == ["a", "b", "c", CUT]
    assert list(safe(dict.fromkeys("cba", 0))) == ["c", "b", "a"]


@pytest.mark.parametrize(("length", "is_whole"), [(KEY_CHARACTERS, True), (KEY_CHARACTERS + 1, False)])
def test_a_key_of_bounded_length_is_told_whole(length: int, is_whole: bool) -> None:
    assert (list(safe({"k" * length: 1})) == ["k" * length]) is is_whole


@pytest.mark.parametrize(
    ("text", "is_one"), [("x" * 250, False), ("x" * 251, True), ("ü" * 250, False), ("ü" * 251, True), ("", False)]
)
def test_a_text_beyond_the_limit_is_known_as_cut_and_one_within_is_not(text: str, is_one: bool) -> None:
    told = clean_text(text)
    assert (type(told) is CutText) is is_one is is_cut_text(told)
    assert (told == text) is not is_one


@pytest.mark.parametrize(
    ("value", "decimals", "cut"),
    [
        ({"a": Decimal("1.50")}, ["/a"], []),
        ({"a": [1, Decimal(1)], "b": {"c~/": Decimal(2)}}, ["/a/1", "/b/c~0~1"], []),
        ({"a": CutRows([{"p": Decimal(1)}])}, ["/a/0/p"], ["CutRows/a"]),
        ({"a": CutMapping({CUT: CUT}), "b": [CutText("x…")]}, [], ["CutMapping/a", "CutText/b/0"]),
        ({"a": CutList([CutList([CUT])])}, [], ["CutList/a", "CutList/a/0"]),
        ({"a": MappingProxyType({"b": (Decimal(3),)})}, ["/a/b/0"], []),
    ],
)
def test_where_exact_decimals_and_cuts_stood_is_noted(value: Any, decimals: list[str], cut: list[str]) -> None:
    found: list[str] = []
    marks: list[str] = []
    stored = plain(value, found=found, cut=marks)
    assert (found, marks) == (decimals, cut)
    assert same(restore(stored, [*marks, *found]), plain_of(value))


def plain_of(value: Any) -> Any:
    """The same with lists and mappings as JSON has them."""
    if isinstance(value, dict | MappingProxyType):
        return {key: plain_of(item) for key, item in value.items()}
    return [plain_of(item) for item in value] if isinstance(value, list | tuple) else value


def test_the_copy_is_altered_without_the_original() -> None:
    value = {"a": {"b": 1}, "c": [1, 2], "d": [{"e": []}]}
    copied = plain(value)
    copied["a"]["b"] = copied["c"][0] = 9
    copied["d"][0]["e"].append(9)
    assert value == {"a": {"b": 1}, "c": [1, 2], "d": [{"e": []}]}


def test_decimals_become_texts_also_where_nobody_notes_them() -> None:
    assert plain(Decimal("1.50")) == "1.50"
    assert plain({"a": Decimal("1.50"), "b": [Decimal("2.0")]}) == {"a": "1.50", "b": ["2.0"]}

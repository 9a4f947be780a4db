"""What a template sees of the context: plain data, bounded, and nothing that could be called."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from django.utils.safestring import SafeString, mark_safe

from rules_engine.errors import TemplateError
from rules_engine.texts.limits import MARK, VALUE
from rules_engine.texts.plain import DEEPEST, MISSING, Record, Rows, child, cut, kind, plain, printed, same


class Level(enum.IntEnum):
    """A number with behaviour."""

    HIGH = 3


class Shout(str):
    """A text with behaviour."""

    def __str__(self) -> str:
        return self.upper()


class Rate(float):
    """A number with behaviour."""

    def __str__(self) -> str:
        return "shown otherwise"


@pytest.mark.parametrize("value", [None, True, False, 0, -7, 1.5, "", "text"])
def test_plain_scalars_stay_as_they_are(value: Any) -> None:
    assert plain(value) is value


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (Level.HIGH, 3),
        (Shout("quiet"), "quiet"),
        (Rate(0.5), 0.5),
        (mark_safe("<b>"), "<b>"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00+00:00"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(8, 30), "08:30:00"),
    ],
)
def test_a_value_is_taken_down_to_its_base(value: Any, seen: Any) -> None:
    result = plain(value)
    assert result == seen
    assert type(result) is type(seen)


def test_a_safe_string_of_the_data_is_safe_no_more() -> None:
    assert not isinstance(plain(mark_safe("<b>")), SafeString)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), print, iter([])])
def test_what_is_no_plain_data_is_refused_by_its_type_alone(value: Any) -> None:
    with pytest.raises(TemplateError) as caught:
        plain(value)
    assert type(value).__name__ in str(caught.value)
    assert repr(value) not in str(caught.value)


@pytest.mark.parametrize("raw", [{"a": 1}, MappingProxyType({"a": 1})])
def test_a_mapping_becomes_a_record_that_knows_items_only(raw: Any) -> None:
    record = plain(raw)
    assert isinstance(record, Record)
    assert (record["a"], len(record), list(record), "a" in record, 1 in record) == (1, 1, ["a"], True, False)
    assert not hasattr(record, "items")


@pytest.mark.parametrize("raw", [[1, [2]], (1, [2])])
def test_a_list_becomes_rows_that_know_numbers_only(raw: Any) -> None:
    rows = plain(raw)
    assert isinstance(rows, Rows)
    assert (rows[0], len(rows), 1 in rows, 2 in rows) == (1, 2, True, False)
    assert [str(row) for row in reversed(rows)] == ["[2]", "1"]
    assert not hasattr(rows, "append")


def test_a_key_that_is_not_there_is_missing_and_in_a_lenient_record_null() -> None:
    assert Record({})["a"] is MISSING
    assert Record({}, lenient=True)["a"] is None


def test_a_key_that_is_no_text_is_refused_as_it_is_gone_over() -> None:
    with pytest.raises(TemplateError, match="a key of type int"):
        list(Record({1: "one"}))  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        (None, "anything", None),
        (Record({"a": None}), "a", None),
        (Record({"a": 1}), "b", MISSING),
        (Rows(["x", "y"]), "1", "y"),
        (Rows(["x", "y"]), "2", MISSING),
        (Rows(["x", "y"]), "-1", MISSING),
        (Rows(["x", "y"]), "first", MISSING),
        (Rows(["x"]), "9" * 10, MISSING),
        ("text", "upper", MISSING),
        (5, "real", MISSING),
    ],
)
def test_a_step_leads_to_an_item_or_a_row_and_nowhere_else(value: Any, step: str, expected: Any) -> None:
    assert child(value, step) is expected or child(value, step) == expected


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        ("a", "a", True),
        (None, None, True),
        (None, 0, False),
        (Record({}), Record({}), False),
        (Rows([]), Rows([]), False),
        (Rows([]), "[]", False),
    ],
)
def test_only_scalars_are_equal_to_anything(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is equal


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true or false"),
        (1, "a number"),
        (1.5, "a number"),
        (Record({}), "a record"),
        (Rows([]), "a list"),
        ("x", "text"),
    ],
)
def test_a_kind_is_told_in_an_administrators_words(value: Any, words: str) -> None:
    assert kind(value) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "True"),
        (3, "3"),
        (1.5, "1.5"),
        ("x", "x"),
        (Rows([None, True, 1, "ä"]), '[null, true, 1, "ä"]'),
        (Record({"a": {"b": []}}), '{"a": {"b": []}}'),
    ],
)
def test_a_value_is_printed_as_text_and_a_structure_as_json(value: Any, text: str) -> None:
    assert printed(value) == text


def test_a_long_value_is_cut_to_the_length_of_one_value_with_its_mark() -> None:
    for value in ("x" * (VALUE + 1), Rows(["x" * 50] * VALUE), Record({"x" * VALUE * 2: 1})):
        text = printed(value)
        assert len(text) == VALUE
        assert text.endswith(MARK)


def test_data_that_contains_itself_has_an_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert printed(Rows(loop)) == "[" * DEEPEST + f'"{MARK}"' + "]" * DEEPEST


def test_a_number_of_thousands_of_digits_is_not_printed() -> None:
    assert printed(2**3999) == str(2**3999)
    with pytest.raises(TemplateError, match="too large to be printed"):
        printed(2**4000)


@pytest.mark.parametrize(
    ("text", "size", "expected"), [("abc", 3, "abc"), ("abcd", 3, f"ab{MARK}"), ("", 1, ""), ("ab", 1, MARK)]
)
def test_a_cut_text_is_never_longer_than_it_may_be(text: str, size: int, expected: str) -> None:
    assert cut(text, size) == expected

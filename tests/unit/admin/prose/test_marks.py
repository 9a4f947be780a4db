"""Words with gaps and code in them: cut between two words, joined, and shown as markup that nothing typed becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.prose import values
from rules_engine.admin.prose.marks import (
    GAP,
    LONGEST_VALUE,
    all_of,
    any_of,
    code,
    cut,
    is_too_deep,
    listed,
    shown,
    words_of,
)
from rules_engine.admin.prose.names import Names


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


# Words


def test_words_know_their_gaps_and_their_code() -> None:
    words = words_of(f"when {GAP} is {code('x < 1')}")
    assert str(words) == "when … is x < 1"
    assert words.has_gaps
    assert not words_of("when it is").has_gaps
    assert str(words_of("")) == ""


def test_code_and_gaps_are_marked_for_readers_and_typed_markup_is_text() -> None:
    html = words_of(f"<b>{GAP}</b> {code('<i>')}").html
    assert html.startswith("&lt;b&gt;<span class")
    assert "(to be filled in)" in html
    assert '<code dir="auto">&lt;i&gt;</code>' in html
    assert "<b>" not in html


@pytest.mark.parametrize(
    ("marked", "most", "short"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two…"),
        ("one, two three", 6, "one…"),
        ("one two: three", 9, "one two…"),
        ("unbroken", 4, "…"),
        (f"is {code('abcdef')}", 9, "is abcdef"),
        # Code is cut where it is, for there may be no two words in it.
        (f"is {code('abcdef')}", 6, "is abc…"),
        (f"is {code('ab cdef')}", 7, "is ab c…"),
        (f"{code('ab')} and so on", 6, "ab…"),
    ],
)
def test_words_are_cut_between_two_of_them(marked: str, most: int, short: str) -> None:
    assert str(words_of(marked).shortened(most)) == short


def test_what_is_cut_keeps_what_was_code() -> None:
    short = words_of(f"is {code('abcdef')} now").shortened(6)
    assert '<code dir="auto">abc…</code>' in short.html


# Values


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", GAP),
        (" \n\t ", GAP),
        ("a \n b", "a b"),
        (0, "0"),
        ("x" * LONGEST_VALUE, "x" * LONGEST_VALUE),
        ("x" * (LONGEST_VALUE + 1), "x" * (LONGEST_VALUE - 1) + "…"),
        ("x" * 1_000_000, "x" * (LONGEST_VALUE - 1) + "…"),
    ],
    ids=lambda value: str(value)[:10],
)
def test_what_a_rule_says_is_one_line_of_bounded_length(text: Any, line: str) -> None:
    assert shown(text) == line


@pytest.mark.parametrize("text", ["a\u202eb", "a\x00b", "a\u2028b", "a\x01b", "a\x02b"])
def test_nothing_typed_turns_text_round_or_marks_it(text: str) -> None:
    assert "".join(shown(text).split()) == "ab"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"b": [1, None]}, '{"b": [1, null]}'),
        ("ümlaut", "ümlaut"),
        ("", "…"),
        (nested(200), "…"),
    ],
    ids=["object", "text", "empty", "deep"],
)
def test_what_has_no_words_is_told_as_it_is_written(value: Any, told: str) -> None:
    words = words_of(code(value))
    assert str(words) == told
    assert "<code" in words.html


@pytest.mark.parametrize(("depth", "is_deep"), [(0, False), (10, False), (40, True), (5_000, True)])
def test_depth_is_told_without_recursion(depth: int, is_deep: bool) -> None:
    assert is_too_deep(nested(depth)) == is_deep


@pytest.mark.parametrize(
    ("clause", "longest", "short"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two…"),
        ("one, two", 6, "one…"),
        ("unbroken", 4, "unbr…"),
    ],
)
def test_a_clause_is_cut_between_two_words(clause: str, longest: int, short: str) -> None:
    assert cut(clause, longest) == short


def test_code_that_is_cut_in_a_clause_ends_there() -> None:
    words = words_of(cut(f"is {code('ab cd ef gh')} now", 10))
    assert words.html.count("<code") == words.html.count("</code>") == 1
    assert str(words).endswith("…")


# Lists


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, GAP),
        (1, "1"),
        (2, "1 and 2"),
        (4, "1, 2, 3 and 4"),
        (5, "1, 2, 3 and 2 more"),
        (100, "1, 2, 3 and 97 more"),
    ],
)
def test_items_are_joined_and_what_is_too_many_is_counted(count: int, said: str) -> None:
    assert all_of(map(str, range(1, count + 1))) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(2, "1 or 2"), (8, "1, 2, 3, 4, 5, 6, 7 or 8"), (9, "1, 2, 3, 4, 5, 6, 7 or 2 more"), (0, GAP)],
)
def test_of_choices_more_are_named(count: int, said: str) -> None:
    assert any_of(map(str, range(1, count + 1))) == said


def test_what_is_too_many_may_have_words_of_its_own() -> None:
    assert listed("abc", "%(first)s; %(last)s", 2, "and %(count)s others") == "a; and 2 others"


# Expressions

TOTAL, NOW = {"var": "instance.total"}, {"now": []}


def told(logic: Any) -> str:
    return str(words_of(values.expression(logic, Names.of("shop.order"))))


@pytest.mark.parametrize(
    ("logic", "words"),
    [
        ({"-": [TOTAL]}, "−total"),
        ({"-": [{"-": [TOTAL]}]}, "−−total"),
        ({"+": [TOTAL, 1, 2]}, "total + 1 + 2"),
        ({"*": [{"+": [TOTAL, 1]}, 2]}, "(total + 1) × 2"),
        ({"*": [{"-": [TOTAL]}, 2]}, "−total × 2"),
        ({"-": [NOW, {"timestamp": "3d"}]}, "3 days ago"),
        ({"-": [NOW, {"timestamp": "1h"}]}, "1 hour ago"),
        ({"+": [NOW, {"timestamp": "1m"}]}, "1 minute from now"),
        ({"+": [NOW, {"timestamp": "90s"}]}, "90 seconds from now"),
        ({"format_date": [{"-": [NOW, {"timestamp": "3d"}]}, "yyyy"]}, "3 days ago"),
        (NOW, "now"),
    ],
    ids=str,
)
def test_a_short_expression_is_told_in_words(logic: Any, words: str) -> None:
    assert told(logic) == words


@pytest.mark.parametrize(
    "logic",
    [
        {"+": [TOTAL]},
        {"+": list(range(20))},
        {"cat": [TOTAL, "x"]},
        {"-": [NOW, {"timestamp": "soon"}]},
        {"-": [NOW, {"length": "3d"}]},
        {"-": [NOW, {"timestamp": []}]},
        {"-": [TOTAL, {"timestamp": "3d"}]},
        {"format_date": []},
        {"format_date": [{"format_date": [NOW, "x"]}, "y"]},
    ],
    ids=str,
)
def test_what_is_no_such_expression_is_not_told_as_one(logic: Any) -> None:
    said = told(logic)
    assert "ago" not in said
    assert "from now" not in said
    assert said

"""Strict JSON text beside Python's own parser: what both take is the same, and what only Python takes is explained."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.errors import InvalidRule
from rules_engine.logic.jsontext import parse
from rules_engine.logic.shape import MAX_JSON_DEPTH, MAX_JSON_SIZE
from tests.examples import examples

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def refused(text: str) -> str:
    with pytest.raises(InvalidRule) as caught:
        parse(text)
    [problem] = caught.value.problems
    assert problem.pointer == ""
    return problem.message


@settings(max_examples=examples(80), deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_json_writes_is_read_as_it_was(value: Any, is_ascii: bool, indent: Any) -> None:
    assert parse(json.dumps(value, ensure_ascii=is_ascii, indent=indent)) == value


@settings(max_examples=examples(200), deadline=None)
@given(st.text('[]{}",:0123456789.eE+-truefalsn \\"/#\n\t\ufeff', max_size=24))
def test_no_text_is_taken_that_python_reads_otherwise(text: str) -> None:
    try:
        value = parse(text)
    except InvalidRule as error:
        [problem] = error.problems
        assert problem.message.endswith(".")
        return
    assert value == json.loads(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "The JSON is empty; write a condition, or leave the field out to match always."),
        (" \n\t ", "The JSON is empty; write a condition, or leave the field out to match always."),
        ("\ufeff{}", "The JSON starts with a byte order mark (line 1, column 1); save the text without one."),
        (
            "{} {}",
            "This is not JSON (line 1, column 4): the JSON ends before this, "
            "and more text follows; a condition is a single JSON value.",
        ),
        (
            "{a: 1}",
            'This is not JSON (line 1, column 2): a key in double quotes was expected here, such as {"var": …}.',
        ),
        ("[1,\n2,]", "This is not JSON (line 2, column 2): a comma stands before the closing bracket; remove it."),
        ('{"a": 1,}', "This is not JSON (line 1, column 8): a comma stands before the closing bracket; remove it."),
        ("[1 2]", "This is not JSON (line 1, column 4): a comma or a closing bracket was expected here."),
        ('{"a" 1}', "This is not JSON (line 1, column 6): a colon was expected here, between a key and its value."),
        ('["a', "This is not JSON (line 1, column 2): a text starts here and its closing quote is missing."),
        (
            '["a\nb"]',
            "This is not JSON (line 1, column 4): a line break or tab stands inside a text; write it as \\n or \\t.",
        ),
        ("['a']", "This is not JSON (line 1, column 2): texts and keys stand in double quotes, not single ones."),
        (
            "[1,",
            "This is not JSON (line 1, column 4): the text ends where a value was expected; a bracket is not closed.",
        ),
        ("[\n\n  True]", 'This is not JSON (line 3, column 3): a value was expected here, and "True" is none.'),
        ("[;]", 'This is not JSON (line 1, column 2): a value was expected here, and ";" is none.'),
        (
            "[undefined_and_many_more_letters]",
            'This is not JSON (line 1, column 2): a value was expected here, and "undefined_and_many_m" is none.',
        ),
        ("[NaN]", "JSON has no number NaN; write a finite number, or null (line 1, column 2)."),
        ("[1, -Infinity]", "JSON has no number -Infinity; write a finite number, or null (line 1, column 5)."),
        ("[1] // one", "JSON has no comments; put remarks into the rule's description (line 1, column 5)."),
        ("/* one */ 1", "JSON has no comments; put remarks into the rule's description (line 1, column 1)."),
        ("# one\n1", "JSON has no comments; put remarks into the rule's description (line 1, column 1)."),
        ("[1e999]", "The number 1e999 is too large to be a number."),
        ("9223372036854775808", "The number 9223372036854775808… does not fit 64 bits; write it as text."),
        ("-9223372036854775809", "The number -9223372036854775809… does not fit 64 bits; write it as text."),
        ("1" * 30, f"The number {'1' * 25}… does not fit 64 bits; write it as text."),
        (
            '{"==": 1,\n "==": 2}',
            'The key "==" stands twice in one object, the second time at line 2, column 2; only one would count. '
            'To use an operator twice, wrap both in {"and": [ … ]}.',
        ),
    ],
)
def test_a_text_that_is_refused_is_told_where_and_why(text: str, said: str) -> None:
    assert refused(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775807",
        "-9223372036854775808",
        "1.7976931348623157e308",
        "-0",
        "0.0",
        '"NaN // # /* Infinity"',
        '{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 2}]}',
        '["a", "a"]',
        '{"\\u0061\\"": 1, "a": 2}',
        '"\\\\"',
    ],
)
def test_what_only_looks_like_a_mistake_is_taken(text: str) -> None:
    assert parse(text) == json.loads(text)


def test_a_key_is_the_same_one_however_it_is_written() -> None:
    assert 'The key "a" stands twice' in refused('{"a": 1, "\\u0061": 2}')
    assert f'The key "{"k" * 50}" stands twice' in refused(f'{{"{"k" * 60}": 1, "{"k" * 60}": 2}}')


def test_a_text_may_be_as_long_and_as_deep_as_is_said() -> None:
    longest = '"' + "x" * (MAX_JSON_SIZE - 2) + '"'
    assert len(parse(longest)) == MAX_JSON_SIZE - 2
    assert f"characters long; at most {MAX_JSON_SIZE:,} are allowed." in refused(longest + " ")
    deepest = "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH
    assert parse(deepest) == json.loads(deepest)
    said = (
        f"The JSON is nested deeper than {MAX_JSON_DEPTH} levels at line 1, column {MAX_JSON_DEPTH + 1}; split it up."
    )
    assert refused(f"[{deepest}]") == said
    # Of a million brackets no more is looked at than it takes to refuse them.
    assert refused("[" * 50_000) == said


def test_a_number_keeps_its_kind() -> None:
    assert [type(value) for value in parse("[1, 1.0, -0, 1e2]")] == [int, float, int, float]
    assert math.copysign(1, parse("-0.0")) == -1

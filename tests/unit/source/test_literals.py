"""Python's own words: literals, comments, calls, and numbers that stay what they are."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules_engine.source.literals import call, comment, docstring, identifier, indented, keywords, literal, quoted
from rules_engine.source.numbers import arithmetic, rounded, smallest
from rules_engine.source.writer import Module, Value, Writer
from rules_engine.types import RuleSpec

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WRITER = Writer(Module(), RuleSpec(slug="r"), ("post_save",))
INTEGER, DECIMAL, FLOAT, ANY = (Value(name[0], name, False) for name in ("integer", "decimal", "float", "any"))


@given(JSON)
def test_what_is_written_reads_back_as_it_was(data: Any) -> None:
    assert json.dumps(ast.literal_eval(literal(data))) == json.dumps(data)


@given(st.text())
def test_a_text_stays_on_its_line_and_is_printable(text: str) -> None:
    code = quoted(text)
    assert code.isprintable()
    assert ast.literal_eval(code) == text


@given(st.text())
def test_comments_and_docstrings_hold_whatever_somebody_wrote(text: str) -> None:
    source = "\n".join([*comment(text), "def function():", *indented([docstring(text), "pass"])])
    [function] = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert all(line.startswith("#") for line in comment(text))


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(TypeError, match="got a set"):
        literal({1})


@given(st.text())
def test_a_name_is_made_of_any_slug(text: str) -> None:
    assert identifier(text).isidentifier()


def test_names_that_python_keeps_go_through_a_dict() -> None:
    assert keywords({"name": "1", "class": "2", "a b": "3"}) == ["name=1", '**{"class": 2, "a b": 3}']


def test_a_long_call_has_one_argument_a_line() -> None:
    assert call("f", ["a", "b"]) == "f(a, b)"
    long = call("f", ["a" * 80, "b" * 80])
    assert long.split("\n") == ["f(", f"    {'a' * 80},", f"    {'b' * 80},", ")"]


@pytest.mark.parametrize(
    ("values", "operator", "code", "kind"),
    [
        ([INTEGER, INTEGER], "+", "i + i", "integer"),
        ([INTEGER, DECIMAL], "*", "i * d", "decimal"),
        ([DECIMAL, FLOAT], "-", "float(d) - f", "float"),
        ([INTEGER, INTEGER], "/", "i / i", "float"),
        ([DECIMAL], "-", "-d", "decimal"),
        ([ANY, INTEGER], "+", "number(a) + i", "float"),
        ([INTEGER, FLOAT], "%", "math.fmod(i, f)", "float"),
    ],
)
def test_decimals_stay_exact_among_themselves(values: list[Value], operator: str, code: str, kind: str) -> None:
    written = arithmetic(WRITER, values, operator)
    assert written is not None
    assert (written.code, written.kind) == (code, kind)


def test_what_python_cannot_calculate_alike_is_left_to_a_function() -> None:
    assert arithmetic(WRITER, [], "+") is None
    assert arithmetic(WRITER, [ANY], "+") is None
    assert arithmetic(WRITER, [INTEGER] * 3, "%") is None
    assert smallest(WRITER, [INTEGER], "min") is None
    assert rounded(WRITER, [INTEGER, INTEGER], "abs") is None


def test_the_smallest_and_the_rounded_keep_their_type() -> None:
    least, whole, size = (
        smallest(WRITER, [DECIMAL, DECIMAL], "min"),
        rounded(WRITER, [DECIMAL], "floor"),
        rounded(WRITER, [DECIMAL], "abs"),
    )
    assert [(value.code, value.kind) for value in (least, whole, size) if value] == [
        ("min(d, d)", "decimal"),
        ("math.floor(d)", "integer"),
        ("abs(d)", "decimal"),
    ]

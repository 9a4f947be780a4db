"""JSON in textareas: what nobody touched stays to the byte, and what is wrong is said with its place."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from rules_engine.admin.parts.json_fields import JSONTextField, NamesField, PlainTextField, RowsField, sentence
from rules_engine.errors import Problem


def field(stored: Any = None, empty: Any = None) -> JSONTextField:
    made = JSONTextField(empty=empty)
    made.stored = stored
    return made


def said(made: Any, text: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        made.clean(text)
    return list(caught.value.messages)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ("[1, 2]", [1, 2]),
        ('{"==": [{"var": "instance.a"}, 1]}', {"==": [{"var": "instance.a"}, 1]}),
        (' \r\n{"a":\r\n1}\r\n', {"a": 1}),
        ('"text"', "text"),
        ("0", 0),
        ("false", False),
        ('{"ä": "\\u202e"}', {"ä": "\u202e"}),
    ],
)
def test_json_that_was_typed_is_its_value(text: str, value: Any) -> None:
    result = field().clean(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", ["", "   ", "\r\n", "null"])
@pytest.mark.parametrize("empty", [None, {}, []])
def test_an_empty_textarea_is_the_empty_value_of_nobody_else(text: str, empty: Any) -> None:
    made = field(empty=empty)
    assert made.clean(text) == empty
    if empty is not None:
        assert made.clean(text) is not empty


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "line 1"),
        ("{'a': 1}", "line 1, column 2"),
        ('{"a": 1,\n "b": oops}', "line 2"),
        ("[1] [2]", "line 1"),
        ("NaN", "NaN"),
        ("[Infinity]", "Infinity"),
        ('{"a": 1, "a": 2}', "a"),
        ("<script>", "line 1, column 1"),
        ("\x00", "line 1, column 1"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(text: str, part: str) -> None:
    assert part in " ".join(said(field(), text))


def test_json_that_is_nested_too_deep_is_refused() -> None:
    assert said(field(), "[" * 200 + "]" * 200)
    assert said(field(), "[" * 100_000)


@pytest.mark.parametrize("stored", [{"b": 1, "a": [1.0, None]}, [], "text", 0, {"a": "\r\n"}, {"ä": "<b>"}])
def test_what_nobody_touched_is_given_back_as_it_was_stored(stored: Any) -> None:
    made = field(stored)
    shown = made.text_of(stored)
    assert made.clean(shown) is stored
    assert made.clean(shown.replace("\n", "\r\n")) is stored
    assert not made.has_changed(stored, shown)


@pytest.mark.parametrize(
    ("initial", "text", "changed"),
    [
        ({"a": 1}, '{"a":1}', False),
        ({"a": 1, "b": 2}, '{"b": 2, "a": 1}', False),
        ({"a": 1}, '{"a": 2}', True),
        ({"a": 1}, "", True),
        (None, "", False),
        (None, "{}", True),
        ({"a": 1}, "{", True),
        ({"a": 1}, '{"a": true}', True),
    ],
)
def test_only_another_value_is_a_change(initial: Any, text: str, changed: bool) -> None:
    assert field(initial).has_changed(initial, text) is changed


def test_a_field_that_is_shown_only_changes_nothing() -> None:
    for made in (JSONTextField(empty=None), RowsField(required=False), PlainTextField()):
        made.disabled = True
        assert not made.has_changed({"a": 1}, "{")
    made = field()
    made.disabled = True
    assert made.to_python({"a": 1}) == {"a": 1}
    assert made.bound_data("{", {"a": 1}) == {"a": 1}


def test_what_was_typed_wrong_is_shown_again_as_it_was_typed() -> None:
    made = field()
    assert made.prepare_value(made.bound_data('{"a": ', {"b": 1})) == '{"a": '
    assert made.prepare_value({"b": 1}) == '{\n  "b": 1\n}'
    assert made.prepare_value("text") == '"text"'
    assert made.prepare_value(None) == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("   ", None),
        ("instance.items", "instance.items"),
        (" instance.items ", "instance.items"),
        ('{"var": "instance.items"}', {"var": "instance.items"}),
        ("[1]", [1]),
        ("<b>", "<b>"),
    ],
)
def test_rows_are_a_path_or_an_expression(text: str, value: Any) -> None:
    made = RowsField(required=False)
    assert made.clean(text) == value
    assert not made.has_changed(value, text)
    assert made.has_changed("another", text)


def test_an_expression_for_rows_that_is_no_json_is_said_with_its_place() -> None:
    made = RowsField(required=False)
    assert "line 1" in " ".join(said(made, '{"var": '))
    assert made.has_changed(None, '{"var": ')


@pytest.mark.parametrize(
    ("value", "shown"),
    [({"var": "ä"}, '{"var": "ä"}'), ([1], "[1]"), ("instance.items", "instance.items"), (None, None)],
)
def test_rows_are_shown_on_one_line(value: Any, shown: str | None) -> None:
    assert RowsField(required=False).prepare_value(value) == shown


@pytest.mark.parametrize(
    ("stored", "posted", "kept"),
    [
        ("a\nb ", "a\r\nb ", "a\nb "),
        ("a\r\nb", "a\nb", "a\r\nb"),
        (" a ", " a ", " a "),
        ("a", " b ", "b"),
        ("a", "b\r\nc", "b\nc"),
        ("", "", ""),
        ("a", "", ""),
        (None, "", ""),
        (None, "\u202e<b>", "\u202e<b>"),
    ],
)
def test_a_plain_text_stays_to_the_byte_unless_it_was_changed(stored: str | None, posted: str, kept: str) -> None:
    made = PlainTextField()
    made.stored = stored
    assert made.clean(posted) == kept
    assert made.has_changed(stored, posted) is (kept != (stored or ""))


def test_the_order_of_names_stays_while_the_same_are_ticked() -> None:
    made = NamesField(choices=[("a", "A"), ("b", "B"), ("c", "C")], required=False)
    made.stored = ["c", "a"]
    assert made.clean(["a", "c"]) == ["c", "a"]
    assert made.clean(["a", "b"]) == ["a", "b"]
    assert made.clean([]) == []


@pytest.mark.parametrize("posted", [["d"], ["a", "<b>"], "a", [""]])
def test_a_name_that_is_not_offered_is_refused(posted: Any) -> None:
    made = NamesField(choices=[("a", "A"), ("b", "B")], required=False)
    assert said(made, posted)


@pytest.mark.parametrize(
    ("pointer", "line"),
    [("/and/0", "/and/0: It is wrong."), ("", "It is wrong."), ("/a~1b/0", "/a~1b/0: It is wrong.")],
)
def test_a_problem_is_told_with_its_place(pointer: str, line: str) -> None:
    assert sentence(Problem(pointer, "It is wrong.")) == line

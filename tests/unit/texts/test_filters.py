"""Each filter: what it makes, what it refuses, and that a short text cannot make a large one."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone, translation

from rules_engine.errors import TemplateError
from rules_engine.texts import render
from rules_engine.texts.filters import FILTERS
from rules_engine.texts.limits import MARK, VALUE


def shown(expression: str, value: Any = None) -> str:
    return render("{{ " + expression + " }}", {"value": value})


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        ("value|length", None, "0"),
        ("value|length", "four", "4"),
        ("value|length", {"a": 1}, "1"),
        ("value|first", [], ""),
        ("value|last", None, ""),
        ("value|first", ["a", "b"], "a"),
        ("value|last", ["a", "b"], "b"),
        ("value|join:'-'", None, ""),
        ("value|join:'-'", [], ""),
        ("value|join:'-'", [1, None, "x"], "1--x"),
        ("value|default:'none'", "", "none"),
        ("value|default:'none'", 0, "none"),
        ("value|default_if_none:'none'", 0, "0"),
        ("value|default_if_none:'none'", None, "none"),
        ("value|capfirst", "ada", "Ada"),
        ("value|title", "ada lovelace", "Ada Lovelace"),
        ("value|upper", None, ""),
        ("value|lower", "ÄÖ", "äö"),
        ("value|slugify", "A b/c", "a-bc"),
        ("value|striptags", "<b>x</b>", "x"),
        ("value|truncatechars:3", "abcdef", f"ab{MARK}"),
        ("value|truncatewords:1", "two words", f"two {MARK}"),
        ("value|urlencode", "a b&c", "a%20b%26c"),
        ("value|wordcount", "three short words", "3"),
        ("value|filesizeformat", 2048, "2.0\xa0KB"),
        ("value|yesno:'yes,no,unknown'", None, "unknown"),
        ("value|yesno:'yes,no'", False, "no"),
        ("value|pluralize:'y,ies'", 1, "y"),
        ("value|pluralize:'y,ies'", 2, "ies"),
        ("value|linebreaksbr", "a\nb", "a<br>b"),
        ("value|linebreaks", "a\n\nb", "<p>a</p>\n\n<p>b</p>"),
        ("value|escape", "<b>", "&lt;b&gt;"),
    ],
)
def test_a_filter_makes_what_its_name_says(expression: str, value: Any, expected: str) -> None:
    assert shown(expression, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "null"), (True, "true"), (1.5, "1.5"), ('say "x"', '"say \\"x\\""'), ([1, "a"], '[1, "a"]'), ({}, "{}")],
)
def test_json_gives_what_a_payload_takes(value: Any, expected: str) -> None:
    assert shown("value|json", value) == expected


def test_json_refuses_what_it_would_have_to_cut_and_names_the_remedy() -> None:
    with pytest.raises(TemplateError, match="cut it first, with truncatechars"):
        shown("value|json", "x" * VALUE)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("value|floatformat", "1234.6"),
        ("value|floatformat:0", "1235"),
        ("value|floatformat:2", "1234.57"),
        ("value|floatformat:'2g'", "1,234.57"),
        ("value|floatformat:-3", "1234.567"),
    ],
)
def test_floatformat_reads_an_exact_decimal(expression: str, expected: str) -> None:
    assert shown(expression, "1234.567") == expected


@pytest.mark.parametrize("places", ["100", "-100", "'x'", "''", "'2 '", "'٣'"])
def test_floatformat_takes_no_places_that_would_make_a_large_text(places: str) -> None:
    with pytest.raises(TemplateError, match="99 decimal places"):
        shown(f"value|floatformat:{places}", "1.5")


@pytest.mark.parametrize("value", ["soon", "2026-13-01", "31.01.2026", 5])
@pytest.mark.parametrize("name", ["date", "time"])
def test_a_moment_that_cannot_be_read_is_an_error_and_never_a_blank(name: str, value: Any) -> None:
    with pytest.raises(TemplateError, match=f"value|{name}"):
        shown(f"value|{name}:'Y'", value)


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("name", ["date", "time"])
def test_an_empty_moment_prints_nothing(name: str, value: Any) -> None:
    assert shown(f"value|{name}:'Y'", value) == ""


def test_a_moment_is_told_in_the_current_time_zone() -> None:
    with timezone.override("Asia/Tokyo"):
        assert shown("value|date:'Y-m-d H:i'", "2026-01-31T22:30:00Z") == "2026-02-01 07:30"
        assert shown("value|time:'H:i'", "2026-01-31T22:30:00+01:00") == "06:30"


def test_a_moment_without_a_zone_is_told_as_it_stands() -> None:
    with timezone.override("Asia/Tokyo"):
        assert shown("value|date:'Y-m-d H:i'", "2026-01-31T22:30:00") == "2026-01-31 22:30"


def test_djangos_named_formats_follow_the_language() -> None:
    with translation.override("de"):
        assert shown("value|date:'DATE_FORMAT'", "2026-03-05") == "5. März 2026"
        assert shown("value|time:'TIME_FORMAT'", "08:30:00") == "08:30"


def test_a_time_alone_is_read_by_time_and_not_by_date() -> None:
    assert shown("value|time:'H.i'", "08:30:00") == "08.30"
    with pytest.raises(TemplateError):
        shown("value|date:'H.i'", "08:30:00")


@pytest.mark.parametrize("expression", ["value|first", "value|last", "value|join:', '"])
@pytest.mark.parametrize("value", ["text", 5, {"a": 1}])
def test_what_is_for_lists_says_what_it_got_and_shows_nothing_of_it(expression: str, value: Any) -> None:
    with pytest.raises(TemplateError) as caught:
        shown(expression, value)
    assert f'a filter in "{expression}" cannot work on' in str(caught.value)
    assert "text'" not in str(caught.value)


@pytest.mark.parametrize("value", [True, 5, 1.5])
def test_a_scalar_that_has_no_length_is_an_error(value: Any) -> None:
    with pytest.raises(TemplateError, match="cannot work on"):
        shown("value|length", value)


@pytest.mark.parametrize("name", ["upper", "title", "capfirst", "escape", "striptags", "slugify", "urlencode"])
def test_a_filter_on_text_gives_no_more_than_one_value_may_have(name: str) -> None:
    assert len(shown(f"value|{name}", "x y" * VALUE)) <= VALUE * 3


def test_a_joined_list_is_cut_at_the_length_of_one_value() -> None:
    text = shown("value|join:', '", ["x" * 100] * 1000)
    assert len(text) <= VALUE
    assert text.endswith(MARK)


def test_joined_values_are_escaped_and_the_text_between_them_is_not() -> None:
    source = "{{ value|join:'<br>' }}"
    assert render(source, {"value": ["<a>", "b"]}, autoescape=True) == "&lt;a&gt;<br>b"
    assert render(source, {"value": ["<a>", "b"]}) == "<a><br>b"


def test_a_format_as_long_as_a_value_makes_no_longer_text() -> None:
    with override_settings(USE_TZ=True):
        text = render("{{ value|date:shape }}", {"value": "2026-01-31", "shape": "F" * VALUE * 2})
    assert len(text) <= VALUE


@pytest.mark.parametrize("name", ["safe", "safeseq", "pprint", "json_script", "random", "center", "ljust", "wordwrap"])
def test_a_filter_that_is_left_out_is_named_beside_those_there_are(name: str) -> None:
    assert name not in FILTERS
    with pytest.raises(TemplateError) as caught:
        shown(f"value|{name}:5")
    assert f'there is no filter "{name}"' in str(caught.value)
    assert ", ".join(sorted(FILTERS))[:200] in str(caught.value)


def test_a_near_miss_of_a_filter_is_asked_about() -> None:
    with pytest.raises(TemplateError, match='Did you mean "truncatechars"'):
        shown("value|truncatechar:5")

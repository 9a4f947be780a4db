"""Seconds as a number and a unit: what is shown of them, what is read, and what is said of what cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict

from rules_engine.admin.limits.spans import Span, SpanField, span_of, span_words

SHOWN = [
    (1, "1", "seconds", "1 second"),
    (60, "1", "minutes", "1 minute"),
    (90, "90", "seconds", "90 seconds"),
    (3600, "1", "hours", "1 hour"),
    (5400, "90", "minutes", "90 minutes"),
    (86_400, "1", "days", "1 day"),
    (604_800, "7", "days", "7 days"),
    (0, "0", "seconds", "0 seconds"),
]


def field(**options: Any) -> SpanField:
    return SpanField(label="within", most=30 * 86_400, **{"suggested": Span("", "minutes"), **options})


def posted(made: SpanField, text: str) -> Any:
    return made.clean(made.widget.value_from_datadict(QueryDict(text), {}, "wait"))


@pytest.mark.parametrize(("seconds", "number", "unit", "words"), SHOWN)
def test_seconds_are_shown_in_the_longest_unit_that_is_whole(seconds: int, number: str, unit: str, words: str) -> None:
    assert span_of(seconds) == Span(number, unit)
    assert span_words(seconds) == words
    if seconds:
        assert posted(field(), f"wait={number}&wait_unit={unit}") == seconds


@pytest.mark.parametrize("seconds", [None, 1, 59, 3600, 3601, 86_400])
def test_what_is_drawn_and_posted_back_is_no_change(seconds: int | None) -> None:
    made = field()
    context = made.widget.get_context("wait", seconds, {})["widget"]
    (unit,) = [unit for unit, _title, chosen in context["units"] if chosen]
    data = made.widget.value_from_datadict({"wait": context["number"], "wait_unit": unit}, {}, "wait")
    assert not made.has_changed(seconds, data)


def test_a_number_without_a_unit_is_seconds() -> None:
    assert posted(field(), "wait=3600") == 3600


def test_nothing_is_no_span() -> None:
    assert posted(field(), "wait=&wait_unit=hours") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wait=1.5&wait_unit=hours", "one and a half hours are 90 minutes"),
        ("wait=an hour&wait_unit=hours", "Write a whole number"),
        ("wait=1&wait_unit=weeks", '"weeks" is no unit; choose one of: seconds, minutes, hours, days.'),
        ("wait=31&wait_unit=days", "at most 30 days"),
        ("wait=0&wait_unit=days", "from 1 up"),
        ("wait=-1&wait_unit=hours", "from 1 up"),
        (f"wait={'9' * 40}&wait_unit=days", "at most 30 days"),
        ("wait=&wait_unit=transaction", None),
    ],
)
def test_what_is_no_span_is_said_in_the_units_of_people(text: str, said: str | None) -> None:
    if said is None:
        assert posted(field(), "") is None
        return
    with pytest.raises(ValidationError) as raised:
        posted(field(), text)
    assert said in " ".join(raised.value.messages)


def test_the_end_of_the_transaction_is_no_time_at_all() -> None:
    made = field(least=0, in_transaction=True)
    assert posted(made, "wait=&wait_unit=transaction") == 0
    assert posted(made, "wait=7&wait_unit=transaction") == 0
    units = made.widget.get_context("wait", 0, {})["widget"]["units"]
    assert [unit for unit, _title, chosen in units if chosen] == ["transaction"]


def test_what_is_suggested_counts_once_the_field_beside_is_filled() -> None:
    made = field(suggested=Span("1", "hours"), beside="count")
    assert made.widget.get_context("wait", None, {})["widget"]["number"] == "1"
    assert posted(made, "wait=1&wait_unit=hours&count=") is None
    assert posted(made, "wait=1&wait_unit=hours&count=5") == 3600
    assert posted(made, "wait=2&wait_unit=hours&count=") == 7200


def test_no_delay_is_drawn_as_nothing_and_stays_none() -> None:
    made = field(least=0)
    assert made.widget.get_context("wait", 0, {})["widget"]["number"] == ""
    assert not made.has_changed(0, None)
    assert made.has_changed(60, None)


def test_a_span_that_was_typed_tells_its_seconds() -> None:
    assert [str(one) for one in (Span("2", "hours"), Span("", "transaction"), Span("x", "hours"))] == ["7200", "0", "x"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("wait=30&wait_unit=days", 2_592_000),
        ("wait=2592000&wait_unit=seconds", 2_592_000),
        ("wait=1&wait_unit=seconds", 1),
    ],
)
def test_the_ends_of_what_may_be_typed_may_be_typed(text: str, seconds: int) -> None:
    assert posted(field(), text) == seconds


def test_a_second_more_than_the_longest_is_too_long() -> None:
    with pytest.raises(ValidationError, match="at most 30 days"):
        posted(field(), "wait=2592001&wait_unit=seconds")

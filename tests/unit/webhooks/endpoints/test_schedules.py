"""Retry schedules as people write them, and what a stored one may be."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from webhooks.endpoints.schedules import ScheduleField, parsed, site_help, words
from webhooks.models import Endpoint
from webhooks.models.schedule import LONGEST_WAIT_OF_ENDPOINT, MOST_WAITS, schedule_problem


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        ([], "[]"),
        ([0], "0s"),
        ([5, 300, 7200, 86400], "5s, 5m, 2h, 1d"),
        ([90, 5400, 36 * 3600], "90s, 90m, 36h"),
        ([0.5, 1.25], "0.5s, 1.25s"),
        ((60.0,), "1m"),
        ([1_234_567, 2_592_000], "1234567s, 30d"),
        ([0.001, 90.25], "0.001s, 90.25s"),
    ],
)
def test_waits_are_written_in_the_largest_unit_that_fits(schedule: Any, text: str) -> None:
    assert words(schedule) == text


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("90", [90]),
        ("5s, 5m,2h , 1d", [5, 300, 7200, 86400]),
        ("5S, 1H", [5, 3600]),
        ("1.5m", [90]),
        ("0.5", [0.5]),
        ("[5, 60]", [5, 60]),
        ("[]", []),
        (" , ,", []),
        ("5 m", [300]),
    ],
)
def test_waits_are_read_as_they_are_written(text: str, schedule: list[float]) -> None:
    assert parsed(text) == schedule


@pytest.mark.parametrize("schedule", [[], [5], [5, 300, 1800, 7200], [0.5, 86400], [1_234_567], [604_800.5], [1e-7]])
def test_what_was_written_is_read_back(schedule: list[float]) -> None:
    assert parsed(words(schedule)) == schedule


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.integers(0, LONGEST_WAIT_OF_ENDPOINT) | st.floats(0, LONGEST_WAIT_OF_ENDPOINT), max_size=5))
def test_a_page_that_is_saved_as_it_was_opened_changes_no_schedule(schedule: list[float]) -> None:
    field = ScheduleField(required=False)
    assert field.clean(field.prepare_value(schedule)) == schedule
    assert not field.has_changed(schedule, words(schedule))
    # Whole numbers of units are told without fractions, as people say them.
    assert all("." not in wait for wait in words([int(seconds) for seconds in schedule]).split(", "))


@pytest.mark.parametrize(
    ("text", "number", "quoted"),
    [("soon", 1, "soon"), ("5s, 5w", 2, "5w"), ("5s,, -1", 2, "-1"), ("1e3", 1, "1e3"), ("5s 5m", 1, "5s 5m")],
)
def test_the_wait_that_cannot_be_read_is_named(text: str, number: int, quoted: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parsed(text)
    [message] = raised.value.messages
    assert f"number {number}" in message
    assert f"“{quoted}”" in message


def test_an_empty_field_means_the_sites_schedule_and_brackets_none_at_all() -> None:
    field = ScheduleField(required=False)
    assert field.clean("") is None
    assert field.clean("  ") is None
    assert field.clean("[]") == []


def test_a_stored_schedule_is_shown_in_words_and_a_typed_one_as_typed() -> None:
    field = ScheduleField(required=False)
    assert field.prepare_value([60, 3600]) == "1m, 1h"
    assert field.prepare_value("60s, 1h") == "60s, 1h"
    assert field.prepare_value(None) is None


@pytest.mark.parametrize(
    ("initial", "typed", "changed"),
    [
        ([60], "1m", False),
        ([60], "60", False),
        (None, "", False),
        ([], "[]", False),
        ([], "", True),
        ([60], "2m", True),
        ([60], "soon", True),
    ],
)
def test_another_way_of_writing_a_schedule_is_no_change(initial: Any, typed: str, changed: bool) -> None:
    assert ScheduleField(required=False).has_changed(initial, typed) is changed


def test_the_help_tells_the_sites_own_schedule() -> None:
    assert "5s, 5m" in site_help([5, 300])


@pytest.mark.parametrize("value", [None, [], [0], [5, 2.5], [LONGEST_WAIT_OF_ENDPOINT], [1] * MOST_WAITS])
def test_a_list_of_seconds_is_a_schedule(value: Any) -> None:
    assert schedule_problem(value) is None


@pytest.mark.parametrize(
    "value", ["5s", 5, {}, (5,), ["5"], [None], [True], [-1], [LONGEST_WAIT_OF_ENDPOINT + 1], [float("nan")]]
)
def test_what_is_no_list_of_seconds_is_explained(value: Any) -> None:
    problem = schedule_problem(value)
    assert problem is not None
    assert f"{LONGEST_WAIT_OF_ENDPOINT:,}" in problem


def test_more_waits_than_anybody_needs_are_refused() -> None:
    assert f"at most {MOST_WAITS}" in str(schedule_problem([1] * (MOST_WAITS + 1)))


def test_an_endpoint_without_a_schedule_of_its_own_has_the_sites(settings: Any) -> None:
    settings.WEBHOOKS = {"RETRY_SCHEDULE": [7, 8]}
    assert Endpoint(slug="crm").retry_schedule() == (7.0, 8.0)
    assert Endpoint(slug="crm", schedule=[1]).retry_schedule() == (1.0,)
    assert Endpoint(slug="crm", schedule=[]).retry_schedule() == ()


def test_a_stored_schedule_that_is_none_stops_no_sender(settings: Any) -> None:
    settings.WEBHOOKS = {"RETRY_SCHEDULE": [7]}
    for broken in ("5s", [-1], {"a": 1}):
        assert Endpoint(slug="crm", schedule=broken).retry_schedule() == (7.0,)

"""Answers at the limits of what they mean: which status is which, how long a wait, what of an answer is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.actions import ActionResult
from tests.examples import examples
from tests.unit.webhooks.deliveries.test_delivery import answered, context, endpoint, posted
from webhooks.deliveries import payload, verdict
from webhooks.deliveries.delivery import DeliveryOutcome, judge, message
from webhooks.errors import DestinationRefused, EndpointGone, Unanswered
from webhooks.http.client import Response

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
DAY = 86_400.0


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    settings.WEBHOOKS = {}


def wait_of(outcome: DeliveryOutcome) -> float | None:
    assert isinstance(outcome.result, Unanswered)
    return outcome.result.retry_after


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 999))
def test_a_status_is_taken_or_refused_with_its_number(status: int) -> None:
    # Beside a plain reading of RFC 9110's classes.
    assert verdict.succeeded(status) == (status // 100 == 2)
    text = verdict.refusal_text(status)
    assert text.startswith(f"The endpoint answered {status}")
    assert ("a redirect" in text) == (status // 100 == 3)
    assert ("gone for good" in text) == (status == 410)
    assert ("disabled by any other" in verdict.refusal_text(status, is_test=True)) == (status == 410)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**20))
def test_seconds_are_read_as_they_stand_up_to_a_day(seconds: int) -> None:
    asked = verdict.retry_after_seconds(str(seconds), NOW)
    # Of nineteen digits and more nobody means anything.
    assert asked == (min(float(seconds), DAY) if 0 < seconds < 10**18 else None)


@settings(max_examples=examples(60), deadline=None)
@given(st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)), st.integers(-12, 14))
def test_a_date_is_as_far_off_as_it_is_in_whatever_zone(away: timedelta, hours: int) -> None:
    moment = (NOW + away).replace(microsecond=0)
    written = format_datetime(moment.astimezone(timezone(timedelta(hours=hours))))
    seconds = (moment - NOW).total_seconds()
    assert verdict.retry_after_seconds(written, NOW) == (min(seconds, DAY) if seconds > 0 else None)


@settings(max_examples=examples(60), deadline=None)
@given(st.text(max_size=40))
def test_no_text_is_more_than_nonsense(text: str) -> None:
    asked = verdict.retry_after_seconds(text, NOW)
    assert asked is None or 0 < asked <= DAY


@pytest.mark.parametrize(
    ("asked", "also", "longer"),
    [(None, None, None), (5.0, None, 5.0), (None, 7.5, 7.5), (5.0, 7.5, 7.5), (9.0, 7.5, 9.0), (None, 1e9, DAY)],
)
def test_of_two_waits_the_longer_holds_up_to_a_day(
    asked: float | None, also: float | None, longer: float | None
) -> None:
    assert verdict.longer(asked, also) == longer


@pytest.mark.parametrize(
    ("asked", "attempt", "expected"),
    [(5.0, 1, None), (5.1, 1, 5.1), (300.0, 2, None), (301.0, 2, 301.0), (600.0, 0, None), (600.0, 3, None)],
)
def test_a_wait_as_long_as_the_schedules_leaves_that_alone(asked: float, attempt: int, expected: float | None) -> None:
    assert verdict.wait(asked, attempt, (5, 300)) == expected


def test_a_date_is_measured_from_when_the_answer_came(settings: Any) -> None:
    settings.WEBHOOKS = {"RETRY_SCHEDULE": [5]}
    sent = posted()
    sent.endpoint.now = NOW  # type: ignore[attr-defined]
    at = format_datetime(NOW + timedelta(seconds=70), usegmt=True)
    assert wait_of(judge(sent, Response(503, "", duration=10.0, retry_after=at))) == 60.0


@pytest.mark.parametrize(
    ("status", "form", "header", "waited"),
    [
        (429, "discord", None, 64.5),
        (429, "discord", "600", 600.0),
        (429, "whole", None, None),
        # That it asks in the body is for a 429 alone, as Discord documents it.
        (503, "discord", None, None),
    ],
)
def test_discords_own_way_of_asking_is_heard_beside_the_header(
    status: int, form: str, header: str | None, waited: float | None, settings: Any
) -> None:
    settings.WEBHOOKS = {"RETRY_SCHEDULE": [5]}
    outcome = answered(status, '{"retry_after": 64.5}', posted(payload_form=form), retry_after=header)
    assert wait_of(outcome) == waited
    assert outcome.report is not None
    assert outcome.report.asked == waited


def test_a_receiver_that_is_gone_counts_against_its_endpoint() -> None:
    outcome = answered(410, "moved away")
    assert isinstance(outcome.result, EndpointGone)
    assert str(outcome.result).endswith("and was disabled. It said: moved away")
    assert outcome.report is not None
    assert not outcome.report.taken
    # What it said may quote what it was sent, and how endpoints do is told to more people.
    assert "moved away" not in outcome.report.error


@pytest.mark.parametrize("excerpt", ["", "  \n "])
def test_a_receiver_that_says_nothing_is_not_quoted(excerpt: str) -> None:
    assert str(answered(500, excerpt).result) == "The endpoint answered 500."


def test_a_quotation_ends_after_two_hundred_characters() -> None:
    assert str(answered(500, "x" * 200).result).endswith(f"It said: {'x' * 200}")
    assert str(answered(500, "x" * 201).result).endswith(f"It said: {'x' * 200}")


@pytest.mark.parametrize(("characters", "is_large"), [(0, False), (1, True)])
def test_a_payload_is_large_beyond_twenty_kilobytes(characters: int, is_large: bool) -> None:
    empty = len(message(endpoint(), context(context={"text": ""}), {}).body)
    text = "x" * (payload.LARGE - empty + characters)
    sent = message(endpoint(), context(context={"text": text}), {})
    result = answered(200, sent=sent).result
    assert isinstance(result, ActionResult)
    assert result.detail["bytes"] == payload.LARGE + characters
    assert ("warning" in result.detail) is is_large


@pytest.mark.parametrize(
    ("trace", "own", "sends", "told"),
    [
        ("00-aa-bb-01", {}, True, "00-aa-bb-01"),
        ("00-aa-bb-01", {}, False, None),
        ("", {}, True, None),
        ("00-aa-bb-01", {"Traceparent": "mine"}, True, None),
    ],
)
def test_a_receiver_is_told_of_the_trace_where_it_is_to_be(
    trace: str, own: dict[str, str], sends: bool, told: str | None
) -> None:
    traced = context()._replace(traceparent=trace)
    sent = message(endpoint(headers=own, sends_traceparent=sends), traced, {"endpoint": "crm"})
    assert sent.headers.get("traceparent") == told
    assert sent.headers.get("Traceparent") == own.get("Traceparent")


def test_a_headers_value_is_hidden_where_an_answer_quotes_it_in_part() -> None:
    sent = posted(headers={"Authorization": "Bearer token-of-theirs"})
    result = answered(200, "unknown token-of-theirs", sent).result
    assert isinstance(result, ActionResult)
    assert result.detail["excerpt"] == "unknown …"


def test_a_refused_destination_is_recorded_as_nobodys_fault_abroad() -> None:
    outcome = judge(posted(), DestinationRefused("No address."))
    assert outcome.result.detail == {  # type: ignore[union-attr]
        "url": "https://hooks.example.com/in?…",
        "error_kind": DestinationRefused.kind,
        "our_fault": DestinationRefused.ours,
    }

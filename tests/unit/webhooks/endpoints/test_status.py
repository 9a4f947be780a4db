"""How an endpoint does, in words, from its row and its state alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhooks.endpoints.breaker import is_troubled, is_unrestricted, rate_of, state_of
from webhooks.endpoints.policy import Rate
from webhooks.endpoints.status import Status, status_of
from webhooks.models import Endpoint, EndpointState, clean_state

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
PAST = NOW - timedelta(minutes=5)


def endpoint(state: dict[str, Any] | None = None, **fields: Any) -> Any:
    made: Any = Endpoint(slug="crm", **fields)
    made.now = NOW
    if state is not None:
        made.state = EndpointState(endpoint=made, **state)
    return made


def status(state: dict[str, Any] | None = None, **fields: Any) -> Status:
    return status_of(endpoint(state, **fields), NOW)


def test_an_endpoint_that_never_failed_is_open() -> None:
    assert status() == Status("open", "open", "open")
    assert status({}).name == "open"


def test_one_that_failed_lately_is_failing_and_says_why() -> None:
    shown = status({"failures": 1, "failing_since": PAST, "last_error": "It answered 500."})
    assert shown.name == "failing"
    assert shown.reasons[0] == "1 failure in a row."
    assert shown.reasons[-1] == "Last error: It answered 500."


def test_one_that_is_paused_says_until_when() -> None:
    shown = status({"failures": 5, "pauses": 1, "paused_until": LATER})
    assert shown.name == "paused"
    assert shown.words.startswith("paused until ")
    assert "5 failures in a row." in shown.reasons


def test_after_its_pause_it_is_probing() -> None:
    shown = status({"failures": 5, "pauses": 1, "paused_until": PAST})
    assert shown.name == "probing"
    assert "one delivery" in shown.reasons[0]


def test_one_whose_receiver_asked_for_it_is_waiting() -> None:
    shown = status({"failures": 1, "asked_until": LATER})
    assert shown.name == "waiting"
    assert "Retry-After" in shown.reasons[0]


def test_what_was_asked_for_and_is_past_is_over() -> None:
    assert status({"asked_until": PAST}).name == "open"


def test_a_pause_is_told_before_what_was_asked_for() -> None:
    assert status({"pauses": 1, "paused_until": LATER, "asked_until": LATER}).name == "paused"


def test_one_that_is_disabled_says_by_whom() -> None:
    assert status({"failures": 9}, enabled=False, disabled_reason="It answered 410.").reasons == ["It answered 410."]
    assert status(enabled=False).reasons == ["Switched off by hand."]


def test_where_no_state_is_stored_it_is_clean_and_nothing_is_asked() -> None:
    clean = state_of(endpoint())
    assert {name: getattr(clean, name) for name in clean_state()} == clean_state()


@pytest.mark.parametrize(
    ("state", "troubled"),
    [({}, False), ({"failures": 1}, True), ({"pauses": 1}, True), ({"asked_until": LATER}, False)],
)
def test_an_endpoint_is_troubled_by_what_counts_against_it(state: dict[str, Any], troubled: bool) -> None:
    assert is_troubled(endpoint(state)) is troubled


@pytest.mark.parametrize(
    ("state", "fields", "unrestricted"),
    [
        ({}, {}, True),
        ({"failures": 4}, {}, True),
        ({"pauses": 1}, {}, False),
        ({"asked_until": LATER}, {}, False),
        ({"asked_until": PAST}, {}, True),
        ({}, {"ordered": True}, False),
        ({}, {"concurrency": 5}, False),
        ({}, {"rate_count": 5, "rate_seconds": 1}, False),
    ],
)
def test_deliveries_begin_unasked_only_where_nothing_limits_them(
    state: dict[str, Any], fields: dict[str, Any], unrestricted: bool
) -> None:
    assert is_unrestricted(endpoint(state, **fields)) is unrestricted


def test_a_rate_has_two_parts_or_is_none() -> None:
    assert rate_of(endpoint(rate_count=5, rate_seconds=2)) == Rate(5, 2)
    assert rate_of(endpoint(rate_count=5)) is None
    assert rate_of(endpoint()) is None


def test_a_rate_that_an_update_brought_in_stops_no_sender() -> None:
    rate = rate_of(Endpoint(slug="crm", rate_count=3, rate_seconds=10**12))
    assert rate is not None
    assert rate.fitting(None, NOW) == 1
    assert rate.seconds_until_one_fits(NOW + rate.interval, NOW) <= 31_622_400

"""Which deliveries are sent again, as people write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from webhooks.admin.forms import ReplayForm
from webhooks.deliveries.replays import ERROR_KINDS, STATUSES, ask, error_detail, moment, selection
from webhooks.models import Endpoint, lanes

CRM = Endpoint(slug="crm")


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30m", timedelta(minutes=30)), ("2h", timedelta(hours=2)), (" 3 D ", timedelta(days=3)), ("0m", timedelta(0))],
)
def test_an_age_is_a_moment_that_long_ago(text: str, ago: timedelta) -> None:
    assert abs(timezone.now() - ago - moment(text)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-03-01T12:30:00Z", datetime(2026, 3, 1, 12, 30, tzinfo=UTC)),
        ("2026-03-01 12:30+02:00", datetime(2026, 3, 1, 10, 30, tzinfo=UTC)),
        ("2026-03-01T12:30", datetime(2026, 3, 1, 11, 30, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, 0, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_in_the_sites(settings: Any, text: str, written: datetime) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    with timezone.override("Europe/Berlin"):
        assert moment(text) == written


@pytest.mark.parametrize(
    "text", ["", "soon", "-2h", "2w", "2026-02-30", "2026-13-01", "9999999h", "999999d", "12:30", "2026-03-01T25:00"]
)
def test_what_is_no_moment_is_quoted_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 30m, 2h or 3d") as raised:
        moment(text)
    assert f"“{text}”" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", {}),
        ("503", {"status": 503}),
        (" 5xx ", {"status": [500, 599]}),
        ("4XX", {"status": [400, 499]}),
        ("timeout", {"error_kind": "timeout"}),
        ("DNS", {"error_kind": "dns"}),
    ],
)
def test_an_error_is_named_by_its_word_or_its_status(text: str, detail: dict[str, Any]) -> None:
    assert error_detail(text) == detail


@pytest.mark.parametrize("text", ["600", "50", "5x", "xx", "late", "5xx,4xx"])
def test_what_is_no_error_is_answered_with_what_there_is(text: str) -> None:
    with pytest.raises(ValueError, match="503 or 5xx") as raised:
        error_detail(text)
    assert all(kind in str(raised.value) for kind in ERROR_KINDS)


def test_a_selection_is_of_one_endpoint_and_leaves_its_tests_alone() -> None:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    chosen = selection(CRM, since=since, until=None, error_kind="5xx")
    assert list(chosen.lanes) == list(lanes.counted("crm"))
    assert (chosen.since, chosen.until) == (since, None)
    assert tuple(chosen.states) == STATUSES["failed"]
    assert chosen.detail == {"status": [500, 599]}


def test_all_that_ended_is_all_but_what_is_still_to_come() -> None:
    assert set(STATUSES["all"]) == {*STATUSES["failed"], *STATUSES["succeeded"]}
    assert not set(STATUSES["all"]) & {"pending", "running", "retryable"}


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    for until in (at, at - timedelta(days=1)):
        with pytest.raises(ValueError, match="ends before it begins"):
            selection(CRM, since=at, until=until)


@pytest.mark.parametrize(
    ("status", "states", "retried"),
    [
        ("failed", {"discarded", "cancelled", "refused"}, True),
        ("failing", set(), True),
        ("succeeded", {"succeeded"}, False),
        ("cancelled", {"cancelled"}, False),
        ("all", {"succeeded", "discarded", "cancelled", "refused"}, False),
    ],
)
def test_a_word_stands_for_what_ended_so_and_for_what_is_being_retried(
    status: str, states: set[str], retried: bool
) -> None:
    chosen = selection(CRM, since=None, until=None, status=status)
    assert (set(chosen.states), chosen.failing) == (states, retried)


@pytest.mark.parametrize(
    ("since", "until"), [(None, datetime(1, 1, 1, tzinfo=UTC)), (datetime.max.replace(tzinfo=UTC), None)]
)
def test_a_window_that_is_open_at_one_end_never_ends_before_it_begins(
    since: datetime | None, until: datetime | None
) -> None:
    chosen = selection(CRM, since=since, until=until)
    assert (chosen.since, chosen.until) == (since, until)


def test_nothing_is_replayed_to_an_endpoint_that_is_disabled() -> None:
    with pytest.raises(ValueError, match="Enable it first"):
        ask(Endpoint(slug="crm", enabled=False), selection(CRM, since=None, until=None), {})


def form(**data: str) -> ReplayForm:
    return ReplayForm({"since": "1d", "status": "failed", **data})


def test_the_form_takes_what_the_command_takes() -> None:
    asked = form(since="2026-03-01", until="2h", error_kind="5xx", status="all")
    assert asked.is_valid(), asked.errors
    assert set(asked.cleaned_data) == {"since", "until", "status", "error_kind"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"since": ""}, "since"),
        ({"since": "soon"}, "since"),
        ({"until": "soon"}, "until"),
        ({"since": "1h", "until": "2h"}, "until"),
        ({"status": "lost"}, "status"),
        ({"error_kind": "late"}, "error_kind"),
    ],
)
def test_the_form_says_at_which_field_it_does_not_understand(data: dict[str, str], field: str) -> None:
    assert list(form(**data).errors) == [field]


def test_the_form_offers_ways_to_end_that_there_are() -> None:
    offered = {value for value, _label in ReplayForm().fields["status"].choices}  # type: ignore[attr-defined]
    assert offered <= set(STATUSES)

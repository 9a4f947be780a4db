"""How a lane does, in figures: of attempts that ended, with their times; what waits in it, and what failed."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from rules_engine.models import Attempt, Event, Execution
from rules_engine.work import lanes

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    return timezone.now()


def tried(now: datetime, *times: float | None, lane: str = "shop", outcome: str = "succeeded", **fields: Any) -> None:
    """Write an execution with an attempt for each of the times, in milliseconds; None: the action told none."""
    for milliseconds in times:
        execution = Execution.objects.create(
            event=Event.objects.create(signal="zoo.called", occurred_at=now, root_id=uuid.uuid4()),
            rule_slug="rule",
            rule_version=1,
            kind="post",
            queue="calls",
            lane=lane,
            attempts=1,
            **{"state": "succeeded", **fields},
        )
        attempt = Attempt.objects.create(
            execution=execution,
            number=1,
            outcome=outcome,
            finished_at=now,
            detail={} if milliseconds is None else {"duration_ms": milliseconds},
        )
        Attempt.objects.filter(pk=attempt.pk).update(started_at=now - timedelta(seconds=2))


def figures(now: datetime, *names: str, **options: Any) -> lanes.LaneFigures:
    [found] = lanes.lane_figures("calls", names or ["shop"], now - timedelta(hours=1), **options)
    return found


def test_of_a_lane_that_was_never_tried_nothing_is_known(now: datetime) -> None:
    assert figures(now) == lanes.LaneFigures(0, 0, None, None, is_sample=False)
    assert figures(now).share is None


def test_the_times_that_actions_tell_are_put_in_order(now: datetime) -> None:
    tried(now, 300, 100, 200)
    found = figures(now)
    assert (found.attempts, found.succeeded, found.share) == (3, 3, 1.0)
    assert (found.median, found.p95) == (0.2, 0.3)


def test_an_action_that_tells_no_time_is_timed_by_its_records(now: datetime) -> None:
    tried(now, None)
    assert figures(now).median == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(
    ("outcome", "attempts", "succeeded"), [("failed", 2, 1), ("lost", 1, 1), ("started", 1, 1), ("succeeded", 2, 2)]
)
def test_only_attempts_that_ended_say_something(now: datetime, outcome: str, attempts: int, succeeded: int) -> None:
    tried(now, 10)
    tried(now, 10, outcome=outcome)
    assert (figures(now).attempts, figures(now).succeeded) == (attempts, succeeded)


def test_each_lane_and_queue_is_counted_by_itself(now: datetime) -> None:
    tried(now, 10)
    tried(now, 10, 10, lane="bank")
    assert figures(now).attempts == 1
    assert figures(now, "shop", "bank").attempts == 3
    assert lanes.lane_figures("others", ["shop"], now - timedelta(hours=1))[0].attempts == 0


def test_of_each_time_asked_for_there_are_figures_of_their_own(now: datetime) -> None:
    tried(now, 10)
    Attempt.objects.update(started_at=now - timedelta(hours=5))
    tried(now, 30)
    hour, day = lanes.lane_figures("calls", ["shop"], now - timedelta(hours=1), now - timedelta(days=1))
    assert (hour.attempts, day.attempts) == (1, 2)


@pytest.mark.parametrize(("sample", "is_sample"), [(2, True), (10, False)])
def test_figures_of_a_part_say_that_they_are(now: datetime, sample: int, is_sample: bool) -> None:
    tried(now, 10, 10, 10)
    found = figures(now, sample=sample)
    assert found.is_sample is is_sample
    assert found.attempts == min(sample, 3)


def test_lanes_are_counted_together_and_the_untried_left_out(now: datetime) -> None:
    tried(now, 10)
    tried(now, 10, outcome="failed")
    tried(now, 10, lane="bank")
    since = now - timedelta(hours=1)
    assert lanes.lane_counts("calls", ["shop", "bank", "post"], since) == {"shop": (2, 1), "bank": (1, 1)}
    assert lanes.lane_counts("calls", [], since) == {}


def test_the_backlog_is_what_waits_with_its_oldest(now: datetime) -> None:
    assert lanes.lane_backlog("calls", ["shop"]) == lanes.LaneBacklog(0, None)
    for state in ("pending", "retryable", "running", "succeeded", "discarded"):
        tried(now, 10, state=state)
    backlog = lanes.lane_backlog("calls", ["shop"])
    assert backlog.count == 2
    assert backlog.oldest == Execution.objects.get(state="pending").created_at


@pytest.mark.parametrize(
    ("state", "failures", "is_failure"),
    [("discarded", 1, True), ("refused", 1, True), ("retryable", 2, True), ("retryable", 0, False)],
)
def test_what_was_given_up_or_is_tried_again_failed(now: datetime, state: str, failures: int, is_failure: bool) -> None:
    tried(now, 10)
    tried(now, 10, state=state, failures=failures)
    assert len(lanes.lane_failures("calls", ["shop"], 5)) == is_failure


def test_no_more_failures_are_told_than_were_asked_for(now: datetime) -> None:
    tried(now, 10, 10, 10, state="discarded", failures=1)
    assert len(lanes.lane_failures("calls", ["shop"], 2)) == 2


def test_troubles_are_told_lane_by_lane(now: datetime) -> None:
    tried(now, 10, 10, state="discarded")
    tried(now, 10, state="refused", lane="bank")
    tried(now, 10, state="refused", lane="")
    tried(now, 10, lane="fine")
    found = lanes.lane_troubles("calls", now - timedelta(hours=1))
    assert {lane: number for lane, number, _last in found} == {"shop": 2, "bank": 1}


@pytest.mark.parametrize(("seconds", "number"), [(60, 1), (-60, 0)])
def test_in_flight_is_what_is_leased_now(now: datetime, seconds: int, number: int) -> None:
    tried(now, 10, state="running", lease_until=now + timedelta(seconds=seconds), leased_by="worker")
    tried(now, 10, state="pending")
    assert lanes.in_flight("calls", "shop") == number

"""When an endpoint rests, how long, and how fast it may be asked: without a database, and with a clock of our own."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from webhooks.endpoints.policy import (
    DISABLE_AFTER,
    FAILURES_BEFORE_PAUSE,
    FIRST_PAUSE,
    FOREIGN,
    LONGEST_PAUSE,
    Rate,
    Report,
    has_failed_for_good,
    note_failure,
    resting_until,
)
from webhooks.models import EndpointState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
REFUSED = Report(taken=False, error="It answered 500.")


def after_failures(number: int, state: EndpointState | None = None, at: datetime = NOW) -> EndpointState:
    state = state or EndpointState()
    for _ in range(number):
        note_failure(state, REFUSED, at)
    return state


# Pauses


def test_an_endpoint_of_which_nothing_bad_is_known_is_not_resting() -> None:
    assert resting_until(EndpointState(), NOW) is None


def test_four_failures_in_a_row_pause_nothing() -> None:
    state = after_failures(FAILURES_BEFORE_PAUSE - 1)
    assert (state.failures, state.pauses, state.paused_until) == (4, 0, None)


def test_the_fifth_failure_in_a_row_pauses_for_a_minute() -> None:
    state = after_failures(FAILURES_BEFORE_PAUSE)
    assert state.pauses == 1
    assert resting_until(state, NOW) == NOW + timedelta(minutes=1)


def test_a_pause_is_over_at_its_end() -> None:
    state = after_failures(FAILURES_BEFORE_PAUSE)
    assert resting_until(state, NOW + FIRST_PAUSE - SECOND) == NOW + FIRST_PAUSE
    assert resting_until(state, NOW + FIRST_PAUSE) is None


def test_what_was_in_flight_when_the_pause_began_does_not_lengthen_it() -> None:
    state = after_failures(FAILURES_BEFORE_PAUSE + 30)
    assert (state.failures, state.pauses) == (35, 1)
    assert state.paused_until == NOW + FIRST_PAUSE


def test_each_probe_that_fails_doubles_the_pause_up_to_a_day() -> None:
    state, at, pauses = after_failures(FAILURES_BEFORE_PAUSE), NOW, []
    for _ in range(13):
        assert state.paused_until is not None
        pauses.append(state.paused_until - at)
        at = state.paused_until
        note_failure(state, REFUSED, at)
    minutes = [pause // timedelta(minutes=1) for pause in pauses]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440]


def test_a_number_of_pauses_that_nobody_has_seen_is_a_day_too() -> None:
    state = EndpointState(failures=9, pauses=100_000)
    note_failure(state, REFUSED, NOW)
    assert state.paused_until == NOW + LONGEST_PAUSE


def test_a_failure_ends_the_probe_so_that_another_may_begin() -> None:
    state = EndpointState(probe_until=NOW + SECOND)
    note_failure(state, REFUSED, NOW)
    assert state.probe_until is None


def test_the_last_error_is_kept_and_since_when_it_fails() -> None:
    state = after_failures(1)
    note_failure(state, Report(taken=False, error="It answered 503."), NOW + SECOND)
    assert state.last_error == "It answered 503."
    assert state.failing_since == NOW


# What the receiver asks for


def test_a_receiver_that_asks_to_wait_is_left_alone_as_long() -> None:
    state = EndpointState()
    note_failure(state, Report(taken=False, error="429", asked=90.0), NOW)
    assert resting_until(state, NOW) == NOW + timedelta(seconds=90)
    assert state.pauses == 0


def test_a_shorter_wait_asked_for_later_does_not_shorten_the_longer_one() -> None:
    state = EndpointState()
    for asked in (90.0, 5.0):
        note_failure(state, Report(taken=False, error="429", asked=asked), NOW)
    assert state.asked_until == NOW + timedelta(seconds=90)


def test_a_longer_wait_asked_for_later_counts() -> None:
    state = EndpointState()
    for asked in (5.0, 90.0):
        note_failure(state, Report(taken=False, error="429", asked=asked), NOW)
    assert state.asked_until == NOW + timedelta(seconds=90)


def test_the_later_of_a_pause_and_what_was_asked_for_counts() -> None:
    state = EndpointState(paused_until=NOW + 5 * SECOND, asked_until=NOW + 9 * SECOND)
    assert resting_until(state, NOW) == NOW + 9 * SECOND
    assert resting_until(EndpointState(paused_until=NOW + SECOND, asked_until=NOW - SECOND), NOW) == NOW + SECOND


# Being disabled


@pytest.mark.parametrize(
    ("since", "for_good"),
    [(None, False), (NOW, False), (NOW - DISABLE_AFTER + SECOND, False), (NOW - DISABLE_AFTER, True)],
)
def test_what_has_failed_for_five_days_is_disabled(since: datetime | None, for_good: bool) -> None:
    assert has_failed_for_good(EndpointState(failing_since=since), NOW) is for_good


# Rates


def used(rate: Rate, ready_at: datetime | None, at: datetime, number: int) -> datetime:
    return rate.start(ready_at, at) + number * rate.interval


@pytest.mark.parametrize(("count", "burst"), [(1, 1), (9, 1), (10, 1), (20, 2), (100, 10), (6000, 600)])
def test_a_tenth_of_a_rate_may_be_saved_up(count: int, burst: int) -> None:
    assert Rate(count, 60).burst == burst


def test_a_rate_that_was_never_used_lets_its_burst_go() -> None:
    assert Rate(100, 60).fitting(None, NOW) == 10
    assert Rate(1, 60).fitting(None, NOW) == 1


def test_what_was_used_is_not_there_again_at_once() -> None:
    rate = Rate(100, 60)
    assert rate.fitting(used(rate, None, NOW, 10), NOW) == 0
    assert rate.fitting(used(rate, None, NOW, 4), NOW) == 6


def test_one_more_fits_after_each_interval() -> None:
    rate = Rate(100, 60)
    ready_at = used(rate, None, NOW, 10)
    fitting = [rate.fitting(ready_at, NOW + number * rate.interval) for number in range(4)]
    assert fitting == [0, 1, 2, 3]


def test_no_more_than_the_burst_is_ever_saved_up() -> None:
    rate = Rate(100, 60)
    assert rate.fitting(used(rate, None, NOW, 10), NOW + timedelta(days=1)) == 10


@pytest.mark.parametrize(("count", "seconds"), [(1, 1), (3, 10), (10, 1), (60, 60), (100, 7), (1000, 3600)])
def test_no_window_has_more_than_its_count_however_greedy_the_workers(count: int, seconds: int) -> None:
    rate, step = Rate(count, seconds), timedelta(seconds=seconds) / 97
    ready_at: datetime | None = None
    sent: dict[datetime, int] = {}
    for look in range(400):
        at = NOW + look * step
        fitting = rate.fitting(ready_at, at)
        if fitting:
            ready_at = used(rate, ready_at, at, fitting)
            sent[at] = fitting
    # A thousandth of a second less, because moments and intervals are whole microseconds.
    window = timedelta(seconds=seconds) - timedelta(milliseconds=1)
    most = max(sum(sent[at] for at in sent if first <= at < first + window) for first in sent)
    assert most <= count
    assert sum(sent.values()) >= count * 3, "the rate is used"


def test_a_moment_of_another_rate_or_clock_is_not_believed() -> None:
    rate = Rate(100, 60)
    latest = NOW + rate.burst * rate.interval + FOREIGN
    assert rate.own(latest, NOW) == latest
    assert rate.own(latest + SECOND, NOW) is None
    assert rate.fitting(latest + timedelta(days=30), NOW) == 10


def test_how_long_to_wait_for_the_next_one() -> None:
    rate = Rate(100, 60)
    ready_at = used(rate, None, NOW, 10)
    assert rate.seconds_until_one_fits(ready_at, NOW) == pytest.approx(rate.interval.total_seconds())
    assert rate.seconds_until_one_fits(ready_at, NOW + 2 * rate.interval) == 0


def test_after_that_wait_one_fits() -> None:
    for rate in (Rate(1, 10), Rate(7, 3), Rate(100, 60)):
        ready_at = used(rate, None, NOW, rate.burst)
        wait = timedelta(seconds=rate.seconds_until_one_fits(ready_at, NOW))
        assert rate.fitting(ready_at, NOW + wait + timedelta(microseconds=2)) == 1


def test_a_rate_that_holds_nothing_back_tells_no_wait() -> None:
    assert Rate(100, 60).seconds_until_one_fits(None, NOW) == math.inf
    assert Rate(100, 60).seconds_until_one_fits(NOW + timedelta(days=9), NOW) == math.inf


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 2**31 - 1), st.integers(1, 31_622_400), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_any_rate_lets_some_go_and_then_tells_when_the_next_may(count: int, seconds: int, later: timedelta) -> None:
    # Of millions in a second no clock can measure one; a sender that divides by that serves nobody at all.
    rate = Rate(count, seconds)
    assert 1 <= rate.burst <= count
    assert rate.fitting(None, NOW) == rate.burst
    ready_at = used(rate, None, NOW, rate.burst)
    assert 0 <= rate.fitting(ready_at, NOW + later) <= rate.burst
    wait = rate.seconds_until_one_fits(ready_at, NOW)
    assert 0 <= wait <= seconds
    assert rate.fitting(ready_at, NOW + timedelta(seconds=wait) + 2 * timedelta.resolution) >= 1


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.sampled_from([1.0, 30.0, 3_600.0, 200_000.0]), min_size=1, max_size=40))
def test_an_endpoint_that_goes_on_failing_rests_longer_up_to_a_day(gaps: list[float]) -> None:
    state, now, rests = EndpointState(), NOW, []
    for gap in gaps:
        now += timedelta(seconds=gap)
        before = resting_until(state, now)
        note_failure(state, REFUSED, now)
        until = resting_until(state, now)
        # What was in flight when it began to rest neither ends that nor makes it longer.
        if before is not None:
            assert until == before
        elif until is not None:
            rests.append(until - now)
    assert state.failures == len(gaps)
    assert (state.failing_since, state.last_error) == (NOW + timedelta(seconds=gaps[0]), REFUSED.error)
    assert rests == [min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(len(rests))]
    assert bool(rests) == (len(gaps) >= FAILURES_BEFORE_PAUSE)

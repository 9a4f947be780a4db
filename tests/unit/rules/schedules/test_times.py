"""The times of schedules that come every so often: by plain choices and cron texts, over changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.rules.schedules.kinds import problems
from rules_engine.rules.schedules.times import cron_problem, last_time, next_times, times_between
from rules_engine.types import RuleSpec
from tests.examples import examples

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)  # a Wednesday


def every(zone: str = "UTC", **choice: Any) -> dict[str, Any]:
    return {"kind": "every", "zone": zone, **choice}


def shown(schedule: dict[str, Any], after: datetime, count: int = 3) -> list[str]:
    zone = ZoneInfo(schedule["zone"])
    return [at.astimezone(zone).strftime("%Y-%m-%d %H:%M") for at in next_times(schedule, after, count)]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"each": "day", "at": "08:00"}, ["2026-05-07 08:00", "2026-05-08 08:00", "2026-05-09 08:00"]),
        ({"each": "day", "at": "12:01"}, ["2026-05-06 12:01", "2026-05-07 12:01", "2026-05-08 12:01"]),
        ({"each": "day", "at": "12:00"}, ["2026-05-07 12:00", "2026-05-08 12:00", "2026-05-09 12:00"]),
        (
            {"each": "day", "step": 2, "since": "2026-05-01"},
            ["2026-05-07 00:00", "2026-05-09 00:00", "2026-05-11 00:00"],
        ),
        ({"each": "weekday", "at": "08:00"}, ["2026-05-07 08:00", "2026-05-08 08:00", "2026-05-11 08:00"]),
        (
            {"each": "weekday", "at": "08:00", "holidays": "DE"},
            ["2026-05-07 08:00", "2026-05-08 08:00", "2026-05-11 08:00"],
        ),
        ({"each": "week", "at": "09:30"}, ["2026-05-11 09:30", "2026-05-18 09:30", "2026-05-25 09:30"]),
        ({"each": "week", "day": 7}, ["2026-05-10 00:00", "2026-05-17 00:00", "2026-05-24 00:00"]),
        (
            {"each": "week", "step": 2, "since": "2026-05-06"},
            ["2026-05-18 00:00", "2026-06-01 00:00", "2026-06-15 00:00"],
        ),
        (
            {"each": "week", "step": 2, "since": "2026-05-11"},
            ["2026-05-11 00:00", "2026-05-25 00:00", "2026-06-08 00:00"],
        ),
        ({"each": "month", "day": 5}, ["2026-06-05 00:00", "2026-07-05 00:00", "2026-08-05 00:00"]),
        (
            {"each": "month", "step": 3, "since": "2026-01-01"},
            ["2026-07-01 00:00", "2026-10-01 00:00", "2027-01-01 00:00"],
        ),
        ({"each": "month_end", "at": "23:00"}, ["2026-05-31 23:00", "2026-06-30 23:00", "2026-07-31 23:00"]),
        ({"each": "hour", "at": "00:15"}, ["2026-05-06 12:15", "2026-05-06 13:15", "2026-05-06 14:15"]),
        ({"each": "hour", "step": 6}, ["2026-05-06 18:00", "2026-05-07 00:00", "2026-05-07 06:00"]),
        ({"each": "day", "since": "2030-01-01"}, ["2030-01-01 00:00", "2030-01-02 00:00", "2030-01-03 00:00"]),
        ({"cron": "0 8 * * 1-5"}, ["2026-05-07 08:00", "2026-05-08 08:00", "2026-05-11 08:00"]),
        ({"cron": "0 0 L * *"}, ["2026-05-31 00:00", "2026-06-30 00:00", "2026-07-31 00:00"]),
    ],
)
def test_the_next_times_of_a_choice(choice: dict[str, Any], expected: list[str]) -> None:
    assert shown(every(**choice), NOON) == expected


def test_weekdays_leave_out_the_holidays_of_a_list() -> None:
    eve = datetime(2026, 4, 30, 12, tzinfo=UTC)
    assert shown(every(each="weekday", holidays="DE"), eve, 1) == ["2026-05-04 00:00"]
    assert shown(every(each="weekday"), eve, 1) == ["2026-05-01 00:00"]


@pytest.mark.parametrize("how", ["plain", "cron"])
@pytest.mark.parametrize(
    ("zone", "at", "day", "expected"),
    [
        # Skipped by the clocks: the first time after it.
        (BERLIN, "02:30", "2026-03-29", "2026-03-29 03:00"),
        (NEW_YORK, "02:30", "2026-03-08", "2026-03-08 03:00"),
        (LORD_HOWE, "02:15", "2026-10-04", "2026-10-04 02:30"),
        # There twice: the first.
        (BERLIN, "02:30", "2026-10-25", "2026-10-25 02:30"),
        (NEW_YORK, "01:30", "2026-11-01", "2026-11-01 01:30"),
        (LORD_HOWE, "01:45", "2026-04-05", "2026-04-05 01:45"),
    ],
)
def test_each_day_has_one_time_also_when_the_clocks_are_changed(
    how: str, zone: str, at: str, day: str, expected: str
) -> None:
    hour, minute = at.split(":")
    choice = {"each": "day", "at": at} if how == "plain" else {"cron": f"{int(minute)} {int(hour)} * * *"}
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    times = times_between(every(zone, **choice), begin.astimezone(UTC), (begin + timedelta(days=1)).astimezone(UTC), 9)
    assert [at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") for at in times] == [expected]
    assert times[0].astimezone(ZoneInfo(zone)).fold == 0


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
def test_each_hour_that_goes_by_has_its_time(zone: str) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = times_between(every(zone, each="hour", at="00:20"), begin, begin + timedelta(days=365), 10_000)
    assert len(times) == 365 * 24
    assert {after - before for before, after in pairwise(times)} == {timedelta(hours=1)}


def test_begun_in_an_hour_that_comes_twice_nothing_comes_again() -> None:
    second = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 02:15 in Berlin, for the second time
    for choice in ({"each": "day", "at": "02:30"}, {"cron": "30 2 * * *"}):
        assert shown(every(BERLIN, **choice), second, 1) == ["2026-10-26 02:30"]


CHOICES = st.one_of(
    st.fixed_dictionaries(
        {"each": st.sampled_from(["day", "weekday", "week", "month", "month_end"])},
        optional={"at": st.sampled_from(["00:00", "01:45", "02:30", "18:00"]), "step": st.just(1)},
    ),
    st.fixed_dictionaries({"each": st.just("hour"), "step": st.sampled_from([1, 2, 6])}),
    st.fixed_dictionaries({"cron": st.sampled_from(["0 8 * * 1-5", "30 2 * * *", "0 */6 * * *", "15 4 1 * *"])}),
)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=examples(150), deadline=None)
@given(CHOICES, st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE]), MOMENTS)
def test_times_go_on_and_none_is_lost_wherever_one_begins(choice: dict[str, Any], zone: str, after: datetime) -> None:
    schedule = every(zone, **choice)
    times = next_times(schedule, after, 6)
    assert times == sorted(set(times))
    assert times[0] > after
    # Whoever looks again from any of them, or just before it, sees the same.
    for number, at in enumerate(times):
        assert next_times(schedule, at, 5 - number) == times[number + 1 :]
        assert next_times(schedule, at - timedelta(microseconds=1), 1) == [at]
    assert times_between(schedule, after, times[-1], 99) == times
    assert last_time(schedule, after, times[-1]) == times[-1]
    assert last_time(schedule, after, times[-1] - timedelta(seconds=1)) == times[-2]
    assert last_time(schedule, after, times[0] - timedelta(microseconds=1)) is None


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "0 0 31 2 *", "@daily", "x", 5, None, "*/0 * * * *"],
)
def test_a_cron_text_that_cannot_be_read_is_a_problem(text: Any) -> None:
    assert cron_problem(text)
    rule = RuleSpec(slug="r", schedule={"kind": "every", "cron": text})
    assert [problem.pointer for problem in problems(rule)] == ["/schedule/cron"]


@pytest.mark.parametrize(
    ("choice", "pointer"),
    [
        ({"cron": "0 8 * * *", "at": "08:00"}, "/at"),
        ({"cron": "0 8 * * *", "step": 2}, "/step"),
        ({"each": "hour", "step": 5}, "/step"),
        ({"each": "weekday", "step": 2}, "/step"),
        ({"each": "day", "since": "6.5.2031"}, "/since"),
        ({"each": "day", "since": "20310506"}, "/since"),
        ({"each": "day", "holidays": "DE"}, "/holidays"),
        ({"each": "weekday", "holidays": "Germany!"}, "/holidays"),
        ({"each": "weekday", "holidays": 49}, "/holidays"),
    ],
)
def test_what_does_not_go_together_is_said(choice: dict[str, Any], pointer: str) -> None:
    found = problems(RuleSpec(slug="r", schedule={"kind": "every", **choice}))
    assert [problem.pointer for problem in found] == [f"/schedule{pointer}"]


@pytest.mark.parametrize("step", [1, 2])
def test_hours_begin_on_the_first_day_that_counts(step: int) -> None:
    schedule = every(BERLIN, each="hour", step=step, since="2026-12-24")
    assert shown(schedule, NOON, 2) == ["2026-12-24 00:00", f"2026-12-24 0{step}:00"]
    assert last_time(schedule, NOON, NOON + timedelta(days=30)) is None


def test_hours_go_on_when_the_first_day_has_passed() -> None:
    assert shown(every(each="hour", step=2, since="2026-05-01"), NOON, 2) == ["2026-05-06 14:00", "2026-05-06 16:00"]


def test_a_first_day_that_is_far_away_is_found_without_a_walk() -> None:
    schedule = every(each="day", step=3, since="9000-01-01")
    assert shown(schedule, NOON, 2) == ["9000-01-01 00:00", "9000-01-04 00:00"]
    assert times_between(schedule, NOON, NOON + timedelta(days=9), 5) == []


def test_a_step_of_very_many_digits_is_a_problem() -> None:
    assert cron_problem(f"*/{'9' * 5_000} * * * *")

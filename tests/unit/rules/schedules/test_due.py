"""When a date makes a rule due, and its inverse: for dates and moments, in three zones, over changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules_engine.rules.schedules.days import countries, shifted
from rules_engine.rules.schedules.due import due_of, windows
from tests.examples import examples

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
ZONES = (BERLIN, NEW_YORK, LORD_HOWE)


def schedule(count: int, unit: str, direction: str = "before", **others: Any) -> dict[str, Any]:
    return {"kind": "date", "path": "instance.x", "count": count, "unit": unit, "direction": direction, **others}


def wall(zone: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def shown(at: datetime | None, zone: str) -> str:
    assert at is not None
    return at.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")


def test_before_is_before_and_after_is_after() -> None:
    # paperless had the sign wrong for months: what was to come before the date came after it.
    starts = datetime(2031, 5, 6, 10, 30, tzinfo=UTC)
    assert due_of(starts, schedule(3, "days", "before", zone="UTC")) == datetime(2031, 5, 3, 10, 30, tzinfo=UTC)
    assert due_of(starts, schedule(3, "days", "after", zone="UTC")) == datetime(2031, 5, 9, 10, 30, tzinfo=UTC)
    assert due_of(starts, schedule(90, "minutes", "before")) == datetime(2031, 5, 6, 9, tzinfo=UTC)
    assert due_of(starts, schedule(2, "hours", "after")) == datetime(2031, 5, 6, 12, 30, tzinfo=UTC)


def test_it_is_due_at_any_time_of_day_and_not_at_midnight_alone() -> None:
    # Frappe and erpnext look once a day: what is due at ten past four in the afternoon waits for the night.
    assert shown(due_of(date(2031, 5, 6), schedule(1, "days", at="16:10", zone=BERLIN)), BERLIN) == (
        "2031-05-05T16:10+02:00"
    )


def test_a_date_without_a_time_begins_at_midnight_in_its_zone() -> None:
    for zone, at in zip(ZONES, ("22:00", "04:00", "13:30"), strict=True):
        due = due_of(date(2031, 5, 6), schedule(0, "days", zone=zone))
        assert due is not None
        assert due.strftime("%H:%M") == at


def test_days_are_those_of_its_zone() -> None:
    late = wall(BERLIN, "2031-05-06T00:30")
    assert shown(due_of(late, schedule(1, "days", at="18:00", zone=BERLIN)), BERLIN) == "2031-05-05T18:00+02:00"
    assert shown(due_of(late, schedule(1, "days", at="18:00", zone=NEW_YORK)), NEW_YORK) == "2031-05-04T18:00-04:00"


@pytest.mark.parametrize(
    ("zone", "value", "expected"),
    [
        # The clocks skip that time: the first that there is after it.
        (BERLIN, "2026-03-28T02:30", "2026-03-29T03:00+02:00"),
        (NEW_YORK, "2026-03-07T02:01", "2026-03-08T03:00-04:00"),
        (LORD_HOWE, "2026-10-03T02:15", "2026-10-04T02:30+11:00"),
        # It comes twice: the first.
        (BERLIN, "2026-10-24T02:30", "2026-10-25T02:30+02:00"),
        (NEW_YORK, "2026-10-31T01:30", "2026-11-01T01:30-04:00"),
        (LORD_HOWE, "2026-04-04T01:45", "2026-04-05T01:45+11:00"),
        # A day is as long as it is there, and not 24 hours.
        (BERLIN, "2026-03-28T12:00", "2026-03-29T12:00+02:00"),
        (LORD_HOWE, "2026-10-03T23:00", "2026-10-04T23:00+11:00"),
    ],
)
def test_a_day_over_a_change_of_the_clocks(zone: str, value: str, expected: str) -> None:
    assert shown(due_of(wall(zone, value), schedule(1, "days", "after", zone=zone)), zone) == expected


def test_hours_are_counted_as_they_go_by() -> None:
    before = wall(BERLIN, "2026-03-29T01:30")
    assert shown(due_of(before, schedule(1, "hours", "after", zone=BERLIN)), BERLIN) == "2026-03-29T03:30+02:00"


@pytest.mark.parametrize(
    ("value", "count", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
        (date(2026, 5, 6), 120, date(2036, 5, 6)),
    ],
)
def test_a_day_that_a_month_lacks_is_its_last(value: date, count: int, expected: date) -> None:
    assert shifted(value, count, "months") == expected


@pytest.mark.parametrize(
    ("value", "count", "holidays", "expected"),
    [
        ("2026-05-08", 1, None, "2026-05-11"),
        ("2026-05-09", 1, None, "2026-05-11"),
        ("2026-05-11", -1, None, "2026-05-08"),
        ("2026-05-09", 0, None, "2026-05-11"),
        ("2026-04-30", 1, "DE", "2026-05-04"),
        ("2026-04-30", 1, None, "2026-05-01"),
        # Epiphany is a holiday in Bavaria, and none in Berlin.
        ("2026-01-05", 1, "DE-BY", "2026-01-07"),
        ("2026-01-05", 1, "DE-BE", "2026-01-06"),
        # Christmas, and a weekend before.
        ("2026-12-23", 2, "DE", "2026-12-28"),
    ],
)
def test_business_days_leave_out_weekends_and_holidays(
    value: str, count: int, holidays: str | None, expected: str
) -> None:
    others = {} if holidays is None else {"holidays": holidays}
    direction = "before" if count < 0 else "after"
    due = due_of(date.fromisoformat(value), schedule(abs(count), "business_days", direction, zone="UTC", **others))
    assert due == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_business_days_before_a_day_that_is_none() -> None:
    assert due_of(date(2026, 5, 10), schedule(0, "business_days", "before", zone="UTC")) == datetime(
        2026, 5, 8, tzinfo=UTC
    )


def test_there_are_lists_of_countries_and_of_their_parts() -> None:
    assert {"DE", "DE-BY", "US-NY", "AU"} <= set(countries())


@pytest.mark.parametrize("value", [date.max, date.min, datetime.max.replace(tzinfo=UTC), None])
@pytest.mark.parametrize("unit", ["hours", "days", "months", "business_days"])
def test_what_leaves_the_calendar_is_never_due(value: Any, unit: str) -> None:
    direction = "before" if value is date.min else "after"
    assert due_of(value, schedule(60, unit, direction, zone=NEW_YORK)) is None


NEAR_A_CHANGE = st.sampled_from(
    [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1))]
)
MOMENTS = st.one_of(
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.builds(
        lambda day, minutes: day + timedelta(minutes=minutes), NEAR_A_CHANGE, st.integers(-4_000, 4_000)
    ),
)  # fmt: skip
SCHEDULES = st.builds(
    schedule,
    st.integers(0, 70),
    st.sampled_from(["minutes", "hours", "days", "business_days", "weeks", "months"]),
    st.sampled_from(["before", "after"]),
    zone=st.sampled_from([*ZONES, "UTC"]),
)
TIMES = st.sampled_from([None, "00:00", "02:15", "02:30", "18:00"])


def with_time(plan: dict[str, Any], at: str | None) -> dict[str, Any]:
    return plan if at is None or plan["unit"] in ("minutes", "hours") else {**plan, "at": at}


def is_inside(value: Any, plan: dict[str, Any], begin: datetime, end: datetime, *, of_days: bool) -> bool:
    return any(first <= value <= last for first, last in windows(begin, end, plan, of_days=of_days))


@settings(max_examples=examples(300), deadline=None)
@given(MOMENTS, SCHEDULES, TIMES, st.timedeltas(timedelta(), timedelta(days=3)), st.data())
def test_no_moment_that_is_due_lies_outside_of_the_windows(
    value: datetime, plan: dict[str, Any], at: str | None, length: timedelta, data: st.DataObject
) -> None:
    plan = with_time(plan, at)
    due = due_of(value, plan)
    assert due is not None
    begin = due - data.draw(st.timedeltas(timedelta(), length))
    assert is_inside(value, plan, begin, begin + length, of_days=False)


@settings(max_examples=examples(300), deadline=None)
@given(st.dates(date(2025, 1, 1), date(2028, 1, 1)), SCHEDULES, TIMES, st.timedeltas(timedelta(), timedelta(days=40)))
def test_the_dates_in_the_windows_are_just_those_that_are_due(
    value: date, plan: dict[str, Any], at: str | None, length: timedelta
) -> None:
    plan = with_time(plan, at)
    due = due_of(value, plan)
    assert due is not None
    for begin in (due, due - length, due + timedelta(seconds=1), due - length - timedelta(seconds=1)):
        expected = begin <= due <= begin + length
        assert is_inside(value, plan, begin, begin + length, of_days=True) == expected


@settings(max_examples=examples(150), deadline=None)
@example(datetime(2026, 3, 29, tzinfo=UTC), schedule(0, "days", "before", zone=BERLIN), None)
@given(MOMENTS, SCHEDULES, TIMES)
def test_windows_hold_nothing_else_but_around_changes_of_the_clocks(
    begin: datetime, plan: dict[str, Any], at: str | None
) -> None:
    plan = with_time(plan, at)
    # Windows begin and end with days of the zone, and a day more where clocks change within: by an hour at the most.
    end, around = begin + timedelta(hours=30), timedelta(days=2, hours=1)
    for first, last in windows(begin, end, plan, of_days=False):
        for value in (first, first + (last - first) / 2, last):
            due = due_of(value, plan)
            assert due is not None
            assert begin - around <= due <= end + around


@settings(max_examples=examples(100), deadline=None)
@given(st.dates(date(2025, 1, 1), date(2028, 1, 1)), SCHEDULES)
def test_a_later_day_is_not_due_earlier(value: date, plan: dict[str, Any]) -> None:
    due, later = due_of(value, plan), due_of(value + timedelta(days=1), plan)
    assert due is not None
    assert later is not None
    assert due <= later


def test_an_empty_time_has_no_windows() -> None:
    now = datetime(2031, 5, 6, tzinfo=UTC)
    assert windows(now, now - timedelta(seconds=1), schedule(1, "days", zone="UTC"), of_days=True) == []


def test_no_date_is_looked_for_but_when_its_time_of_day_comes() -> None:
    # The look of a minute in which it is not six is no query at all.
    plan = schedule(1, "days", at="18:00", zone=BERLIN)
    noon = datetime(2031, 5, 6, 10, tzinfo=UTC)
    assert windows(noon, noon + timedelta(minutes=10), plan, of_days=False) == []
    assert len(windows(noon, noon + timedelta(hours=10), plan, of_days=False)) == 1

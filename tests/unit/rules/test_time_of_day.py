"""A time of day in a time zone: which moment it is, where clocks skip it or show it twice, and which comes next."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.rules.schedules.time_of_day import next_moment, time_of, zone_names, zone_of
from tests.examples import examples

BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
#: Zones that change their clocks by an hour, by half an hour, at midnight, and never; and one that left out a day.
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Pacific/Apia",
)

moments = st.integers(2**30, 2**31).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
times = st.times().map(lambda at: at.replace(second=0, microsecond=0, tzinfo=None))
zones = st.sampled_from(ZONES).map(ZoneInfo)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["00:00", "08:05", "18:00", "23:59"])
def test_a_time_of_day_is_two_digits_twice(text: str) -> None:
    at = time_of(text)
    assert at is not None
    assert at.strftime("%H:%M") == text


@pytest.mark.parametrize(
    "text", ["", "8:00", "24:00", "18:60", "18:00:00", " 18:00", "18:00\n", "6pm", "１８:00", None, 18, []]
)
def test_what_says_no_time_of_day_is_none(text: object) -> None:
    assert time_of(text) is None


@pytest.mark.parametrize(
    "name", ["", "Berlin", "europe/berlin", "../etc/passwd", "/etc/localtime", "Europe", None, 1, []]
)
def test_what_names_no_time_zone_is_none(name: object) -> None:
    assert zone_of(name) is None


def test_zones_are_known_by_their_names() -> None:
    assert zone_of("Europe/Berlin") == BERLIN
    assert "America/New_York" in zone_names()


@pytest.mark.parametrize(
    ("day", "at", "zone", "moment"),
    [
        (date(2031, 1, 15), time(18), BERLIN, "2031-01-15 17:00"),
        (date(2031, 7, 15), time(18), BERLIN, "2031-07-15 16:00"),
        # Skipped: the moment at which clocks go on from what came before.
        (date(2031, 3, 30), time(2, 30), BERLIN, "2031-03-30 01:00"),
        (date(2031, 3, 9), time(2, 0), NEW_YORK, "2031-03-09 07:00"),
        (date(2031, 10, 5), time(2, 15), LORD_HOWE, "2031-10-04 15:30"),
        # Twice: the first.
        (date(2031, 10, 26), time(2, 30), BERLIN, "2031-10-26 00:30"),
        (date(2031, 11, 2), time(1, 30), NEW_YORK, "2031-11-02 05:30"),
        (date(2031, 4, 6), time(1, 45), LORD_HOWE, "2031-04-05 14:45"),
    ],
)
def test_a_time_of_a_day_is_one_moment(day: date, at: time, zone: ZoneInfo, moment: str) -> None:
    begin = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
    assert next_moment(begin, at, zone) == utc(moment)


@pytest.mark.parametrize(
    ("since", "at", "moment"),
    [
        ("2031-01-15 16:59:59", time(18), "2031-01-15 17:00"),
        ("2031-01-15 17:00:00", time(18), "2031-01-15 17:00"),
        ("2031-01-15 17:00:01", time(18), "2031-01-16 17:00"),
        # Between the two that clocks show it is over for that day.
        ("2031-10-26 00:31:00", time(2, 30), "2031-10-27 01:30"),
        # The night in which it is skipped has one all the same, and the next its own.
        ("2031-03-30 00:59:00", time(2, 30), "2031-03-30 01:00"),
        ("2031-03-30 01:00:01", time(2, 30), "2031-03-31 00:30"),
    ],
)
def test_the_next_time_of_day_is_not_before(since: str, at: time, moment: str) -> None:
    assert next_moment(utc(since), at, BERLIN) == utc(moment)


@settings(max_examples=examples(300), deadline=None)
@given(moments, times, zones)
def test_the_next_time_comes_within_two_days_and_is_its_own_next(since: datetime, at: time, zone: ZoneInfo) -> None:
    moment = next_moment(since, at, zone)
    assert since <= moment <= since + timedelta(hours=49)
    assert next_moment(moment, at, zone) == moment


@settings(max_examples=examples(300), deadline=None)
@given(moments, times, zones)
def test_clocks_show_the_time_then_or_have_just_skipped_it(since: datetime, at: time, zone: ZoneInfo) -> None:
    moment = next_moment(since, at, zone)
    shown = moment.astimezone(zone)
    before = (moment - timedelta(seconds=1)).astimezone(zone)
    is_skipped = before.utcoffset() != shown.utcoffset()
    assert shown.time() == at or is_skipped


@settings(max_examples=examples(200), deadline=None)
@given(moments, times, zones)
def test_a_year_of_times_has_one_for_each_day(since: datetime, at: time, zone: ZoneInfo) -> None:
    found, moment = [], since
    for _day in range(40):
        moment = next_moment(moment, at, zone)
        found.append(moment)
        moment += timedelta(seconds=1)
    steps = [later - earlier for earlier, later in pairwise(found)]
    # A day of which clocks skip the whole, as Samoa's 30 December 2011 was, is told of by the moment it is skipped at.
    assert all(timedelta(0) < step <= timedelta(hours=25) for step in steps)

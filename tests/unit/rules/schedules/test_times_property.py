"""The times of plain choices, beside a reading of them that walks through every day with a calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import count, islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.rules.schedules.days import holiday_list, is_business_day, next_business_day, shifted
from rules_engine.rules.schedules.times import next_times
from tests.examples import examples

DAY = timedelta(days=1)
#: Moments around both changes of the clocks of one year.
CHANGES = st.datetimes(datetime(2025, 3, 25), datetime(2025, 11, 5))  # noqa: DTZ001
DATES = st.dates(date(2023, 1, 1), date(2028, 12, 31))


def is_one(day: date, choice: dict[str, Any]) -> bool:
    """Say plainly whether the choice means that day."""
    since = date.fromisoformat(choice.get("since") or "2024-01-01")
    step = choice.get("step", 1)
    if "since" in choice and day < since:
        return False
    match choice["each"]:
        case "day":
            steps = range((day - since).days % step, step)
            return 0 in steps
        case "weekday":
            return day.strftime("%a") not in ("Sat", "Sun")
        case "week":
            # Weeks as the ISO calendar has them, whose Mondays are whole weeks apart.
            mondays = [date.fromisocalendar(*each.isocalendar()[:2], 1) for each in (since, day)]
            return day.isoweekday() == choice.get("day", 1) and (mondays[1] - mondays[0]).days % (7 * step) == 0
        case "month":
            is_day = day.day == choice.get("day", 1)
        case _:
            is_day = (day + DAY).day == 1
    return is_day and ((day.year - since.year) * 12 + day.month - since.month) % step == 0


STEPS = st.sampled_from([1, 2, 3, 5, 7, 12])
SINCE = st.none() | DATES.map(date.isoformat)
CHOICES = st.one_of(
    st.builds(lambda step, since: {"each": "day", "step": step, "since": since}, STEPS, SINCE),
    st.builds(lambda since: {"each": "weekday", "since": since}, SINCE),
    st.builds(
        lambda day, step, since: {"each": "week", "day": day, "step": step, "since": since},
        st.integers(1, 7),
        STEPS,
        SINCE,
    ),
    st.builds(
        lambda day, step, since: {"each": "month", "day": day, "step": step, "since": since},
        st.integers(1, 28),
        STEPS,
        SINCE,
    ),
    st.builds(lambda step, since: {"each": "month_end", "step": step, "since": since}, STEPS, SINCE),
).map(lambda choice: {key: value for key, value in choice.items() if value is not None})


@settings(max_examples=examples(80), deadline=None)
@given(CHOICES, st.times(), DATES, st.times())
def test_a_choice_comes_on_just_the_days_that_it_says(choice: dict[str, Any], at: time, begin: date, now: time) -> None:
    at = at.replace(second=0, microsecond=0)
    schedule = {"kind": "every", "zone": "UTC", "at": f"{at:%H:%M}", **choice}
    after = datetime.combine(begin, now, tzinfo=UTC)
    days = (begin + DAY * number for number in count())
    due = (datetime.combine(day, at, tzinfo=UTC) for day in days if is_one(day, choice))
    assert next_times(schedule, after, 4) == list(islice((moment for moment in due if moment > after), 4))


@settings(max_examples=examples(60), deadline=None)
@given(
    st.sampled_from([1, 2, 3, 4, 6, 8, 12]),
    st.integers(0, 59),
    CHANGES,
)
def test_hours_come_by_the_clock_of_their_zone(step: int, minute: int, begin: datetime) -> None:
    zone = ZoneInfo("Europe/Berlin")
    after = begin.replace(tzinfo=UTC)
    schedule = {"kind": "every", "zone": "Europe/Berlin", "each": "hour", "at": f"00:{minute:02}", "step": step}
    # Plainly: each minute that goes by, and what the clocks show then.
    first = after.replace(second=0, microsecond=0)
    minutes = (first + timedelta(minutes=number) for number in range(1, 3 * 24 * 60))
    shown = ((moment, moment.astimezone(zone)) for moment in minutes)
    due = (m for m, wall in shown if wall.minute == minute and (step == 1 or (wall.hour % step == 0 and not wall.fold)))
    assert next_times(schedule, after, 3) == list(islice(due, 3))


# Days counted


@settings(max_examples=examples(80), deadline=None)
@given(DATES, st.integers(-40, 40), st.sets(DATES, max_size=5), st.booleans())
def test_business_days_are_counted_as_people_do(day: date, number: int, off: set[date], is_before: bool) -> None:
    landed = shifted(day, number, "business_days", off, is_before=is_before)
    assert is_business_day(landed, off)
    first, last = min(day, landed), max(day, landed)
    between = [first + DAY * step for step in range((last - first).days + 1)]
    worked = [each for each in between if each.weekday() < 5 and each not in off and each != day]
    if number:
        assert len(worked) == abs(number)
        assert (landed > day) == (number > 0)
    else:
        # The day itself where it is one; else the nearest on the side that is asked for.
        assert len(worked) == (0 if is_business_day(day, off) else 1)
        assert landed <= day if is_before else landed >= day


@settings(max_examples=examples(80), deadline=None)
@given(DATES, st.integers(-60, 60))
def test_months_keep_their_day_or_end(day: date, months: int) -> None:
    landed = shifted(day, months, "months")
    assert (landed.year * 12 + landed.month) - (day.year * 12 + day.month) == months
    assert landed.day == day.day or ((landed + DAY).day == 1 and landed.day < day.day)
    assert shifted(day, months, "weeks") - day == timedelta(weeks=months)
    assert shifted(day, months, "days") - day == timedelta(days=months)


@pytest.mark.parametrize(
    ("day", "number", "unit"),
    [
        (date(9999, 12, 31), 1, "days"),
        (date(9999, 12, 1), 1, "months"),
        (date(1, 1, 31), -1, "months"),
        (date(1, 1, 1), -1, "weeks"),
        (date(9999, 12, 31), 1, "business_days"),
        (date(2026, 1, 1), 200_000, "months"),
    ],
)
def test_at_the_end_of_the_calendar_there_is_no_further_day(day: date, number: int, unit: str) -> None:
    with pytest.raises((OverflowError, ValueError)):
        shifted(day, number, unit)


def test_a_list_without_an_end_of_holidays_ends_the_search_all_the_same() -> None:
    class Always:
        def __contains__(self, _day: object) -> bool:
            return True

    begin = date(2026, 5, 6)
    assert next_business_day(begin, 1, Always()) == begin + 60 * DAY
    assert next_business_day(begin, -1, Always()) == begin - 60 * DAY


@pytest.mark.parametrize("code", ["XX", "DE-XX", "", "de", "DE-BY-X", "DE_BY"])
def test_holidays_that_nobody_lists_are_not_found(code: str) -> None:
    with pytest.raises(LookupError):
        holiday_list(code)


@pytest.mark.parametrize(
    ("code", "day", "is_off"),
    [
        ("DE", date(2026, 10, 3), True),
        ("DE", date(2026, 11, 1), False),
        ("DE-BY", date(2026, 11, 1), True),
        ("US", date(2026, 7, 3), True),
        ("US", date(2026, 7, 5), False),
    ],
)
def test_a_part_of_a_country_has_holidays_of_its_own(code: str, day: date, is_off: bool) -> None:
    assert (day in holiday_list(code)) is is_off

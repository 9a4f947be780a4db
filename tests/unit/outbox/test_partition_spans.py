"""Partitions by time: where the first ends, and which are missing ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.databases.partitions import Partition, first_key, moment
from rules_engine.outbox.partitions import _boundary, _missing
from tests.examples import examples

MONDAY = datetime(2031, 5, 5, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)


def partition(low: datetime | None, high: datetime | None, **more: bool) -> Partition:
    return Partition("p", low and first_key(low), high and first_key(high), **more)


def missing(known: list[Partition], ahead: int, now: datetime, span: timedelta = WEEK) -> list[tuple[datetime, ...]]:
    return [(moment(low), moment(high)) for low, high in _missing(known, ahead, span, now)]


@pytest.mark.parametrize(
    ("after", "days", "boundary"),
    [
        (MONDAY, 7, MONDAY + WEEK),
        (MONDAY - timedelta(microseconds=1), 7, MONDAY),
        (MONDAY + 6 * DAY, 7, MONDAY + WEEK),
        (MONDAY + timedelta(hours=5), 1, MONDAY + DAY),
        (datetime(2024, 1, 1, tzinfo=UTC), 30, datetime(2024, 1, 31, tzinfo=UTC)),
    ],
)
def test_partitions_of_a_week_begin_on_mondays(after: datetime, days: int, boundary: datetime) -> None:
    assert _boundary(after, days) == boundary


@pytest.mark.parametrize(
    ("known", "ahead", "expected"),
    [
        ([], 2, []),
        # Only what takes all the rest: no table of ours, so nothing is put before it.
        ([partition(None, None, is_rest=True)], 2, []),
        ([partition(None, MONDAY)], 2, [(MONDAY, MONDAY + WEEK), (MONDAY + WEEK, MONDAY + 2 * WEEK)]),
        ([partition(None, MONDAY), partition(None, None, is_rest=True)], 1, [(MONDAY, MONDAY + WEEK)]),
        ([partition(None, MONDAY)], 0, []),
        ([partition(None, MONDAY), partition(MONDAY, MONDAY + WEEK)], 1, []),
        # As long as the last one, whatever is asked for.
        (
            [partition(MONDAY - DAY, MONDAY)],
            2,
            [(MONDAY, MONDAY + DAY), (MONDAY + DAY, MONDAY + 2 * DAY)],
        ),
    ],
)
def test_so_many_partitions_are_made_ahead(
    known: list[Partition], ahead: int, expected: list[tuple[datetime, ...]]
) -> None:
    assert missing(known, ahead, MONDAY) == expected


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 400), st.integers(0, 6), st.integers(1, 30))
def test_after_any_standstill_no_moment_is_without_a_partition(late: int, ahead: int, days: int) -> None:
    span, now = timedelta(days=days), MONDAY + timedelta(days=late)
    made = missing([partition(None, MONDAY)], ahead, now, span)
    ends = [MONDAY, *(high for _low, high in made)]
    assert [low for low, _high in made] == ends[:-1]
    assert now + ahead * span <= ends[-1] < max(now + (ahead + 1) * span, MONDAY + DAY)


@pytest.mark.parametrize("at", [datetime(1969, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)])
def test_before_there_were_clocks_the_first_key_is_the_least(at: datetime) -> None:
    assert first_key(at) == UUID(int=0)


def test_a_key_says_when_its_row_is_from_to_the_millisecond() -> None:
    then = MONDAY + timedelta(milliseconds=123)
    assert moment(first_key(then)) == then
    assert first_key(then) < first_key(then + timedelta(milliseconds=1))
    assert first_key(then) == first_key(then + timedelta(microseconds=999))

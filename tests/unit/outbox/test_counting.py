"""So many matches in so long: which of them act together, which are too old, and which wait for more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.outbox.counting import Happened, counted
from tests.examples import examples

START = datetime(2031, 5, 6, tzinfo=UTC)
WINDOW = timedelta(seconds=10)


def at(*seconds: int) -> list[Happened]:
    return [(START + timedelta(seconds=second), number) for number, second in enumerate(seconds)]


def numbers(happened: list[Happened]) -> list[int]:
    return [number for _at, number in happened]


@pytest.mark.parametrize(
    ("seconds", "now", "groups", "over", "waiting"),
    [
        ((), 0, [], [], []),
        ((0, 1), 1, [], [], [0, 1]),
        ((0, 1, 2), 2, [[0, 1, 2]], [], []),
        # A group is used up: the next begins with what comes after it.
        ((0, 1, 2, 3), 3, [[0, 1, 2]], [], [3]),
        ((0, 1, 2, 3, 4, 5), 5, [[0, 1, 2], [3, 4, 5]], [], []),
        # The window's ends belong to it.
        ((0, 5, 10), 10, [[0, 1, 2]], [], []),
        ((0, 5, 11), 11, [], [0], [1, 2]),
        ((0, 5, 11, 12), 12, [[1, 2, 3]], [0], []),
        # What is too old by now is over, and what is just as old as the window is not.
        ((0, 1), 10, [], [], [0, 1]),
        ((0, 1), 11, [], [0], [1]),
        ((0, 1), 12, [], [0, 1], []),
        # However late a worker looks.
        ((0, 1, 2), 86_400, [[0, 1, 2]], [], []),
        ((0, 20, 40, 41, 42), 42, [[2, 3, 4]], [0, 1], []),
    ],
)
def test_matches_within_the_window_act_together(
    seconds: tuple[int, ...], now: int, groups: list[list[int]], over: list[int], waiting: list[int]
) -> None:
    came = counted(at(*seconds), 3, WINDOW, START + timedelta(seconds=now))
    assert [numbers(group) for group in came.groups] == groups
    assert numbers(came.over) == over
    assert numbers(list(came.waiting)) == waiting


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.integers(0, 60), max_size=20).map(sorted), st.integers(2, 4), st.integers(0, 30))
def test_each_match_is_in_one_place_and_a_group_is_whole(seconds: list[int], times: int, later: int) -> None:
    now = START + timedelta(seconds=(seconds[-1] if seconds else 0) + later)
    came = counted(matches := at(*seconds), times, WINDOW, now)
    placed = [match for group in came.groups for match in group] + came.over + list(came.waiting)
    assert sorted(placed) == matches
    assert all(len(group) == times and group[-1][0] - group[0][0] <= WINDOW for group in came.groups)
    assert len(came.waiting) < times
    assert all(now - happened <= WINDOW for happened, _number in came.waiting)

from __future__ import annotations

import pytest

from rules_engine.errors import PermanentError, Refused, TransientError
from rules_engine.retry import delay

SCHEDULE = (10.0, 60.0)


@pytest.mark.parametrize(("attempt", "expected"), [(1, 10), (2, 60), (3, None), (99, None)])
def test_the_schedule_gives_the_wait_before_each_attempt_and_ends(attempt: int, expected: float | None) -> None:
    assert delay(TransientError("x"), attempt, SCHEDULE, chance=0.5) == expected


@pytest.mark.parametrize("error", [PermanentError("x"), Refused("x")])
def test_what_cannot_be_mended_is_never_tried_again(error: Exception) -> None:
    assert delay(error, 1, SCHEDULE) is None


def test_a_bug_in_an_action_is_tried_again() -> None:
    assert delay(ZeroDivisionError(), 1, SCHEDULE, chance=0.5) == 10


@pytest.mark.parametrize(("chance", "expected"), [(0, 8), (0.5, 10), (1, 12)])
def test_jitter_spreads_both_ways(chance: float, expected: float) -> None:
    assert delay(TransientError("x"), 1, SCHEDULE, jitter=0.2, chance=chance) == pytest.approx(expected)


@pytest.mark.parametrize("asked", [0, 5, 86_400])
def test_a_servers_own_wait_comes_before_the_schedule(asked: float) -> None:
    assert delay(TransientError("x", retry_after=asked), 1, SCHEDULE) == asked


@pytest.mark.parametrize("asked", [-1, 315_360_000, float("nan")])
def test_an_absurd_wait_is_ignored(asked: float) -> None:
    assert delay(TransientError("x", retry_after=asked), 1, SCHEDULE, chance=0.5) == 10

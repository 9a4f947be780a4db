from __future__ import annotations

import pytest

from rules_engine.errors import PermanentError, Refused, Rejected, TransientError
from rules_engine.retry import LONGEST_SCHEDULED_WAIT, delay, is_wait, until_its_turn

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


@pytest.mark.parametrize("value", [0, 0.5, 60, LONGEST_SCHEDULED_WAIT])
def test_a_schedule_holds_seconds_up_to_a_year(value: object) -> None:
    assert is_wait(value)


@pytest.mark.parametrize("value", [-1, LONGEST_SCHEDULED_WAIT + 1, float("inf"), float("nan"), True, "60", None, [60]])
def test_a_schedule_holds_nothing_that_a_clock_cannot_add(value: object) -> None:
    assert not is_wait(value)


def test_what_another_rule_does_not_allow_is_not_tried_again() -> None:
    assert delay(Rejected("No."), 1, SCHEDULE) is None


def test_without_a_schedule_there_is_one_attempt() -> None:
    assert delay(TransientError("x"), 1, ()) is None
    assert delay(TransientError("x", retry_after=5), 1, ()) is None


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_delay_left_to_chance_stays_within_its_jitter(attempt: int) -> None:
    least, most = SCHEDULE[attempt - 1] * 0.8, SCHEDULE[attempt - 1] * 1.2
    assert all(least <= (delay(ValueError(), attempt, SCHEDULE) or 0) <= most for _ in range(50))


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (90, 90.0),
        (86_400, 86_400.0),
        # At once would be again and again, until the worker's time is up.
        (0, 1.0),
        (0.25, 1.0),
        *((odd, 60.0) for odd in (None, "soon", float("nan"), float("inf"), -5, 10**400, 86_401, True, [5])),
    ],
)
def test_what_is_put_off_comes_again_within_a_day_and_not_at_once(asked: object, waited: float) -> None:
    assert until_its_turn(asked) == waited

"""How often a rule would act, worked out from what was counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules_engine.test.ahead.estimate import Basis, estimated, rounded
from rules_engine.types import ActionSpec, RuleSpec

MAIL, LOG = ActionSpec("send_email", {}, 0), ActionSpec("log_message", {}, 1)


def spec(*actions: ActionSpec, **fields: Any) -> RuleSpec:
    return RuleSpec(slug="r", model="shop.order", signals=("post_save",), actions=actions or (MAIL,), **fields)


def test_what_was_counted_is_told_by_the_day() -> None:
    estimate = estimated(spec(), Basis("events", 1_200, 7, 280))
    assert estimate is not None
    assert (estimate.acts, estimate.actions, estimate.is_most) == (40, {"send_email": 40}, False)


@pytest.mark.parametrize("basis", [Basis("events", 0, 7, 0), Basis("events", 5, 0, 5), Basis("times", 0, 7, 0)])
def test_nothing_counted_is_not_known(basis: Basis) -> None:
    assert estimated(spec(), basis) is None


def test_actions_of_a_kind_add_up_and_those_switched_off_do_not_count() -> None:
    off = ActionSpec("send_email", {}, 3, enabled=False)
    estimate = estimated(spec(MAIL, LOG, ActionSpec("send_email", {}, 2), off), Basis("events", 10, 1, 5))
    assert estimate is not None
    assert estimate.actions == {"send_email": 10, "log_message": 5}


def test_an_action_for_each_of_some_rows_counts_as_often() -> None:
    estimate = estimated(spec(MAIL, LOG), Basis("events", 10, 1, 5, {0: 3.0}))
    assert estimate is not None
    assert estimate.actions == {"send_email": 15, "log_message": 5}


def test_a_limit_is_the_most_unless_it_counts_for_each_key() -> None:
    basis, limit = Basis("events", 10_000, 1, 5_000), {"throttle_count": 2, "throttle_seconds": 3_600}
    estimate, by_key = estimated(spec(**limit), basis), estimated(spec(**limit, throttle_by="{{ instance.pk }}"), basis)
    assert estimate is not None
    assert by_key is not None
    assert (estimate.acts, estimate.is_most) == (48, True)
    assert (by_key.acts, by_key.is_most) == (5_000, True)


@pytest.mark.parametrize(
    "fields", [{"once": True}, {"coalesce_seconds": 0}, {"schedule": {"kind": "stays", "count": 3, "unit": "days"}}]
)
def test_what_holds_back_makes_it_the_most(fields: dict[str, Any]) -> None:
    estimate = estimated(spec(**fields), Basis("events", 10, 1, 10))
    assert estimate is not None
    assert estimate.is_most


def test_a_sample_is_of_events_and_of_no_schedule() -> None:
    tenth = spec(sample_percent=10)
    of_events, of_times = estimated(tenth, Basis("events", 100, 1, 100)), estimated(tenth, Basis("times", 100, 1, 100))
    assert of_events is not None
    assert of_times is not None
    assert (of_events.acts, of_times.acts) == (10, 100)


@given(st.floats(min_value=0, max_value=1e12))
def test_about_is_near_and_of_two_digits(number: float) -> None:
    about = rounded(number)
    assert abs(about - number) <= max(1, number * 0.051)
    assert len(str(about).rstrip("0")) <= 2


@given(st.integers(1, 10_000), st.floats(0.05, 30), st.integers(1, 100), st.integers(1, 86_400))
def test_it_never_tells_more_than_was_counted_or_the_limit(acts: int, days: float, count: int, seconds: int) -> None:
    estimate = estimated(spec(throttle_count=count, throttle_seconds=seconds), Basis("events", acts, days, acts))
    assert estimate is not None
    assert 0 <= estimate.acts <= acts / days + 1e-6
    assert estimate.acts <= count * 86_400 / seconds + 1e-6

"""What becomes of actions that wait for others of their rule, by how those stand: on rows alone, nothing is run."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.utils import timezone

from rules_engine.models import Execution
from rules_engine.models.execution import NOT_AFTER_THAT
from rules_engine.work.sequence import settle, settle_after, settle_forgotten

pytestmark = pytest.mark.django_db

EVENT = uuid.UUID(int=1)
WAITS, GOES, ENDED = "waits", "goes", "ended"


def row(position: int, state: str = "pending", *, stops: bool = False, waits: bool = False, **fields: Any) -> Execution:
    """Write an execution of the one rule; ``waits`` is for an action before it."""
    return Execution.objects.create(
        event_id=fields.pop("event_id", EVENT),
        rule_slug=fields.pop("rule_slug", "rule"),
        rule_version=1,
        kind="log_message",
        queue="rules",
        position=position,
        state=state,
        on_failure="stop" if stops else "go_on",
        next_attempt_at=None if waits else timezone.now(),
        **fields,
    )


def standing(execution: Execution) -> str:
    execution.refresh_from_db()
    if execution.state == "cancelled":
        return ENDED
    return WAITS if execution.next_attempt_at is None else GOES


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ("pending", WAITS, WAITS),
        ("retryable", WAITS, WAITS),
        ("running", WAITS, WAITS),
        ("succeeded", GOES, WAITS),
        ("discarded", ENDED, ENDED),
        ("refused", ENDED, ENDED),
        ("cancelled", ENDED, ENDED),
    ],
)
def test_what_waits_goes_by_the_end_of_the_one_before(first: str, second: str, third: str) -> None:
    row(0, first, stops=True)
    middle, last = row(1, stops=True, waits=True), row(2, waits=True)
    settle(EVENT, "rule")
    assert (standing(middle), standing(last)) == (second, third)


def test_one_that_was_ended_says_why() -> None:
    row(0, "discarded", stops=True)
    last = row(1, waits=True)
    settle(EVENT, "rule")
    last.refresh_from_db()
    assert last.error == NOT_AFTER_THAT
    assert last.finished_at is not None


@pytest.mark.parametrize("state", ["discarded", "refused", "cancelled"])
def test_a_failure_that_stops_nothing_lets_the_others_go_on(state: str) -> None:
    row(0, "succeeded", stops=True)
    row(1, state)
    last = row(2, waits=True)
    settle(EVENT, "rule")
    assert standing(last) == GOES


def test_of_several_rows_of_one_action_each_has_to_succeed() -> None:
    row(0, "succeeded", stops=True)
    late = row(0, "running", stops=True)
    last = row(1, waits=True)
    settle(EVENT, "rule")
    assert standing(last) == WAITS
    Execution.objects.filter(pk=late.pk).update(state="succeeded")
    settle(EVENT, "rule")
    assert standing(last) == GOES


def test_what_stands_before_the_one_that_failed_is_not_ended() -> None:
    before = row(0, stops=True)
    row(1, "discarded", stops=True)
    after = row(2, waits=True)
    settle(EVENT, "rule")
    assert (standing(before), standing(after)) == (GOES, ENDED)


def test_what_was_let_go_on_has_its_delay_before_it() -> None:
    row(0, "succeeded", stops=True)
    soon, late = row(1, waits=True), row(2, waits=True, delay=3600)
    settle(EVENT, "rule")
    soon.refresh_from_db()
    late.refresh_from_db()
    assert soon.next_attempt_at is not None
    assert late.next_attempt_at is not None
    assert 3500 < (late.next_attempt_at - soon.next_attempt_at).total_seconds() < 3700


@pytest.mark.parametrize("other", [{"rule_slug": "another"}, {"event_id": uuid.UUID(int=2)}])
def test_another_rule_or_event_is_left_alone(other: dict[str, Any]) -> None:
    row(0, "discarded", stops=True)
    stranger = row(1, waits=True, **other)
    settle(EVENT, "rule")
    assert standing(stranger) == WAITS


def test_nothing_is_settled_after_one_that_goes_on_or_has_not_ended() -> None:
    last = row(2, waits=True)
    settle_after([row(0, "discarded"), row(1, "running", stops=True)])
    assert standing(last) == WAITS


def test_after_an_end_its_own_group_is_settled() -> None:
    ended = row(0, "succeeded", stops=True)
    last = row(1, waits=True)
    settle_after([ended, ended])
    assert standing(last) == GOES


@pytest.mark.parametrize(("state", "groups", "end"), [("cancelled", 1, ENDED), ("succeeded", 1, GOES)])
def test_what_was_forgotten_is_settled_by_the_sweep(state: str, groups: int, end: str) -> None:
    row(0, state, stops=True)
    last = row(1, waits=True)
    assert settle_forgotten() == groups
    assert standing(last) == end
    assert settle_forgotten() == 0


def test_what_rightly_waits_is_not_forgotten() -> None:
    row(0, "retryable", stops=True)
    last = row(1, waits=True)
    assert settle_forgotten() == 0
    assert standing(last) == WAITS


def test_what_waits_for_an_action_that_is_gone_is_let_go_on() -> None:
    last = row(1, waits=True)
    assert settle_forgotten() == 1
    assert standing(last) == GOES

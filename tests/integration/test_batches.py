"""What batch senders rely on: claiming by lane, beginning and ending many at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from project.clinic.models import Doctor
from rules_engine.actions import ActionResult, PermanentError, TransientError
from rules_engine.actions.log_message import LogMessage
from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Attempt, Execution, Pause, Rule
from rules_engine.sending import AttemptOutcome, claim_lanes, due_lanes, finish, start
from rules_engine.testing import create_rule
from tests.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "batches"


def waiting(*lanes: str) -> list[Execution]:
    """One execution for each lane named, in that order."""
    if not Rule.objects.exists():
        create_rule(model=Doctor, slug="batched", actions=[("log_message", {"message": "seen"})])
    for lane in lanes:
        Doctor.objects.create(first_name="A", last_name="B", email="a@example.com", slug=f"d{Doctor.objects.count()}")
        Execution.objects.filter(lane="").update(queue=QUEUE, lane=lane)
    return list(Execution.objects.order_by("id"))


def begun(*lanes: str) -> tuple[list[Execution], str]:
    waiting(*lanes)
    claim = claim_lanes(QUEUE, dict.fromkeys(lanes, 100))
    return start(claim.executions, claim.worker), claim.worker


def test_each_lane_gives_no_more_than_its_room_and_the_oldest_first() -> None:
    made = waiting("a", "a", "b", "a", "b")
    claim = claim_lanes(QUEUE, {"a": 2, "b": 5, "nothing": 3})
    assert Counter(one.lane for one in claim.executions) == {"a": 2, "b": 2}
    assert {one.pk for one in claim.executions} == {made[n].pk for n in (0, 1, 2, 4)}
    assert all(one.event.model == "clinic.doctor" for one in claim.executions)


def test_what_a_pause_stops_is_not_claimed() -> None:
    waiting("a")
    Pause.objects.create(rule_slug="batched")
    assert due_lanes(QUEUE) == []
    assert not claim_lanes(QUEUE, {"a": 5})
    Pause.objects.update(rule_slug="")
    assert not claim_lanes(QUEUE, {"a": 5}), "everything is paused"


def test_workers_that_claim_at_once_get_different_ones() -> None:
    waiting(*["a", "b"] * 10)
    claims = run_together(4, lambda _number: claim_lanes(QUEUE, {"a": 4, "b": 4}))
    taken = Counter(one.pk for claim in claims for one in claim.executions)
    assert set(taken.values()) == {1}


def test_what_a_dead_process_had_in_flight_comes_first_if_looked_for() -> None:
    [first, *_others], _worker = begun("a", "a")
    waiting("a")
    Execution.objects.filter(state="running").update(lease_until=seconds_from_now(-1))
    fresh = claim_lanes(QUEUE, {"a": 1}, suspects=False)
    assert [one.is_suspect for one in fresh.executions] == [False]
    again = claim_lanes(QUEUE, {"a": 1})
    assert [(one.pk, one.is_suspect) for one in again.executions] == [(first.pk, True)]


def test_only_what_the_claim_still_holds_is_begun() -> None:
    waiting("a", "a")
    claim = claim_lanes(QUEUE, {"a": 2})
    lost, kept = claim.executions
    Execution.objects.filter(pk=lost.pk).update(leased_by="another")
    assert [one.pk for one in start(claim.executions, claim.worker)] == [kept.pk]
    assert [(one.execution_id, one.number, one.outcome) for one in Attempt.objects.all()] == [(kept.pk, 1, "started")]


def test_all_outcomes_are_recorded_together_and_none_of_another_worker() -> None:
    (well, asked, tried, refused, lost), worker = begun(*["a"] * 5)
    Execution.objects.filter(pk=lost.pk).update(leased_by="another")
    outcomes = [
        (well, ActionResult("done", {"status": 200})),
        (asked, TransientError("Wait a little.", retry_after=90.0)),
        (tried, ConnectionError("No route.")),
        (refused, PermanentError("Never.")),
        (lost, TransientError("Too late.")),
    ]
    finish([AttemptOutcome(one, worker, outcome) for one, outcome in outcomes])
    rows = {one.pk: one for one in Execution.objects.all()}
    assert [rows[one.pk].state for one, _ in outcomes] == [
        "succeeded",
        "retryable",
        "retryable",
        "discarded",
        "running",
    ]
    assert [rows[one.pk].failures for one, _ in outcomes] == [0, 1, 1, 1, 0]
    assert [rows[one.pk].error for one, _ in outcomes] == ["", "Wait a little.", "No route.", "Never.", ""]
    assert rows[well.pk].summary == "done"
    assert rows[well.pk].finished_at is not None
    assert rows[asked.pk].finished_at is None
    assert {one.leased_by for one in rows.values()} == {"", "another"}
    ahead = (rows[asked.pk].next_attempt_at - rows[well.pk].finished_at).total_seconds()
    assert 80 <= ahead <= 130, "the receiver asked for 90 seconds"
    attempts = {one.execution_id: one for one in Attempt.objects.all()}
    assert [attempts[one.pk].outcome for one, _ in outcomes] == ["succeeded", *["failed"] * 3, "started"]
    assert attempts[well.pk].detail == {"status": 200}
    assert (attempts[tried.pk].error_type, attempts[tried.pk].error) == ("ConnectionError", "No route.")


def test_what_is_given_twice_is_recorded_once() -> None:
    [one], worker = begun("a")
    finished = [AttemptOutcome(one, worker, TransientError("Not now."))]
    finish(finished)
    finish(finished)
    assert [found.failures for found in Execution.objects.all()] == [1]


def test_failures_of_one_action_ask_for_its_schedule_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executions, worker = begun(*["a"] * 4)
    asked: list[Any] = []
    monkeypatch.setattr(LogMessage, "retry_schedule", lambda self, config: asked.append(config["message"]) or [7.0])
    executions[3].rule_version, executions[3].config = 2, {"message": "other"}
    finish([AttemptOutcome(one, worker, TransientError("Not now.")) for one in executions])
    assert asked == ["seen", "other"]
    assert [one.state for one in Execution.objects.all()] == ["retryable"] * 4


def test_what_was_taken_over_ends_as_its_new_owner_says() -> None:
    [slow], lost = begun("a")
    Execution.objects.update(lease_until=seconds_from_now(-1))
    claim = claim_lanes(QUEUE, {"a": 1})
    [again] = start(claim.executions, claim.worker)
    for outcomes in ([(slow, lost), (again, claim.worker)], [(again, claim.worker), (slow, lost)]):
        finish(
            [
                AttemptOutcome(one, worker, TransientError("Too late.") if worker == lost else ActionResult("done"))
                for one, worker in outcomes
            ]
        )
    assert [(one.state, one.summary, one.error) for one in Execution.objects.all()] == [("succeeded", "done", "")]
    attempts = Attempt.objects.order_by("number").values_list("outcome", "error")
    assert list(attempts) == [("lost", "The process ended, or lost its lease, in this attempt."), ("succeeded", "")]
    assert slow.state != "retryable", "nobody is told that it is tried again"

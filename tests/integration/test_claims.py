"""Claiming, charging, finishing: what workers may rely on, on whichever database the tests run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from project.clinic.models import Doctor
from rules_engine import sending
from rules_engine.actions import ActionResult, TransientError
from rules_engine.databases.generic import seconds_from_now
from rules_engine.errors import PermanentError
from rules_engine.models import Attempt, Execution, Rule
from rules_engine.rules import registry
from rules_engine.rules.contract import Action
from rules_engine.testing import create_rule, run_due
from rules_engine.work import attempts, claims
from rules_engine.work.attempts import AttemptOutcome
from rules_engine.work.run import run_claim
from tests.factories import make_doctor
from tests.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)


class Probe(Action):
    """An action that does what the test says."""

    kind = "probe"
    label = "Probe"
    schema = {"type": "object", "keys": {}}
    calls: list[Any] = []
    behaviour: Any = None

    def run(self, context: Any, config: Any) -> ActionResult:
        type(self).calls.append(context)
        if type(self).behaviour is not None:
            type(self).behaviour(context)
        return ActionResult("probed")


@pytest.fixture(autouse=True)
def probe() -> Iterator[type[Probe]]:
    registry.register_action(Probe)
    Probe.calls, Probe.behaviour = [], None
    yield Probe
    del registry._actions["probe"]


def pending_probes(count: int = 1) -> list[Execution]:
    create_rule(model=Doctor, slug="probing", actions=[("probe", {})])
    for _ in range(count):
        make_doctor()
    return list(Execution.objects.order_by("created_at"))


def let_leases_expire() -> None:
    Execution.objects.filter(lease_until__isnull=False).update(lease_until=seconds_from_now(-1))


def crash(execution: Execution, worker: str) -> None:
    """Leave it as a process leaves it that dies in the middle of the effect."""
    attempts.start([execution], worker)
    let_leases_expire()


def test_claiming_leases_and_charges_nothing() -> None:
    pending_probes(3)
    claim = claims.claim(limit=2)
    assert len(claim.executions) == 2
    assert {execution.attempts for execution in Execution.objects.all()} == {0}
    assert len(claims.claim().executions) == 1
    assert not claims.claim()


def test_a_lease_that_expires_unstarted_costs_no_attempt() -> None:
    pending_probes()
    claims.claim()
    let_leases_expire()
    [execution] = claims.claim().executions
    assert (execution.attempts, execution.crashes) == (0, 0)


def test_what_waits_in_one_queue_is_claimed_of_all_queues_as_of_that_one() -> None:
    pending_probes()
    asked = []
    for queues in ((), ("rules",)):
        with CaptureQueriesContext(connection) as queries:
            claim = claims.claim(*queues)
        assert len(claim.executions) == 1
        claims.give_back(claim.worker)
        asked.append(len(queries))
    assert asked[0] == asked[1] + 1  # which queues there are


def test_a_claim_asks_what_is_unusual_and_leases() -> None:
    pending_probes(5)
    asked = {}
    for limit in (1, 4):
        with CaptureQueriesContext(connection) as queries:
            claim = claims.claim("rules", limit=limit)
            assert [execution.event.model for execution in claim.executions] == ["clinic.doctor"] * limit
        asked[limit] = len(queries)
    # PostgreSQL leases and reads by one statement, where others find, lock and write, and then read.
    assert asked[4] == asked[1] == 2 if connection.vendor == "postgresql" else asked[4] == asked[1]


def test_a_look_that_finds_nothing_asks_once_for_pauses() -> None:
    pending_probes()
    run_due()
    with CaptureQueriesContext(connection) as queries:
        assert run_due() == 0
    assert sum("rules_engine_pause" in query["sql"] for query in queries) == 1


def test_work_that_is_given_back_is_due_at_once() -> None:
    pending_probes(2)
    claim = claims.claim()
    assert claims.give_back(claim.worker) == 2
    assert len(claims.claim().executions) == 2


def test_a_renewed_lease_holds() -> None:
    pending_probes()
    claim = claims.claim()
    let_leases_expire()
    assert claims.renew(claim.worker) == 1
    assert not claims.claim()


def test_what_crashed_its_process_comes_alone_and_is_given_up_in_the_end() -> None:
    pending_probes(3)
    claim = claims.claim(limit=2)
    poison, neighbour = claim.executions
    crash(poison, claim.worker)
    for crashes in (1, 2):
        claim = claims.claim()
        assert [one.pk for one in claim.executions] == [poison.pk]
        crash(claim.executions[0], claim.worker)
        poison.refresh_from_db()
        assert poison.crashes == crashes
    claim = claims.claim()
    assert attempts.start(claim.executions, claim.worker) == []
    poison.refresh_from_db()
    assert (poison.state, poison.error) == ("discarded", "Given up: 3 attempts ended with the process that made them.")
    assert {attempt.outcome for attempt in poison.attempt_set.all()} == {"lost"}
    assert run_due() == 2
    neighbour.refresh_from_db()
    assert (neighbour.state, neighbour.attempts) == ("succeeded", 1)


def test_a_late_finish_is_refused() -> None:
    pending_probes()
    late = claims.claim()
    attempts.start(late.executions, late.worker)
    let_leases_expire()
    claim = claims.claim()
    attempts.start(claim.executions, claim.worker)
    assert attempts.finish([AttemptOutcome(late.executions[0], late.worker, ActionResult("late"))]) == []
    in_time = AttemptOutcome(claim.executions[0], claim.worker, ActionResult("in time"))
    assert attempts.finish([in_time]) == [claim.executions[0]]
    assert Execution.objects.get().summary == "in time"


def test_a_late_failure_is_not_told_as_one(caplog: pytest.LogCaptureFixture) -> None:
    """It may have failed only because the one who took over had done it."""
    pending_probes()
    late = claims.claim()
    attempts.start(late.executions, late.worker)
    let_leases_expire()
    claim = claims.claim()
    attempts.start(claim.executions, claim.worker)
    assert attempts.finish([AttemptOutcome(late.executions[0], late.worker, ZeroDivisionError("late"))]) == []
    assert "passed to another worker" in caplog.text
    assert "failed" not in caplog.text
    attempts.finish([AttemptOutcome(claim.executions[0], claim.worker, ZeroDivisionError("in time"))])
    assert "failed and is tried again at attempt 2: in time" in caplog.text


def test_two_workers_never_claim_the_same() -> None:
    pending_probes(40)
    found: list[Any] = []

    def work(_number: int) -> None:
        while claim := claims.claim(limit=3):
            found.extend(execution.pk for execution in claim.executions)

    run_together(4, work)
    assert len(found) == len(set(found)) == 40


def test_a_batch_sender_can_be_built_on_the_public_verbs() -> None:
    pending_probes(3)
    claim = sending.claim("rules", lane="", limit=3)
    done, failed, left = claim.executions
    assert sending.start([done, failed], claim.worker) == [done, failed]
    success = sending.AttemptOutcome(done, claim.worker, ActionResult("sent"))
    failure = sending.AttemptOutcome(failed, claim.worker, TransientError("busy", retry_after=60))
    assert sending.finish([success, failure]) == [done, failed]
    assert sending.give_back(claim.worker) == 1
    assert sending.cancel("The endpoint is gone.", queue="rules", lane="") == 2
    states = dict(Execution.objects.values_list("pk", "state"))
    assert [states[one.pk] for one in (done, failed, left)] == ["succeeded", "cancelled", "cancelled"]


def test_the_schedule_ends_in_discarded_with_every_attempt_kept(probe: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {"RETRY_SCHEDULE": [0, 0], "RETRY_JITTER": 0}
    [execution] = pending_probes()

    def fail(context: Any) -> None:
        raise TransientError("not now")

    probe.behaviour = fail
    assert run_due() == 3
    execution.refresh_from_db()
    assert execution.state == "discarded"
    assert [attempt.error for attempt in execution.attempt_set.all()] == ["not now"] * 3
    assert {call.execution_id for call in probe.calls} == {execution.pk}
    assert [call.attempt for call in probe.calls] == [1, 2, 3]


def test_a_permanent_error_is_not_tried_again(probe: Any) -> None:
    [execution] = pending_probes()

    def fail(context: Any) -> None:
        raise PermanentError("never")

    probe.behaviour = fail
    run_due()
    execution.refresh_from_db()
    assert (execution.state, execution.error, execution.attempts) == ("discarded", "never", 1)


def test_retry_after_is_obeyed(probe: Any) -> None:
    [execution] = pending_probes()

    def fail(context: Any) -> None:
        raise TransientError("busy", retry_after=1000)

    probe.behaviour = fail
    run_due()
    execution.refresh_from_db()
    assert 900 < (execution.next_attempt_at - execution.attempt_set.get().finished_at).total_seconds() < 1001


def test_the_version_that_matched_is_the_one_that_runs(probe: Any) -> None:
    [execution] = pending_probes()
    rule = Rule.objects.get()
    rule.description = "edited while work waits"
    rule.save()
    rule.actions.get().delete()
    run_due()
    execution.refresh_from_db()
    assert (execution.state, execution.rule_version) == ("succeeded", 1)


@pytest.mark.parametrize("how", ["disable", "delete", "bulk"])
def test_what_waits_for_a_rule_that_goes_is_cancelled_history_kept(how: str, probe: Any) -> None:
    [execution] = pending_probes()
    rule = Rule.objects.get()
    if how == "disable":
        rule.enabled = False
        rule.save()
    elif how == "delete":
        rule.delete()
    else:
        Rule.objects.update(enabled=False)
    run_due()
    execution.refresh_from_db()
    assert execution.state == "cancelled"
    assert "probing" in execution.error
    assert probe.calls == []


def test_an_unknown_kind_is_discarded_with_the_reason() -> None:
    [execution] = pending_probes()
    Execution.objects.update(kind="prob")
    run_due()
    execution.refresh_from_db()
    assert execution.state == "discarded"
    assert 'Did you mean "probe"?' in execution.error


def test_retry_gives_a_fresh_schedule(probe: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {"RETRY_SCHEDULE": []}
    [execution] = pending_probes()

    def fail(context: Any) -> None:
        raise TransientError("not now")

    probe.behaviour = fail
    run_due()
    assert Execution.objects.filter(state="discarded").retry() == 1
    probe.behaviour = None
    run_due()
    execution.refresh_from_db()
    assert (execution.state, execution.attempts) == ("succeeded", 2)


def test_what_is_left_when_the_time_is_up_is_given_back(probe: Any) -> None:
    pending_probes(3)
    assert run_claim(claims.claim(), end=0) == 0
    assert len(claims.claim().executions) == 3


@pytest.mark.parametrize("fails", [False, True])
def test_an_effect_in_our_database_and_its_record_commit_together(fails: bool, probe: Any) -> None:
    probe.crash_safe = True

    def write(context: Any) -> None:
        make_doctor(slug="effect")
        if fails:
            raise TransientError("after the effect")

    try:
        [execution] = pending_probes()
        probe.behaviour = write
        run_due(limit=1)
    finally:
        probe.crash_safe = False
    execution.refresh_from_db()
    assert execution.state == ("retryable" if fails else "succeeded")
    assert Doctor.objects.filter(slug="effect").exists() != fails
    assert Attempt.objects.get().outcome == ("failed" if fails else "succeeded")


def test_changes_by_an_action_continue_the_chain_up_to_its_depth(probe: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {"MAX_DEPTH": 3}
    create_rule(
        model=Doctor, slug="ping", actions=[("probe", {})], condition={"in": ["ping", {"var": "instance.slug"}]}
    )
    create_rule(
        model=Doctor, slug="pong", actions=[("probe", {})], condition={"in": ["pong", {"var": "instance.slug"}]}
    )

    def other(context: Any) -> None:
        name = "pong" if context.rule_slug == "ping" else "ping"
        make_doctor(slug=f"{name}{len(probe.calls)}")

    probe.behaviour = other
    make_doctor(slug="ping")
    assert run_due(limit=50) == 4
    from rules_engine.models import Event, RuleError

    events = list(Event.objects.order_by("depth"))
    assert [event.depth for event in events] == [0, 1, 2, 3, 4]
    assert len({event.root_id for event in events}) == 1
    assert "MAX_DEPTH" in RuleError.objects.get().message


def test_a_rule_does_not_set_off_itself(probe: Any) -> None:
    def again(context: Any) -> None:
        make_doctor(slug="again")

    pending_probes()
    probe.behaviour = again
    assert run_due() == 1
    assert Doctor.objects.filter(slug="again").exists()

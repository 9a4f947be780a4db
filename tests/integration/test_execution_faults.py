"""What an action may do wrong in a worker, and what its neighbours and its own record make of it."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from rules_engine.actions import ActionResult, TransientError
from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Attempt, Execution
from rules_engine.rules import registry
from rules_engine.rules.contract import Action
from rules_engine.testing import create_rule, run_due
from rules_engine.work import claims
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)


class Probe(Action):
    """Answers, or dies, as the test says."""

    kind = "probe"
    label = "Probe"
    schema = {"type": "object", "keys": {}}
    answer: Any = None
    calls = 0

    def run(self, context: Any, config: Any) -> ActionResult:
        type(self).calls += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def probe() -> Iterator[type[Probe]]:
    # A class for each test: what one sets, the next does not see.
    made = type("Probe", (Probe,), {})
    registry.register_action(made)
    yield made
    del registry._actions["probe"]


def pending_probe(**fields: Any) -> Execution:
    return _made("probing", ("probe", {}), **fields)


def neighbour() -> Execution:
    return _made("other", ("log_message", {"message": "x"}))


def _made(slug: str, action: tuple[str, dict[str, Any]], **fields: Any) -> Execution:
    condition = {"==": [{"var": "instance.name"}, slug]}
    create_rule(model=Animal, slug=slug, condition=condition, actions=[action], **fields)
    Animal.objects.create(name=slug)
    return Execution.objects.get(rule_slug=slug)


def let_leases_expire() -> None:
    Execution.objects.filter(lease_until__isnull=False).update(lease_until=seconds_from_now(-1))


class Unspeakable:
    """A schedule that cannot even be read."""

    def __iter__(self) -> Iterator[float]:
        raise ZeroDivisionError("a bug of the site's")


@pytest.mark.parametrize("schedule", [Unspeakable(), ["x"], [-5], [1e300], [float("nan")], [True], 7])
@pytest.mark.parametrize("crash_safe", [False, True])
def test_a_failure_is_recorded_where_its_action_cannot_say_when_again(
    schedule: Any, crash_safe: bool, probe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.answer, probe.crash_safe = TransientError("Not now."), crash_safe
    monkeypatch.setattr(probe, "retry_schedule", lambda self, config: schedule)
    execution = pending_probe()
    other = neighbour()
    run_due()
    execution.refresh_from_db()
    other.refresh_from_db()
    assert (execution.state, execution.error) == ("retryable", "Not now.")
    assert (execution.next_attempt_at - execution.event.occurred_at).total_seconds() > 5, "the site's schedule"
    assert other.state == "succeeded"


@pytest.mark.parametrize("crash_safe", [False, True])
@pytest.mark.parametrize(
    ("answer", "summary", "detail"),
    [
        (ActionResult("paid", {"amount": decimal.Decimal("1.50")}), "paid", {"amount": "1.50"}),
        (ActionResult(None), "", {}),  # type: ignore[arg-type]
        ("ok", "ok", {}),
        (None, "", {}),
    ],
)
def test_an_odd_answer_neither_fails_nor_repeats_what_was_done(
    answer: Any, summary: str, detail: Any, crash_safe: bool, probe: Any
) -> None:
    probe.answer, probe.crash_safe = answer, crash_safe
    execution = pending_probe()
    assert run_due() == 1
    execution.refresh_from_db()
    assert (execution.state, execution.summary) == ("succeeded", summary)
    assert Attempt.objects.get().detail == detail
    assert probe.calls == 1


def test_an_action_that_cannot_say_what_it_needs_fails_alone(probe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def permissions(self: Any, config: Any, rule: Any) -> Any:
        raise ZeroDivisionError("a bug of the site's")

    execution = pending_probe(author=get_user_model().objects.create_superuser("root"))
    other = neighbour()
    monkeypatch.setattr(probe, "permissions", permissions)
    run_due()
    execution.refresh_from_db()
    other.refresh_from_db()
    assert (execution.state, execution.error) == ("retryable", "a bug of the site's")
    assert other.state == "succeeded"
    assert probe.calls == 0


@pytest.mark.parametrize("crash_safe", [False, True])
def test_what_kills_its_process_is_given_up_and_its_neighbour_done(
    crash_safe: bool, probe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.answer, probe.crash_safe = SystemExit(9), crash_safe
    execution, other = pending_probe(), neighbour()
    for _ in range(6):
        with monkeypatch.context() as patch:
            patch.setattr(claims, "give_back", lambda worker: 0)  # a killed process gives nothing back
            try:
                run_due()
            except SystemExit:
                let_leases_expire()
    execution.refresh_from_db()
    other.refresh_from_db()
    assert (execution.state, execution.crashes) == ("discarded", 3)
    assert {attempt.outcome for attempt in execution.attempt_set.all()} == {"lost"}
    assert (other.state, other.attempts) == ("succeeded", 1)


def test_what_may_crash_no_more_processes_is_not_run_again(probe: Any) -> None:
    probe.answer, probe.crash_safe = ActionResult("ok"), True
    execution = pending_probe()
    Execution.objects.update(state="running", crashes=2)
    run_due()
    execution.refresh_from_db()
    assert execution.state == "discarded"
    assert probe.calls == 0

"""What an action did outside is on record, whatever the first try to record it meets, and is done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection

from rules_engine.actions import ActionResult, PermanentError
from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Attempt, Execution
from rules_engine.rules import registry
from rules_engine.rules.contract import Action
from rules_engine.testing import create_rule, run_due
from rules_engine.work import repeating
from tests import sessions
from tests.zoo.models import Animal, Tag

pytestmark = pytest.mark.django_db(transaction=True)

EXECUTIONS, ATTEMPTS = "rules_engine_execution", "rules_engine_attempt"


class Outside(Action):
    """Does something that cannot be undone, as often as it is asked to, and leaves a row."""

    kind = "outside"
    label = "Outside"
    schema = {"type": "object", "keys": {}}
    calls = 0
    answer: Any = ActionResult("done", {"to": "anna"})

    def run(self, context: Any, config: Any) -> ActionResult:
        type(self).calls += 1
        Tag.objects.create(name="left")
        if isinstance(self.answer, Exception):
            raise self.answer
        if callable(self.answer):  # what happens while it is at work
            self.answer()
            return ActionResult("done")
        return self.answer


@pytest.fixture(autouse=True)
def outside(settings: Any) -> Iterator[Any]:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "LEASE_SECONDS": 4}
    made = type("Outside", (Outside,), {})
    registry.register_action(made)
    yield made
    del registry._actions["outside"]


@pytest.fixture
def execution(outside: Any) -> Execution:
    create_rule(model=Animal, slug="r", actions=[("outside", {})])
    Animal.objects.create(name="a")
    return Execution.objects.get()


def failing(error: Exception, table: str, times: float = 1, *, state: str = "") -> AbstractContextManager[Any]:
    """The first so many statements that update the table, and set that state, fail."""
    left = [times]

    def fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if left[0] and f"UPDATE {connection.ops.quote_name(table)}" in sql and (not state or state in str(params)):
            left[0] -= 1
            raise error
        return execute(sql, params, many, context)

    return connection.execute_wrapper(fail)


def rivalry() -> OperationalError:
    """What the database says of another transaction that was in the way."""
    if connection.vendor == "sqlite":
        return OperationalError("database is locked")
    if connection.vendor == "mysql":
        return OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")
    cause = Exception()
    cause.sqlstate = "40001"  # type: ignore[attr-defined]
    error = OperationalError("could not serialize access due to concurrent update")
    error.__cause__ = cause
    return error


def outcomes() -> list[tuple[str, str]]:
    return list(Attempt.objects.order_by("number").values_list("outcome", "error"))


@pytest.mark.parametrize("error", [OperationalError("deadlock detected"), InterfaceError("connection already closed")])
@pytest.mark.parametrize("table", [EXECUTIONS, ATTEMPTS])
@pytest.mark.parametrize("times", [1, 4])
def test_what_was_done_is_recorded_at_a_later_try(
    error: Exception, table: str, times: int, outside: Any, execution: Execution, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(error, table, times, state="succeeded"):
        assert run_due() == 1
    assert caplog.text.count("is tried again") == 1, "it is said once, however often it is tried"
    execution.refresh_from_db()
    assert (execution.state, execution.summary, execution.attempts) == ("succeeded", "done", 1)
    assert outcomes() == [("succeeded", "")]
    assert outside.calls == 1


def test_a_failure_is_recorded_at_a_later_try_as_what_it_was(outside: Any, execution: Execution) -> None:
    outside.answer = PermanentError("Nobody lives there.")
    with failing(OperationalError("deadlock detected"), EXECUTIONS, state="discarded"):
        run_due()
    execution.refresh_from_db()
    assert (execution.state, execution.failures) == ("discarded", 1)
    assert outcomes() == [("failed", "Nobody lives there.")]


@pytest.mark.parametrize("answer", [Outside.answer, PermanentError("Nobody lives there.")])
def test_details_that_the_database_does_not_take_are_left_out(
    answer: Any, outside: Any, execution: Execution, caplog: pytest.LogCaptureFixture
) -> None:
    outside.answer = answer
    state = "discarded" if isinstance(answer, Exception) else "succeeded"
    with failing(
        DataError("value too long"), ATTEMPTS, state="failed" if isinstance(answer, Exception) else "succeeded"
    ):
        run_due()
    execution.refresh_from_db()
    assert execution.state == state
    assert Attempt.objects.get().detail == {}
    assert outside.calls == 1
    assert "without its details" in caplog.text


def test_what_cannot_be_recorded_while_the_lease_lasts_ends_the_drain(
    outside: Any, execution: Execution, settings: Any
) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "LEASE_SECONDS": 0.3}
    with failing(OperationalError("no"), EXECUTIONS, float("inf"), state="succeeded"), pytest.raises(OperationalError):
        run_due()
    assert Attempt.objects.get().outcome == "started"


def test_a_rival_at_the_start_of_an_attempt_costs_no_attempt(outside: Any, execution: Execution) -> None:
    with failing(rivalry(), EXECUTIONS, 2, state="running"):
        run_due()
    execution.refresh_from_db()
    assert (execution.state, execution.attempts, execution.crashes) == ("succeeded", 1, 0)
    assert outside.calls == 1


def test_a_crash_is_counted_once_where_its_record_meets_a_rival(outside: Any, execution: Execution) -> None:
    Execution.objects.update(state="running", attempts=1, lease_until=seconds_from_now(-1), leased_by="dead")
    Attempt.objects.create(execution=execution, number=1, worker="dead")
    with failing(rivalry(), EXECUTIONS, 2, state="running"):
        run_due()
    execution.refresh_from_db()
    assert (execution.state, execution.attempts, execution.crashes) == ("succeeded", 2, 1)
    assert [outcome for outcome, _error in outcomes()] == ["lost", "succeeded"]
    assert outside.calls == 1


@pytest.mark.parametrize("state", ["running", "succeeded"])
def test_an_effect_in_our_database_is_made_again_with_its_record(
    state: str, outside: Any, execution: Execution
) -> None:
    """Both were undone together: that is neither a failure nor an attempt."""
    outside.crash_safe = True
    with failing(rivalry(), EXECUTIONS, state=state):
        run_due()
    execution.refresh_from_db()
    assert (execution.state, execution.attempts, execution.failures) == ("succeeded", 1, 0)
    assert outcomes() == [("succeeded", "")]
    assert Tag.objects.count() == 1


@pytest.mark.row_locks
def test_a_connection_that_is_lost_during_the_effect_is_replaced(outside: Any, execution: Execution) -> None:
    def lose_connection() -> None:
        with pytest.raises(OperationalError):
            sessions.end(sessions.number())

    outside.answer = staticmethod(lose_connection)
    assert run_due() == 1
    execution.refresh_from_db()
    assert execution.state == "succeeded"
    assert outside.calls == 1


@pytest.mark.parametrize("error", [ValueError("x"), DataError("x")])
def test_other_errors_pass_at_once(error: Exception) -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise error

    for again in (repeating.against_rivals, lambda work: repeating.until_written(work, 5)):
        with pytest.raises(type(error)):
            again(work)
    assert len(calls) == 2

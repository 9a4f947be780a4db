"""What every database must do that the engine runs on: the contract of ``databases.protocol``, verb by verb.

Each implementation that works on the database of this run is held to it: the generic one on all, PostgreSQL's own on
PostgreSQL.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.db.models.functions import Now
from django.utils import timezone

from rules_engine.databases import database_of
from rules_engine.databases.generic import GenericDatabase, seconds_from_now
from rules_engine.databases.prepared.inserts import insert
from rules_engine.databases.protocol import LIVE, RUNNING, STARTED, WAITING, AttemptEnd, Database
from rules_engine.databases.removing.removed import Parts
from rules_engine.databases.savepoints import fetch_one
from rules_engine.models import Attempt, Event, Execution
from rules_engine.models import execution as states
from rules_engine.models.reservation import Reservation
from rules_engine.types import new_id
from rules_engine.work.leases.leasing import leasable, with_events
from tests.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["own", "generic"])
def database(request: pytest.FixtureRequest) -> Database:
    return GenericDatabase() if request.param == "generic" else database_of("default")


def executions(*lanes: str, **columns: Any) -> list[Execution]:
    event = Event.objects.create(
        id=new_id(), signal="post_save", model="zoo.animal", root_id=new_id(), occurred_at=timezone.now()
    )
    return [
        Execution.objects.create(
            event=event, rule_slug="r", rule_version=1, kind="log_message", queue="rules", lane=lane, **columns
        )
        for lane in lanes
    ]


def leased(worker: str, count: int = 1, **columns: Any) -> list[Execution]:
    until = seconds_from_now(60)
    return executions(*["a"] * count, leased_by=worker, lease_until=until, **columns)


def ending(execution: Execution, worker: str, **columns: Any) -> AttemptEnd:
    usual = {"state": "succeeded", "outcome": "succeeded", "summary": "done", "error": "", "error_type": ""}
    return AttemptEnd(execution.pk, worker, **{**usual, "detail": {}, "wait": None, **columns})


def due() -> Any:
    return leasable(Execution.objects.all())


def lease(database: Database, worker: str, limit: int) -> set[Any]:
    """The keys that the claim really got, which are those that it is told."""
    told = database.lease(due(), limit, with_events("default"), worker=worker, seconds=60)
    got = set(Execution.objects.filter(leased_by=worker).values_list("pk", flat=True))
    assert {execution.pk for execution in told} == got
    return got


def end(database: Database, *ends: AttemptEnd) -> set[tuple[Any, str]]:
    with transaction.atomic():
        return database.end(Execution.objects.filter(state=RUNNING), Attempt, ends)


def charge(database: Database, worker: str, *rows: Execution) -> set[Any]:
    waiting = Execution.objects.filter(leased_by=worker, state__in=WAITING)
    numbers = {execution.pk: execution.attempts + 1 for execution in rows}
    return set(database.charge(waiting, Attempt, numbers, worker=worker))


def about_tables(statements: list[str]) -> list[str]:
    """Without those that only begin and end a transaction."""
    return [sql for sql in statements if "rules_engine_" in sql]


def test_the_states_are_those_of_the_table():
    assert RUNNING == states.State.RUNNING
    assert set(WAITING) == set(states.WAITING)
    assert set(LIVE) == set(states.LIVE)
    assert STARTED == Attempt.Outcome.STARTED


def test_a_lease_takes_the_oldest_up_to_the_limit(database: Database):
    late, early, middle = executions("a", "a", "a")
    for execution, seconds in ((late, -1), (middle, -2), (early, -3)):
        Execution.objects.filter(pk=execution.pk).update(next_attempt_at=seconds_from_now(seconds))
    assert lease(database, "me", 2) == {early.pk, middle.pk}


def test_a_lease_returns_whole_rows_with_their_events_oldest_first(database: Database, statements: list[str]):
    late, early = executions("a", "", config={"message": "x"})
    Execution.objects.filter(pk=early.pk).update(next_attempt_at=seconds_from_now(-60))
    told = database.lease(due(), 2, with_events("default"), worker="me", seconds=60)
    statements.clear()
    assert [(row.pk, row.leased_by, row.config) for row in told] == [
        (early.pk, "me", {"message": "x"}),
        (late.pk, "me", {"message": "x"}),
    ]
    assert {row.event.model for row in told} == {"zoo.animal"}
    assert all(row.lease_until > timezone.now() for row in told)
    assert statements == [], "all was read with the lease"


def test_a_lease_by_rule_returns_up_to_so_many_of_each(database: Database):
    executions("", "", "")
    other = executions("")[0]
    Execution.objects.filter(pk=other.pk).update(rule_slug="other")
    told = database.lease_rules(due(), {"r": 2, "other": 5}, with_events("default"), worker="me", seconds=60)
    assert sorted(row.rule_slug for row in told) == ["other", "r", "r"]
    assert {row.leased_by for row in told} == {"me"}


def test_a_lease_ends_so_many_seconds_from_now(database: Database):
    executions("a")
    lease(database, "me", 1)
    soon, later = Now() + timedelta(seconds=50), Now() + timedelta(seconds=70)
    assert Execution.objects.filter(lease_until__gt=soon, lease_until__lt=later).count() == 1


def test_what_is_leased_or_not_due_is_not_leased_again(database: Database):
    leased("another")
    executions("a", next_attempt_at=seconds_from_now(60))
    executions("a", state="succeeded")
    assert lease(database, "me", 10) == set()


def test_what_is_due_from_now_on_is_found_at_the_same_moment():
    executions("a")
    # The clock stands still in a statement.
    assert Execution.objects.annotate(since=seconds_from_now(0)).filter(since__lte=Now()).exists()


def test_nothing_due_is_no_lease(database: Database):
    nothing, reading = Execution.objects.none().order_by("id"), with_events("default")
    assert list(database.lease(due(), 5, reading, worker="me", seconds=60)) == []
    assert list(database.lease(nothing, 5, reading, worker="me", seconds=60)) == []
    assert list(database.lease_rules(nothing, {"r": 1}, reading, worker="me", seconds=60)) == []
    assert list(database.lease_lanes(Execution.objects.none(), {"a": 1}, worker="me", seconds=60)) == []


def test_a_lease_by_lane_keeps_to_each_lanes_room(database: Database):
    rows = executions("a", "a", "a", "b", "b", "c")
    database.lease_lanes(due(), {"a": 2, "b": 5}, worker="me", seconds=60)
    got = [execution.lane for execution in Execution.objects.filter(leased_by="me")]
    assert sorted(got) == ["a", "a", "b", "b"]
    assert not Execution.objects.get(pk=rows[-1].pk).leased_by


def test_a_lease_of_very_many_lanes_takes_of_each(database: Database):
    rows = executions(*[f"lane-{number}" for number in range(90)] * 2)
    leased_rows = database.lease_lanes(due(), {row.lane: 1 for row in rows[:90]}, worker="me", seconds=60)
    assert {row.pk for row in leased_rows} == {row.pk for row in rows[:90]}
    assert Execution.objects.filter(leased_by="me").count() == 90


def test_what_the_claim_has_already_is_not_leased_again(database: Database):
    leased("me")
    [free] = executions("a")
    assert [row.pk for row in database.lease_lanes(due(), {"a": 5}, worker="me", seconds=60)] == [free.pk]


def test_what_another_transaction_has_locked_is_passed_over(database: Database):
    if not connection.features.has_select_for_update_skip_locked:
        return  # one writer at a time: there is no such moment
    held, free = executions("a", "a")
    with Locked(held):
        assert lease(database, "me", 2) == {free.pk}
        database.lease_lanes(due(), {"a": 2}, worker="you", seconds=60)
        assert not Execution.objects.filter(leased_by="you").exists()


def test_what_is_removed_goes_with_its_parts_and_passes_the_locked(database: Database):
    rows = executions("a", "a", "a", "a", state="succeeded")
    for place, row in enumerate(rows):
        Execution.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=40 - place))
        Attempt.objects.create(execution=row, number=1)
    old, parts = Execution.objects.filter(state="succeeded"), Parts(Attempt, "execution")
    with Locked(rows[1]) if connection.features.has_select_for_update_skip_locked else nullcontext():
        removed = database.remove(old, 2, "created_at", parts)
    kept = set(Execution.objects.values_list("pk", flat=True))
    assert removed.rows == removed.parts == 4 - len(kept)
    assert set(Attempt.objects.values_list("execution_id", flat=True)) == kept
    assert rows[0].pk not in kept
    assert removed.last is not None
    if connection.features.has_select_for_update_skip_locked:
        assert rows[1].pk in kept
    while database.remove(old, 2, "created_at", parts).last is not None:
        pass
    assert not Execution.objects.exists()
    assert not Attempt.objects.exists()


def test_nothing_to_remove_is_told(database: Database):
    executions("a")
    for rows in (Execution.objects.filter(state="succeeded"), Execution.objects.none()):
        assert database.remove(rows, 5, "pk", None) == (0, 0, None, ())


class Locked:
    """Another connection that has a row locked for as long as the block runs."""

    def __init__(self, execution: Execution) -> None:
        self.execution, self.has, self.over = execution, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        try:
            with transaction.atomic():
                Execution.objects.select_for_update().get(pk=self.execution.pk)
                self.has.set()
                self.over.wait(60)
        finally:
            connections.close_all()

    def __enter__(self) -> None:
        self.thread.start()
        assert self.has.wait(60)

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def test_those_that_lease_at_once_never_get_the_same(database: Database):
    executions(*["a"] * 12)
    got = run_together(3, lambda number: lease(database, f"worker {number}", 6))
    assert sum(map(len, got)) == len(set().union(*got)) > 0


def test_a_charge_is_counted_and_on_record(database: Database):
    rows = leased("me", 3)
    assert charge(database, "me", *rows) == {execution.pk for execution in rows}
    assert set(Execution.objects.values_list("state", "attempts")) == {("running", 1)}
    attempts = set(Attempt.objects.values_list("number", "worker", "outcome", "error", "finished_at"))
    assert (Attempt.objects.count(), attempts) == (3, {(1, "me", "started", "", None)})


def test_what_passed_to_another_is_not_charged(database: Database):
    mine, lost = leased("me", 2)
    Execution.objects.filter(pk=lost.pk).update(leased_by="another")
    assert charge(database, "me", mine, lost) == {mine.pk}
    assert list(Attempt.objects.values_list("execution_id", flat=True)) == [mine.pk]
    assert Execution.objects.get(pk=lost.pk).attempts == 0


def test_a_charge_of_none_that_are_held_changes_nothing(database: Database):
    lost = leased("another")
    assert charge(database, "me", *lost) == set()
    assert not Attempt.objects.exists()


def started(database: Database, worker: str = "me", count: int = 1) -> list[Execution]:
    rows = leased(worker, count)
    charge(database, worker, *rows)
    return rows


def test_a_success_ends_the_execution_and_its_attempt(database: Database):
    [execution] = started(database)
    assert end(database, ending(execution, "me", detail={"to": ["a"]})) == {(execution.pk, "me")}
    execution.refresh_from_db()
    told = (execution.state, execution.summary, execution.leased_by, execution.lease_until, execution.failures)
    assert told == ("succeeded", "done", "", None, 0)
    assert execution.finished_at is not None
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.detail, attempt.finished_at is None) == ("succeeded", {"to": ["a"]}, False)


def test_a_failure_is_counted_and_due_again(database: Database):
    [execution] = started(database)
    Execution.objects.update(summary="what an attempt before it did")
    columns = {"state": "retryable", "outcome": "failed", "summary": None, "error": "busy", "error_type": "Busy"}
    end(database, ending(execution, "me", **columns, wait=60.0))
    execution.refresh_from_db()
    told = (execution.state, execution.error, execution.failures, execution.finished_at, execution.summary)
    assert told == ("retryable", "busy", 1, None, "what an attempt before it did")
    soon, later = Now() + timedelta(seconds=50), Now() + timedelta(seconds=70)
    assert Execution.objects.filter(next_attempt_at__gt=soon, next_attempt_at__lt=later).exists()
    assert set(Attempt.objects.values_list("outcome", "error", "error_type")) == {("failed", "busy", "Busy")}


def test_what_is_given_up_is_over(database: Database):
    [execution] = started(database)
    columns = {"state": "discarded", "outcome": "failed", "summary": None, "error": "no", "error_type": "No"}
    end(database, ending(execution, "me", **columns))
    execution.refresh_from_db()
    assert (execution.state, execution.failures, execution.finished_at is None) == ("discarded", 1, False)


def test_a_late_end_leaves_the_row_to_its_new_owner(database: Database):
    mine, lost = started(database, count=2)
    Execution.objects.filter(pk=lost.pk).update(leased_by="another")
    assert end(database, ending(mine, "me"), ending(lost, "me")) == {(mine.pk, "me")}
    lost.refresh_from_db()
    assert (lost.state, lost.summary, lost.leased_by) == ("running", "", "another")
    assert Attempt.objects.get(execution_id=lost.pk).finished_at is None


def test_both_claims_of_one_execution_end_as_its_owner_says(database: Database):
    [execution] = started(database)
    Execution.objects.update(leased_by="new")
    ended = end(database, ending(execution, "me", summary="late"), ending(execution, "new", summary="in time"))
    assert ended == {(execution.pk, "new")}
    assert Execution.objects.get().summary == "in time"


def test_an_end_that_is_given_twice_is_written_once(database: Database):
    [execution] = started(database)
    assert end(database, ending(execution, "me"))
    assert end(database, ending(execution, "me", summary="again")) == set()
    assert Execution.objects.get().summary == "done"


def test_an_attempt_that_ended_before_is_left_alone(database: Database):
    [execution] = started(database)
    lost = {"number": 7, "outcome": "lost", "finished_at": Now()}
    Attempt.objects.create(execution=execution, **lost)
    end(database, ending(execution, "me"))
    assert dict(Attempt.objects.values_list("number", "outcome")) == {1: "succeeded", 7: "lost"}


def test_of_many_that_end_at_once_each_comes_to_its_own(database: Database):
    rows = started(database, count=4)
    failed = {"state": "retryable", "outcome": "failed", "summary": None, "error": "it's 50% \\ off", "error_type": "E"}
    ends = [
        ending(rows[0], "me", summary="first", detail={"to": ["ä%s"], "n": None}),
        ending(rows[1], "me", **failed, wait=3600.0),
        ending(rows[2], "me", **{**failed, "state": "discarded"}, detail=[1, "two"]),
        ending(rows[3], "me", summary="", detail=""),
    ]
    assert end(database, *ends) == {(row.pk, "me") for row in rows}
    told = {row.pk: row for row in Execution.objects.all()}
    ended = [told[row.pk] for row in rows]
    assert [row.state for row in ended] == ["succeeded", "retryable", "discarded", "succeeded"]
    assert [row.summary for row in ended] == ["first", "", "", ""]
    assert [row.error for row in ended] == ["", failed["error"], failed["error"], ""]
    assert [row.failures for row in ended] == [0, 1, 1, 0]
    assert [row.finished_at is None for row in ended] == [False, True, False, False]
    assert {(row.leased_by, row.lease_until) for row in ended} == {("", None)}
    assert ended[1].next_attempt_at - timezone.now() > timedelta(minutes=55)
    assert all(row.next_attempt_at <= timezone.now() for row in (ended[0], ended[2], ended[3]))
    details = dict(Attempt.objects.values_list("execution_id", "detail"))
    assert [details[row.pk] for row in rows] == [{"to": ["ä%s"], "n": None}, {}, [1, "two"], ""]
    assert set(Attempt.objects.values_list("outcome", "error_type")) == {("succeeded", ""), ("failed", "E")}


def charge_and_end(database: Database, *ends: AttemptEnd) -> set[tuple[Any, str]]:
    waiting = Execution.objects.filter(leased_by=ends[0].worker, state__in=WAITING)
    return database.charge_and_end(waiting, Attempt, {end.execution_id: 1 for end in ends}, ends)


def test_what_was_not_charged_is_charged_with_its_end(database: Database):
    well, failed = leased("me", 2)
    columns = {"state": "retryable", "outcome": "failed", "summary": None, "error": "busy", "error_type": "Busy"}
    ends = (ending(well, "me", detail={"to": ["a"]}), ending(failed, "me", **columns, wait=60.0))
    assert charge_and_end(database, *ends) == {(well.pk, "me"), (failed.pk, "me")}
    told = Execution.objects.order_by("id").values_list("state", "attempts", "failures", "summary", "leased_by")
    assert list(told) == [("succeeded", 1, 0, "done", ""), ("retryable", 1, 1, "", "")]
    attempts = Attempt.objects.order_by("execution_id").values_list("number", "worker", "outcome", "error", "detail")
    assert list(attempts) == [(1, "me", "succeeded", "", {"to": ["a"]}), (1, "me", "failed", "busy", {})]
    assert not Attempt.objects.filter(finished_at=None).exists()


def test_what_passed_to_another_is_neither_charged_nor_ended(database: Database):
    mine, lost, begun = leased("me", 3)
    Execution.objects.filter(pk=lost.pk).update(leased_by="another")
    Execution.objects.filter(pk=begun.pk).update(leased_by="another", state="running")
    ends = [ending(execution, "me") for execution in (mine, lost, begun)]
    assert charge_and_end(database, *ends) == {(mine.pk, "me")}
    assert [attempt.execution_id for attempt in Attempt.objects.all()] == [mine.pk]
    assert Execution.objects.filter(leased_by="another", attempts=0).count() == 2


def test_the_lanes_that_have_something_due_are_told_by_name(database: Database):
    executions("b", "a", "a", "")
    executions("late", next_attempt_at=seconds_from_now(60))
    executions("over", state="succeeded")
    Execution.objects.create(
        event=Event.objects.get(pk=Execution.objects.values_list("event_id", flat=True)[0]),
        rule_slug="r",
        rule_version=1,
        kind="log_message",
        queue="other",
        lane="elsewhere",
    )
    assert database.due_lanes(Execution.objects.filter(queue="rules").due(), "rules") == ["a", "b"]
    assert database.due_lanes(Execution.objects.none(), "rules") == []


def test_an_update_takes_what_its_own_table_was_asked_for():
    events = [executions("a", "b")[0].event_id, executions("c")[0].event_id]
    of_lane_a = Execution.objects.filter(lane="a").values("event")
    rows = Execution.objects.filter(event__in=of_lane_a).order_by("-pk")
    with transaction.atomic():
        assert database_of("default").to_update(rows).update(error="found") == 2
        assert database_of("default").to_update(rows.none()).update(error="nobody") == 0
    assert set(Execution.objects.values_list("event_id", "error")) == {(events[0], "found"), (events[1], "")}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield sent


def test_sqlite_ends_fifty_by_as_many_statements_as_five(statements: list[str]):
    if connection.vendor != "sqlite":
        return
    sent, database = [], database_of("default")
    for count in (5, 50):
        rows = leased("me", count)
        charge(database, "me", *rows)
        statements.clear()
        end(database, *(ending(row, "me", summary=str(row.pk)) for row in rows))
        sent.append(len(statements))
    assert sent[0] == sent[1] <= 8


def test_any_number_ends_at_once_each_by_its_own_values(database: Database):
    rows = started(database, count=130)
    assert len(end(database, *(ending(row, "me", summary=str(row.pk), detail=[str(row.pk)]) for row in rows))) == 130
    told = dict(Execution.objects.filter(state="succeeded").values_list("pk", "summary"))
    assert told == {row.pk: str(row.pk) for row in rows}
    assert dict(Attempt.objects.values_list("execution_id", "detail")) == {row.pk: [str(row.pk)] for row in rows}


def test_postgresql_takes_one_statement_for_many(statements: list[str]):
    if connection.vendor != "postgresql":
        return
    database = database_of("default")
    rows = leased("me", 5)
    due_lanes = leasable(Execution.objects.all())
    statements.clear()
    charge(database, "me", *rows)
    database.end(Execution.objects.filter(state=RUNNING), Attempt, [ending(row, "me") for row in rows])
    database.lease(due(), 5, with_events("default"), worker="x", seconds=60)
    database.lease_lanes(due_lanes, {"a": 5}, worker="x", seconds=60)
    assert len(statements) == 4


def test_sqlite_finds_what_waits_in_a_lane_by_the_index_of_lanes(statements: list[str]):
    if connection.vendor != "sqlite":
        return
    executions("a", "b")
    statements.clear()
    in_queue = leasable(Execution.objects.filter(queue="rules"))
    database_of("default").lease_lanes(in_queue, {"a": 5}, worker="me", seconds=60)
    [found] = [sql for sql in statements if sql.startswith("SELECT * FROM (SELECT")]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {found}", ["x"] * found.count("%s"))
        plan = " ".join(str(row[-1]) for row in cursor.fetchall())
    assert "rules_execution_lane (queue=? AND lane=?" in plan
    assert "TEMP B-TREE" not in plan, "in the index's order"


def test_sqlite_leases_of_all_lanes_and_charges_all_by_few_statements(statements: list[str]):
    if connection.vendor != "sqlite":
        return
    database = database_of("default")
    rows = executions(*[f"lane-{number}" for number in range(30)])
    statements.clear()
    taken = list(database.lease_lanes(due(), dict.fromkeys([row.lane for row in rows], 5), worker="me", seconds=60))
    assert len(taken) == 30
    assert len(about_tables(statements)) == 4, "it begins as a writer, finds, leases and reads"
    statements.clear()
    assert len(charge(database, "me", *taken)) == 30
    assert len(about_tables(statements)) == 2


def test_a_turn_is_had_until_the_commit(database: Database):
    with transaction.atomic():
        assert database.has_turn(7, "default")
        database.wait_for_turn([8, 9], "default")
        assert database.has_turn(8, "default"), "its own lock holds up nobody else but others"


def test_a_turn_that_another_transaction_has_is_not_ours():
    if connection.vendor != "postgresql":
        return  # one writer at a time
    database, has, over = database_of("default"), threading.Event(), threading.Event()

    def take() -> None:
        try:
            with transaction.atomic():
                database.wait_for_turn([7], "default")
                has.set()
                over.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        assert has.wait(60)
        with transaction.atomic():
            assert not database.has_turn(7, "default")
            assert database.has_turn(8, "default")
    finally:
        over.set()
        thread.join()


def test_a_reservation_holds_as_long_as_it_says():
    database = database_of("default")
    key, other = new_id().hex, new_id().hex
    assert database.can_reserve
    assert database.reserve(Reservation, key, 60, "default")
    assert not database.reserve(Reservation, key, 60, "default"), "somebody has it"
    assert database.reserve(Reservation, other, -1, "default")
    assert database.reserve(Reservation, other, 60, "default"), "it held no longer"


def test_the_first_value_that_nobody_reserves_is_passed_to():
    database = database_of("default")
    with transaction.atomic():
        before, passed = database.pass_reserved(Reservation, [new_id() for _ in range(3)], "default")
        assert passed == 0
        if before:
            database.restore(before, "default")


def test_what_is_not_known_of_a_database_is_done_the_careful_way():
    generic = GenericDatabase()
    assert generic.spoils_transaction
    assert not generic.sends_several("default")
    assert generic.is_shared("default")
    assert not generic.can_reserve
    assert not generic.reserve(Reservation, new_id().hex, 60, "default")
    assert not generic.is_lost_race(ValueError())
    assert not generic.is_lock_timeout(ValueError())


def test_rows_are_inserted_with_the_databases_own_defaults():
    [execution] = executions("a")
    rows = [{"execution_id": execution.pk, "number": number, "worker": "me"} for number in range(1, 121)]
    insert(Attempt, rows, "default")
    assert Attempt.objects.filter(outcome="started", started_at__isnull=False, error="").count() == 120


def test_a_failed_statement_of_ours_spoils_nothing_of_the_callers():
    [execution] = executions("a")
    with transaction.atomic():
        execution.summary = "the caller's"
        execution.save()
        with pytest.raises(DatabaseError):
            fetch_one("default", "SELECT nothing FROM no_such_table WHERE id = %s", [1])
        row = fetch_one("default", "SELECT %s", ["seen"])
    assert list(row or ()) == ["seen"]
    assert Execution.objects.get().summary == "the caller's"


# Announcing


@pytest.fixture
def wakes() -> Iterator[tuple[int, int]]:
    """A pipe: what is written at its other end ends the waiting."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_what_is_announced_is_heard_once_it_is_committed(database: Database, wakes: tuple[int, int]) -> None:
    listener = database.listen("default")
    try:
        with transaction.atomic():
            database.announce("rules", "default")
            database.announce("webhooks", "default")
            database.announce("rules", "default")
            assert list(listener.wait(0.1, wakes[0])) == []
        assert sorted(listener.wait(5 if database.can_announce else 0, wakes[0])) == (
            ["rules", "webhooks"] if database.can_announce else []
        )
        assert list(listener.wait(0, wakes[0])) == []
    finally:
        listener.close()


def test_what_was_undone_is_not_announced(database: Database, wakes: tuple[int, int]) -> None:
    listener = database.listen("default")
    try:
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            database.announce("rules", "default")
            raise ZeroDivisionError
        assert list(listener.wait(0.1, wakes[0])) == []
    finally:
        listener.close()


def test_whoever_listens_can_be_woken_by_another_file(database: Database, wakes: tuple[int, int]) -> None:
    listener = database.listen("default")
    try:
        os.write(wakes[1], b"!")
        began = time.monotonic()
        assert list(listener.wait(60, wakes[0])) == []
        assert time.monotonic() - began < 30
    finally:
        listener.close()

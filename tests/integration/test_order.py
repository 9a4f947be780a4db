"""One action after another: what waits for what, what is left out after a failure, and that nothing is forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from project.clinic.models import Doctor
from rules_engine.models import Execution, Pause
from rules_engine.models.execution import NOT_AFTER_THAT
from rules_engine.outbox.releasing import release_due
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.work import claims, sequence
from rules_engine.work.run import run_claim
from tests.factories import make_animals, make_doctor, make_many
from tests.integration.noting import Note, note
from tests.threads import run_together
from tests.zoo.models import Animal, Tag

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

STOP = {"on_failure": "stop"}


def animal_with_tags(tags: int) -> Animal:
    [animal] = make_animals("Rex")
    animal.tags.set(make_many([Tag(name=f"t{n}") for n in range(tags)]))
    return animal


def states() -> list[tuple[int, str]]:
    return sorted((one.position, one.state) for one in Execution.objects.all())


def reasons(state: str) -> set[str]:
    return {one.error for one in Execution.objects.filter(state=state)}


# After the commit


def test_actions_without_stop_go_on_after_one_that_failed(noted: list[str]) -> None:
    create_rule(Doctor, actions=[note("a", fails=True), note("b")])
    make_doctor()
    run_due()
    assert noted == ["b"]


def test_nothing_is_done_after_an_action_that_stops_its_rule(noted: list[str]) -> None:
    create_rule(Doctor, actions=[note("a"), note("b", fails=True, **STOP), note("c"), note("d")])
    create_rule(Doctor, actions=[note("other rule")])
    make_doctor()
    run_due()
    assert sorted(noted) == ["a", "other rule"]
    assert reasons("cancelled") == {NOT_AFTER_THAT}
    assert Execution.objects.filter(state="cancelled").count() == 2


def test_what_comes_after_waits_until_the_action_has_succeeded(noted: list[str]) -> None:
    create_rule(Doctor, actions=[note("a", fails=True, passing=True, **STOP), note("b")])
    make_doctor()
    run_due()
    assert states() == [(0, "retryable"), (1, "pending")]
    assert not noted
    Execution.objects.filter(position=0).update(config={"text": "a"})
    Execution.objects.filter(position=0).retry()
    run_due()
    assert noted == ["a", "b"]


def test_each_waits_for_all_that_stop_before_it(noted: list[str]) -> None:
    create_rule(Doctor, actions=[note("a", **STOP), note("b", **STOP), note("c")])
    make_doctor()
    waiting = Execution.objects.filter(next_attempt_at=None).order_by("position")
    assert [one.position for one in waiting] == [1, 2]
    assert run_claim(claims.claim()) == 1
    assert [one.position for one in waiting.all()] == [2]
    run_due()
    assert noted == ["a", "b", "c"]


def test_a_delay_counts_from_the_end_of_what_was_waited_for(noted: list[str]) -> None:
    create_rule(Doctor, actions=[note("a", **STOP), note("b", delay=3600), note("c")])
    make_doctor()
    run_due()
    assert sorted(noted) == ["a", "c"]
    [late] = Execution.objects.filter(state="pending")
    first = Execution.objects.get(position=0)
    assert late.next_attempt_at is not None
    assert first.finished_at is not None
    assert 3590 < (late.next_attempt_at - first.finished_at).total_seconds() < 3700


def test_an_action_of_each_row_that_fails_stops_what_comes_after(noted: list[str]) -> None:
    each = {"for_each": "instance.tags", **STOP}
    create_rule(Animal, operations=["update"], actions=[note("{{ each.name }}", fails="t1", **each), note("after")])
    animal_with_tags(3).save()
    run_due()
    assert sorted(noted) == ["t0", "t2"]
    assert reasons("cancelled") == {NOT_AFTER_THAT}


def test_what_comes_after_each_of_the_rows_waits_for_the_last_one(noted: list[str]) -> None:
    each = {"for_each": "instance.tags", **STOP}
    create_rule(Animal, operations=["update"], actions=[note("{{ each.name }}", **each), note("after")])
    animal_with_tags(3).save()
    run_due()
    assert noted == ["t0", "t1", "t2", "after"]


def test_rows_that_cannot_be_told_stop_the_rule_as_a_failure_does(noted: list[str]) -> None:
    not_a_list = {"for_each": {"var": "instance.name"}, **STOP}
    create_rule(Animal, actions=[note("{{ each }}", **not_a_list), note("after")])
    Animal.objects.create(name="Rex")
    run_due()
    assert not noted
    assert states() == [(0, "discarded"), (1, "cancelled")]
    assert reasons("cancelled") == {NOT_AFTER_THAT}


def test_of_two_workers_that_finish_at_once_one_releases_what_waits(noted: list[str]) -> None:
    each = {"for_each": "instance.tags", **STOP}
    create_rule(Animal, operations=["update"], actions=[note("{{ each.name }}", **each), note("after")])
    animal_with_tags(8).save()
    release_due()
    found = [claims.claim(limit=1) for _ in range(8)]
    run_together(8, lambda number: run_claim(found[number]))
    assert sequence.settle_forgotten() == 0
    run_due()
    assert noted[-1] == "after"
    assert len(noted) == 9


def test_releasing_a_thousand_rows_takes_the_statements_of_one() -> None:
    counts = []
    each = {"for_each": "instance.tags"}
    create_rule(Animal, operations=["update"], actions=[note("first", **STOP), note("{{ each.name }}", **each)])
    for rows in (1, 1_000):
        animal_with_tags(rows).save()
        release_due()
        claim = claims.claim()
        assert len(claim.executions) == 1
        with CaptureQueriesContext(connection) as queries:
            run_claim(claim)
        counts.append(len(queries))
        assert Execution.objects.due().count() == rows
        Execution.objects.all().delete()
    assert counts[0] == counts[1]


def test_what_waited_for_a_cancelled_action_is_cancelled_by_the_sweep() -> None:
    create_rule(Doctor, actions=[note("a", **STOP), note("b")])
    make_doctor()
    Execution.objects.filter(position=0).cancel("By hand.")
    assert run_due() == 0
    assert sequence.settle_forgotten() == 1
    assert states() == [(0, "cancelled"), (1, "cancelled")]


def test_a_sweep_finds_what_was_forgotten_among_many_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequence, "FORGOTTEN", 2)
    create_rule(Doctor, actions=[note("a", **STOP), note("b")])
    for _ in range(9):
        make_doctor()
    forgotten = Execution.objects.filter(position=0).latest("id")
    Execution.objects.filter(pk=forgotten.pk).cancel("By hand.")
    assert sequence.settle_forgotten() == 1
    assert Execution.objects.filter(state="cancelled").count() == 2


# At once


def test_actions_after_a_failed_one_are_recorded_as_not_carried_out(noted: list[str]) -> None:
    before = {"timing": "before_save"}
    create_rule(
        Doctor,
        signals=["pre_save"],
        actions=[
            note("a", **before),
            note("b", fails=True, **before, **STOP),
            note("c", **before),
            note("d", timing="in_transaction"),
            note("e"),
        ],
    )
    make_doctor()
    run_due()
    assert noted == ["a"]
    assert states() == [(0, "succeeded"), (1, "discarded"), (2, "cancelled"), (3, "cancelled"), (4, "cancelled")]
    assert reasons("cancelled") == {NOT_AFTER_THAT}


def test_actions_before_the_one_that_failed_are_carried_out(noted: list[str]) -> None:
    create_rule(
        Doctor,
        signals=["pre_save"],
        actions=[note("a"), note("b", fails=True, timing="before_save", **STOP), note("c")],
    )
    make_doctor()
    run_due()
    assert noted == ["a"]
    assert states() == [(0, "succeeded"), (1, "discarded"), (2, "cancelled")]


def test_a_paused_rule_stops_at_the_first_action_that_cannot_wait(noted: list[str]) -> None:
    at_once = {"timing": "in_transaction", **STOP}
    rule = create_rule(Doctor, actions=[note("a", **at_once), note("b"), note("c", **at_once)])
    pause = Pause.objects.create(rule_slug=rule.slug)
    refresh()
    make_doctor()
    pause.delete()
    run_due()
    assert not noted
    assert states() == [(0, "cancelled"), (1, "cancelled"), (2, "cancelled")]


@pytest.mark.parametrize("timing", ["before_save", "in_transaction", "after_commit"])
@pytest.mark.parametrize("fails", [None, True])
def test_an_action_is_told_the_id_that_its_execution_has(timing: str, fails: Any) -> None:
    create_rule(Doctor, signals=["pre_save"], actions=[note("a", fails=fails, timing=timing)])
    make_doctor()
    run_due()
    [context] = Note.contexts
    [execution] = Execution.objects.all()
    assert context.execution_id == execution.pk
    assert execution.state == ("discarded" if fails else "succeeded")

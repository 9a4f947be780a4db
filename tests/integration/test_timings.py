"""When actions act: before the save, in its transaction, after the commit; and what of them a rollback undoes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.db.transaction import TransactionManagementError

from project.clinic.models import Department, Doctor
from rules_engine.errors import ChangeUndone, InvalidRule
from rules_engine.models import AuditEntry, Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.factories import make_doctor
from tests.integration.noting import Note, note
from tests.statements import statements_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

AT_ONCE = {"timing": "in_transaction"}
DEPARTMENT = {"model": "clinic.department", "values": [{"field": "name", "value": "{{ instance.last_name }}"}]}


def test_each_timing_in_its_place(noted: list[str]) -> None:
    create_rule(
        Doctor,
        signals=["pre_save"],
        actions=[note("before", timing="before_save"), note("within", **AT_ONCE), note("after")],
    )
    with transaction.atomic():
        doctor = Doctor(first_name="Ada", last_name="Byron")
        doctor.save()
        assert noted == ["before", "within"]
        assert Note.contexts[0].instance is doctor
        assert Note.contexts[1].instance is None
    run_due()
    assert noted == ["before", "within", "after"]
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}


def test_what_is_done_in_the_transaction_goes_with_it() -> None:
    create_rule(Doctor, actions=[("create_object", DEPARTMENT, AT_ONCE), ("write_audit_entry", {}, AT_ONCE)])
    with transaction.atomic():
        make_doctor(last_name="kept")
        with transaction.atomic():
            make_doctor(last_name="lost")
            assert Department.objects.count() == 2
            transaction.set_rollback(True)
    assert [one.name for one in Department.objects.all()] == ["kept"]
    assert AuditEntry.objects.count() == 1
    assert Event.objects.count() == 1
    assert Execution.objects.count() == 2


def test_an_action_in_the_transaction_that_fails_undoes_itself_alone(noted: list[str]) -> None:
    Department.objects.create(name="Byron")
    create_rule(Doctor, actions=[("create_object", DEPARTMENT, AT_ONCE), note("next", **AT_ONCE)])
    with transaction.atomic():
        make_doctor()
        Department.objects.create(name="the caller's")
    assert Doctor.objects.exists()
    assert noted == ["next"]
    assert set(Execution.objects.values_list("kind", "state")) == {
        ("create_object", "discarded"),
        ("note", "succeeded"),
    }


def test_a_change_is_undone_with_an_action_that_it_must_not_be_without() -> None:
    create_rule(Doctor, slug="strict", actions=[note("x", fails=True, on_failure="stop", **AT_ONCE)])
    with pytest.raises(ChangeUndone, match='"note" of the rule "strict" failed') as raised, transaction.atomic():
        make_doctor()
    assert "committed before" not in str(raised.value)
    assert not Doctor.objects.exists()
    assert not Event.objects.exists()


def test_who_catches_it_cannot_commit_the_change_all_the_same() -> None:
    create_rule(Doctor, actions=[note("x", fails=True, on_failure="stop", **AT_ONCE)])
    with transaction.atomic():
        Department.objects.create(name="kept")
        with transaction.atomic():
            with pytest.raises(ChangeUndone):
                make_doctor()
            with pytest.raises(TransactionManagementError):
                Department.objects.create(name="lost")
        Department.objects.create(name="kept too")
    assert not Doctor.objects.exists()
    assert Department.objects.count() == 2


def test_without_a_transaction_it_says_that_the_change_is_made() -> None:
    create_rule(Doctor, actions=[note("x", fails=True, on_failure="stop", **AT_ONCE)])
    with pytest.raises(ChangeUndone, match="committed before, since no transaction was open"):
        make_doctor()
    assert Doctor.objects.exists()


def test_a_delete_is_undone_also_without_a_transaction_of_the_callers() -> None:
    create_rule(Doctor, signals=["post_delete"], actions=[note("x", fails=True, on_failure="stop", **AT_ONCE)])
    doctor = make_doctor()
    with pytest.raises(ChangeUndone):
        doctor.delete()
    assert Doctor.objects.exists()


def test_a_rule_set_off_at_once_that_fails_undoes_what_set_it_off() -> None:
    create_rule(Doctor, actions=[("create_object", DEPARTMENT, AT_ONCE)])
    create_rule(Department, actions=[note("x", fails=True, on_failure="stop", **AT_ONCE)])
    with transaction.atomic():
        make_doctor()
    assert Doctor.objects.exists()
    assert not Department.objects.exists()
    assert "nothing is to be done without it" in Execution.objects.get(kind="create_object").error


def test_what_failed_before_the_save_is_recorded_and_the_save_is_made(noted: list[str]) -> None:
    create_rule(
        Doctor,
        signals=["pre_save"],
        actions=[note("x", fails=True, timing="before_save"), note("y", timing="before_save")],
    )
    make_doctor()
    assert Doctor.objects.exists()
    assert noted == ["y"]
    assert sorted(Execution.objects.values_list("state", flat=True)) == ["discarded", "succeeded"]


def test_a_save_that_fails_leaves_no_record_of_what_acted_before_it() -> None:
    create_rule(Doctor, signals=["pre_save"], actions=[note("x", timing="before_save"), note("y", **AT_ONCE)])
    one = make_doctor()
    Event.objects.all().delete()
    Execution.objects.all().delete()
    Note.noted.clear()
    with pytest.raises(DatabaseError), transaction.atomic():
        Doctor(pk=one.pk, first_name="Ada").save(force_insert=True)
    assert Note.noted == ["x"]
    assert not Event.objects.exists()
    assert not Execution.objects.exists()


def test_a_delayed_action_is_due_when_its_time_has_come(noted: list[str]) -> None:
    create_rule(Doctor, actions=[note("late", delay=3600), note("now")])
    make_doctor()
    run_due()
    assert noted == ["now"]
    late = Execution.objects.get(state="pending")
    assert late.next_attempt_at is not None
    assert 3500 < (late.next_attempt_at - late.created_at).total_seconds() < 3700


@pytest.mark.parametrize(
    ("rule", "action", "pointer", "sentence"),
    [
        ({"signals": ["post_save"]}, {"timing": "before_save"}, "timing", "listen to pre_save"),
        ({}, {"timing": "before_save", "for_each": "instance.departments"}, "for_each", "one object"),
        ({}, {"timing": "in_transaction", "delay": 5}, "delay", "after the commit"),
        ({}, {"timing": "sometime"}, "timing", "not sometime"),
        ({}, {"on_failure": "explode"}, "on_failure", "go_on or stop"),
        ({}, {"delay": -1}, "delay", "whole number"),
        ({}, {"delay": 40 * 24 * 3600}, "delay", "2,592,000"),
        ({"once": True}, {"timing": "in_transaction"}, "timing", "acts after the commit alone"),
        (
            {"model": "", "signals": ["request_started"]},
            {"timing": "in_transaction", "on_failure": "stop"},
            "on_failure",
            "no change that could be undone",
        ),
    ],
)
def test_a_combination_that_makes_no_sense_is_a_sentence_at_its_field(
    rule: dict[str, Any], action: dict[str, Any], pointer: str, sentence: str
) -> None:
    with pytest.raises(InvalidRule) as caught:
        create_rule(**{"model": Doctor, **rule}, actions=[note("x", **action)])
    found = [one.message for one in caught.value.problems if one.pointer == f"/actions/0/{pointer}"]
    assert any(sentence in one for one in found), caught.value.problems


def test_an_action_cannot_wait_for_one_that_acts_later() -> None:
    with pytest.raises(InvalidRule, match='/actions/1/timing: This acts before "note" above it'):
        create_rule(Doctor, actions=[note("a", on_failure="stop"), note("b", **AT_ONCE)])
    create_rule(Doctor, actions=[note("b", on_failure="stop", **AT_ONCE), note("a", on_failure="stop"), note("c")])


def test_a_veto_goes_with_no_sample() -> None:
    with pytest.raises(InvalidRule, match="leave the rule's sample at 100 percent"):
        create_rule(Doctor, signals=["pre_save"], sample_percent=50, actions=[("reject", {"message": "No."})])


def test_actions_at_once_take_no_statement_where_no_rule_asks_for_them() -> None:
    create_rule(Doctor, actions=[note("x")])
    with transaction.atomic():
        own = statements_of(make_doctor)
    assert len(own) == 3, own

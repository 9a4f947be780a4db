"""rules_sweep, rules_prune, rules_erase and rules_explain."""

from __future__ import annotations

import contextlib
import io
import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection
from django.utils import timezone

from project.clinic.models import Doctor, Patient
from rules_engine.models import Attempt, AuditEntry, Event, Execution
from rules_engine.outbox import hints
from rules_engine.testing import create_rule, run_due
from rules_engine.work.workers import stopping

pytestmark = pytest.mark.django_db(transaction=True)


def run(*args: str, **options: Any) -> str:
    out = io.StringIO()
    call_command(*args, stdout=out, stderr=out, **options)
    return out.getvalue()


def doctors(number: int = 1) -> list[Doctor]:
    return [Doctor.objects.create(first_name=f"N{n}", last_name="Who") for n in range(number)]


def audit_rule(**fields: Any) -> None:
    create_rule(slug="audit", model=Doctor, actions=[("write_audit_entry", {"fields": ["last_name"]})], **fields)


@pytest.mark.parametrize(
    "name", ["rulepack", "rules_sweep", "rules_prune", "rules_erase", "rules_explain", "rules_worker"]
)
def test_each_command_explains_itself(name, capsys):
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    text = " ".join(parser.format_help().split())
    assert len(parser.description or "") > 60
    assert "MODEL" in text or "--dry-run" in text or "--processes" in text or "list|check|install|diff|export" in text


# rules_sweep


def test_a_sweep_runs_what_is_due_until_nothing_is():
    audit_rule()
    doctors(3)
    assert "Ran 3 executions; none due now." in run("rules_sweep")
    assert AuditEntry.objects.count() == 3
    assert "Ran 0 executions; none due now." in run("rules_sweep")


def test_a_sweep_stops_at_its_limit():
    audit_rule()
    doctors(3)
    assert "Ran 2 executions; 1 due now." in run("rules_sweep", "--limit", "2")


def test_a_sweep_of_one_queue_leaves_the_others():
    audit_rule()
    doctors()
    assert "Ran 0 executions" in run("rules_sweep", "--queue", "webhooks")
    assert "Ran 1 execution;" in run("rules_sweep", "--queue", "rules", "--seconds", "60")


def test_a_dry_sweep_counts_and_runs_nothing():
    audit_rule()
    doctors(2)
    assert "rules: 2 due" in run("rules_sweep", "--dry-run")
    assert Execution.objects.filter(state="pending").count() == 2


def test_a_hint_wakes_workers_of_queues_with_work_and_runs_nothing(monkeypatch):
    told: list[str] = []
    audit_rule()
    doctors()
    hints.flush()
    monkeypatch.setattr(hints, "send", told.append)
    assert "Nothing is due." in run("rules_sweep", "--hint", "--queue", "webhooks")
    assert "Told the workers of rules." in run("rules_sweep", "--hint")
    assert told == ["rules"]
    assert Execution.objects.get().state == "pending"


def test_a_broker_that_is_away_is_said_in_a_sentence(monkeypatch):
    def refuse(queue: str) -> None:
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(hints, "send", refuse)
    audit_rule()
    doctors()
    with pytest.raises(CommandError, match="The workers of rules cannot be told"):
        run("rules_sweep", "--hint")


@pytest.mark.parametrize("option", [("--limit", "0"), ("--limit", "x"), ("--seconds", "nan"), ("--seconds", "-1")])
def test_a_senseless_bound_is_refused(option):
    with pytest.raises(CommandError, match="expected a"):
        run("rules_sweep", *option)


# rules_prune


def test_old_records_are_pruned_and_a_dry_run_only_counts_them():
    audit_rule()
    doctors(2)
    run_due()
    old = timezone.now() - timedelta(days=40)
    Execution.objects.update(created_at=old)
    Event.objects.update(created_at=old)
    said = run("rules_prune", "--dry-run")
    assert "Events are kept for 30 days." in said
    assert "Audit entries are kept for ever." in said
    assert "executions: 2 would be removed" in said
    assert Execution.objects.count() == 2
    assert "executions: 2 removed" in run("rules_prune")
    assert (Execution.objects.count(), Event.objects.count(), Attempt.objects.count()) == (0, 0, 0)
    assert AuditEntry.objects.count() == 2


def test_what_is_still_to_be_done_is_never_pruned():
    audit_rule()
    doctors()
    old = timezone.now() - timedelta(days=400)
    Execution.objects.update(created_at=old)
    Event.objects.update(created_at=old)
    run("rules_prune")
    assert Execution.objects.count() == Event.objects.count() == 1


# rules_erase


def test_one_object_is_forgotten_and_its_neighbour_is_not():
    audit_rule()
    gone, stays = doctors(2)
    run_due()
    said = run("rules_erase", "clinic.Doctor", str(gone.pk), "--no-input")
    assert "events: 1 removed" in said
    assert "audit entries: 1 removed" in said
    assert list(Event.objects.values_list("object_pk", flat=True)) == [str(stays.pk)]
    assert list(AuditEntry.objects.values_list("object_pk", flat=True)) == [str(stays.pk)]
    assert Execution.objects.count() == Attempt.objects.count() == 1
    assert Doctor.objects.count() == 2


def test_a_dry_erasure_removes_nothing():
    audit_rule()
    [doctor] = doctors()
    run_due()
    assert "events: 1 would be removed" in run("rules_erase", "clinic.doctor", str(doctor.pk), "--dry-run")
    assert Event.objects.count() == AuditEntry.objects.count() == 1


@pytest.mark.parametrize(("answer", "left"), [("yes", 0), ("y", 1), ("", 1)])
def test_an_erasure_is_confirmed_with_the_word_yes(monkeypatch, answer, left):
    audit_rule()
    [doctor] = doctors()
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    refused = contextlib.nullcontext() if left == 0 else pytest.raises(CommandError, match=r"Nothing was removed\.")
    with refused:
        run("rules_erase", "clinic.doctor", str(doctor.pk))
    assert Event.objects.count() == left


def test_an_erasure_that_nobody_can_confirm_is_refused(monkeypatch):
    def nobody(prompt: str) -> str:
        raise EOFError

    audit_rule()
    [doctor] = doctors()
    monkeypatch.setattr("builtins.input", nobody)
    with pytest.raises(CommandError, match="--no-input"):
        run("rules_erase", "clinic.doctor", str(doctor.pk))
    assert Event.objects.count() == 1


def test_an_object_of_which_nothing_is_recorded_needs_no_confirmation():
    assert "Nothing is recorded of clinic.doctor 12." in run("rules_erase", "clinic.doctor", "12")


@pytest.mark.parametrize("command", ["rules_erase", "rules_explain"])
def test_a_model_that_never_was_gets_a_suggestion(command):
    with pytest.raises(CommandError, match=r'There is no model "clinic.docter". Did you mean "clinic.doctor"'):
        run(command, "clinic.docter", "1")


def test_records_of_a_model_that_is_gone_can_be_erased():
    audit_rule()
    doctors()
    Event.objects.update(model="old.thing", object_pk="5")
    assert "events: 1 removed" in run("rules_erase", "old.Thing", "5", "--no-input")


# rules_explain


def test_an_explanation_names_rules_gates_executions_and_attempts():
    audit_rule()
    create_rule(
        slug="never",
        model=Doctor,
        condition={"==": [{"var": "instance.email"}, "x"]},
        actions=[("log_message", {"message": "x"})],
    )
    create_rule(slug="only-update", model=Doctor, operations=["update"], actions=[("log_message", {"message": "x"})])
    create_rule(
        slug="bad-mail",
        model=Doctor,
        actions=[("send_email", {"to": ["{{ instance.first_name }}"], "subject": "s", "body": "b"})],
    )
    [doctor] = doctors()
    run_due()
    said = run("rules_explain", "clinic.doctor", str(doctor.pk))
    assert "post_save (create)" in said
    assert "audit v" in said
    assert "write_audit_entry: succeeded: Wrote CREATE of clinic.doctor" in said
    assert "attempt 1 at" in said
    assert "did not match at condition" in said
    assert "did not match at operations" in said
    assert "send_email: discarded: A recipient is not" in said


def test_an_execution_is_told_under_its_own_rule_once():
    audit_rule()
    create_rule(slug="log", model=Doctor, actions=[("log_message", {"message": "x"})])
    [doctor] = doctors()
    run_due()
    said = run("rules_explain", "clinic.doctor", str(doctor.pk))
    assert said.count("write_audit_entry") == said.count("log_message") == 1


def test_without_an_event_the_answer_is_not_recorded_and_no_verdict():
    audit_rule()
    patient = Patient.objects.create(name="P")
    said = run("rules_explain", "clinic.patient", str(patient.pk))
    assert "clinic.patient" in said
    assert "not recorded" in said
    assert "did not match" not in said


def test_since_leaves_out_what_is_older():
    audit_rule()
    [doctor] = doctors()
    Event.objects.update(occurred_at=timezone.now() - timedelta(days=3))
    assert "not recorded since" in run("rules_explain", "clinic.doctor", str(doctor.pk), "--since", "2d")
    assert "(create)" in run("rules_explain", "clinic.doctor", str(doctor.pk), "--since", "1w")
    assert "(create)" in run("rules_explain", "clinic.doctor", str(doctor.pk), "--since", "2020-01-01")


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "5y", "99999d" * 2])
def test_a_time_that_is_none_is_refused(since):
    with pytest.raises(CommandError, match="expected a time"):
        run("rules_explain", "clinic.doctor", "1", "--since", since)


def test_a_long_history_shows_the_newest_events_in_order():
    audit_rule()
    [doctor] = doctors()
    for _ in range(4):
        doctor.save()
    said = run("rules_explain", "clinic.doctor", str(doctor.pk), "--limit", "2")
    assert "(3 earlier not shown" in said
    assert said.count("(update)") == 2
    assert "(create)" not in said


def test_what_an_event_holds_cannot_steer_the_terminal():
    audit_rule()
    [doctor] = doctors()
    Event.objects.update(actor_id="1", actor_name="\x1b[2Jroot")
    assert "\x1b" not in run("rules_explain", "clinic.doctor", str(doctor.pk))


# rules_worker; what it does is told in tests/faults


@pytest.fixture
def told_to_stop() -> Iterator[None]:
    """A process that was told to stop before it began: it says how it would work, and ends."""
    usual = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stopping.asked.set()
    yield
    stopping.asked.clear()
    for number, handler in usual.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("told_to_stop")
@pytest.mark.parametrize("runner", ["worker", "celery"])
def test_a_worker_says_how_it_learns_of_work(settings: Any, runner: str) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RUNNER": runner}
    said = run("rules_worker", "--queue", "rules")
    assert "Working on rules in 1 process" in said
    if connection.vendor == "postgresql" and runner == "worker":
        assert "PostgreSQL announces new work, and it looks every" in said
    elif connection.vendor == "postgresql":
        assert 'nothing is announced, as RULES_ENGINE["RUNNER"] is "celery"' in said
    else:
        assert "announces nothing: it looks every 0.5 s" in said
    assert "Stopped." in said


@pytest.mark.parametrize("number", ["0", "-1", "65", "many"])
def test_a_number_of_processes_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(CommandError, match="expected a number of processes from 1 to 64, and got"):
        run("rules_worker", f"--processes={number}")

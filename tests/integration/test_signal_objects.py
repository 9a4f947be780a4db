"""What a signal sends of an object is told to those who may view its model; to all others, which object it is."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client
from django.urls import reverse

from project.clinic.models import Appointment, Patient
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch, Rule
from rules_engine.rules.permissions import needed
from rules_engine.test import rule_test
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_doctor
from tests.integration.admin.conftest import ADD, WRITERS, client_of, make_user, post_data
from tests.integration.noting import note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

SECRET = "CANARY"
CANCELLED = "clinic.appointment_cancelled"
TEXT = "{{ signal.instance.text }}"
VIEW = "clinic.view_appointment"


def cancel() -> None:
    appointment = Appointment.objects.create(
        doctor=make_doctor(),
        patient=Patient.objects.create(name=SECRET),
        date=datetime.date(2026, 1, 1),
        time=datetime.time(9),
    )
    appointment.cancel("x")
    run_due()


def log_in() -> None:
    if not get_user_model().objects.filter(username=SECRET).exists():
        get_user_model().objects.create_user(SECRET, password="x")
    assert Client().login(username=SECRET, password="x")
    run_due()


def operators(signal: str = CANCELLED, text: str = TEXT) -> None:
    """A rule of nobody's, so that the event holds what the object prints as."""
    create_rule(signals=[signal], slug="operators", actions=[("log_message", {"message": text})])


def state_of(slug: str) -> str:
    return Execution.objects.get(rule_slug=slug).state


# A text, a condition, a key of a rule whose author may not view it


@pytest.mark.parametrize("may_view", [True, False])
@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
def test_an_action_reads_an_object_that_its_author_may_view(noted: list[str], may_view: bool, timing: str) -> None:
    author = make_user(*([VIEW] if may_view else []))
    create_rule(signals=[CANCELLED], slug="low", actions=[note(TEXT, timing=timing)], author=author)
    cancel()
    assert (SECRET in "".join(noted)) is may_view
    assert state_of("low") == ("succeeded" if may_view else "refused")
    if not may_view:
        assert VIEW in Execution.objects.get(rule_slug="low").error


@pytest.mark.parametrize("text", ["{{ signal }}", "{{ signal.instance.pk }} {{ signal.instance.model }}"])
def test_the_whole_signal_names_an_object_and_does_not_tell_of_it(noted: list[str], text: str) -> None:
    operators()
    create_rule(signals=[CANCELLED], slug="low", actions=[note(text)], author=make_user())
    cancel()
    assert SECRET in Execution.objects.get(rule_slug="operators").summary
    assert "clinic.appointment" in noted[0]
    assert SECRET not in noted[0]


CONDITIONS = [
    {"in": [SECRET, {"var": "signal.instance.text"}]},
    {"in": [SECRET, {"cat": [{"var": "signal.instance"}]}]},
    {"in": [SECRET, {"cat": [{"var": "signal"}]}]},
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
@pytest.mark.parametrize("may_view", [True, False])
def test_a_condition_on_an_object_is_an_error_for_who_may_not_view_it(condition: Any, may_view: bool) -> None:
    operators()
    author = make_user(*([VIEW] if may_view else []))
    action = ("log_message", {"message": "x"})
    create_rule(signals=[CANCELLED], slug="low", condition=condition, actions=[action], author=author)
    cancel()
    told = [one for event in Event.objects.all() for one in event.evaluations if one["rule"] == "low"]
    assert [one["outcome"] for one in told] == ["matched" if may_view else "error"]
    assert may_view or VIEW in told[0]["detail"]
    assert Execution.objects.filter(rule_slug="low").exists() is may_view


@pytest.mark.parametrize("text", [TEXT, "{{ signal }}"])
def test_a_key_of_what_may_not_be_viewed_holds_nothing(text: str) -> None:
    operators()
    create_rule(signals=[CANCELLED], slug="low", actions=[note("x")], author=make_user(),
                throttle_by=text, throttle_count=5, throttle_seconds=60)  # fmt: skip
    cancel()
    assert not HeldMatch.objects.exists()
    assert "error" in [told["outcome"] for event in Event.objects.all() for told in event.evaluations]


def test_a_rule_on_logins_tells_who_it_was_to_who_may_view_users(noted: list[str]) -> None:
    author = make_user("zoo.view_animal")
    rule = {"signals": ["user_logged_in"], "slug": "low", "author": author}
    create_rule(**rule, actions=[note("{{ signal.user.username }}")])
    log_in()
    assert noted == []
    author.user_permissions.add(Permission.objects.get(codename="view_user"))
    Client().login(username=SECRET, password="x")
    run_due()
    assert noted == [SECRET]


def test_a_right_that_was_lost_is_lost_for_what_signals_send_too(noted: list[str]) -> None:
    author = make_user(VIEW)
    create_rule(signals=[CANCELLED], condition=CONDITIONS[0], actions=[note("x")], author=author)
    cancel()
    author.user_permissions.clear()
    Appointment.objects.get().cancel("again")
    run_due()
    assert noted == ["x"]


# Saving


@pytest.mark.parametrize("text", ["{{ signal.user.username }}", "{{ signal.user.text }}", "{{ signal.user }}"])
def test_to_tell_who_logs_in_takes_the_permission_to_view_users(text: str) -> None:
    rows = [{"kind": "send_email", "config": json.dumps({"to": ["spy@example.com"], "subject": "s", "body": text})}]
    body = post_data(rows, model="", signals=["user_logged_in"], operations=[])
    page = client_of(make_user(*WRITERS)).post(reverse(ADD), body, follow=True)
    assert "you lack the permission accounts.view_user" in page.content.decode()
    switch_on()
    log_in()
    assert mail.outbox == []
    assert "lacks the permission accounts.view_user" in Execution.objects.get().error
    author = client_of(make_user(*WRITERS, "accounts.view_user", name="b"))
    page = author.post(reverse(ADD), {**body, "slug": "b"}, follow=True)
    assert "lack the permission" not in page.content.decode()
    switch_on()
    log_in()
    assert SECRET in mail.outbox[0].body


def test_which_user_logs_in_may_be_read_by_anybody() -> None:
    create_rule(signals=["user_logged_in"], slug="r", actions=[note("{{ signal.user.pk }} {{ signal.request.path }}")])
    assert needed(Rule.objects.get().spec()) == set()


def switch_on() -> None:
    """Switch all rules on: those made in the admin are off until somebody does."""
    Rule.objects.update(enabled=True)
    refresh()


# The pages


RECORDS = ("rules_engine.view_event", "rules_engine.view_execution", "rules_engine.view_auditentry")


@pytest.mark.parametrize("may_view", [True, False])
def test_pages_and_lists_of_records_tell_of_an_object_who_may_view_it(may_view: bool) -> None:
    operators()
    create_rule(signals=[CANCELLED], actions=[("write_audit_entry", {"note": TEXT, "operation": TEXT})])
    cancel()
    client = client_of(make_user(*RECORDS, *([VIEW] if may_view else [])))
    execution, entry = Execution.objects.get(rule_slug="operators"), AuditEntry.objects.get()
    pages = [
        reverse("admin:rules_engine_event_change", args=[execution.event_id]),
        reverse("admin:rules_engine_execution_change", args=[execution.pk]),
        reverse("admin:rules_engine_execution_changelist"),
        reverse("admin:rules_engine_auditentry_change", args=[entry.pk]),
        reverse("admin:rules_engine_auditentry_changelist"),
    ]
    for address in pages:
        assert (SECRET in client.get(address).content.decode()) is may_view, address


@pytest.mark.parametrize("may_view", [True, False])
def test_entries_about_no_object_are_found_by_who_may_view_users(may_view: bool) -> None:
    config = {"note": "Seen: {{ signal.user.username }}", "operation": "{{ signal.user.username }}"}
    create_rule(signals=["user_logged_in"], actions=[("write_audit_entry", config)])
    log_in()
    client = client_of(make_user(*RECORDS, *(["accounts.view_user"] if may_view else [])))
    for asked in ({"q": "Seen:"}, {"operation": SECRET}):
        page = client.get(reverse("admin:rules_engine_auditentry_changelist"), asked).content.decode()
        assert ("1 audit entry" in page) is may_view, asked


@pytest.mark.parametrize("may_view", [True, False])
def test_a_run_over_recorded_events_does_not_ask_what_may_not_be_viewed(may_view: bool) -> None:
    operators()
    cancel()
    tester = make_user("rules_engine.view_rule", "rules_engine.test_rule", *([VIEW] if may_view else []))
    rule = create_rule(signals=[CANCELLED], condition=CONDITIONS[0], actions=[note("x")], enabled=False)
    address = reverse("admin:rules_engine_rule_backtest", args=[rule.pk])
    event = reverse("admin:rules_engine_event_change", args=[Event.objects.get().pk])
    assert (event in client_of(tester).get(address).content.decode()) is may_view


def test_the_test_of_an_event_shows_of_its_signal_what_may_be_viewed() -> None:
    operators()
    cancel()
    rule = create_rule(signals=[CANCELLED], actions=[note("{{ signal }}")], enabled=False)
    event = Event.objects.get().captured()
    assert SECRET in str(rule_test.tested_on_event(rule.spec(), event, make_user(VIEW, name="a")).context)
    seen = rule_test.tested_on_event(rule.spec(), event, make_user(name="b"))
    assert SECRET not in str(seen)

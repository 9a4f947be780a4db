"""What people see of a rule that is paused by itself, and the one click that resumes it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import translation

from project.clinic.models import Doctor
from rules_engine.live.breakers.adding import add_up
from rules_engine.models import Event, Execution, Pause, Rule
from rules_engine.testing import create_rule
from rules_engine.troubles.signals import chain_stopped
from tests.integration.noting import note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]


@pytest.fixture
def rule(settings: Any) -> Rule:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BREAKER": {"in_a_row": 2}}
    settings.ADMINS = [("Ops", "ops@example.com")]
    condition = {"<": [{"var": "instance.first_name"}, 5]}
    made = create_rule("clinic.doctor", slug="picky", condition=condition, actions=[note("x")])
    for _ in range(2):
        Doctor.objects.create(first_name="x")
    add_up()
    return made


def page(client: Client, name: str, *args: Any) -> str:
    response = client.get(reverse(f"admin:{name}", args=args))
    return response.content.decode()


def test_the_rule_says_it_with_the_last_error(rule: Rule, admin_client: Client) -> None:
    shown = page(admin_client, "rules_engine_rule_change", rule.pk)
    assert "by itself, because it keeps failing" in shown
    assert "It failed 2 times in a row." in shown
    assert "It could not be evaluated:" in shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rules_engine_rule_changelist", "paused by itself"),
        ("rules_engine_overview", "By itself, since"),
        ("rules_engine_pause_changelist", "by itself"),
        ("index", "by itself, because it keeps failing"),
    ],
)
def test_other_pages_say_it_too(rule: Rule, admin_client: Client, name: str, words: str) -> None:
    assert words in page(admin_client, name)


@pytest.mark.parametrize("name", ["rule", "index"])
def test_one_click_resumes_it(rule: Rule, admin_client: Client, name: str) -> None:
    url = reverse("admin:rules_engine_pause_delete", args=[Pause.objects.get().pk])
    where = ("rules_engine_rule_change", rule.pk) if name == "rule" else ("index",)
    assert f'method="post" action="{url}"' in page(admin_client, *where)
    assert admin_client.post(url, {"post": "yes"}).status_code == 302
    assert not Pause.objects.exists()


def test_who_may_not_lift_pauses_is_offered_nothing(rule: Rule) -> None:
    user = get_user_model().objects.create_user("eve", is_staff=True)
    user.user_permissions.set(user.user_permissions.model.objects.filter(codename__in=["view_rule", "view_doctor"]))
    client = Client()
    client.force_login(user)
    shown = page(client, "rules_engine_rule_change", rule.pk)
    assert "by itself, because it keeps failing" in shown
    assert "rules-resume" not in shown


def test_it_is_said_in_german(rule: Rule, admin_client: Client, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        shown = page(admin_client, "rules_engine_rule_change", rule.pk)
    assert "von selbst, weil sie immer wieder fehlschlägt" in shown
    assert "Fortsetzen" in shown


def test_its_own_mail_is_said_to_be_of_the_engine_itself(rule: Rule, admin_client: Client, settings: Any) -> None:
    mail = Execution.objects.get(kind="send_email")
    for name, args in (
        ("execution_change", [mail.pk]),
        ("execution_changelist", []),
        ("event_change", [mail.event_id]),
        ("event_changelist", []),
    ):
        shown = page(admin_client, f"rules_engine_{name}", *args)
        assert "ordered by itself" in shown, name
        assert "ordered by hand" not in shown, name
        assert "No rule watches this model." not in shown, name
    assert "send_email, ordered by itself" in page(admin_client, "rules_engine_execution_change", mail.pk)
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        assert "von selbst veranlasst" in page(admin_client, "rules_engine_execution_changelist")


def test_its_own_mail_that_fails_is_not_said_to_be_ordered_by_anybody(rule: Rule, admin_client: Client) -> None:
    Execution.objects.filter(kind="send_email").update(state="discarded")
    shown = page(admin_client, "rules_engine_overview")
    assert "ordered by hand" not in shown
    assert re.search(r"rule_slug=(:|%3A)by-hand\"[^>]*>without a rule</a>", shown)
    listed = page(admin_client, "rules_engine_execution_changelist")
    assert "without a rule</a>" in listed


def test_an_event_without_a_model_is_not_said_to_have_one(rule: Rule, admin_client: Client) -> None:
    create_rule(signals=["rules_engine.chain_stopped"], slug="told", actions=[note("x")])
    chain_stopped.send(sender=None, rules=[], reason="", root="", depth=1)
    event = Event.objects.get(signal="rules_engine.chain_stopped")
    Rule.objects.filter(slug="told").delete()
    shown = page(admin_client, "rules_engine_event_change", event.pk)
    assert "No rule watches this model." not in shown

"""What signals of trouble quote of executions is told to those who may view these, and what they were about."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from project.clinic.models import Doctor
from rules_engine.live.breakers.adding import add_up
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch, Pause, Rule
from rules_engine.rules.permissions import needed
from rules_engine.test import rule_test
from rules_engine.testing import create_rule, run_due
from tests.integration.admin.conftest import ADD, WRITERS, client_of, make_user, post_data
from tests.integration.noting import note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

SECRET = "CANARY"
GIVEN_UP, FAILING = "rules_engine.execution_given_up", "rules_engine.rule_keeps_failing"
RIGHTS = ("rules_engine.view_execution", "clinic.view_doctor")
ERROR = "{{ signal.rule }}: {{ signal.error }}"


def give_up() -> None:
    """An operator's rule on doctors, whose action fails and quotes the doctor's name."""
    create_rule("clinic.doctor", slug="mute", actions=[note("{{ instance.first_name }}", fails=SECRET)])
    Doctor.objects.create(first_name=SECRET)
    run_due()
    assert SECRET in Execution.objects.get(rule_slug="mute").error


def state_of(slug: str) -> tuple[str, str]:
    execution = Execution.objects.get(rule_slug=slug)
    return execution.state, execution.error


@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
def test_a_text_quotes_an_error_to_an_author_with_both_rights(noted: list[str], timing: str) -> None:
    create_rule(signals=[GIVEN_UP], slug="low", actions=[note(ERROR, timing=timing)], author=make_user(*RIGHTS))
    give_up()
    assert noted == [f"mute: {SECRET} failed"]


@pytest.mark.parametrize("lacks", RIGHTS)
@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
def test_a_text_that_quotes_an_error_is_refused_without_one(noted: list[str], lacks: str, timing: str) -> None:
    author = make_user(*(right for right in RIGHTS if right != lacks))
    create_rule(signals=[GIVEN_UP], slug="low", actions=[note(ERROR, timing=timing)], author=author)
    give_up()
    assert noted == []
    state, why = state_of("low")
    assert (state, lacks in why) == ("refused", True)


@pytest.mark.parametrize("lacks", [None, *RIGHTS])
def test_the_whole_signal_tells_all_but_the_error(noted: list[str], lacks: str | None) -> None:
    author = make_user(*(right for right in RIGHTS if right != lacks))
    create_rule(signals=[GIVEN_UP], slug="low", actions=[note("{{ signal }}")], author=author)
    give_up()
    assert "discarded" in noted[0]
    assert (SECRET in noted[0]) is (lacks is None)


@pytest.mark.parametrize("lacks", [None, *RIGHTS])
@pytest.mark.parametrize("read", ["signal.error", "signal"])
def test_a_condition_on_the_error_is_an_error_without_them(lacks: str | None, read: str) -> None:
    author = make_user(*(right for right in RIGHTS if right != lacks))
    condition = {"in": [SECRET, {"cat": [{"var": read}]}]}
    create_rule(signals=[GIVEN_UP], slug="low", condition=condition, actions=[note("x")], author=author)
    give_up()
    told = [one for event in Event.objects.all() for one in event.evaluations if one["rule"] == "low"]
    assert [one["outcome"] for one in told] == ["error" if lacks else "matched"]


@pytest.mark.parametrize("lacks", RIGHTS)
def test_nothing_is_held_by_an_error_that_may_not_be_read(lacks: str) -> None:
    author = make_user(*(right for right in RIGHTS if right != lacks))
    create_rule(signals=[GIVEN_UP], slug="low", actions=[note("x")], author=author,
                throttle_by="{{ signal.error }}", throttle_count=5, throttle_seconds=60)  # fmt: skip
    give_up()
    assert not HeldMatch.objects.exists()


def test_what_else_a_signal_of_trouble_tells_takes_no_right(noted: list[str]) -> None:
    create_rule(signals=[GIVEN_UP], slug="low", actions=[note("{{ signal.rule }}")], author=make_user())
    give_up()
    assert noted == ["mute"]


@pytest.mark.parametrize("signal", [GIVEN_UP, FAILING])
def test_the_form_refuses_a_rule_that_reads_the_error(signal: str) -> None:
    condition = json.dumps({"in": ["x", {"var": "signal.error"}]})
    body = post_data([], model="", signals=[signal], operations=[], condition=condition)
    page = client_of(make_user(*WRITERS)).post(reverse(ADD), body, follow=True).content.decode()
    assert "you lack the permission rules_engine.view_execution" in page
    assert not Rule.objects.exists()


def test_the_form_refuses_an_action_that_reads_the_error() -> None:
    rows = [{"kind": "log_message", "config": '{"message": "{{ signal.error }}"}'}]
    body = post_data(rows, model="", signals=[GIVEN_UP], operations=[])
    page = client_of(make_user(*WRITERS)).post(reverse(ADD), body, follow=True).content.decode()
    assert "you lack the permission rules_engine.view_execution" in page
    assert not Rule.objects.exists()


@pytest.mark.parametrize("name", ["reason", "host", "name"])
def test_what_is_told_of_an_endpoint_takes_the_right_to_view_endpoints(name: str) -> None:
    rule = create_rule(signals=["webhooks.endpoint_paused"], slug="low", actions=[note(f"{{{{ signal.{name} }}}}")])
    assert needed(rule.spec()) == {"webhooks.view_endpoint"}


@pytest.mark.parametrize("lacks", [None, *RIGHTS])
def test_the_test_page_shows_of_such_an_event_what_may_be_viewed(lacks: str | None) -> None:
    rule = create_rule(signals=[GIVEN_UP], slug="low", actions=[note("{{ signal }}"), note(ERROR)])
    give_up()
    event = Event.objects.get(signal=GIVEN_UP).captured()
    tester = make_user(*(right for right in RIGHTS if right != lacks))
    assert (SECRET in str(rule_test.tested_on_event(rule.spec(), event, tester))) is (lacks is None)


@pytest.mark.parametrize("lacks", [None, *RIGHTS])
def test_pages_of_records_quote_the_error_to_who_may_view_it(lacks: str | None) -> None:
    create_rule(signals=[GIVEN_UP], slug="low", actions=[note(ERROR), ("write_audit_entry", {"note": ERROR})])
    give_up()
    rights = ("rules_engine.view_event", "rules_engine.view_auditentry", *RIGHTS)
    client = client_of(make_user(*(right for right in rights if right != lacks)))
    event, entry = Event.objects.get(signal=GIVEN_UP), AuditEntry.objects.get()
    for address in (
        reverse("admin:rules_engine_event_change", args=[event.pk]),
        reverse("admin:rules_engine_auditentry_change", args=[entry.pk]),
    ):
        assert (SECRET in client.get(address).content.decode()) is (lacks is None), address


@pytest.mark.parametrize("who", ["superuser", "viewer"])
def test_entries_that_quote_are_not_found_by_what_they_quote(admin_client: Client, who: str) -> None:
    create_rule(signals=[GIVEN_UP], slug="low", actions=[("write_audit_entry", {"note": ERROR, "operation": SECRET})])
    give_up()
    rights = ("rules_engine.view_auditentry", "accounts.view_user")
    client = admin_client if who == "superuser" else client_of(make_user(*rights))
    for asked in ({"q": SECRET}, {"operation": SECRET}):
        page = client.get(reverse("admin:rules_engine_auditentry_changelist"), asked).content.decode()
        assert ("1 audit entry" in page) is (who == "superuser"), asked


@pytest.mark.parametrize("who", ["superuser", "viewer"])
def test_held_matches_are_not_found_by_what_their_keys_quote(admin_client: Client, who: str) -> None:
    create_rule(
        signals=[GIVEN_UP], slug="low", actions=[note("x")], coalesce_by="{{ signal.error }}", coalesce_seconds=60
    )
    give_up()
    assert SECRET in HeldMatch.objects.get().coalesce_key
    rights = ("rules_engine.view_heldmatch", "accounts.view_user")
    client = admin_client if who == "superuser" else client_of(make_user(*rights))
    page = client.get(reverse("admin:rules_engine_heldmatch_changelist"), {"q": SECRET}).content.decode()
    assert ("1 held match" in page) is (who == "superuser")


# The breaker's own mail, and the pause


@pytest.mark.parametrize("may_view", [True, False])
def test_the_mail_to_a_rules_author_quotes_what_they_may_view(settings: Any, may_view: bool) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BREAKER": {"in_a_row": 1}}
    author = make_user(*(["clinic.view_doctor"] if may_view else []))
    author.email = "author@example.com"
    author.save()
    condition = {"<": [{"var": "instance.first_name"}, 5]}
    create_rule("clinic.doctor", slug="picky", condition=condition, actions=[note("x")], author=author)
    Doctor.objects.create(first_name=SECRET)
    add_up()
    run_due()
    [sent] = mail.outbox
    assert sent.to == ["author@example.com"]
    assert "It failed 1 time in a row." in sent.body
    assert ("The last error:" in sent.body) is may_view


def test_a_pause_tells_whoever_sees_it_no_error(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BREAKER": {"in_a_row": 1}}
    give_up()
    add_up()
    assert Pause.objects.get().reason == "It failed 1 time in a row."

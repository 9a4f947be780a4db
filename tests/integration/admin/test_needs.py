"""What needs somebody: one list, each with the one thing to do, and its number on the app's index."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Order
from rules_engine.live import faults
from rules_engine.models import Execution, Heartbeat, HeldMatch, Pause, Rule, RuleError
from rules_engine.testing import create_rule, refresh
from rules_engine.work import tasks
from rules_engine.work.overview import Need
from rules_engine.work.workers import heartbeats
from tests.factories import make_endpoint
from webhooks.models import EndpointState

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = reverse("admin:rules_engine_overview")
APP_INDEX = reverse("admin:app_list", args=["rules_engine"])
LOG = ("log_message", {"message": "x"})
AGO = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def _somebody_works() -> None:
    heartbeats.reset()
    Heartbeat.objects.beat(Heartbeat.Kind.SWEEP, "here")


def needs(client: Client) -> list[Need]:
    response: Any = client.get(PAGE)
    return list(response.context_data["needs"])


def need(client: Client) -> Need:
    [only] = needs(client)
    assert client.get(only.url).status_code == 200
    return only


def orders(count: int) -> list[Execution]:
    for number in range(count):
        Order.objects.create(order_number=str(number))
    return list(Execution.objects.order_by("created_at", "pk"))


def late(**filters: Any) -> None:
    Execution.objects.filter(**filters).update(next_attempt_at=timezone.now() - AGO)


def test_where_all_is_well_nothing_needs_you(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", actions=[LOG])
    orders(1)
    assert needs(admin_client) == []
    for page in (PAGE, APP_INDEX):
        assert "Nothing needs you" in admin_client.get(page).content.decode()


def test_no_worker_is_the_first_thing_and_counts_on_the_index(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", actions=[LOG])
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    only = need(admin_client)
    assert (only.what, only.do) == ("Workers", "Start a worker")
    assert "None was seen since" in only.why
    assert f'<strong><a href="{PAGE}">1 thing needs you</a></strong>' in admin_client.get(APP_INDEX).content.decode()
    page = admin_client.get(PAGE).content.decode()
    assert 'id="overview-workers"' in page
    assert f'href="{PAGE}#overview-workers" aria-label="Start a worker: Workers"' in page
    Heartbeat.objects.all().delete()
    assert "None was ever seen" in need(admin_client).why


def test_what_was_given_up_needs_to_be_tried_again(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", name="Mail them", actions=[LOG])
    first, second, *_rest = orders(3)
    Execution.objects.filter(pk__in=[first.pk, second.pk]).update(state="discarded")
    only = need(admin_client)
    assert (only.what, only.why) == ("Mail them", "2 actions were given up.")
    assert only.do == "Try again what was given up"
    assert "rule_slug=mails&state__exact=discarded" in only.url
    Execution.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert needs(admin_client) == []


def test_what_fails_again_and_again_needs_somebody_one_hiccup_does_not(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", actions=[LOG])
    orders(1)
    later = timezone.now() + AGO
    Execution.objects.update(state="retryable", failures=1, next_attempt_at=later)
    assert needs(admin_client) == []
    Execution.objects.update(failures=3)
    assert need(admin_client).why == "1 action fails again and again."


def test_a_rule_that_cannot_be_evaluated_needs_somebody_until_changed(admin_client: Client) -> None:
    rule = create_rule(model=Order, slug="mails", actions=[LOG])
    RuleError.objects.create(rule_slug="mails", rule_version=1, message="It broke")
    only = need(admin_client)
    assert (only.why, only.do) == ("It could not be evaluated 1 time.", "Open the rule")
    assert only.url == reverse("admin:rules_engine_rule_change", args=[rule.pk])
    rule.save()
    assert needs(admin_client) == []


def test_a_rule_that_does_not_work_as_stored_needs_somebody(admin_client: Client) -> None:
    rule = create_rule(model=Order, slug="mails", name="Mail them", actions=[LOG])
    rule.actions.update(kind="no_such_kind")
    assert "no_such_kind" in need(admin_client).why
    rule.actions.update(kind="log_message")
    gone = get_user_model().objects.create_user("gone", is_active=False)
    Rule.objects.filter(pk=rule.pk).update(author=gone)
    assert "Its author, gone, is inactive" in need(admin_client).why
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    assert needs(admin_client) == []


def test_what_is_overdue_needs_somebody_and_what_is_paused_does_not(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", actions=[LOG])
    orders(1)
    late()
    assert need(admin_client).what == "The queue rules"
    Pause.objects.create(rule_slug="mails", until=timezone.now() + AGO)
    assert needs(admin_client) == []


def test_held_matches_that_nobody_decides_on_need_somebody(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", actions=[LOG], coalesce_seconds=60)
    orders(1)
    HeldMatch.objects.update(due_at=timezone.now() - AGO)
    assert need(admin_client).what == "Held matches"


def test_a_pause_that_nobody_lifted_needs_somebody(admin_client: Client, staff: Callable[..., Client]) -> None:
    get_user_model().objects.create_user("ann")
    create_rule(model=Order, slug="mails", name="Mail them", actions=[LOG])
    pause = Pause.objects.create(rule_slug="mails", paused_by="ann")
    assert needs(admin_client) == []
    Pause.objects.filter(pk=pause.pk)._update(
        [(Pause._meta.get_field("created_at"), None, timezone.now() - timedelta(days=2))]
    )
    only = need(admin_client)
    assert (only.what, only.do) == ('Paused: the rule "Mail them"', "Resume")
    assert "by ann, and without an end." in only.why
    assert only.url == reverse("admin:rules_engine_pause_delete", args=[pause.pk])
    [seen] = needs(staff("rules_engine.view_rule"))
    assert (seen.do, seen.url) == ("Have it resumed", "")


def test_a_pause_of_somebody_who_is_gone_needs_somebody_at_once(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", actions=[LOG])
    Pause.objects.create(model="shop.order", paused_by="gone", until=timezone.now() + timedelta(days=9))
    assert "by gone, who is no longer here." in need(admin_client).why


def test_endpoints_that_rest_or_were_disabled_need_somebody(admin_client: Client, staff: Callable[..., Client]) -> None:
    erp, crm = make_endpoint("erp", name="The ERP"), make_endpoint("crm", name="The CRM")
    make_endpoint("by-hand", enabled=False)
    EndpointState.objects.create(endpoint=erp, failures=9, pauses=1, paused_until=timezone.now() + AGO)
    crm.disable("It is gone.")
    told = {one.what: (one.why, one.do) for one in needs(admin_client)}
    assert set(told) == {"Endpoint The ERP", "Endpoint The CRM"}
    assert told["Endpoint The ERP"][0].startswith("Paused until")
    assert told["Endpoint The CRM"] == ("Disabled. It is gone.", "Enable it again")
    assert needs(staff("rules_engine.view_rule")) == []


def test_deliveries_that_could_go_out_and_do_not_need_somebody(admin_client: Client) -> None:
    endpoint = make_endpoint("erp", name="The ERP")
    create_rule(model=Order, slug="tell", actions=[("webhook", {"endpoint": "erp"})])
    orders(1)
    late(queue="webhooks")
    only = need(admin_client)
    assert only.why == "Deliveries to 1 endpoint that answers have been due for more than five minutes."
    EndpointState.objects.create(endpoint=endpoint, failures=9, pauses=1, paused_until=timezone.now() + AGO)
    assert need(admin_client).what == "Endpoint The ERP"


def test_more_than_ten_of_a_kind_are_counted(admin_client: Client) -> None:
    for number in range(12):
        create_rule(model=Order, slug=f"rule-{number}", actions=[LOG])
    orders(1)
    Execution.objects.update(state="discarded")
    told = needs(admin_client)
    assert (len(told), told[-1].what) == (11, "and 2 more rules")
    assert "12 things need you" in unescape(admin_client.get(APP_INDEX).content.decode())


def test_who_may_not_view_rules_is_told_of_nothing(staff: Callable[..., Client]) -> None:
    Heartbeat.objects.all().delete()
    page = staff("rules_engine.view_event").get(APP_INDEX).content.decode()
    assert "needs you" not in page
    assert "need you" not in page


def test_who_may_not_view_executions_is_led_to_the_rule(staff: Callable[..., Client]) -> None:
    rule = create_rule(model=Order, slug="mails", actions=[LOG])
    orders(1)
    Execution.objects.update(state="discarded")
    [only] = needs(staff("rules_engine.view_rule"))
    assert only.url == reverse("admin:rules_engine_rule_change", args=[rule.pk])


def test_a_fault_is_said_in_the_language_of_whoever_looks(admin_client: Client, german: Client) -> None:
    rule = create_rule(model=Order, slug="mails", actions=[LOG])
    rule.actions.update(kind="no_such_kind")
    assert "There is no action of the kind" in need(admin_client).why
    assert "There is no action" not in needs(german)[0].why


def test_a_worker_that_sweeps_has_nobody_needed(admin_client: Client) -> None:
    Heartbeat.objects.all().delete()
    refresh()
    tasks.sweep()
    assert needs(admin_client) == []


def test_changes_that_no_rule_was_told_of_are_named_with_the_last_error(admin_client: Client) -> None:
    untold = faults.Faults()
    for _ in range(3):
        untold.note(OSError("No space left on device"), "The rules on %r could not be tried.", "shop.order")
    untold.report()
    only = need(admin_client)
    assert only.what == "Changes that no rule was told of"
    assert "3 changes were made" in only.why
    assert "OSError: No space left on device" in only.why
    assert "without a rule" not in admin_client.get(PAGE).content.decode()

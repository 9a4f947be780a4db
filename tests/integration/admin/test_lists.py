"""Lists that say whether everything is all right, and what can be done from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Order
from rules_engine.models import Execution, Pause, Rule, RuleError
from rules_engine.testing import create_rule, refresh, run_due
from tests.integration.admin.conftest import make_user

pytestmark = pytest.mark.django_db(transaction=True)

RULES = reverse("admin:rules_engine_rule_changelist")
LOG = ("log_message", {"message": "x"})
MOST_QUERIES = 12
FAILING = ("send_email", {"to": ["{{ instance.order_number }}"], "subject": "x", "body": "x"})


def text_at(client: Client, address: str, **data: Any) -> str:
    response = client.get(address, data)
    assert response.status_code == 200
    return unescape(response.content.decode())


def act(client: Client, action: str, *rules: Rule, **fields: Any) -> Any:
    data = {"action": action, "_selected_action": [str(rule.pk) for rule in rules], **fields}
    return client.post(RULES, data, follow=True)


def order_of(page: str, *words: str) -> list[str]:
    return sorted(words, key=page.index)


def past(executions: Any, **ago: float) -> None:
    executions.update(created_at=timezone.now() - timedelta(**ago))


def queries_of(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as taken:
        assert client.get(address).status_code == 200
    return sum(not one["sql"].startswith(("BEGIN", "COMMIT", "ROLLBACK")) for one in taken)


def test_what_needs_somebody_comes_first_and_what_is_off_last(admin_client: Client) -> None:
    create_rule(model=Order, slug="well", actions=[LOG])
    create_rule(model=Order, slug="off", actions=[LOG], enabled=False)
    create_rule(model=Order, slug="orphan", actions=[LOG], author=make_user(name="gone", is_active=False))
    create_rule(model=Order, slug="mistaken", actions=[LOG])
    create_rule(model=Order, slug="failing", actions=[FAILING])
    Order.objects.create(order_number="1")
    run_due()
    RuleError.objects.create(rule_slug="mistaken", rule_version=1, message="It broke")
    found = [rule.slug for rule in admin_client.get(RULES).context_data["cl"].result_list]  # type: ignore[attr-defined]
    assert found == ["failing", "mistaken", "orphan", "well", "off"]
    assert "cannot run" in text_at(admin_client, RULES)


def test_a_failure_of_the_day_before_no_longer_needs_anybody(admin_client: Client) -> None:
    create_rule(model=Order, slug="a-well", actions=[LOG])
    create_rule(model=Order, slug="failed", actions=[FAILING])
    Order.objects.create(order_number="1")
    run_due()
    past(Execution.objects, hours=25)
    rules = admin_client.get(RULES).context_data["cl"].result_list  # type: ignore[attr-defined]
    assert [(rule.slug, rule.activity.fired, rule.activity.failed) for rule in rules] == [
        ("a-well", 0, 0),
        ("failed", 0, 0),
    ]
    assert rules[1].activity.last_fired < timezone.now() - timedelta(hours=24)


def test_the_day_is_drawn_by_hour_and_said_in_words(admin_client: Client) -> None:
    create_rule(model=Order, slug="busy", actions=[LOG, LOG])
    for number in range(3):
        Order.objects.create(order_number=str(number))
    run_due()
    events = list(Execution.objects.order_by("created_at").values_list("event_id", flat=True).distinct())
    past(Execution.objects.filter(event_id=events[0]), hours=5)
    Execution.objects.filter(event_id=events[0], position=1).update(state="discarded", error="The disk is full")
    past(Execution.objects.filter(event_id=events[1]), hours=23, minutes=59)
    page = text_at(admin_client, RULES)
    # The latest is one event in this hour; those before stand where they belong.
    assert 'aria-label="By hour: 3 fired, 1 failed, at most 2 in one hour, 5 hours ago."' in page
    svg = page.split('<svg class="rules-chart"')[1].split("</svg>")[0]
    assert svg.count("<rect") == 4
    assert svg.count("rules-chart-failed") == 1
    assert "style=" not in svg
    assert "The disk is full" in page


def test_a_rule_that_never_fired_says_so_and_draws_nothing(admin_client: Client) -> None:
    create_rule(model=Order, slug="idle", actions=[LOG])
    page = text_at(admin_client, RULES)
    assert "never" in page
    assert "rules-chart" not in page


@pytest.mark.parametrize("name", ["rule", "execution", "event", "auditentry", "heldmatch", "pause", "ruleversion"])
def test_a_list_takes_few_queries_however_many_rows(admin_client: Client, staff: Any, name: str) -> None:
    address = reverse(f"admin:rules_engine_{name}_changelist")

    def fill(count: int) -> None:
        for number in range(count):
            slug = f"rule-{count}-{number}"
            create_rule(model=Order, slug=slug, actions=[LOG], author=make_user(name=slug), coalesce_seconds=number % 2)
            create_rule(model=Order, slug=f"audit-{slug}", operations=["create"], actions=[("write_audit_entry", {})])
            Pause.objects.create(rule_slug=slug)
            RuleError.objects.create(rule_slug=slug, rule_version=1, message="x")
        Order.objects.create(order_number=f"{count}")
        run_due()

    fill(2)
    few = queries_of(admin_client, address)
    fill(9)
    assert queries_of(admin_client, address) == few <= MOST_QUERIES
    viewer = staff(f"rules_engine.view_{name}", "shop.view_order")
    assert queries_of(viewer, address) <= MOST_QUERIES


def test_rules_are_taken_along_as_a_pack_without_secrets(admin_client: Client) -> None:
    config = {"message": "x", "api_token": "s3cret"}
    one = create_rule(model=Order, slug="one", name="One", actions=[LOG])
    one.actions.update(config=config)
    create_rule(model=Order, slug="two", actions=[LOG])
    response = act(admin_client, "export", one)
    assert response["Content-Disposition"] == 'attachment; filename="rules.json"'
    pack = json.loads(response.content)
    assert [row["model"] for row in pack] == ["rules_engine.rule", "rules_engine.ruleaction"]
    assert pack[0]["fields"]["slug"] == "one"
    assert pack[1]["fields"]["config"] == {"api_token": "", "message": "x"}


def test_several_rules_are_paused_for_a_while_from_the_list(admin_client: Client, root: Any) -> None:
    sent = {"to": ["a@example.com"], "subject": "{{ instance.order_number }}", "body": "x"}
    rules = [create_rule(model=Order, slug=slug, actions=[("send_email", sent)]) for slug in ("one", "two", "three")]
    asked = unescape(act(admin_client, "pause", *rules[:2]).content.decode())
    assert "For how long" in asked
    assert "three" not in asked.split('id="content-main"')[1]
    assert not Pause.objects.exists()
    given = {"post": "yes", "lasts": "3600", "mode": "hold", "reason": "The mail server moves"}
    page = unescape(act(admin_client, "pause", *rules[:2], **given).content.decode())
    assert "2 rules are paused." in page
    assert page.count("paused until") == 2
    made = Pause.objects.order_by("rule_slug")
    assert [(one.rule_slug, one.mode) for one in made] == [("one", "hold"), ("two", "hold")]
    assert {one.paused_by for one in made} == {"root"}
    assert {round((one.until - timezone.now()).total_seconds() / 60) for one in made if one.until} == {60}
    assert LogEntry.objects.filter(user=root, change_message="Paused.").count() == 2
    refresh()
    Order.objects.create(order_number="A-1")
    run_due()
    assert len(mail.outbox) == 1


def test_all_that_were_found_are_paused_at_once(admin_client: Client) -> None:
    for number in range(60):
        create_rule(model=Order, slug=f"rule-{number}", actions=[LOG])
    first = Rule.objects.order_by("pk")[0]
    asked = act(admin_client, "pause", first, select_across="1").content.decode()
    assert "and 40 more rules" in asked
    assert asked.count('name="_selected_action"') == 1
    act(admin_client, "pause", first, select_across="1", post="yes", lasts="", mode="drop", reason="")
    assert Pause.objects.filter(until=None, mode="drop").count() == 60


def test_pausing_from_the_list_takes_the_permission_to_pause(staff: Callable[..., Client]) -> None:
    rule = create_rule(model=Order, slug="one", actions=[LOG])
    client = staff("rules_engine.view_rule", "rules_engine.change_rule")
    act(client, "pause", rule, post="yes", lasts="", mode="hold", reason="")
    assert not Pause.objects.exists()


def test_audit_entries_are_found_by_object_actor_and_field(admin_client: Client, root: Any) -> None:
    create_rule(model=Order, slug="trail", operations=["update"], actions=[("write_audit_entry", {})])
    order = Order.objects.create(order_number="A-1")
    order.status = "paid"
    order.save()
    run_due()
    audit = reverse("admin:rules_engine_auditentry_changelist")
    for search, found in (("status", 1), (str(order.pk), 1), ("shop.order", 1), ("trail", 1), ("customer_name", 0)):
        assert admin_client.get(audit, {"q": search}).context_data["cl"].result_count == found  # type: ignore[attr-defined]

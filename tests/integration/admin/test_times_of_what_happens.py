"""Why a rule that counts what happens, or waits for it, does not act: how many came, or since when none."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from project.shop.models import Order
from rules_engine.models import Armed, HeldMatch, Rule
from rules_engine.testing import create_rule, run_due
from tests.factories import make_order
from tests.integration.admin.conftest import client_of, make_user
from tests.integration.admin.test_times import url, words

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})
OFTEN = {"kind": "often", "times": 3, "count": 10, "unit": "minutes"}
BY_STATUS = {**OFTEN, "by": "{{ instance.status }}"}
SILENT = {"kind": "silent", "count": 26, "unit": "hours"}
NOT_CANCELLED = {"!=": [{"var": "instance.status"}, "cancelled"]}


def often(**fields: Any) -> Rule:
    given = {"slug": "often", "schedule": OFTEN, "operations": ["create"], "actions": [LOG], **fields}
    return create_rule(Order, **given)


def silent(**fields: Any) -> Rule:
    given = {"slug": "quiet", "schedule": SILENT, "operations": ["create"], "actions": [LOG], **fields}
    return create_rule(Order, **given)


def asked(client: Client, rule: Rule, order: Order) -> str:
    return words(client.get(url(rule), {"pk": order.pk}))


def test_how_many_of_how_many_have_come_is_told(admin_client: Client) -> None:
    rule = often()
    order = make_order(order_number="O1")
    assert "So far 1 of 3 within 10 minutes." in asked(admin_client, rule, order)
    make_order(order_number="O2")
    run_due()
    said = asked(admin_client, rule, order)
    assert "So far 2 of 3 within 10 minutes." in said
    assert "used up" not in said
    HeldMatch.objects.update(created_at=F("created_at") - timedelta(minutes=11))
    assert "So far 0 of 3 within 10 minutes." in asked(admin_client, rule, order)


def test_what_made_it_act_is_used_up(admin_client: Client) -> None:
    rule = often()
    orders = [make_order(order_number=f"O{number}") for number in range(4)]
    run_due()
    said = asked(admin_client, rule, orders[0])
    assert "So far 1 of 3 within 10 minutes. Those on which it acted on" in said
    assert "are used up." in said


def test_each_key_is_counted_by_itself(admin_client: Client) -> None:
    rule = often(schedule=BY_STATUS)
    pending, paid = make_order(order_number="O1", status="pending"), make_order(order_number="O2", status="paid")
    make_order(order_number="O3", status="paid")
    assert "So far 1 of 3 within 10 minutes, counted for “pending”." in asked(admin_client, rule, pending)
    assert "So far 2 of 3 within 10 minutes, counted for “paid”." in asked(admin_client, rule, paid)
    listed = words(admin_client.get(url(rule))).partition("What it has counted")[2]
    assert listed.index("2 of 3 within 10 minutes, counted for “paid”") < listed.index("1 of 3")


def test_what_the_condition_leaves_out_does_not_count(admin_client: Client) -> None:
    rule = often(condition=NOT_CANCELLED)
    order = make_order(order_number="O1", status="cancelled")
    assert "It does not count, since the condition does not hold: Status was Cancelled" in asked(
        admin_client, rule, order
    )
    Rule.objects.update(enabled=False)
    assert "It is switched off." in asked(admin_client, rule, order)


def test_what_only_a_change_tells_is_not_guessed_from_the_object(admin_client: Client) -> None:
    rule = often(schedule={**OFTEN, "by": "{{ old.status }}"}, operations=["update"])
    assert "the object alone does not" in asked(admin_client, rule, make_order(order_number="O1"))


def test_whoever_is_not_shown_all_objects_is_not_shown_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = often(schedule=BY_STATUS)
    make_order(order_number="O1", status="paid")
    client = client_of(make_user("rules_engine.view_rule", "rules_engine.test_rule", "shop.view_order"))
    assert "counted for “paid”" in words(client.get(url(rule)))
    monkeypatch.setattr(admin.site.get_model_admin(Order), "get_queryset", lambda request: Order.objects.none())
    assert "counted for" not in words(client.get(url(rule)))


def test_since_when_nothing_came_is_told_and_when_it_acts(admin_client: Client) -> None:
    rule = silent()
    order = make_order(order_number="O1")
    run_due()
    Armed.objects.update(created_at=F("created_at") - timedelta(hours=3), due_at=F("due_at") - timedelta(hours=3))
    said = asked(admin_client, rule, order)
    assert "Nothing has come since" in said
    assert "(for 3 hours). If nothing comes until" in said
    assert "(23 hours more), it acts." in said
    run_due(now=timezone.now() + timedelta(hours=24))
    assert "Nothing is waited for: that begins when something comes" in asked(admin_client, rule, order)


def test_silence_of_each_key_is_told_of_its_objects(admin_client: Client) -> None:
    rule = silent(schedule={**SILENT, "by": "{{ instance.status }}"}, condition=NOT_CANCELLED)
    paid = make_order(order_number="O1", status="paid")
    pending = Order(order_number="O2", status="pending", customer=paid.customer)
    Order.objects.bulk_create([pending])
    assert "Nothing has come since" in asked(admin_client, rule, paid)
    assert "Nothing is waited for" in asked(admin_client, rule, Order.objects.get(order_number="O2"))
    Order.objects.filter(order_number="O2").update(status="cancelled")
    assert "It does not count" in asked(admin_client, rule, Order.objects.get(order_number="O2"))


def test_both_are_told_on_the_page_of_an_object_and_in_german(admin_client: Client, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    often(), silent()
    order = make_order(order_number="O1")
    with translation.override("de"):
        said = words(admin_client.get(reverse("admin:rules_engine_rule_why"), {"model": "shop.order", "pk": order.pk}))
    assert "Bisher 1 von 3 innerhalb von 10 Minuten." in said
    assert re.search(r"Seit .* kam nichts \(\d+ Sekunden? lang\)", said)

"""The page that tests a rule: what it shows of gates and actions, that nothing comes of it, and who may see it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from project.shop.models import Order, OrderItem, Product, StatusHistory, Tag
from rules_engine.models import AuditEntry, Event, Execution, Rule, RuleVersion
from rules_engine.testing import create_rule
from tests.factories import make_order
from tests.integration.admin.conftest import client_of, make_user
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = ("send_email", {"to": ["stock@example.com"], "subject": "Order {{ instance.order_number }}", "body": "Pack it."})
BIG = {
    "or": [
        {">": [{"var": "instance.total"}, 100]},
        {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]},
    ]
}


def url(rule: Rule) -> str:
    return reverse("admin:rules_engine_rule_test", args=[rule.pk])


def post(client: Client, rule: Rule, *changes: tuple[str, str, str], **fields: Any) -> str:
    data = {"signal": rule.signals[0], "operation": "update", **fields}
    data |= {"changes-TOTAL_FORMS": str(len(changes)), "changes-INITIAL_FORMS": "0"}
    for index, (field, old, new) in enumerate(changes):
        data |= {f"changes-{index}-field": field, f"changes-{index}-old": old, f"changes-{index}-new": new}
    response = client.post(url(rule), data)
    assert response.status_code == 200
    return response.content.decode()


def words(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(page.replace("<", " <"))))


def test_a_rule_that_would_act_shows_gates_and_mail_and_sends_nothing(admin_client: Client) -> None:
    changes = [{"field": "status", "to": "paid"}]
    rule = create_rule(Order, operations=["update"], changes=changes, condition=BIG, actions=[MAIL], enabled=False)
    made = make_order(total=120)
    versions = RuleVersion.objects.count()
    page = words(post(admin_client, rule, ("status", "", "paid"), pk=str(made.pk)))
    assert "The rule would act." in page
    assert "ANY of these true Total is more than 100 true Total 120" in page
    assert "Order items have at least one where: Quantity is more than 2 not looked at" in page
    assert "Status to Paid Draft → Paid holds" in page
    assert "stock@example.com" in page
    assert f"Order {made.order_number}" in page
    assert not mail.outbox
    assert not Event.objects.exists()
    assert not Execution.objects.exists()
    assert RuleVersion.objects.count() == versions
    made.refresh_from_db()
    assert made.status == "draft"


def test_a_rule_that_would_not_act_shows_every_gate_and_its_effect(admin_client: Client) -> None:
    rule = create_rule(
        Order, changes=[{"field": "status", "from": "draft", "to": "paid"}], condition=BIG, actions=[MAIL]
    )
    made = make_order(total=5)
    OrderItem.objects.create(order=made, product=Product.objects.create(name="p", price=1), quantity=1, unit_price=1)
    page = words(post(admin_client, rule, ("status", "pending", "paid"), pk=str(made.pk)))
    assert "The rule would not act." in page
    assert "Status from Draft to Paid Pending → Paid does not hold" in page
    assert "Total is more than 100 false" in page
    assert "Total 5" in page
    assert "What it would do if it matched" in page


def test_rows_begin_with_asked_changes_and_offer_latest_objects(
    admin_client: Client,
) -> None:
    rule = create_rule(Order, changes=[{"field": "status", "from": "draft", "to": "paid"}], actions=[MAIL])
    made = make_order(order_number="Z9")
    page = admin_client.get(url(rule)).content.decode()
    assert f'<option value="{made.pk}">Order Z9 ({made.pk})</option>' in page
    assert '<option value="status" selected>' in page
    named = admin_client.get(url(rule), {"pk": str(made.pk)}).content.decode()
    assert f'<option value="{made.pk}" selected>Order Z9 ({made.pk})</option>' in named
    assert 'name="pk" value=' not in named, "The key would win over what is chosen from the list."
    assert 'name="changes-0-old" value="draft"' in page
    assert "/admin/shop/order/?_to_field=id" in page


def test_every_kind_of_action_is_shown_and_none_is_carried_out(admin_client: Client) -> None:
    endpoint = Endpoint(
        slug="erp", url="https://erp.example.com/hook?key=canary-query", headers={"X-Key": "canary-header"}
    )
    endpoint.save()
    cache.set("order_1", "kept")
    actions = [
        ("webhook", {"endpoint": "erp", "payload": '{"number": "{{ instance.order_number }}"}'}),
        ("delete_cache_keys", {"keys": ["order_1"]}),
        ("write_audit_entry", {"note": "paid"}),
        ("log_message", {"message": "Order {{ instance.order_number }}", "level": "warning"}),
        ("create_object", {"model": "shop.statushistory", "values": [
            {"field": "order", "value": "{{ instance.pk }}"}, {"field": "to_status", "value": "paid"}]}),
        ("update_objects", {"target": "instance", "values": [{"field": "discount", "value": "7"}]}),
        ("send_signal", {"signal": "shop.order_paid", "with_object": True}),
    ]  # fmt: skip
    rule = create_rule(Order, actions=actions)
    made = make_order(total=120)
    Event.objects.all().delete()
    Execution.objects.all().delete()
    html = post(admin_client, rule, pk=str(made.pk))
    page = words(html)
    assert "POST https://erp.example.com/hook?…" in page
    assert f'"number": "{made.order_number}"' in page
    assert "webhook-signature: v1,…" in page
    assert "canary" not in html
    assert "Deletes order_1" in page
    assert "Writes UPDATE to the audit trail" in page
    assert f"Logs: Order {made.order_number}" in page
    assert "Creates status history" in page
    assert '"discount": { "old": "0.00", "new": "7.00" }' in page
    assert "Sends shop.order_paid" in page
    assert cache.get("order_1") == "kept"
    assert not AuditEntry.objects.exists()
    assert not StatusHistory.objects.exists()
    made.refresh_from_db()
    assert made.discount == 0
    assert not Event.objects.exists()
    assert not Execution.objects.exists()


def test_fields_to_be_set_and_a_message_that_would_reject_are_shown(admin_client: Client) -> None:
    fields = [{"field": "slug", "value": "{{ instance.name|slugify }}", "unique": True}]
    rule = create_rule(
        Product, ["pre_save"], actions=[("set_fields", {"fields": fields}), ("reject", {"message": "No."})]
    )
    made = Product(name="Red chair", price=1)
    made.save_base(raw=True)
    page = words(post(admin_client, rule, ("name", "", "Blue chair"), pk=str(made.pk)))
    assert "Sets slug" in page
    assert "blue-chair" in page
    assert "With a counter, if taken" in page
    assert "Rejects the change Message No." in page
    made.refresh_from_db()
    assert (made.name, made.slug) == ("Red chair", "")


def test_an_action_for_each_row_shows_the_first_rows(admin_client: Client) -> None:
    each = ("log_message", {"message": "{{ each.quantity }} pieces"}, {"for_each": "instance.items"})
    rule = create_rule(Order, actions=[each])
    made = make_order()
    product = Product.objects.create(name="p", price=1)
    for quantity in (4, 5, 6, 7):
        OrderItem.objects.create(order=made, product=product, quantity=quantity, unit_price=1)
    page = words(post(admin_client, rule, pk=str(made.pk)))
    assert "Once for each of 4 rows" in page
    assert "Logs: 4 pieces" in page
    assert "Logs: 7 pieces" not in page


def test_a_pasted_context_is_tried_and_what_it_lacks_is_no_verdict(admin_client: Client) -> None:
    rule = create_rule(Order, condition=PAID, actions=[MAIL])
    whole = {"instance": {"status": "paid", "order_number": "P7"}}
    page = words(post(admin_client, rule, context=json.dumps(whole)))
    assert "The rule would act." in page
    assert "Order P7" in page
    page = words(post(admin_client, rule, context='{"instance": {"order_number": "P7"}}'))
    assert "That cannot be said" in page
    assert "Not stored: Status" in page


PAID = {"==": [{"var": "instance.status"}, "paid"]}


def test_a_many_to_many_change_is_tried_with_the_objects_it_names(admin_client: Client) -> None:
    text = "{% for one in m2m.objects %}{{ one.name }};{% endfor %}"
    rule = create_rule(
        Product,
        ["m2m_changed"],
        operations=["add"],
        changes=[{"field": "tags"}],
        actions=[("log_message", {"message": text})],
    )
    made, tag = Product.objects.create(name="p", price=1), Tag.objects.create(name="new")
    page = words(post(admin_client, rule, pk=str(made.pk), operation="add", relation="tags", others=str(tag.pk)))
    assert "The rule would act." in page
    assert "Logs: new;" in page


def test_a_rule_on_a_signal_without_a_model_takes_what_the_signal_sends(admin_client: Client) -> None:
    rule = create_rule(signals=["user_logged_in"], actions=[("log_message", {"message": "{{ signal.user.username }}"})])
    page = admin_client.get(url(rule)).content.decode()
    assert "&quot;user&quot;: null" in page
    data = {"signal": "user_logged_in", "context": '{"signal": {"user": {"username": "ada"}}}'}
    assert "Logs: ada" in words(admin_client.post(url(rule), data).content.decode())


def test_an_unknown_object_and_broken_json_are_said_at_their_fields(admin_client: Client) -> None:
    rule = create_rule(Order, actions=[MAIL])
    made = make_order()
    assert 'There is no object "nope" that you may see.' in words(post(admin_client, rule, pk="nope"))
    assert "Choose an object, or paste a context." in words(post(admin_client, rule))
    assert "must be a decimal number" in words(post(admin_client, rule, ("total", "", "many"), pk=str(made.pk)))
    assert "Traceback" not in post(admin_client, rule, context="{")


def test_an_action_that_would_fail_says_why(admin_client: Client) -> None:
    rule = create_rule(
        Order, actions=[("send_email", {"to": ["{{ instance.customer.email }}"], "subject": "s", "body": "b"})]
    )
    page = words(post(admin_client, rule, pk=str(make_order().pk)))
    assert "No recipient is left" in page


def test_what_cannot_be_read_of_an_object_is_said_and_no_500(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = {">": [{"var": "instance.items__count"}, 1]}
    rule = create_rule(Order, condition=condition, actions=[MAIL], enabled=False)
    made = make_order(total=120)

    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("A scope needs to be active")

    monkeypatch.setattr("rules_engine.context.aggregates._query", refuse)
    page = words(post(admin_client, rule, pk=str(made.pk)))
    assert "What it reads could not be read (RuntimeError)." in page


def test_it_takes_the_permission_to_test_and_to_view_what_the_rule_reads() -> None:
    rule = create_rule(Order, condition={"==": [{"var": "instance.customer.username"}, "ada"]}, actions=[MAIL])
    made = make_order()

    def status(name: str, *permissions: str) -> int:
        client = client_of(make_user("rules_engine.view_rule", *permissions, name=name))
        return client.get(url(rule)).status_code

    assert status("a") == 403
    assert status("b", "rules_engine.test_rule") == 403
    assert status("c", "rules_engine.test_rule", "shop.view_order") == 403
    assert status("d", "rules_engine.test_rule", "shop.view_order", "accounts.view_user") == 200
    assert made.pk


def test_who_lacks_what_an_action_takes_is_not_shown_it(staff: Callable[..., Client]) -> None:
    update = ("update_objects", {"target": "instance", "values": [{"field": "discount", "value": "7"}]})
    rule = create_rule(Order, actions=[update])
    client = staff("rules_engine.view_rule", "rules_engine.test_rule", "shop.view_order")
    page = words(post(client, rule, pk=str(make_order().pk)))
    assert "you lack the permission shop.change_order" in page
    assert "7.00" not in page


def test_what_cannot_be_tested_is_said_at_the_field_that_is_to_be_mended(admin_client: Client) -> None:
    order = make_order()
    rule = create_rule(Order, actions=[MAIL])
    assert "Choose the field." in words(post(admin_client, rule, ("", "draft", "paid"), pk=str(order.pk)))
    page = post(admin_client, rule, context="[1, 2]")
    assert "Expected an object, such as" in words(page)
    assert "The rule would act." not in words(page)
    of_signal = create_rule(signals=["user_logged_in"], actions=[("log_message", {"message": "x"})])
    page = words(admin_client.post(url(of_signal), {"signal": "user_logged_in"}).content.decode())
    assert "This rule listens to no model: write what the signal sends." in page

"""X01: rules from ready templates, through Django's test client; and X02's page in the admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.core import mail
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from project.clinic.models import Doctor
from project.shop.models import Order, Product
from rules_engine.models import AuditEntry, Execution, Rule
from rules_engine.packs import rule_templates
from rules_engine.rules import registry
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_endpoint
from tests.integration.admin.conftest import change_url, make_user

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "admin:rules_engine_rule_changelist"
TEMPLATES = "admin:rules_engine_rule_templates"


def form_url(key: str) -> str:
    return reverse("admin:rules_engine_rule_from_template", args=[key])


def errors_of(response: Any) -> Mapping[str, list[str]]:
    assert response.status_code == 200, "It was made."
    errors: Mapping[str, list[str]] = response.context_data["form"].errors
    return errors


def filled_in(client: Client, key: str, **asked: Any) -> Rule:
    """The rule made from a template, enabled through the admin's own action."""
    response = client.post(form_url(key), asked)
    assert response.status_code == 302, errors_of(response)
    rule = Rule.objects.get()
    assert response["Location"] == change_url(rule)
    assert not rule.enabled
    client.post(reverse(LIST), {"action": "enable", "_selected_action": [rule.pk]})
    rule.refresh_from_db()
    assert rule.enabled
    refresh()
    return rule


def test_x01_audit_a_model(admin_client: Client, root: Any) -> None:
    asked = {"model": "shop.order", "watched": ["status", "total"], "object_name": "Order {{ instance.order_number }}"}
    rule = filled_in(admin_client, "audit", **asked)
    order = Order.objects.create(order_number="A-1", total=5)
    order.delete()
    run_due()
    entries = AuditEntry.objects.order_by("at")
    assert [(one.operation, one.object_text, {"status", "total"} <= set(one.fields)) for one in entries] == [
        ("CREATE", "Order A-1", True),
        ("DELETE", "Order A-1", True),
    ]
    assert "discount" not in entries[0].fields
    assert rule.author == root
    assert rule.slug == "audit-shop-order"


def test_x01_notify_on_creation(admin_client: Client) -> None:
    text = "Hello,\r\n{{ instance.order_number }} is here."
    filled_in(admin_client, "notify", model="shop.order", to="a@example.com\r\nb@example.com", subject="New", body=text)
    order = Order.objects.create(order_number="A-1")
    order.save()
    run_due()
    assert sorted((one.to[0], one.body) for one in mail.outbox) == [
        ("a@example.com", "Hello,\nA-1 is here."),
        ("b@example.com", "Hello,\nA-1 is here."),
    ]


def test_x01_invalidate_the_cache(admin_client: Client) -> None:
    filled_in(admin_client, "cache", model="clinic.doctor", keys="doctor_{{ instance.pk }}\r\ndoctor_list", cache="")
    doctor = Doctor.objects.create(first_name="A", last_name="B")
    cache.set_many({f"doctor_{doctor.pk}": 1, "doctor_list": 1, "other": 1})
    run_due()
    assert cache.get_many([f"doctor_{doctor.pk}", "doctor_list", "other"]) == {"other": 1}


def test_x01_track_a_status(admin_client: Client) -> None:
    filled_in(admin_client, "status", model="shop.order", field="status", time_field="status_changed_at")
    order = Order.objects.create(order_number="A-1")
    run_due()
    order.status = "paid"
    order.save()
    order.total = 9
    order.save(update_fields=["total"])
    run_due()
    assert sorted((one.operation, one.note) for one in AuditEntry.objects.all()) == [
        ("STATUS", "draft → paid"),
        ("STATUS", "– → draft"),
    ]
    order.refresh_from_db()
    assert order.status_changed_at is not None


def test_x01_clean_up_files(admin_client: Client) -> None:
    filled_in(admin_client, "files", model="shop.product", watched="image")
    product = Product.objects.create(name="Pen", price=1)
    product.image.save("first.txt", ContentFile(b"1"))
    first, storage = str(product.image.name), product.image.storage
    product.image.save("second.txt", ContentFile(b"2"))
    second = str(product.image.name)
    run_due()
    assert (storage.exists(first), storage.exists(second)) == (False, True)
    product.delete()
    run_due()
    assert not storage.exists(second)


def test_x01_call_a_webhook(admin_client: Client) -> None:
    make_endpoint("ours", name="Ours")
    rule = filled_in(admin_client, "webhook", model="shop.order", endpoint="ours", happens=["create", "delete"])
    assert (rule.signals, rule.operations) == (["post_save", "post_delete"], ["create", "delete"])
    order = Order.objects.create(order_number="A-1")
    order.save()
    order.delete()
    assert list(Execution.objects.values_list("kind", "lane")) == [("webhook", "ours")] * 2


@pytest.mark.parametrize(
    ("key", "asked", "field", "said"),
    [
        ("audit", {"model": ""}, "model", "required"),
        ("audit", {"model": "shop.order", "watched": ["status", "totl"]}, "watched", "not one of the available"),
        ("audit", {"model": "shop.order", "object_name": "{{ instance.nam }}"}, "object_name", 'no field "nam"'),
        ("audit", {"model": "sessions.session"}, "model", "not one of the available choices"),
        ("notify", {"model": "shop.order", "to": "a@b.c", "subject": "x"}, "body", "required"),
        ("notify", {"model": "shop.order", "to": "a@b.c", "subject": "{% load x %}", "body": "x"}, "subject", "load"),
        ("notify", {"model": "shop.order", "to": "{{ instance.mail", "subject": "{{", "body": "{{ x }}"}, "body", "x"),
        ("cache", {"model": "shop.order", "keys": "k", "cache": "defalt"}, "cache", "Did you mean"),
        ("cache", {"model": "shop.order", "keys": " \r\n "}, "keys", "required"),
        ("status", {"model": "shop.order", "field": "statos"}, "field", "not one of the available"),
        ("status", {"model": "shop.order", "field": "status", "time_field": "nope"}, "time_field", "not one of"),
        ("files", {"model": "shop.product", "watched": "imge"}, "watched", "not one of the available"),
        ("files", {"model": "shop.order", "watched": "status"}, "model", "not one of the available"),
        ("low", {"model": "shop.product", "field": "stock", "limit": "few", "to": "a@b.c"}, "limit", "Enter a number"),
        ("remind", {"model": "shop.order", "becomes": "status=paid", "days": "31", "to": "a@b.c"}, "days", "30"),
        ("status-mail", {"model": "shop.order", "becomes": "status=nope", "to": "a@b.c"}, "becomes", "not one of"),
        ("status-mail", {"model": "shop.order", "becomes": "status=paid", "to": "nobody"}, "to", "nobody"),
        ("webhook", {"model": "shop.order", "endpoint": "nowhere", "happens": ["create"]}, "endpoint", "nowhere"),
        ("webhook", {"model": "shop.order", "endpoint": "x"}, "happens", "required"),
    ],
)
def test_x01_bad_input_is_said_at_its_field(
    admin_client: Client, key: str, asked: dict[str, Any], field: str, said: str
) -> None:
    errors = errors_of(admin_client.post(form_url(key), asked))
    assert said in " ".join(errors[field])
    assert len(errors[field]) == 1, "It is said once."
    assert not Rule.objects.exists()


def test_x01_what_was_typed_stays_and_is_escaped(admin_client: Client) -> None:
    hostile = '"><script>alert(1)</script>'
    response = admin_client.post(form_url("status"), {"model": "shop.order", "field": hostile, "name": hostile})
    page = response.content.decode()
    assert "<script>alert" not in page
    assert unescape(page).count(hostile) >= 2


def test_x01_a_user_sees_what_they_may_view_and_gains_no_power(staff: Callable[..., Client]) -> None:
    client = staff("rules_engine.add_rule", "rules_engine.view_rule", "shop.view_order")
    page = client.get(form_url("audit")).content.decode()
    assert 'value="shop.order"' in page
    assert "clinic.doctor" not in page
    assert "model" in errors_of(client.post(form_url("audit"), {"model": "clinic.doctor"}))
    errors = errors_of(
        client.post(form_url("status"), {"model": "shop.order", "field": "status", "time_field": "status_changed_at"})
    )
    assert "you lack the permission shop.change_order" in " ".join(errors["__all__"])
    assert not Rule.objects.exists()
    assert client.post(form_url("status"), {"model": "shop.order", "field": "status"}).status_code == 302


def test_x01_who_may_only_view_rules_gets_403_and_no_button(staff: Callable[..., Client]) -> None:
    client = staff("rules_engine.view_rule", "shop.view_order")
    for url in (reverse(TEMPLATES), form_url("audit")):
        assert client.get(url).status_code == 403
    assert client.post(form_url("audit"), {"model": "shop.order"}).status_code == 403
    assert not Rule.objects.exists()
    assert "from-template" not in client.get(reverse(LIST)).content.decode()
    assert Client().get(reverse(TEMPLATES)).status_code == 302


def test_x01_a_walk_from_the_empty_list_to_a_rule(admin_client: Client, root: Any) -> None:
    empty = unescape(admin_client.get(reverse(LIST)).content.decode())
    page = unescape(admin_client.get(reverse(TEMPLATES)).content.decode())
    assert len(rule_templates.READY_TEMPLATES) == len({one.key for one in rule_templates.READY_TEMPLATES}) == 26
    for template in rule_templates.READY_TEMPLATES:
        for shown in (empty, page):
            assert f'href="{form_url(template.key)}"' in shown
            assert str(template.title) in shown
            assert str(template.description) in shown
    made = admin_client.post(form_url("audit"), {"model": "shop.order", "name": "Orders: audit"}, follow=True)
    assert "“Orders: audit” was made. It is switched off" in made.content.decode()
    rule = Rule.objects.get()
    assert (rule.slug, rule.name, rule.enabled) == ("orders-audit", "Orders: audit", False)
    entry = LogEntry.objects.get(action_flag=ADDITION)
    assert (entry.object_id, entry.user_id) == (str(rule.pk), root.pk)
    filled = admin_client.get(reverse(LIST)).content.decode()
    assert reverse(TEMPLATES) in filled
    assert form_url("audit") not in filled
    admin_client.post(form_url("audit"), {"model": "shop.order", "name": "Orders: audit"})
    assert set(Rule.objects.values_list("slug", flat=True)) == {"orders-audit", "orders-audit-2"}


def test_x01_a_template_whose_action_is_not_installed_is_not_offered(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(registry._actions, "webhook")
    assert form_url("webhook") not in admin_client.get(reverse(TEMPLATES)).content.decode()
    assert admin_client.get(form_url("webhook")).status_code == 404
    assert admin_client.get(form_url("nonsense")).status_code == 404


def test_x02_the_page_of_a_rule_leads_to_its_python(staff: Callable[..., Client]) -> None:
    message = '</code><script>alert("x")</script>'
    rule = create_rule(Order, actions=[("log_message", {"message": message})], slug="hostile")
    url = reverse("admin:rules_engine_rule_python", args=[rule.pk])
    client = staff("rules_engine.view_rule")
    assert f'href="{url}"' in client.get(change_url(rule)).content.decode()
    page = client.get(url).content.decode()
    assert "<script>alert" not in page
    assert '@receiver(post_save, sender=Order, dispatch_uid="hostile")' in unescape(page)
    assert message in unescape(page)
    assert client.get(reverse("admin:rules_engine_rule_python", args=[rule.pk + 1])).status_code in (403, 404)


def test_x02_who_may_not_view_rules_may_not_read_their_python() -> None:
    rule = create_rule(Order, actions=[("log_message", {"message": "x"})])
    client = Client()
    client.force_login(make_user("shop.view_order", name="other"))
    assert client.get(reverse("admin:rules_engine_rule_python", args=[rule.pk])).status_code == 403


def test_x02_rules_explain_prints_a_rule_as_python() -> None:
    create_rule(Order, actions=[("log_message", {"message": "x"})], slug="new-order")
    out = StringIO()
    call_command("rules_explain", python="new-order", stdout=out)
    assert "\ndef new_order(sender, instance, **kwargs):\n" in out.getvalue().replace("created, ", "")
    with pytest.raises(CommandError, match='Did you mean "new-order"'):
        call_command("rules_explain", python="new-ordr")
    with pytest.raises(CommandError, match="--python SLUG"):
        call_command("rules_explain")

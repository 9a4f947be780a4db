"""Every page of ours in the admin, found in its addresses, with something on each."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import URLPattern, reverse

from project.shop.models import Order
from rules_engine import models
from rules_engine.models import Event, Execution, Pause, Rule, RuleError
from rules_engine.packs import rule_templates
from rules_engine.testing import create_rule
from rules_engine.work.run import drain
from webhooks.models import Endpoint

APPS = ("rules_engine", "webhooks")
HOSTILE = "<script>alert('x')</script> \u202eهجوم\u202c \"'&amp; {{ 7|add:1 }} "
#: What an address wants to be asked.
ASKING = {"rules_engine_rule_fields": "?model=shop.order"}


def fill() -> None:
    """Rules in every state, with what they did and could not do, and a row for each model that has a page."""
    Endpoint.objects.create(slug="erp", name="The ERP", url="https://erp.example.com/")
    log, hook = ("log_message", {"message": HOSTILE}), ("webhook", {"endpoint": "erp"})
    failing = ("send_email", {"to": ["{{ instance.order_number }}"], "subject": "x", "body": HOSTILE})
    more = {"<": [1, {"-": [{"var": "instance.total"}, {"var": "old.total"}]}, {"var": "instance.subtotal"}]}
    late = {"<": [{"var": "instance.status_changed_at"}, {"-": [{"now": []}, {"timestamp": "30d"}]}]}
    condition = {"or": [more, {"and": [late]}, {"!=": [{"var": "instance.status"}, HOSTILE]}]}
    actions = [failing, log, hook]
    mails = create_rule(Order, slug="mails", name="Mail the warehouse", condition=condition, actions=actions)
    create_rule(Order, slug="held", name=f"Held {HOSTILE}", description=HOSTILE, actions=[log], coalesce_seconds=600)
    create_rule(Order, slug="trail", name="Trail", actions=[("write_audit_entry", {"name": HOSTILE})])
    create_rule(Order, slug="shadow", name="Shadow", actions=[log], shadow=True)
    create_rule(Order, slug="off", name="Off", actions=[log], enabled=False)
    gone = get_user_model().objects.create_user("gone", is_active=False)
    create_rule(Order, slug="orphan", name="Orphan", actions=[log], author=gone)
    Pause.objects.create(rule_slug="shadow", reason=HOSTILE)
    expected = {"outcome": "acts", "actions": [{"kind": "log_message", "settings": {"message": HOSTILE}}]}
    moment = "2031-05-06T12:00:00Z"
    sample = {"instance": {"pk": 1, "order_number": HOSTILE}}
    models.RuleTest.objects.create(
        rule=mails, name=HOSTILE, signal="post_save", occurred_at=moment, context=sample, expected=expected
    )
    order = Order.objects.create(order_number=HOSTILE[:32], total=5)
    for status in ("paid", "shipped"):
        order.status = status
        order.save()
    # What waits for the endpoint goes on waiting: nothing is called.
    drain("rules", seconds=30)
    Execution.objects.filter(kind="send_email").update(state="discarded", error=f"It failed: {HOSTILE}")
    RuleError.objects.create(rule_slug="held", rule_version=1, message=HOSTILE, event_id=Event.objects.first().pk)  # type: ignore[union-attr]
    models.Run.objects.create(rule_slug="mails", model="shop.order", signal="run", total=3)
    for name in ("Recording",):
        if (model := getattr(models, name, None)) is not None:
            model._default_manager.create(model="shop.order", until="2999-01-01T00:00:00Z")


def addresses() -> dict[str, str]:
    """The address of each page by the name of its pattern; of a page of an object, that of the first one."""
    found = {f"{app}: index": reverse("admin:app_list", args=[app]) for app in APPS}
    for model, page in admin.site._registry.items():
        if model._meta.app_label in APPS:
            for pattern in page.get_urls():
                if name := _name(pattern):
                    found[name] = _address(name, pattern, model)
    return {name: address for name, address in found.items() if address}


def _name(pattern: Any) -> str:
    return str(pattern.name or "") if isinstance(pattern, URLPattern) else ""


def _address(name: str, pattern: URLPattern, model: Any) -> str:
    arguments: dict[str, Any] = {}
    for wanted in pattern.pattern.converters:
        if wanted == "object_id":
            row = _row(model)
            assert row is not None, f"fill() made no {model.__name__}, so the page {name} would not be looked at."
            arguments[wanted] = row.pk
        elif wanted == "test_id":
            arguments[wanted] = models.RuleTest.objects.values_list("pk", flat=True)[0]
        elif wanted == "number":
            arguments[wanted] = 1
        else:
            assert wanted == "key", f"What is {wanted} in the address of {name}? Say so here, or nobody looks at it."
            arguments[wanted] = rule_templates.offered()[0].key
    return reverse(f"admin:{name}", kwargs=arguments) + ASKING.get(name, "")


def _row(model: Any) -> Any:
    rows = model._default_manager.all()
    return rows.filter(slug="mails").first() if model is Rule else rows.first()


def shown(user: Any) -> dict[str, str]:
    """Those of them that are pages to this user, and nothing to be posted to, read as JSON, or forbidden to all."""
    client = Client()
    client.force_login(user)
    found = {}
    for name, address in addresses().items():
        response = client.get(address)
        assert response.status_code in (200, 302, 403, 405), f"{name}: {response.status_code}"
        if response.status_code == 200 and response["Content-Type"].startswith("text/html"):
            found[name] = address
    return found

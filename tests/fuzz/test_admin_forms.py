"""The admin's forms and lists: whatever is posted or asked for is answered, and never by an error 500."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Rule
from rules_engine.rules import registry
from rules_engine.testing import create_rule
from tests.factories import make_endpoint, make_order
from tests.fuzz import making
from tests.fuzz.running import fuzz
from tests.fuzz.test_conditions import context, logic
from tests.fuzz.test_packs import action

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 40
RULE_FIELDS = (
    *("name", "slug", "model", "signals", "operations", "changes", "condition", "description", "position", "enabled"),
    *("throttle_by", "throttle_count", "throttle_seconds", "coalesce_by", "coalesce_seconds", "sample_percent", "once"),
    *("active_from_0", "active_from_1", "active_until_0", "active_until_1", "shadow", "debounce", "raw", "_test"),
)
TEST_FIELDS = (
    "latest",
    "pk",
    "signal",
    "operation",
    "relation",
    "others",
    "arguments",
    "context",
    "changes-TOTAL_FORMS",
)
LISTS = ("event", "execution", "auditentry", "heldmatch", "rule", "ruleversion", "pause", "recording")
ASKED = (
    "q",
    "o",
    "p",
    "all",
    "state",
    "rule_slug",
    "created_at__gte",
    "id__in",
    "_facets",
    "e",
    "event__id__exact",
    "at",
    "model",
)


class State:
    """The client and what it looks at; made once a run."""

    client: Client
    rule: Rule


def prepare() -> None:
    """Make a superuser's client, a rule, an order and an endpoint."""
    State.client = Client()
    State.client.force_login(get_user_model().objects.create_superuser("fuzzer", "f@x.example", "x"))
    make_endpoint("erp")
    make_order(order_number="A-1")
    State.rule = create_rule(Order, slug="there", actions=[("write_audit_entry", {})])


def posted(chance: random.Random, names: tuple[str, ...]) -> dict[str, Any]:
    """Odd texts in some of the fields."""
    chosen = chance.sample(names, chance.randint(0, min(4, len(names))))
    return {name: _printable(chance.choice(making.TEXTS)) for name in chosen}


def _printable(text: str) -> str:
    # A client cannot post half a character; a form reads it as a mark.
    return text.encode("utf-8", "replace").decode("utf-8")


def _text_of(chance: random.Random, value: Any) -> str:
    return _printable(making.json_text(chance, value))


def rule_form(chance: random.Random) -> tuple[str, dict[str, Any]]:
    count = chance.randint(0, 3)
    data: dict[str, Any] = {
        "name": "N",
        "slug": f"s{chance.randint(0, 9)}",
        "model": "shop.order",
        "signals": ["post_save"],
        "enabled": "on",
        "changes": "",
        "condition": _text_of(chance, logic(chance)),
        "position": "0",
        "actions-TOTAL_FORMS": str(count),
        "actions-INITIAL_FORMS": "0",
    }
    for index in range(count):
        row = action(chance)["fields"]
        kind = _printable(str(chance.choice((row["kind"], chance.choice([*registry.kinds()])))))
        values = {"kind": kind, "config": _text_of(chance, row["config"]), "enabled": "on", "position": "", "id": ""}
        values |= posted(chance, ("timing", "for_each", "delay", "on_failure", "position", "id"))
        data |= {f"actions-{index}-{name}": value for name, value in values.items()}
    data |= posted(chance, RULE_FIELDS)
    return reverse("admin:rules_engine_rule_add"), data


def test_form(chance: random.Random) -> tuple[str, dict[str, Any]]:
    data = {"signal": "post_save", "pk": str(Order.objects.values_list("pk", flat=True).first())}
    if chance.random() < 0.6:
        data["context"] = _text_of(chance, context(chance))
    data |= {"changes-TOTAL_FORMS": "1", "changes-INITIAL_FORMS": "0"}
    data |= posted(chance, ("changes-0-field", "changes-0-old", "changes-0-new"))
    if chance.random() < 0.5:
        data |= {"changes-0-field": chance.choice(("status", "total", "customer", "id"))}
    return reverse("admin:rules_engine_rule_test", args=[State.rule.pk]), {**data, **posted(chance, TEST_FIELDS)}


test_form.__test__ = False  # type: ignore[attr-defined]


def endpoint_form(chance: random.Random) -> tuple[str, dict[str, Any]]:
    headers = _text_of(chance, making.json_value(chance, 2))
    data = {"slug": "a", "name": "A", "url": "https://example.com/", "headers": headers}
    names = ("slug", "name", "url", "secret", "schedule", "client_certificate", "max_in_flight", "format", "payload")
    return reverse("admin:webhooks_endpoint_add"), {**data, **posted(chance, names)}


def pause_form(chance: random.Random) -> tuple[str, dict[str, Any]]:
    names = ("scope", "rule_slug", "model", "mode", "until_0", "until_1", "reason")
    return reverse("admin:rules_engine_pause_add"), posted(chance, names)


def a_list(chance: random.Random) -> tuple[str, dict[str, Any]]:
    address = reverse(f"admin:rules_engine_{chance.choice(LISTS)}_changelist")
    return chance.choice((address, reverse("admin:rules_engine_rule_why"))), posted(chance, ASKED)


def surface(chance: random.Random) -> None:
    make = chance.choice((rule_form, rule_form, test_form, test_form, endpoint_form, pause_form, a_list))
    with transaction.atomic():
        address, data = make(chance)
        send = State.client.get if make is a_list else State.client.post
        answer = send(address, data)
        assert answer.status_code in (200, 302, 400, 403, 404), json.dumps([address, data])
        transaction.set_rollback(True)


def test_any_form_that_is_posted_is_answered() -> None:
    prepare()
    fuzz(surface, COUNT)

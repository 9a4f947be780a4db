"""The deliveries of an endpoint, as its page leads to them: the activity, narrowed to it."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Product
from rules_engine.models import Execution
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import client_of, make_user
from webhooks.models import Endpoint, EndpointState

pytestmark = pytest.mark.django_db(transaction=True)

VIEW = ("webhooks.view_endpoint", "rules_engine.view_execution", "rules_engine.view_heldmatch", "shop.view_product")


@pytest.fixture
def endpoint() -> Endpoint:
    """An endpoint with two deliveries, beside another one with one."""
    other = Endpoint.objects.create(slug="other", name="Another", url="https://other.example.com/")
    endpoint = Endpoint.objects.create(slug="erp", name="The ERP", url="https://erp.example.com/")
    for rule, where in (("tells", endpoint), ("more", endpoint), ("others", other)):
        create_rule(Product, slug=rule, name=rule.title(), actions=[("webhook", {"endpoint": where.slug})])
    Product.objects.create(name="Lamp", price=1)
    return endpoint


def read(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


def led_to(page: str, text: str) -> str:
    found = re.search(rf'href="([^"]+)">{text}<', page)
    assert found is not None, text
    return found[1]


def test_an_endpoint_leads_to_its_deliveries_and_these_lead_back(endpoint: Endpoint) -> None:
    client = client_of(make_user(*VIEW, "webhooks.replay_delivery"))
    own = reverse("admin:webhooks_endpoint_change", args=[endpoint.pk])
    first = Execution.objects.get(rule_slug="tells")
    Execution.objects.filter(pk=first.pk).update(state="discarded", attempts=3, error="It answered 500.")
    page = read(client, own)
    every = read(client, led_to(page, "All deliveries"))
    assert "<h1>Deliveries to The ERP</h1>" in every
    assert "2 rows" in every
    assert "Call a webhook: " in every
    assert "Lamp" in every
    # No held match has an endpoint yet.
    assert "Held back" not in every
    assert own in every
    assert led_to(every, "Replay failed since…") == reverse("admin:webhooks_endpoint_replay", args=[endpoint.pk])
    failed = read(client, led_to(page, "Failed deliveries"))
    assert "1 row" in failed
    assert "given up after 3 tries" in failed
    waiting = read(client, reverse("admin:rules_engine_activity_changelist") + led_to(failed, "Waiting"))
    assert "<h1>Deliveries to The ERP</h1>" in waiting
    assert "More" in waiting.split('id="result_list"')[1].split("</table>")[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"failures": 5, "pauses": 1, "paused_until": timedelta(hours=1)}, "held back by the endpoint: paused until"),
        ({"asked_until": timedelta(hours=1)}, "held back by the endpoint: asked to wait until"),
        ({"failures": 5, "pauses": 1, "paused_until": -timedelta(hours=1)}, "held back by the endpoint: probing"),
        ({}, "waiting for a worker since"),
    ],
)
def test_a_delivery_says_that_its_endpoint_holds_it_back(endpoint: Endpoint, fields: dict[str, Any], said: str) -> None:
    client = client_of(make_user(*VIEW))
    now = timezone.now()
    state = {name: now + value if isinstance(value, timedelta) else value for name, value in fields.items()}
    EndpointState.objects.create(endpoint=endpoint, **state)
    page = read(client, reverse("admin:rules_engine_activity_changelist") + "?rule_slug=tells")
    assert said in page
    # A test delivery goes out whatever the endpoint holds back.
    Execution.objects.update(lane="erp:test")
    page = read(client, reverse("admin:rules_engine_activity_changelist") + "?rule_slug=tells")
    assert "waiting for a worker since" in page


def test_who_may_not_view_endpoints_is_not_told_of_them(endpoint: Endpoint) -> None:
    client = client_of(make_user("rules_engine.view_execution"))
    page = read(client, reverse("admin:rules_engine_activity_changelist") + "?queue__exact=webhooks&lane__in=erp")
    assert "2 rows" in page
    assert "The ERP" not in page
    editor = client_of(make_user("webhooks.view_endpoint", name="editor"))
    page = read(editor, reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))
    assert "All deliveries" not in page

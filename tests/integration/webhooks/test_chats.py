"""A chat as an endpoint: what the service gets, and what becomes of its answers."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse

from rules_engine.models import Attempt, Execution
from rules_engine.rules import registry
from rules_engine.testing import create_rule, run_due
from tests import http_server as behave
from tests.factories import make_endpoint, make_order
from tests.http_server import MisbehavingServer
from tests.integration.webhooks.test_admin import UNTOUCHED
from webhooks.deliveries.chats import CHATS
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

TOO_MANY = b'{"message": "You are being rate limited.", "retry_after": 5000.5, "global": false}'


def pay(server: MisbehavingServer, form: str, *answers: behave.Behaviour) -> Execution:
    """Have an order paid, of which a chat is told that answers so."""
    server.script(*answers)
    make_endpoint("chat", url=server.url("/hook"), payload_form=form)
    order = make_order()
    create_rule(
        model="shop.order",
        signals=["post_save"],
        changes=[{"field": "status", "to": "paid"}],
        actions=[("webhook", {"endpoint": "chat"})],
    )
    order.status = "paid"
    order.save()
    run_due()
    return Execution.objects.get()


@pytest.mark.parametrize(
    ("form", "status", "body"),
    [
        ("slack", 200, b"ok"),
        ("teams", 202, b""),
        ("discord", 204, b""),
        ("mattermost", 200, b"ok"),
        ("google_chat", 200, b"{}"),
    ],
)
def test_a_chat_is_told_what_happened_and_its_answer_is_good(
    server: MisbehavingServer, form: str, status: int, body: bytes
) -> None:
    execution = pay(server, form, behave.answer(status, body))
    assert execution.state == "succeeded"
    [request] = server.requests
    assert "status Draft → Paid" in request.body.decode()
    assert request.header("content-type").startswith("application/json")


def test_discord_is_left_alone_as_long_as_it_asks(server: MisbehavingServer) -> None:
    execution = pay(server, "discord", behave.answer(429, TOO_MANY))
    assert execution.state == "retryable"
    waits = execution.next_attempt_at - Attempt.objects.get().finished_at
    assert 4_900 < waits.total_seconds() < 5_100


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ("slack", behave.answer(400, b"no_text")),
        ("slack", behave.answer(404, b"no_service")),
        ("slack", behave.answer(200, b'{"ok":false,"error":"invalid_payload"}')),
        ("teams", behave.answer(200, b"Webhook message delivery failed with error: HTTP error 413")),
        ("discord", behave.answer(401, b'{"message": "Invalid Webhook Token", "code": 50027}')),
        ("google_chat", behave.answer(403, b'{"error": {"code": 403, "status": "PERMISSION_DENIED"}}')),
    ],
)
def test_a_refusal_is_tried_again_and_quoted(server: MisbehavingServer, form: str, answer: behave.Behaviour) -> None:
    execution = pay(server, form, answer)
    assert execution.state == "retryable"
    assert "It said: " in Attempt.objects.get().error


def test_the_form_asks_for_a_message_where_the_endpoint_is_a_chat(admin_user: object) -> None:
    for form in CHATS:
        make_endpoint(form.replace("_", "-"), payload_form=form)
    make_endpoint("crm")
    webhook = registry.find("webhook")
    assert webhook is not None
    variant = webhook.form_schema(admin_user)["keys"]["payload"]["variant"]
    assert json.loads(json.dumps(variant))["title"] == "Message"
    assert set(variant["values"]) == {form.replace("_", "-") for form in CHATS}
    assert variant["of"] == "endpoint"


def test_the_page_of_a_chat_sends_a_message_that_says_it_is_a_test(
    admin_client: Client, server: MisbehavingServer
) -> None:
    chat = make_endpoint("chat", url=server.url("/hook"), payload_form="slack")
    page = admin_client.get(reverse("admin:webhooks_endpoint_change", args=[chat.pk])).content.decode()
    assert "Send a test message" in page
    admin_client.post(reverse("admin:webhooks_endpoint_test", args=[chat.pk]))
    run_due()
    [request] = server.requests
    assert json.loads(request.body) == {"text": "This is a test message. Nothing happened."}


@pytest.mark.parametrize(("form", "is_warned"), [("whole", True), ("slack", False)])
def test_an_address_of_a_chat_without_its_form_is_pointed_out(admin_client: Client, form: str, is_warned: bool) -> None:
    data = {
        **UNTOUCHED,
        "name": "Team",
        "slug": "team",
        "url": "https://hooks.slack.com/services/x",
        "payload_form": form,
    }
    page = admin_client.post(reverse("admin:webhooks_endpoint_add"), data, follow=True).content.decode()
    assert Endpoint.objects.get().payload_form == form
    assert ("looks like one for a message in Slack" in page) is is_warned

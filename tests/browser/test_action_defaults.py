"""What a new action's form begins with, and what it calls the payload of a chat, in a real browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import expect

from tests.factories import make_endpoint

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_new_mail_has_defaults_and_a_chat_asks_for_a_message(browse: Any) -> None:
    make_endpoint("crm", name="CRM")
    make_endpoint("team", name="Our chat", payload_form="slack")
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root).new_page()
    page.goto("/admin/rules_engine/rule/add/")
    kind = page.locator('select[name="actions-0-kind"]')
    config = page.locator('textarea[name="actions-0-config"]')
    assert config.input_value().strip() in ("", "{}"), "Nothing is filled in where nobody chose anything."
    kind.select_option("send_email")
    expect(page.get_by_label("Subject").first).to_have_value("{{ what_happened }}")
    assert json.loads(config.input_value()) == {
        "to": ["root@example.com"],
        "subject": "{{ what_happened }}",
        "body": "{{ what_happened }}",
        "html_from_text": True,
    }
    kind.select_option("webhook")
    endpoint = page.get_by_role("combobox", name="Endpoint").first
    endpoint.select_option("crm")
    expect(page.get_by_label("Payload").first).to_be_visible()
    endpoint.select_option("team")
    message = page.get_by_label("Message").first
    expect(message).to_be_visible()
    message.fill("Paid!")
    expect(config).to_have_value('{\n  "endpoint": "team",\n  "payload": "Paid!"\n}')

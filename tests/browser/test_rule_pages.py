"""A rule tested and run over what was recorded, in a real browser: light, dark and on a phone."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.utils import timezone
from playwright.sync_api import expect

from project.shop.models import Order
from rules_engine.models import Recording, Rule
from rules_engine.testing import create_rule, refresh

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MAIL = ("send_email", {"to": ["stock@example.com"], "subject": "Order {{ instance.order_number }}", "body": "Pack it."})
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_rule_is_tested_run_over_events_and_asked_why(browse: Any, look: str, tmp_path: Path) -> None:
    shots = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    Recording.objects.create(model="shop.order", until=timezone.now() + timedelta(hours=1))
    changes = [{"field": "status", "to": "paid"}]
    some = {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]}
    condition = {"or": [{">": [{"var": "instance.total"}, 100]}, some]}
    rule = create_rule(Order, name="Tell the stock", changes=changes, condition=condition, actions=[MAIL])
    refresh()
    small = Order.objects.create(order_number="A1", total=20, status="paid")
    Order.objects.create(order_number="A2", total=200, status="paid")
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root, **LOOKS[look]).new_page()

    def picture(name: str) -> None:
        page.screenshot(path=shots / f"{name}-{look}.png", full_page=True)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, f"The page {name} is wider than the screen."

    page.goto(f"/admin/rules_engine/rule/{rule.pk}/change/")
    page.locator("#rules-beside").get_by_role("link", name="Test", exact=True).click()
    page.get_by_label("One of the latest").select_option(str(small.pk))
    page.locator("#id_changes-0-old").fill("draft")
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("The rule would not act.").wait_for()
    expect(page.get_by_text("Total is more than 100", exact=True)).to_be_visible()
    expect(page.get_by_text("Order A1", exact=True).first).to_be_visible()
    picture("rule-test")
    assert not mail.outbox

    page.goto(f"/admin/rules_engine/rule/{rule.pk}/change/")
    page.locator("#id_name").fill("Tell the stock more often")
    page.locator("#id_changes").evaluate("field => { field.value = '[]'; }")
    page.get_by_role("button", name="Run over events").click()
    page.get_by_text("The rule as it stands in the form").wait_for()
    page.get_by_text("It would have acted on 1 of 2 events.").wait_for()
    picture("rule-backtest")
    assert Rule.objects.get().name == "Tell the stock"
    page.get_by_role("button", name="Save the rule").click()
    page.wait_for_url("**/rules_engine/rule/")
    assert Rule.objects.get().name == "Tell the stock more often"

    page.goto(f"/admin/rules_engine/rule/why/?model=shop.order&pk={small.pk}")
    page.get_by_text("did not match").first.wait_for()
    picture("rule-why")
    page.goto(f"/admin/rules_engine/rule/{rule.pk}/versions/")
    picture("rule-versions")
    page.goto(f"/admin/shop/order/{small.pk}/change/")
    page.get_by_text("They watch it:").wait_for()
    picture("rule-on-object")

"""Why a rule did not act, in a real browser: asked by the name, answered with the next time."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Page, expect

from project.shop.models import Order
from rules_engine.admin.parts.rendering import short_time
from rules_engine.models import HeldMatch
from rules_engine.testing import create_rule, run_due
from tests.browser.test_every_page import TOO_WIDE, findings

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
}


@pytest.fixture
def held_back() -> str:
    """Two orders of Carmen's of which the second was held back. Returns what is said of that."""
    create_rule(
        Order, name="Mail me", slug="mail-me", actions=[("log_message", {"message": "x"})],
        throttle_count=1, throttle_seconds=3600, throttle_by="{{ instance.customer_id }}",
    )  # fmt: skip
    create_rule(Order, name="Only big ones", slug="big", condition={">": [{"var": "instance.total"}, 100]}, actions=[])
    carmen = get_user_model().objects.create(username="carmen")
    for number in ("A-1", "A-2"):
        Order.objects.create(order_number=number, customer=carmen, total=80)
        run_due()
    acted = HeldMatch.objects.get(state="released").decided_at
    assert acted is not None
    return (
        f"At most once an hour per customer; here: carmen. It acted for Order A-1 at {short_time(acted)} "
        f"It can act again at {short_time(acted + timedelta(hours=1))}"
    )


def root() -> Any:
    return get_user_model().objects.create_superuser("root", "root@example.com", "x")


def looked_at(page: Page, shots: Path, name: str, look: str) -> None:
    page.screenshot(path=shots / f"{name}-{look}.png", full_page=True)
    assert findings(page, look) == []
    assert page.evaluate(TOO_WIDE) <= 0


@pytest.mark.parametrize("look", LOOKS)
def test_a_limit_is_told_with_its_next_time_and_leads_on(browse: Any, held_back: str, shots: Path, look: str) -> None:
    page = browse(root(), **LOOKS[look]).new_page()
    page.goto("/admin/rules_engine/rule/why/")
    page.get_by_label("Model").select_option("shop.order")
    page.get_by_label("Object:", exact=True).press_sequentially("A-2")
    expect(page.locator(".rules-why-list").get_by_role("option")).to_have_text(["Order A-2"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**pk=*")
    verdict = page.locator(".rules-why-verdict", has_text="Mail me")
    expect(verdict.locator(".rules-why-outcome")).to_have_text("held back")
    expect(verdict.locator(".rules-why-sentence")).to_have_text(held_back)
    stopped = page.locator(".rules-why-verdict", has_text="Only big ones")
    expect(stopped).to_contain_text("This did not hold: total is more than 100. Not on record of this change: Total.")
    looked_at(page, shots, "why", look)
    verdict.get_by_role("link", name="What used it up").click()
    expect(page.locator(".rules-why-verdict")).to_contain_text("acted")
    looked_at(page, shots, "why-held-match", look)
    page.get_by_role("link", name="All changes of this object").click()
    expect(page.get_by_role("heading", name="Order A-1")).to_be_visible()
    page.locator(".rules-why-verdict", has_text="Mail me").get_by_role("link", name="Execution").click()
    looked_at(page, shots, "why-execution", look)
    page.goto(f"/admin/shop/order/{Order.objects.get(order_number='A-2').pk}/change/")
    expect(page.locator(".rules-of-object .rules-why-verdict", has_text="Mail me")).to_contain_text(held_back)
    looked_at(page, shots, "why-object", look)


def test_what_is_offered_is_in_sight_and_chosen_with_the_mouse(browse: Any, held_back: str, shots: Path) -> None:
    page = browse(root(), **LOOKS["light"]).new_page()
    page.goto("/admin/rules_engine/rule/why/?model=shop.order")
    page.get_by_label("Object:", exact=True).press_sequentially("A-")
    offered = page.locator(".rules-why-list").get_by_role("option")
    expect(offered).to_have_text(["Order A-2", "Order A-1"])
    page.screenshot(path=shots / "why-offered-light.png")
    # A click wants it to be on top where it is.
    offered.nth(1).click()
    page.wait_for_url("**pk=*")
    expect(page.get_by_role("heading", name="Order A-1")).to_be_visible()
    page.locator(".rules-why-verdict", has_text="Only big ones").get_by_role("link", name="Its condition").click()
    expect(page.locator("#rules-card-only-if")).to_be_in_viewport()


def test_the_test_of_a_rule_tells_the_limit(browse: Any, held_back: str, shots: Path) -> None:
    page = browse(root(), **LOOKS["light"]).new_page()
    page.goto("/admin/rules_engine/rule/")
    page.get_by_role("link", name=re.compile("Mail me")).first.click()
    page.get_by_role("link", name="Test", exact=True).first.click()
    page.get_by_label("One of the latest").select_option(str(Order.objects.get(order_number="A-2").pk))
    page.get_by_role("button", name="Test", exact=True).click()
    told = page.locator(".rules-verdict")
    expect(told).to_contain_text("The rule would match, and be held back now.")
    expect(told).to_contain_text(held_back)
    looked_at(page, shots, "why-test", "light")


def test_without_scripts_the_object_is_found_by_its_name(browse: Any, held_back: str) -> None:
    page = browse(root(), java_script_enabled=False).new_page()
    page.goto("/admin/rules_engine/rule/why/?model=shop.order")
    expect(page.get_by_role("heading", name="Which one?")).to_be_visible()
    page.get_by_label("Object:", exact=True).fill("A-2")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator(".rules-why-verdict", has_text="Mail me")).to_contain_text(held_back)

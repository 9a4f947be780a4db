"""The pages of ready templates and of a rule as Python, in a real browser: no page is wider than its screen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import expect

from project.shop.models import Order
from rules_engine.models import Rule
from rules_engine.testing import create_rule

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.mark.parametrize("size", SIZES)
def test_x01_x02_the_pages_fit_the_screen_and_need_no_javascript(browse: Any, size: str, tmp_path: Path) -> None:
    shots = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root, viewport=SIZES[size], java_script_enabled=False).new_page()

    def look(name: str) -> None:
        expect(page.locator("#content-main, #changelist").first).to_be_visible()
        page.screenshot(path=shots / f"{name}-{size}.png", full_page=True)
        box = page.locator("body").bounding_box()
        assert box["width"] <= SIZES[size]["width"], "The page is wider than the screen."

    page.goto("/admin/rules_engine/rule/")
    look("empty-list")
    page.get_by_role("link", name="Add from a template").click()
    look("templates")
    page.get_by_label("Search the templates").fill("paid")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".rules-templates a")).to_have_count(3)
    page.get_by_role("link", name="Mail when a status is reached").click()
    page.get_by_label("Model").select_option("shop.order")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("{{ instance.customer.email }}").first).to_be_visible()
    page.get_by_label("When it becomes").select_option("status=paid")
    page.get_by_label("To:").fill("nobody")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("Please correct what is said below.")).to_be_visible()
    look("form-with-errors")
    page.get_by_label("To:").fill("office@example.com")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("It is switched off: look it over")).to_be_visible()
    assert not Rule.objects.get().enabled
    page.locator(".object-tools summary").click()
    page.get_by_role("link", name="Show as Python").click()
    expect(page.get_by_text("@receiver(post_save, sender=Order")).to_be_visible()
    look("python")


def test_x01_a_template_is_searched_and_filled_in_as_one_types(browse: Any) -> None:
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root).new_page()
    page.goto("/admin/rules_engine/rule/from-template/")
    page.get_by_label("Search the templates").type("status mail")
    expect(page.locator(".rules-templates a:visible")).to_have_count(1)
    page.get_by_label("Search the templates").fill("no such thing")
    expect(page.get_by_text("No template has these words.")).to_be_visible()
    page.get_by_label("Search the templates").fill("status reached mail")
    page.locator(".rules-templates a:visible").first.click()
    expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    with page.expect_navigation():
        page.get_by_label("Model").select_option("shop.order")
    page.get_by_label("When it becomes").select_option("status=paid")
    sentence = page.locator(".rules-sentence")
    expect(sentence).to_contain_text("its status becomes Paid: send an email to root@example.com")
    page.get_by_role("button", name="Customer › Email address").click()
    expect(page.get_by_label("To:")).to_have_value("root@example.com\n{{ instance.customer.email }}")
    expect(sentence).to_contain_text("customer")
    page.get_by_role("button", name="Customer › Email address").click()
    expect(page.get_by_label("To:")).to_have_value("root@example.com")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_text("It is switched off: look it over")).to_be_visible()


def test_x02_the_code_is_copied_as_it_is_shown(browse: Any) -> None:
    rule = create_rule(Order, actions=[("log_message", {"message": "Order\n<b>{{ instance.pk }}</b>"})], slug="r")
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root).new_page()
    page.goto(f"/admin/rules_engine/rule/{rule.pk}/python/")
    compile(page.locator("pre.rules-source").text_content(), "copied", "exec")

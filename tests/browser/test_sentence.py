"""The sentence above a rule's form in a real browser: it grows with the form, whatever is wrong there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from project.shop.models import Order
from rules_engine.models import Rule
from rules_engine.testing import create_rule
from tests.browser.conftest import unlabelled

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADD = "/admin/rules_engine/rule/add/"


def told(page: Page) -> Locator:
    return page.locator("[data-rules-sentence]")


def happens(page: Page, name: str) -> None:
    page.locator("#rules-card-when").get_by_label("What happens:", exact=True).select_option(name)


def test_the_sentence_grows_as_the_form_is_filled_in(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    expect(told(page)).to_have_text(re.compile(r"When ….* happens: do …"))
    assert told(page).get_attribute("aria-live") == "polite"
    page.select_option("#id_model", "shop.order")
    happens(page, "update")
    expect(told(page)).to_contain_text("When an order is updated: do …")
    page.select_option("#id_actions-0-kind", "log_message")
    expect(told(page)).to_contain_text("When an order is updated: log …")
    page.locator("#actions-0").get_by_label("Message", exact=True).fill("Hello")
    expect(told(page)).to_contain_text("When an order is updated: log “Hello”.")
    expect(told(page).locator(".rules-gap")).to_have_count(0)
    assert unlabelled(page) == []


def test_a_stored_rule_is_told_as_it_stands_in_the_form(watched: Any) -> None:
    log = ("log_message", {"message": "x"})
    rule = create_rule(Order, slug="mine", actions=[log], condition={"var": "instance.total"})
    page = watched()
    page.goto(f"/admin/rules_engine/rule/{rule.pk}/change/")
    expect(told(page)).to_contain_text("When an order is created or updated, only if total is filled in: log “x”.")
    happens(page, "create")
    expect(told(page)).to_contain_text("When an order is created, only if total is filled in: log “x”.")
    # What cannot be read yet is a gap, and nothing of it is saved.
    page.evaluate("""() => {
        const field = document.getElementById("id_condition");
        field.value = "{";
        field.dispatchEvent(new Event("input", {bubbles: true}));
    }""")
    expect(told(page)).to_contain_text("When an order is created, only if …")
    assert Rule.objects.get().operations == []


def test_without_scripts_the_stored_rule_is_told(watched: Any) -> None:
    rule = create_rule(Order, slug="mine", actions=[("log_message", {"message": "x"})])
    page = watched(java_script_enabled=False)
    page.goto(f"/admin/rules_engine/rule/{rule.pk}/change/")
    expect(told(page)).to_contain_text("When an order is created or updated: log “x”.")

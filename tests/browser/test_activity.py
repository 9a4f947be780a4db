"""Activity by keyboard, on a phone, and for whoever listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from project.shop.models import Order
from rules_engine.models import Execution
from rules_engine.testing import create_rule

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE: Any = {"width": 390, "height": 844}
MAIL = ("send_email", {"to": ["a@example.com"], "subject": "x", "body": "x"})


@pytest.fixture
def failed() -> None:
    """Two executions that are given up, and a held match."""
    create_rule(Order, slug="mails", name="Mail the warehouse", actions=[MAIL])
    create_rule(Order, slug="later", name="Later", actions=[MAIL], coalesce_seconds=3600)
    for number in range(2):
        Order.objects.create(order_number=f"A-{number}")
    Execution.objects.update(state="discarded", error="The mail server is down.", attempts=5)


def address() -> str:
    return reverse("admin:rules_engine_activity_changelist")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until that has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"No Tab leads to {selector}.")


def test_what_failed_is_found_and_retried_by_keyboard_alone(watched: Any, failed: None) -> None:
    page: Page = watched()
    page.goto(address())
    tab_to(page, ".rules-tabs li:nth-child(2) a")
    page.keyboard.press("Enter")
    expect(page.locator('.rules-tabs [aria-current="page"]')).to_have_text("Failed")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    tab_to(page, "select[name=action]")
    page.keyboard.type("Retry")
    tab_to(page, "#action-toggle")
    page.keyboard.press("Space")
    expect(page.locator(".action-counter")).to_have_text("2 of 2 selected")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 executions are due again.")).to_be_visible()
    expect(page.locator('.rules-tabs [aria-current="page"]')).to_have_text("Failed")


def test_cards_stay_rows_of_a_table_to_whoever_listens(watched: Any, failed: None) -> None:
    page: Page = watched(viewport=PHONE)
    page.goto(address())
    table = page.get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(5)
    headings = table.get_by_role("columnheader").all_inner_texts()
    assert [heading.strip().lower() for heading in headings][1:] == ["when", "rule → target", "object", "state"]
    card = table.get_by_role("row").filter(has_text="given up after 5 tries").first
    expect(card.get_by_role("cell")).to_have_count(4)
    expect(card.get_by_role("rowheader")).to_have_count(1)
    expect(card.get_by_role("cell").last).to_contain_text("The mail server is down.")
    places = card.get_by_role("cell").evaluate_all("cells => cells.map((cell) => cell.getBoundingClientRect().left)")
    assert len({round(place) for place in places[1:]}) == 1, "Of a card, all that is said stands below each other."


def test_filters_fold_where_there_is_little_room(watched: Any, failed: None) -> None:
    page: Page = watched(viewport=PHONE)
    page.goto(f"{address()}?tab=failed")
    button, filters = page.locator("button.rules-fold"), page.locator("#changelist-filter")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(filters).to_be_hidden()
    button.focus()
    page.keyboard.press("Enter")
    expect(filters).to_be_visible()
    filters.get_by_text("Mail the warehouse").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(page.locator('.rules-tabs [aria-current="page"]')).to_have_text("Failed")
    # What is filtered by is said while it is folded.
    expect(button).to_have_text("Filter: Mail the warehouse")
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(filters).to_be_visible()
    expect(page.locator(".rules-fold")).to_have_count(0)


def test_the_list_works_without_scripts(browse: Any, failed: None, django_user_model: Any) -> None:
    root = django_user_model.objects.create_superuser("root", "root@example.com", "x")
    page: Page = browse(root, viewport=PHONE, java_script_enabled=False).new_page()
    page.goto(address())
    page.get_by_role("link", name="Failed").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.locator("#result_list .action-select").first.check()
    page.locator("select[name=action]").select_option("retry_selected")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_text("1 execution is due again.")).to_be_visible()

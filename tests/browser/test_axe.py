"""Every page of ours, light, dark and on a phone, looked over by axe: no serious or critical finding."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from playwright.sync_api import expect

from rules_engine.models import Rule
from tests import admin_pages
from tests.integration.admin.conftest import change_url, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}
GRAVE = ("serious", "critical")


def findings(page: Any) -> list[str]:
    """What is gravely wrong with the page that is open, and where."""
    wrong = [one for one in Axe().run(page).response["violations"] if one["impact"] in GRAVE]
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in wrong
        for node in one["nodes"][:3]
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_nobody_is_shut_out_of_a_page(browse: Any, look: str) -> None:
    admin_pages.fill()
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root, **LOOKS[look]).new_page()
    found: dict[str, list[str]] = {}
    for name, address in admin_pages.shown(root).items():
        page.goto(address, wait_until="networkidle")
        wrong = findings(page)
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            wrong.append(f"It is {wider} pixels wider than the screen.")
        if wrong:
            found[name] = wrong
    assert found == {}


@pytest.mark.parametrize("look", ["dark", "phone"])
def test_nor_is_whoever_may_only_read_a_rule(browse: Any, look: str) -> None:
    admin_pages.fill()
    page = browse(make_user("rules_engine.view_rule"), **LOOKS[look]).new_page()
    page.goto(change_url(Rule.objects.get(slug="mails")), wait_until="networkidle")
    page.get_by_text("As JSON").first.click()
    expect(page.locator(".rules-json").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert findings(page) == []

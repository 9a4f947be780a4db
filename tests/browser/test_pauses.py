"""Pausing, resuming and what is held, in a real browser: light, dark and on a phone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import expect

from project.shop.models import Order
from rules_engine.models import HeldMatch, Pause
from rules_engine.testing import create_rule, refresh

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOG = ("log_message", {"message": "x"})
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
}


@pytest.mark.parametrize("look", LOOKS)
def test_everything_is_paused_and_resumed(browse: Any, look: str, tmp_path: Path) -> None:
    shots = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    create_rule(model=Order, slug="tell-the-shop", name="Tell the shop", actions=[LOG], coalesce_seconds=600)
    create_rule(model=Order, slug="mail", name="Mail the customer", actions=[LOG])
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root, **LOOKS[look]).new_page()

    def picture(name: str) -> None:
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, f"The page {name} is wider than the screen."
        page.screenshot(path=shots / f"{name}-{look}.png", full_page=True)

    page.goto("/admin/rules_engine/pause/add/")
    expect(page.get_by_label("Which rule")).to_be_visible()
    expect(page.get_by_label("Which model")).to_be_hidden()
    page.get_by_label("all rules that watch a model").check()
    expect(page.get_by_label("Which model")).to_be_visible()
    page.locator('input[name="_save"]').click()
    page.get_by_text("Choose one, or pause something else above.").wait_for()
    picture("pause-error")
    page.get_by_label("everything: all rules").check()
    expect(page.get_by_label("Which model")).to_be_hidden()
    page.get_by_label("Reason").fill("The mail server moves")
    picture("pause-add")
    page.locator('input[name="_save"]').click()
    page.wait_for_url("**/rules_engine/pause/")
    picture("pauses")
    refresh()
    Order.objects.create(order_number="A-1")
    page.goto("/admin/rules_engine/rule/")
    page.get_by_text("Paused: everything.").wait_for()
    picture("rules-paused")
    page.goto(f"/admin/rules_engine/pause/{Pause.objects.get().pk}/change/")
    picture("pause")
    page.goto("/admin/")
    page.get_by_text("Paused: everything.").wait_for()
    picture("index-paused")
    page.get_by_role("link", name="Resume", exact=True).click()
    page.get_by_text("1 action that waits is carried out").wait_for()
    picture("resume")
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Resumed: everything.").wait_for()
    page.goto("/admin/rules_engine/heldmatch/")
    picture("held-matches")
    page.goto(f"/admin/rules_engine/heldmatch/{HeldMatch.objects.get().pk}/change/")
    picture("held-match")
    page.get_by_role("button", name="Release now").click()
    page.get_by_text("1 match was released.").wait_for()
    assert HeldMatch.objects.get().state == "released"


def test_the_form_names_what_neither_choice_makes_up_for(browse: Any) -> None:
    """Only of what would be stopped: it follows what is chosen to be paused."""
    setting = ("set_fields", {"fields": [{"field": "status", "value": "paid"}]}, {"timing": "before_save"})
    create_rule(model=Order, slug="setting", name="Set it", signals=["pre_save"], actions=[setting])
    create_rule(model=Order, slug="mail", name="Mail the customer", actions=[LOG])
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root).new_page()
    page.goto("/admin/rules_engine/pause/add/?rule_slug=mail")
    named = page.get_by_text("Set it: Set fields before the save")
    expect(named).to_be_hidden()
    page.get_by_label("Which rule").select_option("setting")
    expect(named).to_be_visible()
    page.get_by_label("all rules that watch a model").check()
    expect(named).to_be_hidden()
    page.get_by_label("Which model").select_option("shop.order")
    expect(named).to_be_visible()
    page.get_by_label("everything: all rules").check()
    expect(named).to_be_visible()

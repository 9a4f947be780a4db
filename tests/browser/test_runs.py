"""A rule run on what is there, in a real browser: from selected rows to what came of it; light, dark, on a phone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from playwright.sync_api import Page, expect

from project.shop.models import Order
from rules_engine.models import Event, Execution, Run
from rules_engine.testing import create_rule, run_due
from rules_engine.work.runs import selecting, telling
from rules_engine.work.runs.starting import start_run
from tests.factories import make_order

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LOG = ("log_message", {"message": "Order {{ instance.order_number }}"})
PAID = {"==": [{"var": "instance.status"}, "paid"]}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
}


def signed_in(browse: Any, **look: Any) -> Page:
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page: Page = browse(root, **look).new_page()
    return page


@pytest.mark.parametrize("look", LOOKS)
def test_selected_rows_are_run_after_a_preview(browse: Any, look: str, tmp_path: Path) -> None:
    shots = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    orders = [make_order(order_number=f"A-{number}", status="paid" if number else "pending") for number in range(4)]
    rule = create_rule(Order, slug="tell", name="Tell the customer", condition=PAID, actions=[LOG])
    page = signed_in(browse, **LOOKS[look])

    def picture(name: str) -> None:
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, f"The page {name} is wider than the screen."
        page.screenshot(path=shots / f"{name}-{look}.png", full_page=True)

    page.goto(reverse("admin:shop_order_changelist"))
    for order in orders[:3]:
        page.locator(f'input[name="_selected_action"][value="{order.pk}"]').check()
    page.locator('select[name="action"]').select_option(label="Run a rule on the selected orders")
    page.get_by_role("button", name="Go").click()
    page.get_by_text("3 objects are selected.").wait_for()
    picture("run-choose")
    page.get_by_role("button", name="Tell the customer").click()
    page.get_by_text("It would act on 2 objects.").wait_for()
    expect(page.get_by_text("Order A-1", exact=False).first).to_be_visible()
    picture("run-ask")
    assert not Event.objects.filter(signal="run").exists()
    page.get_by_role("button", name="Run it on 2 objects").click()
    page.wait_for_url("**/rules_engine/run/*/change/")
    expect(page.locator("#rules-run-state")).to_contain_text("waiting for a worker")
    picture("run-waits")
    run_due()
    # Without being loaded by hand it says what came of it.
    expect(page.locator("#rules-run-state")).to_contain_text("it matched 2 objects", timeout=15_000)
    picture("run-done")
    page.get_by_role("link", name="Events of this run").click()
    page.wait_for_url("**/rules_engine/event/**")
    expect(page.get_by_text("when it is run on what is there").first).to_be_visible()
    assert Execution.objects.filter(event__signal="run", rule_slug=rule.slug).count() == 2


def test_a_run_is_cancelled_with_the_keyboard_while_it_goes_on(browse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "PART", 1)
    for number in range(3):
        make_order(order_number=f"A-{number}")
    rule = create_rule(Order, slug="tell", name="Tell the customer", actions=[LOG])
    page = signed_in(browse)
    page.goto(reverse("admin:rules_engine_rule_change", args=[rule.pk]))
    page.get_by_role("link", name="Run it on what is there").press("Enter")
    page.get_by_role("button", name="Run it on 3 objects").press("Enter")
    page.wait_for_url("**/rules_engine/run/*/change/")
    assert telling._tell(Run.objects.get().pk)
    expect(page.locator("#rules-run-state")).to_contain_text("going on", timeout=15_000)
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name="Cancel").press("Enter")
    page.get_by_text("1 run was cancelled.").wait_for()
    expect(page.locator("#rules-run-state")).to_contain_text("cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_an_object_is_run_from_its_own_page(browse: Any) -> None:
    order = make_order(order_number="A-1")
    create_rule(Order, slug="tell", name="Tell the customer", actions=[LOG])
    page = signed_in(browse)
    page.goto(reverse("admin:shop_order_change", args=[order.pk]))
    page.get_by_role("link", name="run it on this object").click()
    page.get_by_role("button", name="Run it on 1 object").click()
    page.wait_for_url("**/rules_engine/run/*/change/")
    run_due()
    assert Event.objects.filter(signal="run").get().object_pk == str(order.pk)


def test_a_page_of_a_run_looks_again_after_a_bad_gateway(browse: Any) -> None:
    make_order(order_number="A-1")
    rule = create_rule(Order, slug="tell", actions=[LOG])
    run = start_run(rule.slug)
    page = signed_in(browse)
    page.clock.install()
    page.goto(reverse("admin:rules_engine_run_change", args=[run.pk]))
    answers = iter([502])

    def answered(route: Any) -> None:
        status = next(answers, None)
        route.continue_() if status is None else route.fulfill(status=status, body="Bad gateway")

    page.route("**/rules_engine/run/*/change/", answered)
    with page.expect_response(lambda response: response.status == 502):
        page.clock.run_for(2_100)
    with page.expect_response(lambda response: response.status == 200 and response.url == page.url):
        page.clock.run_for(11_000)

"""The rule form in a real browser: the form of an action's settings over its JSON textarea."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import expect

from project.shop.models import Order
from rules_engine.models import Execution, Rule, RuleAction
from rules_engine.testing import create_rule, run_due
from tests.browser.conftest import unlabelled

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADD = "/admin/rules_engine/rule/add/"
PHONE = {"width": 390, "height": 844}
MAIL = {"to": ["a@example.com"], "subject": "x", "body": "x"}
LOG = {"message": "Order {{ instance.order_number }}"}


def field(page: Page, label: str) -> Any:
    return page.locator("#actions-0").get_by_label(label, exact=True)


def config(page: Page, row: int = 0) -> Any:
    text = page.input_value(f"#id_actions-{row}-config")
    return json.loads(text) if text else None


def change_url(rule: Rule) -> str:
    return f"/admin/rules_engine/rule/{rule.pk}/change/"


def save(page: Page) -> None:
    is_new = page.url.endswith("/add/")
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_url("**/admin/rules_engine/rule/*/change/" if is_new else "**/admin/rules_engine/rule/")


def test_a_rule_is_made_without_writing_json(watched: Any, shots: Path) -> None:
    page = watched()
    page.goto(ADD)
    page.fill("#id_name", "Tell the shop")
    page.select_option("#id_model", "shop.order")
    page.check('input[name="signals"][value="post_save"]')
    page.check('input[name="operations"][value="create"]')
    page.select_option("#id_actions-0-kind", "log_message")
    field(page, "Message").fill("Order {{ instance.order_number }}")
    assert config(page) == LOG
    page.select_option("#id_actions-0-kind", "send_email")
    expect(field(page, "Message")).to_have_count(0)
    field(page, "Subject").fill("New order")
    assert unlabelled(page) == []
    page.screenshot(path=str(shots / "add-light.png"), full_page=True)
    page.select_option("#id_actions-0-kind", "log_message")
    expect(field(page, "Message")).to_have_value("Order {{ instance.order_number }}")
    page.click(".add-row a")
    page.select_option("#id_actions-1-kind", "write_audit_entry")
    page.locator("#actions-1").get_by_label("Note").fill("It came in.")
    assert config(page, 1) == {"note": "It came in."}
    save(page)
    beside = page.locator("#rules-beside")
    expect(beside.get_by_text("Test it, then switch it on.")).to_be_visible()
    rule = Rule.objects.get(slug="tell-the-shop")
    assert not rule.enabled
    page.screenshot(path=str(shots / "added-light.png"), full_page=True)
    beside.get_by_role("button", name="Switch on").click()
    expect(beside.locator(".rules-state-on")).to_be_visible()
    page.goto("/admin/rules_engine/rule/")
    expect(page.get_by_text("an order is created", exact=False)).to_have_count(1)
    page.screenshot(path=str(shots / "list-light.png"), full_page=True)
    assert [(one.kind, one.config) for one in rule.actions.all()] == [
        ("log_message", LOG),
        ("write_audit_entry", {"note": "It came in."}),
    ]
    Order.objects.create(order_number="1")
    assert run_due() == 2


@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark", "viewport": PHONE}], ids=["desktop", "phone"])
def test_a_value_is_put_into_the_text_that_was_written_in_last(watched: Any, shots: Path, look: Any) -> None:
    page = watched(**look)
    page.goto(ADD)
    page.fill("#id_name", "Tell the customer")
    page.check('input[name="signals"][value="post_save"]')
    page.select_option("#id_actions-0-kind", "send_email")
    insert = page.locator("#actions-0 .rules-insert")
    expect(insert).to_be_hidden()
    page.select_option("#id_model", "shop.order")
    expect(insert.get_by_role("button", name="Insert")).to_be_disabled()
    field(page, "Subject").fill("Order  is paid")
    for _ in range(len(" is paid")):
        field(page, "Subject").press("ArrowLeft")
    insert.get_by_label("Value to insert").select_option("Order number")
    insert.get_by_role("button", name="Insert").click()
    expect(field(page, "Subject")).to_have_value("Order {{ instance.order_number }} is paid")
    expect(field(page, "Subject")).to_be_focused()
    field(page, "Text").fill("Dear ")
    insert.get_by_label("Value to insert").select_option("Customer ›")
    insert.get_by_label("Value to insert").nth(1).select_option("First name")
    page.screenshot(path=str(shots / f"insert-{'phone' if look else 'desktop'}.png"), full_page=True)
    insert.get_by_role("button", name="Insert").click()
    page.keyboard.type(", of ")
    insert.get_by_label("Value to insert").first.select_option("instance.items__count")
    insert.get_by_role("button", name="Insert").click()
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0
    page.locator("#actions-0").get_by_label("To 1").fill("a@example.com")
    save(page)
    (action,) = Rule.objects.get().actions.all()
    assert action.config["subject"] == "Order {{ instance.order_number }} is paid"
    assert action.config["body"] == "Dear {{ instance.customer.first_name }}, of {{ instance.items__count }}"


def test_opening_and_saving_leaves_every_config_as_it_is(watched: Any) -> None:
    configs: list[tuple[str, dict[str, Any]]] = [
        ("log_message", LOG),
        ("log_message", {"level": "info", "message": {"cat": ["a", {"var": "instance.total"}]}}),
        ("log_message", {"message": "x", "fields": [{"name": "total"}]}),
        ("write_audit_entry", {}),
    ]
    rule = create_rule(model=Order, slug="kept", actions=configs)
    page = watched()
    page.goto(change_url(rule))
    expect(page.locator("#actions-0 .rjf-form-wrapper")).to_have_count(1)
    expect(page.locator("#id_actions-1-config")).to_be_visible()
    expect(page.locator("#actions-1 .rules-config-note")).to_contain_text("nothing is lost")
    updated = rule.updated_at
    save(page)
    rule.refresh_from_db()
    assert rule.updated_at == updated
    assert [(one.kind, one.config) for one in rule.actions.all()] == configs


def test_a_change_in_the_form_leaves_the_other_keys_alone(watched: Any) -> None:
    stored = {"message": "x", "fields": [{"name": "total"}]}
    rule = create_rule(model=Order, slug="kept", actions=[("log_message", stored)])
    page = watched()
    page.goto(change_url(rule))
    field(page, "Message").fill("y")
    assert config(page) == {**stored, "message": "y"}
    field(page, "Message").fill("x")
    save(page)
    assert RuleAction.objects.get().config == stored


def test_settings_can_be_edited_as_json_and_as_a_form(watched: Any) -> None:
    rule = create_rule(model=Order, slug="both", actions=[("log_message", LOG)])
    page = watched()
    page.goto(change_url(rule))
    button = page.locator("#actions-0 .rules-config-switch")
    button.click()
    page.fill("#id_actions-0-config", '{"message": "by hand"}')
    button.click()
    expect(field(page, "Message")).to_have_value("by hand")
    save(page)
    assert RuleAction.objects.get().config == {"message": "by hand"}


def test_a_mistake_is_shown_at_its_place_and_nothing_typed_is_lost(watched: Any, shots: Path) -> None:
    rule = create_rule(model=Order, slug="wrong", name="Wrong", actions=[("log_message", LOG)])
    for scheme, viewport in (("light", None), ("dark", None), ("light", PHONE), ("dark", PHONE)):
        page = watched(color_scheme=scheme, **({"viewport": viewport} if viewport else {}))
        page.goto(change_url(rule))
        page.click("#id_condition-json-tab")
        page.fill("#id_condition", '{"==": [{"var": "instance.totl"}, 1]}')
        field(page, "Message").fill("{{ instance.order_numbre }}")
        page.click('.submit-row >> nth=-1 >> input[name="_save"]')
        page.wait_for_selector(".errornote")
        expect(page.locator("#id_condition-drawn").get_by_text('Did you mean "total"?')).to_have_count(1)
        expect(page.locator(".rjf-form-wrapper").get_by_text('Did you mean "order_number"?')).to_have_count(1)
        expect(field(page, "Message")).to_have_value("{{ instance.order_numbre }}")
        # Once is enough: as JSON it is said above, with its place; in the form at its field.
        above = page.locator("#id_actions-0-config_error")
        expect(above).to_be_hidden()
        switch = page.locator("#actions-0 .rules-config-switch")
        switch.click()
        expect(above).to_have_text('/message: Line 1: Order has no field "order_numbre". Did you mean "order_number"?')
        switch.click()
        expect(above).to_be_hidden()
        assert page.input_value("#id_condition") == '{"==": [{"var": "instance.totl"}, 1]}'
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0
        name = f"error-{scheme}{'-phone' if viewport else ''}.png"
        page.screenshot(path=str(shots / name), full_page=True)


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_a_rule_that_holds_back_shows_how_and_says_what_is_wrong(watched: Any, shots: Path, look: str) -> None:
    rule = create_rule(
        model=Order, slug="held", name="Held", actions=[("log_message", LOG)], throttle_count=5, throttle_seconds=60
    )
    page = watched(**({"viewport": PHONE} if look == "phone" else {"color_scheme": look}))
    page.goto(change_url(rule))
    count, each = page.get_by_role("spinbutton", name="At most"), field(page, "Once for each of:")
    expect(count).to_be_visible()
    expect(each).not_to_be_visible()
    page.screenshot(path=str(shots / f"sections-{look}.png"), full_page=True)
    page.locator("#actions-0 summary").click()
    each.fill("instance.itms")
    page.get_by_label("times in", exact=True).fill("")
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_selector(".errornote")
    expect(page.get_by_text('Did you mean "items"?')).to_be_visible()
    expect(page.get_by_text("A throttle takes both")).to_be_visible()
    assert unlabelled(page) == []
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0
    page.screenshot(path=str(shots / f"sections-errors-{look}.png"), full_page=True)
    each.fill("instance.items")
    page.get_by_label("times in", exact=True).fill("1")
    page.get_by_label("times in: unit").select_option("hours")
    save(page)
    assert RuleAction.objects.get().for_each == "instance.items"
    rule.refresh_from_db()
    assert (rule.throttle_count, rule.throttle_seconds) == (5, 3600)


def test_rows_keep_their_forms_when_one_above_is_removed(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.fill("#id_name", "Fewer")
    page.select_option("#id_model", "shop.order")
    page.check('input[name="signals"][value="post_save"]')
    page.click(".add-row a")
    for row, text in enumerate(("first", "second")):
        page.select_option(f"#id_actions-{row}-kind", "log_message")
        page.locator(f"#actions-{row}").get_by_label("Message", exact=True).fill(text)
    page.click("#actions-0 .inline-deletelink")
    field(page, "Message").fill("second, edited")
    save(page)
    assert RuleAction.objects.get().config == {"message": "second, edited"}


def test_the_pages_of_an_execution_fit_everywhere(watched: Any, shots: Path) -> None:
    create_rule(model=Order, slug="told", name="Tell the shop", actions=[("log_message", LOG)])
    create_rule(
        model=Order,
        slug="mailed",
        name="Mail",
        actions=[("send_email", {**MAIL, "to": ["{{ instance.order_number }}"]})],
    )
    Order.objects.create(order_number="2026-0001")
    run_due()
    failed = Execution.objects.get(rule_slug="mailed")
    pages = {
        "execution": f"/admin/rules_engine/execution/{failed.pk}/change/",
        "executions": "/admin/rules_engine/execution/",
        "event": f"/admin/rules_engine/event/{failed.event_id}/change/",
        "rules": "/admin/rules_engine/rule/",
    }
    for scheme, viewport in (("light", None), ("dark", PHONE)):
        page = watched(color_scheme=scheme, **({"viewport": viewport} if viewport else {}))
        for name, url in pages.items():
            page.goto(url)
            width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert width <= 0, name
            page.screenshot(path=str(shots / f"{name}-{scheme}.png"), full_page=True)
    page.goto(pages["execution"])
    page.get_by_role("button", name="Retry").click()
    page.get_by_text("1 execution is due again.").wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("1 execution was cancelled.").wait_for()


def test_without_javascript_the_settings_are_a_textarea(browse: Any) -> None:
    user = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(user, java_script_enabled=False).new_page()
    page.goto(ADD)
    page.fill("#id_name", "Plain")
    page.select_option("#id_model", "shop.order")
    page.check('input[name="signals"][value="post_save"]')
    page.select_option("#id_actions-0-kind", "log_message")
    page.fill("#id_actions-0-config", json.dumps(LOG))
    save(page)
    assert RuleAction.objects.get().config == LOG

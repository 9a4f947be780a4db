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


def happens(page: Page, name: str) -> None:
    page.locator("#rules-card-when").get_by_label("What happens:", exact=True).select_option(name)


def change_url(rule: Rule) -> str:
    return f"/admin/rules_engine/rule/{rule.pk}/change/"


def unfold(page: Page, row: int = 0) -> None:
    """Open an action that is folded to its line."""
    summary = page.locator(f"#actions-{row} > details > summary")
    if summary.evaluate("(one) => !one.parentElement.open"):
        summary.click()


def add(page: Page, kind: str = "Something else") -> None:
    page.locator(".rules-action-adding").get_by_role("button", name=kind, exact=True).click()


def save(page: Page) -> None:
    is_new = page.url.endswith("/add/")
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_url("**/admin/rules_engine/rule/*/change/" if is_new else "**/admin/rules_engine/rule/")


def test_a_rule_is_made_without_writing_json(watched: Any, shots: Path) -> None:
    page = watched()
    page.goto(ADD)
    page.fill("#id_name", "Tell the shop")
    page.select_option("#id_model", "shop.order")
    happens(page, "create")
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
    add(page)
    page.select_option("#id_actions-1-kind", "write_audit_entry")
    page.locator("#actions-1").get_by_label("Note", exact=True).fill("It came in.")
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
def test_a_value_is_put_where_the_text_was_being_written(watched: Any, shots: Path, look: Any) -> None:
    page = watched(**look)
    page.goto(ADD)
    page.fill("#id_name", "Tell the customer")
    page.select_option("#id_model", "shop.order")
    happens(page, "save")
    add(page, "Send an email")
    field(page, "Subject").fill("Order  is paid")
    for _ in range(len(" is paid")):
        field(page, "Subject").press("ArrowLeft")
    page.get_by_role("button", name="Insert a value into Subject").click()
    search = page.get_by_role("combobox", name="Search by name")
    expect(search).to_be_focused()
    page.keyboard.type("order number")
    page.screenshot(path=str(shots / f"insert-{'phone' if look else 'desktop'}.png"), full_page=True)
    page.keyboard.press("Enter")
    expect(field(page, "Subject")).to_have_value("Order {{ instance.order_number }} is paid")
    expect(field(page, "Subject")).to_be_focused()
    expect(search).to_have_count(0)
    field(page, "Text").fill("Dear ")
    page.get_by_role("button", name="Insert a value into Text").click()
    page.get_by_role("option", name="Customer › First name").click()
    page.keyboard.type(", was ")
    page.get_by_role("button", name="Insert a value into Text").click()
    page.keyboard.type("status before")
    page.keyboard.press("Escape")
    expect(field(page, "Text")).to_be_focused()
    page.get_by_role("button", name="Insert a value into Text").click()
    page.keyboard.type("no such thing")
    expect(page.get_by_text("No value has such a name.")).to_be_visible()
    search.fill("status before")
    page.keyboard.press("Enter")
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0
    assert unlabelled(page) == []
    field(page, "To 1").fill("a@example.com")
    save(page)
    (action,) = Rule.objects.get().actions.all()
    assert action.config["subject"] == "Order {{ instance.order_number }} is paid"
    assert action.config["body"] == "Dear {{ instance.customer.first_name }}, was {{ old.status }}"


def test_values_are_offered_for_texts_and_not_for_names(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    add(page, "Send an email")
    page.locator("#actions-0 .rjf-add-button").last.click()
    expect(page.get_by_role("button", name="Insert a value into To 1")).to_be_visible()
    expect(page.get_by_role("button", name="Insert a value into Attachments 1")).to_have_count(0)
    page.locator("#actions-0 > details > details, #actions-0 fieldset details").first.locator("summary").click()
    page.locator("#id_actions-0-for_each").select_option("instance.items")
    page.get_by_role("button", name="Insert a value into Subject").click()
    page.locator('[data-path="each.quantity"]').wait_for()
    page.keyboard.type("each.quantity")
    page.keyboard.press("Enter")
    expect(field(page, "Subject")).to_have_value("{{ what_happened }}{{ each.quantity }}")
    page.get_by_role("button", name="Insert a value into Text").click()
    page.locator('[data-path="instance.status"]').wait_for()
    expect(page.locator('[data-path="held.throttled"]')).to_have_count(0)
    page.keyboard.press("Escape")
    page.fill("#id_throttle_count", "5")
    page.get_by_role("button", name="Insert a value into Text").click()
    page.locator('[data-path="held.throttled"]').click()
    expect(field(page, "Text")).to_have_value("{{ what_happened }}{{ held.throttled }}")


def lines(page: Page) -> list[str]:
    return [one.strip() for one in page.locator(".rules-action:not(.empty-form) > details > summary").all_inner_texts()]


def test_actions_are_moved_by_buttons_keys_and_drag(watched: Any, shots: Path) -> None:
    actions = [("log_message", {"message": text}) for text in ("first", "second", "third")]
    rule = create_rule(model=Order, slug="moved", actions=actions)
    rule.actions.filter(position=2).update(position=20)
    page = watched()
    page.goto(change_url(rule))
    assert lines(page) == ["1. Log “first”", "2. Log “second”", "3. Log “third”"]
    expect(page.get_by_role("button", name="Move up: Write a log message").first).to_be_disabled()
    page.locator("#actions-2").get_by_role("button", name="Move up").click()
    assert lines(page) == ["1. Log “first”", "2. Log “third”", "3. Log “second”"]
    expect(page.get_by_role("status").get_by_text("is now 2 of 3")).to_have_count(1)
    page.locator("#actions-2 > details > summary").focus()
    page.keyboard.press("Alt+ArrowUp")
    assert lines(page) == ["1. Log “third”", "2. Log “first”", "3. Log “second”"]
    expect(page.locator("#actions-2 > details > summary")).to_be_focused()
    # What was said of the move has moved the cards: not before that is where they stay taken hold of.
    expect(page.get_by_role("status").get_by_text("is now 1 of 3")).to_have_count(1)
    handle, goal = page.locator("#actions-2 .rules-action-handle"), page.locator("#actions-1")
    box = goal.bounding_box()
    handle.drag_to(goal, target_position={"x": 30, "y": box["height"] - 3})
    assert lines(page) == ["1. Log “first”", "2. Log “second”", "3. Log “third”"]
    page.locator("#actions-0").get_by_role("button", name="Move down").click()
    page.locator("#actions-group").screenshot(path=str(shots / "actions-folded.png"))
    save(page)
    order = [(one.position, one.config["message"]) for one in rule.actions.order_by("position")]
    assert order == [(0, "second"), (1, "first"), (20, "third")]


LATER = {"at": "18:00", "zone": "Asia/Tokyo", "asks_again": True}


def test_actions_are_copied_removed_and_taken_back(watched: Any, shots: Path) -> None:
    rule = create_rule(model=Order, slug="copied", actions=[("log_message", {"message": text}) for text in "ab"])
    rule.actions.filter(position=0).update(delay=7200, on_failure="stop", for_each="instance.items", **LATER)
    page = watched(viewport=PHONE, color_scheme="dark")
    page.goto(change_url(rule))
    page.locator("#actions-0").get_by_role("button", name="Duplicate").click()
    expect(page.locator("#actions-2").get_by_label("Message", exact=True)).to_have_value("a")
    page.locator("#actions-2").get_by_label("Message", exact=True).fill("copy of a")
    page.locator("#actions-1").get_by_role("button", name="Remove").click()
    gone = page.locator("#actions-1 .rules-action-line")
    expect(gone).to_have_text("Removed when you save: Write a log message")
    page.locator("#actions-0").get_by_role("button", name="Remove").click()
    page.screenshot(path=str(shots / "actions-removed-phone.png"), full_page=True)
    page.locator("#actions-0").get_by_role("button", name="Keep it").click()
    expect(page.locator("#actions-2 .rules-action-line")).to_contain_text("log “copy of a” (2 hours later")
    assert [one[:2] for one in lines(page)] == ["1.", "2.", "Re"]
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0
    assert unlabelled(page) == []
    save(page)
    made = list(rule.actions.order_by("position").values_list("config", "delay", "on_failure", "for_each"))
    assert made == [
        ({"message": "a"}, 7200, "stop", "instance.items"),
        ({"message": "copy of a"}, 7200, "stop", "instance.items"),
    ]
    assert list(rule.actions.values("at", "zone", "asks_again")) == [LATER, LATER]


def test_what_was_moved_and_removed_stays_so_beside_an_error(watched: Any) -> None:
    rule = create_rule(model=Order, slug="kept", actions=[("log_message", {"message": text}) for text in "abc"])
    page = watched()
    page.goto(change_url(rule))
    page.locator("#actions-2").get_by_role("button", name="Move up").click()
    page.locator("#actions-1").get_by_role("button", name="Remove").click()
    unfold(page, 2)
    page.locator("#actions-2").get_by_label("Message", exact=True).fill("{{ instance.totl }}")
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_selector(".errornote")
    expect(page.locator("#actions-2 .rjf-error-text")).to_contain_text('Did you mean "total"?')
    assert [one[:7] for one in lines(page)] == ["1. Log ", "2. Log ", "Removed"]
    page.locator("#actions-2").get_by_label("Message", exact=True).fill("c")
    save(page)
    made = list(rule.actions.order_by("position").values_list("position", "config"))
    assert made == [(0, {"message": "a"}), (1, {"message": "c"})]


def test_a_mail_to_oneself_is_one_click(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.fill("#id_name", "Mail me")
    page.select_option("#id_model", "shop.order")
    happens(page, "save")
    add(page, "Send an email")
    expect(page.locator("#actions-0 .rules-action-line")).to_have_text("Send an email to root@example.com")
    save(page)
    action = RuleAction.objects.get()
    assert (action.kind, action.config["to"]) == ("send_email", ["root@example.com"])


def test_what_is_counted_for_each_follows_the_model(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    if page.locator("details:has(#id_throttle_count):not([open])").count():
        page.locator("details:has(#id_throttle_count) > summary").click()
    each = page.get_by_label("for each", exact=True)
    page.select_option("#id_model", "shop.order")
    each.get_by_role("option", name="Customer").wait_for(state="attached")
    each.select_option(label="Customer")
    page.fill("#id_throttle_count", "1")
    page.select_option("#id_model", "clinic.doctor")
    own = page.get_by_label("for each: own text", exact=True)
    expect(own).to_have_value("{{ instance.customer_id }}")
    page.select_option("#id_model", "shop.order")
    expect(each).to_have_value("{{ instance.customer_id }}")
    expect(own).to_be_hidden()
    each.select_option(label="own text …")
    expect(own).to_be_focused()
    own.fill("customer")
    page.fill("#id_name", "Limited")
    happens(page, "save")
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    expect(page.get_by_text('Did you mean "{{ instance.customer_id }}"?')).to_be_visible()
    own.fill("")
    page.get_by_role("button", name="Insert a value into for each: own text", exact=True).click()
    page.keyboard.type("customer email")
    page.locator('[data-path="instance.customer.email"]').wait_for()
    page.keyboard.press("Enter")
    save(page)
    rule = Rule.objects.get()
    limits = (rule.throttle_count, rule.throttle_seconds, rule.throttle_by)
    assert limits == (1, 3600, "{{ instance.customer.email }}")


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
    unfold(page, 1)
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
    unfold(page)
    field(page, "Message").fill("y")
    assert config(page) == {**stored, "message": "y"}
    field(page, "Message").fill("x")
    save(page)
    assert RuleAction.objects.get().config == stored


def test_settings_can_be_edited_as_json_and_as_a_form(watched: Any) -> None:
    rule = create_rule(model=Order, slug="both", actions=[("log_message", LOG)])
    page = watched()
    page.goto(change_url(rule))
    unfold(page)
    button = page.locator("#actions-0 .rules-config-switch")
    button.click()
    page.fill("#id_actions-0-config", '{"message": "by hand"}')
    button.click()
    expect(field(page, "Message")).to_have_value("by hand")
    save(page)
    assert RuleAction.objects.get().config == {"message": "by hand"}


def test_a_mistake_is_shown_at_its_place_and_nothing_typed_is_lost(watched: Any, shots: Path) -> None:
    rule = create_rule(model=Order, slug="wrong", name="Wrong", actions=[("log_message", LOG)])
    for scheme, viewport in (("light", None), ("dark", PHONE)):
        page = watched(color_scheme=scheme, **({"viewport": viewport} if viewport else {}))
        page.goto(change_url(rule))
        page.click("#id_condition-json-tab")
        page.fill("#id_condition", '{"==": [{"var": "instance.totl"}, 1]}')
        unfold(page)
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


@pytest.mark.parametrize("look", ["light", "phone"])
def test_a_rule_that_holds_back_shows_how_and_says_what_is_wrong(watched: Any, shots: Path, look: str) -> None:
    rule = create_rule(
        model=Order, slug="held", name="Held", actions=[("log_message", LOG)], throttle_count=5, throttle_seconds=60
    )
    page = watched(**({"viewport": PHONE, "color_scheme": "dark"} if look == "phone" else {}))
    page.goto(change_url(rule))
    count = page.get_by_role("spinbutton", name="At most")
    each = field(page, "Once for each of: own text")
    expect(count).to_be_visible()
    expect(each).not_to_be_visible()
    page.screenshot(path=str(shots / f"sections-{look}.png"), full_page=True)
    unfold(page)
    page.locator("#actions-0 fieldset summary").click()
    page.locator("#id_actions-0-for_each").select_option("own")
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
    happens(page, "save")
    for row, text in enumerate(("first", "second")):
        add(page, "Write a log message")
        page.locator(f"#actions-{row}").get_by_label("Message", exact=True).fill(text)
    page.locator("#actions-0").get_by_role("button", name="Remove").click()
    page.locator("#actions-1").get_by_label("Message", exact=True).fill("second, edited")
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


@pytest.mark.parametrize("width", [390, 1024, 1280])
def test_no_card_of_a_rule_lies_under_another(watched: Any, width: int) -> None:
    rule = create_rule(Order, name="Log orders", actions=[("log_message", LOG)])
    for number in range(3):
        Order.objects.create(order_number=f"A-{number}")
    run_due()
    page = watched(viewport={"width": width, "height": 900})
    page.goto(change_url(rule))
    expect(page.locator("#rules-beside")).to_contain_text("Order A-2")
    cards = [card.bounding_box() for card in page.locator(".rules-card").all()]
    assert len(cards) >= 8
    for index, one in enumerate(cards):
        for other in cards[index + 1 :]:
            across = min(one["x"] + one["width"], other["x"] + other["width"]) - max(one["x"], other["x"])
            down = min(one["y"] + one["height"], other["y"] + other["height"]) - max(one["y"], other["y"])
            assert across <= 0 or down <= 0, (one, other)

"""The condition builder in a real browser: what it leaves alone, what it draws, and how a condition is made with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from project.shop.models import Order
from rules_engine.errors import ConditionError, InvalidRule
from rules_engine.models import Rule
from rules_engine.rules import jsonlogic
from rules_engine.testing import create_rule
from tests.browser.conftest import unlabelled
from tests.browser.written_conditions import written_conditions
from tests.integration.admin.conftest import WRITERS, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADD = "/admin/rules_engine/rule/add/"
LOG = ("log_message", {"message": "x"})
BIG_ORDERS = {
    "or": [
        {">": [{"var": "instance.total"}, 100]},
        {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]},
    ]
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}},
}
HARNESS = Path(__file__).with_name("condition_harness.js")
LOADED = """(labels) => labels.map((one) => rulesEngine.known.of(one)).every((one) => one)"""
MODELS = ["shop.order", "shop.orderitem", "shop.product", "shop.category", "accounts.user"]


@pytest.fixture
def open_rule(watched: Any) -> Callable[..., Page]:
    """``open_rule(condition, changes=…, **options)``: the page of a rule on orders that is stored so."""

    def open_page(condition: Any, changes: Any = (), **options: Any) -> Page:
        rule = create_rule(model=Order, slug="kept", name="Kept", actions=[LOG])
        Rule.objects.filter(pk=rule.pk).update(condition=condition, changes=list(changes))
        page: Page = watched(**options)
        page.goto(f"/admin/rules_engine/rule/{rule.pk}/change/")
        page.wait_for_function(LOADED, arg=MODELS)
        return page

    return open_page


def drawn(page: Page) -> Locator:
    return page.locator("#id_condition-drawn")


def condition(page: Page) -> Any:
    return json.loads(page.input_value("#id_condition"))


def save(page: Page) -> None:
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_url("**/admin/rules_engine/rule/")


def wide(page: Page) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


# What it leaves alone


def test_hundreds_of_conditions_are_left_as_they_are_and_rows_edited_one_by_one(open_rule: Any) -> None:
    page = open_rule(None)
    page.evaluate(HARNESS.read_text())
    texts = [text.replace("\r\n", "\n") for text in written_conditions(260)]
    found: list[dict[str, Any]] = page.evaluate("(texts) => window.tryConditions(texts)", texts)
    wrong = [(text, one["complaints"]) for text, one in zip(texts, found, strict=True) if one["complaints"]]
    assert wrong == []
    assert all(one["drawn"] for one in found), "All of them are JSON, and so can be drawn."
    assert sum(len(one["kinds"]) for one in found) > 300
    compared = [same_meaning(text, one["rewritten"]) for text, one in zip(texts, found, strict=True)]
    assert [text for text, same in zip(texts, compared, strict=True) if same is False] == []
    assert compared.count(True) > 100


CONTEXTS: list[dict[str, Any]] = [
    {
        "instance": {"status": status, "total": total, "customer_id": 1, "customer": {"email": email}, "items": items,
                     "items__count": len(items), "order_number": "A", "status_changed_at": moment},
        "old": {"status": "draft", "total": 1, "customer_id": None},
        "changed": changed, "created": bool(changed), "actor": {"username": "root"}, "event": {"operation": "create"},
        "request": {"path": "/api/x"}, "signal": {"reason": "ill"},
    }
    for status, total, email, items, changed, moment in (
        ("paid", 100, "a@example.com", [{"quantity": 3, "unit_price": 5, "product_id": 1, "product": {"name": "x"}}],
         ["status", "customer"], "2026-01-31T12:00:00+00:00"),
        ("draft", 1, "", [], [], None),
        ("", None, None, [{"quantity": 1, "unit_price": None, "product": {"name": ""}}, {"quantity": 9}], ["total"],
         "2026-03-01T00:00:00+00:00"),
    )
]  # fmt: skip


def same_meaning(text: str, rewritten: str) -> bool | None:
    """Whether both say the same of each context; None for what cannot be stored, or has a row that is not finished."""
    if '{"": [' in rewritten:
        return None
    try:
        source = jsonlogic.compile_condition(jsonlogic.parse(text))
    except InvalidRule:
        return None
    written = jsonlogic.compile_condition(jsonlogic.parse(rewritten))
    return [_outcome(source, one) for one in CONTEXTS] == [_outcome(written, one) for one in CONTEXTS]


def _outcome(compiled: jsonlogic.Condition, context: Mapping[str, Any]) -> bool | str:
    try:
        return compiled.matches(jsonlogic.data_handle(context))
    except ConditionError:
        return "an error"


def test_opening_and_saving_leaves_the_rule_as_it_is(open_rule: Any) -> None:
    stored = {"and": [{"==": [{"var": "instance.total"}, 1.0]}, {">": [{"+": [{"var": "instance.total"}, 1]}, 5]}]}
    changes = [{"to": "paid", "field": "status"}, {"field": "total", "from": 1.0}]
    page = open_rule(stored, changes)
    text = page.input_value("#id_condition")
    expect(drawn(page).get_by_label("Advanced condition, as JSON")).to_be_visible()
    expect(drawn(page).get_by_label("Value")).to_have_value("1.0")
    before = Rule.objects.values().get()
    assert page.input_value("#id_condition") == text
    save(page)
    after = Rule.objects.values().get()
    assert json.dumps(after, default=str) == json.dumps(before, default=str)


def test_what_is_no_json_stays_in_its_tab_with_the_place_of_the_mistake(open_rule: Any) -> None:
    page = open_rule(None)
    page.get_by_role("tab", name="JSON").nth(1).click()
    page.fill("#id_condition", '{"and": [\n  {"var": created}]}')
    page.get_by_role("tab", name="Builder").nth(1).click()
    expect(page.get_by_text("line 2, column 11")).to_be_visible()
    assert page.input_value("#id_condition") == '{"and": [\n  {"var": created}]}'
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_selector(".errornote")
    assert page.input_value("#id_condition") == '{"and": [\n  {"var": created}]}'
    page.fill("#id_condition", '{"var": "created"}')
    page.get_by_role("tab", name="Builder").nth(1).click()
    expect(drawn(page).get_by_label("Field", exact=True)).to_have_value("created")
    save(page)
    assert Rule.objects.get().condition == {"var": "created"}


# How a condition is made


@pytest.mark.parametrize("look", LOOKS)
def test_total_over_100_or_a_line_with_more_than_two_pieces_by_mouse(watched: Any, shots: Path, look: str) -> None:
    page = watched(**LOOKS[look])
    page.goto(ADD)
    page.fill("#id_name", "Big orders")
    page.select_option("#id_model", "shop.order")
    page.check('input[name="signals"][value="post_save"]')
    page.select_option("#id_actions-0-kind", "log_message")
    page.locator("#actions-0").get_by_label("Message", exact=True).fill("big")
    builder = drawn(page)
    builder.get_by_label("Group of conditions").and_(page.locator("select")).select_option(label="ANY of these")
    builder.get_by_role("button", name="+ Add condition").click()
    first = builder.get_by_role("group", name="Condition 1")
    first.get_by_label("Field").select_option(label="Total")
    expect(first.get_by_label("Comparison")).to_have_value("more")
    first.get_by_label("Value").fill("100")
    builder.get_by_role("button", name="+ Add condition").click()
    second = builder.locator('.rules-group > [aria-label="Condition 2"]')
    second.get_by_label("Field").select_option(label="Order items")
    inner = second.get_by_role("group", name="Condition 1")
    inner.get_by_label("Field").select_option(label="Quantity")
    inner.get_by_label("Value").fill("2")
    assert unlabelled(page) == []
    assert wide(page) <= 0
    page.screenshot(path=str(shots / f"builder-made-{look}.png"), full_page=True)
    assert condition(page) == BIG_ORDERS
    save(page)
    assert Rule.objects.get().condition == BIG_ORDERS


def test_the_same_by_keyboard_alone(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    page.wait_for_function(LOADED, arg=MODELS[:1])
    page.locator("#id_condition-drawn-tab").focus()

    def keys(*names: str) -> None:
        for name in names:
            page.keyboard.press(name)

    def focused() -> str:
        found: str = page.evaluate(
            "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
        )
        return found

    keys("Tab")
    page.keyboard.type("ANY")
    keys("Tab", "Enter")
    assert focused() == "Field"
    page.keyboard.type("Total")
    keys("Tab", "Tab", "Tab")
    assert focused() == "Value"
    page.keyboard.type("100")
    expect(page.locator("#id_condition-drawn ~ .rules-status")).to_have_text("A condition was added.")
    keys(*["Shift+Tab"] * 5)
    assert focused() == "+ Add condition"
    keys("Enter")
    assert focused() == "Field"
    page.keyboard.type("Order items")
    assert page.evaluate("document.activeElement.value") == "instance.items"
    keys(*["Tab"] * 6)
    assert focused() == "Field"
    page.keyboard.type("Quantity")
    keys("Tab", "Tab", "Tab")
    page.keyboard.type("2")
    assert condition(page) == BIG_ORDERS
    keys("Tab")
    assert focused() == "Remove: Condition 1"
    keys("Enter")
    assert focused() == "+ Add condition"
    expect(page.locator("#id_condition-drawn ~ .rules-status")).to_have_text("A condition was removed.")
    page.locator("#id_condition-drawn-tab").focus()
    keys("ArrowRight")
    expect(page.locator("#id_condition")).to_be_visible()
    assert focused() == "JSON"


def test_a_mistake_is_said_at_its_row_and_goes_when_the_row_is_mended(open_rule: Any, shots: Path) -> None:
    stored = {"and": [{"var": "created"}, {"or": [{"==": [{"var": "instance.totl"}, 1]}, {"var": "created"}]}]}
    page = open_rule(stored, [{"field": "status"}, {"field": "statsu"}])
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_selector(".errornote")
    page.wait_for_function(LOADED, arg=MODELS[:1])
    row = drawn(page).locator('[data-part]:has(option[value="instance.totl"])')
    expect(row.get_by_text('Did you mean "total"?')).to_be_visible()
    said = page.locator(".field-condition").get_by_text('Did you mean "total"?').locator("visible=true")
    expect(said).to_have_count(1)
    field = row.get_by_label("Field", exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    red = field.evaluate("(one) => getComputedStyle(one).borderColor")
    sound = drawn(page).get_by_label("Field", exact=True).first
    assert sound.evaluate("(one) => getComputedStyle(one).borderColor") != red
    expect(field).to_have_accessible_description('Order has no field "totl". Did you mean "total"?')
    changes = page.locator("#id_changes-drawn")
    expect(changes.get_by_role("group", name="Change 2").get_by_text('Did you mean "status"?')).to_be_visible()
    page.screenshot(path=str(shots / "builder-errors.png"), full_page=True)
    field.select_option(label="Total")
    expect(said).to_have_count(0)
    changes.get_by_role("group", name="Change 2").get_by_label("Field", exact=True).select_option(label="Total")
    assert condition(page)["and"][1]["or"][0] == {"==": [{"var": "instance.total"}, 1]}
    save(page)
    assert Rule.objects.get().changes == [{"field": "status"}, {"field": "total"}]


def test_what_is_half_made_is_not_sent(open_rule: Any) -> None:
    page = open_rule({"var": "created"})
    drawn(page).get_by_role("button", name="+ Add condition").click()
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    second = drawn(page).get_by_role("group", name="Condition 2")
    expect(second.get_by_text("Choose a field.")).to_be_visible()
    expect(second.get_by_label("Field", exact=True)).to_be_focused()
    second.get_by_label("Field", exact=True).select_option(label="Total")
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    expect(second.get_by_text("Give a value.")).to_be_visible()
    expect(second.get_by_label("Value")).to_be_focused()
    page.click("#id_condition-json-tab")
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_selector(".errornote")
    second.get_by_role("button", name="Remove").click()
    save(page)
    assert Rule.objects.get().condition == {"and": [{"var": "created"}]}


def test_every_kind_of_row_can_be_made(open_rule: Any) -> None:
    page = open_rule(None)
    made: list[Any] = []

    def row(field: str, comparison: str, expected: Any, *more: Callable[[Locator], Any]) -> None:
        drawn(page).get_by_role("button", name="+ Add condition").click()
        last = drawn(page).locator("[data-part]").last
        for number, name in enumerate(field.split(" / ")):
            label = "Field of that" if number else "Field"
            last.get_by_label(label, exact=True).last.select_option(label=name)
        last.get_by_label("Comparison").select_option(label=comparison)
        for one in more:
            one(last)
        made.append(expected)
        assert condition(page) == ({"and": made} if len(made) > 1 else made[0])

    def pick(label: str, choice: str) -> Callable[[Locator], Any]:
        return lambda one: one.get_by_label(label, exact=True).last.select_option(label=choice)

    def fill(label: str, text: str) -> Callable[[Locator], Any]:
        return lambda one: one.get_by_label(label, exact=True).fill(text)

    status, total = {"var": "instance.status"}, {"var": "instance.total"}
    row("Status", "has changed", {"in": ["status", {"var": "changed"}]})
    row("Customer", "has not changed", {"!": [{"in": ["customer", {"var": "changed"}]}]})
    row("Status", "is", {"==": [status, "paid"]}, pick("Value", "Paid"))
    row("Status", "was", {"==": [{"var": "old.status"}, "draft"]}, pick("Value", "Draft"))
    row(
        "Status",
        "is one of",
        {"in": [status, ["paid", "shipped"]]},
        lambda one: one.get_by_label("Paid").check(),
        lambda one: one.get_by_label("Shipped").check(),
    )
    row(
        "Total",
        "is more than",
        {">": [total, {"var": "old.total"}]},
        pick("Compared with", "field, as it was"),
        lambda one: one.get_by_label("Field", exact=True).nth(1).select_option(label="Total"),
    )
    row(
        "Total",
        "is at least",
        {">=": [total, {"var": "instance.subtotal"}]},
        pick("Compared with", "field"),
        lambda one: one.get_by_label("Field", exact=True).nth(1).select_option(label="Subtotal"),
    )
    row("Customer › / Email address", "contains", {"in": ["@", {"var": "instance.customer.email"}]}, fill("Value", "@"))
    row("Customer › / Active", "is yes", {"!!": [{"var": "instance.customer.is_active"}]})
    row("Order items: how many", "is at most", {"<=": [{"var": "instance.items__count"}, 0.5]}, fill("Value", ".50"))
    row(
        "Order items: sums › / sum of Quantity",
        "has no value",
        {"===": [{"var": "instance.items__quantity__sum"}, None]},
    )
    row(
        "Status changed at",
        "is before",
        {"<": [{"var": "instance.status_changed_at"}, "2026-01-31T12:00:00+00:00"]},
        fill("Value (UTC)", "2026-01-31T12:00"),
    )
    row("It is new", "is no", {"!": [{"var": "created"}]})
    row(
        "Order number",
        "is one of",
        {"in": [{"var": "instance.order_number"}, ["A", "B C"]]},
        fill("Values, one a line", "A\nB C\n"),
    )
    save(page)
    assert Rule.objects.get().condition == {"and": made}


def test_the_fields_follow_the_model_and_the_signals(open_rule: Any) -> None:
    stored = {"==": [{"var": "instance.total"}, 1]}
    page = open_rule(stored)
    field = drawn(page).get_by_label("Field", exact=True)
    page.select_option("#id_model", "shop.product")
    expect(field.locator("option", has_text="Stock")).to_have_count(1)
    expect(field).to_have_value("instance.total")
    assert condition(page) == stored
    page.select_option("#id_model", "")
    page.check('input[name="signals"][value="user_login_failed"]')
    field.select_option(value="signal.credentials")
    drawn(page).get_by_label("Value", exact=True).fill("2")
    assert condition(page) == {"==": [{"var": "signal.credentials"}, 2]}


def test_changes_are_rows_of_field_from_and_to(open_rule: Any) -> None:
    odd = {"field": "total", "until": 5}
    page = open_rule(None, [odd])
    rows = page.locator("#id_changes-drawn")
    expect(rows.get_by_label("Advanced condition, as JSON")).to_be_visible()
    kept = page.input_value("#id_changes").strip("[]\n ")
    rows.get_by_role("button", name="+ Add field").click()
    second = rows.get_by_role("group", name="Change 2")
    second.get_by_label("Field", exact=True).select_option(label="Status")
    second.get_by_label("from", exact=True).select_option(label="from")
    second.get_by_label("Value before").select_option(label="Draft")
    second.get_by_label("to", exact=True).select_option(label="to no value")
    assert json.loads(page.input_value("#id_changes")) == [odd, {"field": "status", "from": "draft", "to": None}]
    assert kept in page.input_value("#id_changes")
    rows.get_by_role("button", name="Remove: Change 1").click()
    second = rows.get_by_role("group", name="Change 1")
    second.get_by_label("to", exact=True).select_option(label="to")
    second.get_by_label("Value afterwards").select_option(label="Paid")
    save(page)
    assert Rule.objects.get().changes == [{"field": "status", "from": "draft", "to": "paid"}]


def test_it_speaks_german(open_rule: Any, settings: Any, shots: Path) -> None:
    settings.LANGUAGE_CODE = "de"
    stored = {"or": [{">": [{"var": "instance.total"}, 100]}, {"in": ["status", {"var": "changed"}]}]}
    page = open_rule(stored, [{"field": "status", "to": "paid"}], locale="de-DE")
    expect(page.locator("#id_condition-drawn-tab")).to_have_text("Baukasten")
    first = drawn(page).get_by_role("group", name="Bedingung 1")
    expect(first.get_by_label("Vergleich").locator("option:checked")).to_have_text("ist mehr als")
    second = drawn(page).get_by_role("group", name="Bedingung 2")
    expect(second.get_by_label("Vergleich").locator("option:checked")).to_have_text("hat sich geändert")
    drawn(page).get_by_role("button", name="+ Bedingung hinzufügen").click()
    page.locator('input[name="_save"]').last.click()
    expect(drawn(page).get_by_text("Wählen Sie ein Feld.")).to_be_visible()
    expect(page.get_by_text("In den Bedingungen fehlt etwas.")).to_be_visible()
    words = page.locator(".field-condition, .field-changes").all_inner_texts()
    assert not [word for word in (" of these", "Add ", "has changed") if word in " ".join(words)]
    page.screenshot(path=str(shots / "builder-german.png"), full_page=True)


def test_a_model_that_may_not_be_viewed_is_said_and_its_rows_are_kept(browse: Any) -> None:
    user = make_user(*WRITERS)
    rule = create_rule(model=Order, slug="kept", actions=[LOG], condition=BIG_ORDERS)
    page = browse(user).new_page()
    page.goto(f"/admin/rules_engine/rule/{rule.pk}/change/")
    expect(drawn(page).get_by_text("You may not view this model")).to_be_visible()
    expect(drawn(page).get_by_label("Field", exact=True).first).to_have_value("instance.total")
    assert condition(page) == BIG_ORDERS

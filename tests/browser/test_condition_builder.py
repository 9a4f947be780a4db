"""The condition builder in a real browser: what it leaves alone, what it draws, and how a condition is made with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from project.clinic.models import Appointment
from project.shop.models import Order, Product
from rules_engine.errors import ConditionError, InvalidRule
from rules_engine.logic import jsonlogic
from rules_engine.models import Rule
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
    "phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
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
    is_new = page.url.endswith("/add/")
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_url("**/admin/rules_engine/rule/*/change/" if is_new else "**/admin/rules_engine/rule/")


def wide(page: Page) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


# What it leaves alone


def test_hundreds_of_conditions_stay_and_rows_are_edited_one_by_one(open_rule: Any) -> None:
    page = open_rule(None)
    page.evaluate(HARNESS.read_text())
    texts = [text.replace("\r\n", "\n") for text in written_conditions(340)]
    found: list[dict[str, Any]] = page.evaluate("(texts) => window.tryConditions(texts, 4)", texts)
    wrong = [(text, one["complaints"]) for text, one in zip(texts, found, strict=True) if one["complaints"]]
    assert wrong == []
    assert all(one["drawn"] for one in found), "All of them are JSON, and so can be drawn."
    kinds = [kind for one in found for kind in one["kinds"]]
    assert len(kinds) > 300
    assert kinds.count("test") > 250
    compared = [same_meaning(text, one["rewritten"]) for text, one in zip(texts, found, strict=True)]
    assert [text for text, same in zip(texts, compared, strict=True) if same is False] == []
    assert compared.count(True) > 200


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
    stored = {"and": [{"==": [{"var": "instance.total"}, 1.0]}, {">": [{"max": [{"var": "instance.total"}, 1]}, 5]}]}
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
    page.locator("#rules-card-only-if").get_by_role("tab", name="JSON").click()
    page.fill("#id_condition", '{"and": [\n  {"var": created}]}')
    page.locator("#rules-card-only-if").get_by_role("tab", name="Builder").click()
    expect(page.get_by_text("line 2, column 11")).to_be_visible()
    assert page.input_value("#id_condition") == '{"and": [\n  {"var": created}]}'
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_selector(".errornote")
    assert page.input_value("#id_condition") == '{"and": [\n  {"var": created}]}'
    page.fill("#id_condition", '{"var": "created"}')
    page.locator("#rules-card-only-if").get_by_role("tab", name="Builder").click()
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
    page.get_by_label("What happens:", exact=True).select_option("save")
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
    page.wait_for_function(LOADED, arg=MODELS[:2])
    keys(*["Tab"] * 8)
    assert focused() == "Field"
    page.keyboard.type("Quantity")
    keys("Tab", "Tab", "Tab")
    page.keyboard.type("2")
    assert condition(page) == BIG_ORDERS
    keys("Tab", "Tab")
    assert focused() == "Remove: Condition 1"
    keys("Enter")
    assert focused() == "+ Add condition"
    status = page.locator("#id_condition-drawn ~ .rules-status")
    expect(status).to_have_text("A condition was removed.")
    keys("Tab", "Tab")
    assert focused() == "Undo"
    keys("Enter")
    expect(status).to_have_text("The condition is back.")
    assert focused() == "Field"
    assert condition(page) == BIG_ORDERS
    first = drawn(page).locator('.rules-group > [aria-label="Condition 1"]').first
    first.get_by_role("button", name="Move down: Condition 1").focus()
    keys("Enter")
    expect(status).to_have_text("Moved to place 2 of 2 in ANY of these.")
    assert focused() == "Move up: Condition 2"
    assert condition(page) == {"or": BIG_ORDERS["or"][::-1]}
    keys("Enter")
    assert focused() == "Move down: Condition 1"
    assert condition(page) == BIG_ORDERS
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
        "Total",
        "is between (inclusive)",
        {"<=": [1.50, total, {"var": "instance.subtotal"}]},
        fill("Least value", "1.50"),
        pick("Greatest value: Compared with", "field"),
        lambda one: one.get_by_label("Field", exact=True).nth(1).select_option(label="Subtotal"),
    )
    assert '"<=": [1.50, ' in page.input_value("#id_condition"), "It is the number that was typed."
    row(
        "Total",
        "is more than",
        {">": [total, {"*": [{"var": "old.total"}, 1.5]}]},
        pick("Compared with", "field, as it was"),
        lambda one: one.get_by_label("Field", exact=True).nth(1).select_option(label="Total"),
        pick("Calculation", "times"),
        fill("Number to calculate with", "1.5"),
    )
    changed_at = {"var": "instance.status_changed_at"}
    row(
        "Status changed at",
        "is before",
        {"<": [changed_at, {"-": [{"now": []}, {"timestamp": "30d"}]}]},
        pick("Compared with", "relative to now"),
        pick("When", "ago"),
        fill("How many", "30"),
    )
    row(
        "Status changed at",
        "is in the next",
        {"<=": [{"now": []}, changed_at, {"+": [{"now": []}, {"timestamp": "12h"}]}]},
        fill("How many", "12"),
        pick("Unit of time", "hours"),
    )
    row(
        "Order number",
        "starts with",
        {"starts_with": [{"var": "instance.order_number"}, {"var": "instance.customer_id"}]},
        pick("Compared with", "field"),
        lambda one: one.get_by_label("Field", exact=True).nth(1).select_option(label="Customer"),
    )
    row(
        "Order number",
        "is one of",
        {"in": [{"var": "instance.order_number"}, ["A", "B C"]]},
        fill("Values, one a line", "A\nB C\n"),
    )
    save(page)
    assert Rule.objects.get().condition == {"and": made}


TOTAL, CHANGED_AT = {"var": "instance.total"}, {"var": "instance.status_changed_at"}
NOW: dict[str, Any] = {"now": []}
#: What people need often, and how its row reads.
OFTEN: list[tuple[Any, str]] = [
    ({"<": [1, TOTAL, 10]}, "Total|is between (exclusive)|value|1|and|value|10"),
    ({"!": [{"<=": [1, TOTAL, 10]}]}, "Total|is not between (inclusive)|value|1|and|value|10"),
    ({"<": [CHANGED_AT, NOW]}, "Status changed at|is before|relative to now|now"),
    ({">": [NOW, {"var": "old.status_changed_at"}]}, "Status changed at|was before|relative to now|now"),
    (
        {"<": [CHANGED_AT, {"-": [NOW, {"timestamp": "30d"}]}]},
        "Status changed at|is before|relative to now|30|days|ago",
    ),
    (
        {"!": [{"<=": [NOW, CHANGED_AT, {"+": [NOW, {"timestamp": "7d"}]}]}]},
        "Status changed at|is not in the next|7|days",
    ),
    (
        {"<=": [{"-": [NOW, {"timestamp": "90m"}]}, CHANGED_AT, NOW]},
        "Status changed at|is in the last|90|minutes",
    ),
    ({">": [TOTAL, {"*": [{"var": "old.total"}, 1.5]}]}, "Total|is more than|field, as it was|Total|times|value|1.5"),
    (
        {">": [{"-": [TOTAL, {"var": "old.total"}]}, 50]},
        "Total|minus|field, as it was|Total|is more than|value|50",
    ),
    (
        {"<": [{"+": [{"??": [{"var": "instance.discount"}, 0]}, 5]}, TOTAL]},
        "Discount|or, where it has none,|0|plus|value|5|is less than|field|Total|as it is",
    ),
    ({"<": [100, TOTAL]}, "Total|is more than|value|100"),
    ({"==": [{"var": "instance.customer_id"}, None]}, "Customer|is nothing or 0"),
    ({"!": [{"in": [{"var": "instance.status"}, ["paid"]]}]}, "Status|is none of|Paid"),
    (
        {"in": [{"var": "instance.order_number"}, {"var": "request.path"}]},
        "Path of the request|contains|field|Order number",
    ),
    (
        {"some": [{"var": "instance.items"}, {">": [{"var": "unit_price"}, {"val": [[2], "instance", "total"]}]}]},
        "Unit price|is more than|field of the object|Total|as it is",
    ),
]  # fmt: skip
#: The rows of a builder as somebody reads them: what is chosen, typed and ticked, and the words between.
READ = """(panel) => Array.from(panel.querySelectorAll(".rules-row > .rules-row-line")).map((line) => (
  Array.from(line.querySelectorAll("select, input, textarea, :scope > span"))
    .filter((one) => one.type !== "checkbox" || one.checked)
    .map((one) => one.type === "checkbox" ? one.parentElement.textContent.trim()
      : one.selectedOptions ? one.selectedOptions[0].textContent : one.value ?? one.textContent).join("|")))"""


@pytest.mark.parametrize("look", LOOKS)
def test_what_people_need_often_is_drawn_as_rows_that_read_well(open_rule: Any, shots: Path, look: str) -> None:
    page = open_rule({"and": [one for one, _ in OFTEN]}, **LOOKS[look])
    text = page.input_value("#id_condition")
    read = drawn(page).evaluate(READ)
    assert [one for one in read if one != "Order items|have at least one where"] == [words for _, words in OFTEN]
    assert unlabelled(page) == []
    assert wide(page) <= 0
    page.screenshot(path=str(shots / f"builder-often-{look}.png"), full_page=True)
    drawn(page).get_by_label("How many", exact=True).first.fill("31")
    assert json.dumps(condition(page)) == json.dumps(json.loads(text)).replace('"30d"', '"31d"')


def test_dates_are_compared_with_today_as_it_is_where_the_site_is(watched: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Kiritimati"
    page = watched()
    rule = create_rule(model=Appointment, slug="dates", actions=[LOG], condition={"var": "created"})
    page.goto(f"/admin/rules_engine/rule/{rule.pk}/change/")
    page.wait_for_function(LOADED, arg=["clinic.appointment"])
    row = drawn(page).get_by_role("group", name="Condition 1")
    row.get_by_label("Field", exact=True).select_option(label="Date")
    row.get_by_label("Comparison").select_option(label="is")
    row.get_by_label("Compared with").select_option(label="relative to now")
    expect(row.get_by_label("When").locator("option:checked")).to_have_text("today")
    save(page)
    today = {"format_date": [NOW, "yyyy-MM-dd", "Pacific/Kiritimati"]}
    stored = Rule.objects.get().condition
    assert stored == {"==": [{"var": "instance.date"}, today]}
    compiled = jsonlogic.compile_condition(stored)
    there = timezone.now().astimezone(ZoneInfo("Pacific/Kiritimati")).date().isoformat()
    assert compiled.matches(jsonlogic.data_handle({"instance": {"date": there}}))


def test_those_added_to_a_relation_are_rows_with_mistakes_at_their_rows(watched: Any) -> None:
    rows = {"some": [{"var": "m2m.objects"}, {"<": [1, {"var": "product_cont"}, 10]}]}
    stored = {"and": [rows, {"<": [{"var": "instance.prce"}, {"*": [{"var": "instance.stok"}, 2]}]}]}
    rule = create_rule(model=Product, slug="tags", signals=["m2m_changed"], actions=[LOG])
    Rule.objects.update(condition=stored)
    page = watched()
    page.goto(f"/admin/rules_engine/rule/{rule.pk}/change/")
    page.wait_for_function(LOADED, arg=["shop.product", "shop.tag"])
    many = drawn(page).locator('.rules-group > [aria-label="Condition 1"]').first
    expect(many.get_by_label("Field", exact=True).first.locator("option:checked")).to_have_text(
        "Those added or removed"
    )
    page.click('.submit-row >> nth=-1 >> input[name="_save"]')
    page.wait_for_selector(".errornote")
    page.wait_for_function(LOADED, arg=["shop.product", "shop.tag"])
    inner = drawn(page).locator('[data-part]:has(> .rules-row-line option[value="product_cont"])').last
    expect(inner.get_by_text('Did you mean "product_count"?')).to_be_visible()
    inner.get_by_label("Field", exact=True).select_option(label="Product count")
    second = drawn(page).locator('.rules-group > [aria-label="Condition 2"]')
    expect(second.get_by_text('Did you mean "price"?')).to_be_visible()
    expect(second.get_by_text('Did you mean "stock"?')).to_be_visible()
    second.get_by_label("Field", exact=True).first.select_option(label="Price")
    second.get_by_label("Field", exact=True).last.select_option(label="Stock")
    save(page)
    rows["some"][1] = {"<": [1, {"var": "product_count"}, 10]}
    assert Rule.objects.get().condition == {
        "and": [rows, {"<": [{"var": "instance.price"}, {"*": [{"var": "instance.stock"}, 2]}]}]
    }


def test_rows_are_moved_through_groups_and_duplicated(open_rule: Any) -> None:
    first, second, inner = ({"var": name} for name in ("created", "instance.total", "instance.status"))
    page = open_rule({"and": [first, {"or": [inner]}, second]})
    status = page.locator("#id_condition-drawn ~ .rules-status")

    def press(name: str) -> None:
        drawn(page).get_by_role("button", name=name, exact=True).first.click()

    press("Move down: Condition 1")
    expect(status).to_have_text("Moved to place 1 of 2 in ANY of these.")
    assert condition(page) == {"and": [{"or": [first, inner]}, second]}
    press("Duplicate: Group 1")
    assert condition(page) == {"and": [{"or": [first, inner]}, {"or": [first, inner]}, second]}
    press("Remove: Group 1")
    expect(status).to_have_text("A group was removed.")
    assert condition(page) == {"and": [{"or": [first, inner]}, second]}
    press("Remove: Condition 2")
    drawn(page).get_by_role("group", name="Group 1").get_by_label("Group of conditions").select_option(
        label="NONE of these"
    )
    expect(drawn(page).get_by_role("button", name="Undo")).to_have_count(0)
    save(page)
    assert Rule.objects.get().condition == {"and": [{"!": [{"or": [first]}]}, second]}


def test_any_of_one_condition_stays_any_for_those_that_are_added_later(open_rule: Any) -> None:
    page = open_rule({"==": [{"var": "instance.status"}, "paid"]})
    drawn(page).get_by_label("Group of conditions").last.select_option(label="ANY of these")
    save(page)
    assert Rule.objects.get().condition == {"or": [{"==": [{"var": "instance.status"}, "paid"]}]}
    page.go_back()
    page.reload()
    expect(drawn(page).get_by_label("Group of conditions").last).to_have_value("any")


def test_a_number_stands_beside_its_comparison_where_there_is_room(open_rule: Any) -> None:
    page = open_rule(
        {
            "or": [
                {">": [{"var": "instance.total"}, 100]},
                {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]},
            ]
        },
        viewport={"width": 1280, "height": 900},
    )
    lower = (
        drawn(page)
        .get_by_label("Value", exact=True)
        .evaluate_all(
            """(all) => all.map((one) => one.getBoundingClientRect().y
            - one.previousElementSibling.getBoundingClientRect().y)"""
        )
    )
    assert len(lower) == 2
    assert max(map(abs, lower)) < 10


def test_the_fields_follow_the_model_and_the_signals(open_rule: Any) -> None:
    stored = {"==": [{"var": "instance.total"}, 1]}
    page = open_rule(stored)
    field = drawn(page).get_by_label("Field", exact=True)
    page.select_option("#id_model", "shop.product")
    expect(field.locator("option", has_text="Stock")).to_have_count(1)
    expect(field).to_have_value("instance.total")
    assert condition(page) == stored
    page.select_option("#id_model", "")
    page.get_by_label("Which signal:", exact=True).select_option("user_login_failed")
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

"""The story of somebody who has never written code, told to its end: by mouse, and by keyboard alone.

When an order is paid and its total is over 100, or it has a line with more than two pieces, the warehouse is mailed and
the ERP's webhook called. The rule is made in the admin, tested, switched on and seen to act; and another order, for
which nothing happens, is asked why. A real worker does the work; a mail server and a web server take what it sends.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from playwright.sync_api import expect
from standardwebhooks.webhooks import Webhook

from project.shop.models import Category, Order, OrderItem, Product
from rules_engine.models import Execution, Rule
from tests.acceptance.conftest import Mailbox, Worker
from tests.browser.conftest import unlabelled
from tests.http_server import MisbehavingServer
from webhooks.models import Endpoint

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WAREHOUSE = "warehouse@shop.example"
LOOKS: dict[str, tuple[Any, Any]] = {
    "light": ("light", {"width": 1280, "height": 800}),
    "phone": ("light", {"width": 390, "height": 844}),
    "dark": ("dark", {"width": 1280, "height": 800}),
}
#: More stops than any of these pages has.
MOST_TABS = 250
IS_FOCUSED = "one => one === document.activeElement"
#: Whether somebody would go back to it: what is looked for stands before what has the focus.
IS_BEHIND = """one => document.activeElement !== document.body
    && Boolean(one.compareDocumentPosition(document.activeElement) & Node.DOCUMENT_POSITION_FOLLOWING)"""
#: The first stop of each page of the admin leads past its navigation.
IS_CONTENT_OF_NEW_PAGE = "one => document.activeElement === document.body && Boolean(one.closest('#content'))"
SHOWN_CHOICE = "one => one.selectedOptions.length ? one.selectedOptions[0].label : ''"


class Hands(Protocol):
    """How somebody works a page."""

    def press(self, target: Locator) -> None:
        """Follow a link, push a button, tick or untick a box."""

    def choose(self, target: Locator, label: str) -> None:
        """Choose from a list."""

    def write(self, target: Locator, text: str) -> None:
        """Write into an empty field."""


class Mouse:
    """Clicks; three at once take a whole text."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, target: Locator) -> None:
        target.click()

    def choose(self, target: Locator, label: str) -> None:
        target.select_option(label=label)

    def write(self, target: Locator, text: str) -> None:
        target.click(click_count=3)
        self.page.keyboard.type(text)


class Keyboard:
    """Tab and Shift+Tab, Enter and Space, Control+A and typing; nothing else."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, target: Locator) -> None:
        self.tab_to(target)
        is_box = target.get_attribute("type") in ("checkbox", "radio")
        self.page.keyboard.press("Space" if is_box else "Enter")

    def choose(self, target: Locator, label: str) -> None:
        expect(target.locator("option", has_text=label)).not_to_have_count(0)
        self.tab_to(target)
        self.page.keyboard.type(label)
        assert target.evaluate(SHOWN_CHOICE) == label, f'Typing "{label}" into a list chose something else.'

    def write(self, target: Locator, text: str) -> None:
        self.tab_to(target)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def tab_to(self, target: Locator) -> None:
        """Go on until the element has the focus, forwards or back; on a new page, first past what all pages have."""
        found = target.element_handle()
        # While a page loads, what has the focus may change.
        self.page.wait_for_load_state()
        if found.evaluate(IS_CONTENT_OF_NEW_PAGE):
            self.page.keyboard.press("Tab")
            self.page.keyboard.press("Enter")
        key = "Shift+Tab" if found.evaluate(IS_BEHIND) else "Tab"
        for _ in range(MOST_TABS):
            if not found.evaluate("one => one.isConnected"):
                found = target.element_handle()
            if found.evaluate(IS_FOCUSED):
                assert found.evaluate("one => one.matches(':focus-visible')"), "Nobody sees where the focus is."
                return
            self.page.keyboard.press(key)
        pytest.fail(f"{key} does not lead to {target}, pressed {MOST_TABS} times.")


class Somebody:
    """Who the story is about: what they do on each page of the admin."""

    def __init__(self, page: Page, hands: Hands, shots: Path | None) -> None:
        self.page, self.hands, self.shots = page, hands, shots

    def picture(self, name: str) -> None:
        """The page as it looks in light, in the dark and on a phone; it is never wider than the screen."""
        if self.shots is None:
            return
        self.page.wait_for_load_state("networkidle")
        for look, (scheme, size) in LOOKS.items():
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size(size)
            width = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert width <= 0, f"The page {name} is wider than the screen ({look})."
            self.page.screenshot(path=self.shots / f"story-{name}-{look}.png", full_page=True)
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(LOOKS["light"][1])

    def link(self, name: str, inside: str = "#content") -> Locator:
        return self.page.locator(inside).get_by_role("link", name=name, exact=True).first

    def button(self, name: str) -> Locator:
        return self.page.locator("#content").get_by_role("button", name=name, exact=True).last

    def field(self, label: str, inside: Any = None) -> Locator:
        return (inside or self.page.locator("#content")).get_by_label(label, exact=True)

    def go_to(self, title: str) -> None:
        """By the links at the top of each page, to the list of that name."""
        if self.page.locator(".breadcrumbs").count():
            self.hands.press(self.link("Home", "body"))
        self.hands.press(self.page.locator("#content-main th").get_by_role("link", name=title, exact=True))

    def add_the_erp(self, url: str) -> None:
        self.go_to("Endpoints")
        self.hands.press(self.page.locator(".object-tools a", has_text="Add endpoint"))
        self.hands.write(self.field("Name:"), "ERP")
        self.hands.write(self.field("URL:"), url)
        self.hands.press(self.button("Save"))
        expect(self.page.locator(".messagelist .success")).to_be_visible()
        self.picture("endpoint")

    def begin_a_rule(self) -> None:
        """From the empty list, with its templates, to the empty form."""
        self.go_to("Rules")
        expect(self.page.get_by_text("There are no rules yet. Begin with a template:")).to_be_visible()
        expect(self.page.locator(".rules-templates a")).not_to_have_count(0)
        self.picture("list-empty")
        self.hands.press(self.page.locator(".object-tools a", has_text="Add rule"))
        expect(self.field("Name:")).to_be_focused()
        self.picture("form-empty")

    def say_when(self) -> None:
        self.hands.write(self.field("Name:"), "Big orders to the warehouse")
        self.hands.choose(self.field("Model:"), "Order (shop.order)")
        self.hands.choose(self.field("What happens:"), "a field becomes a value")
        changes = self.page.locator(".field-changes")
        row = changes.get_by_role("group", name="Change 1")
        self.hands.choose(self.field("Field", row), "Status")
        self.hands.choose(self.field("Value afterwards", row), "Paid")

    def say_only_if(self) -> None:
        builder = self.page.locator(".field-condition")
        box = builder.get_by_label("Group of conditions")
        self.hands.choose(box.and_(self.page.locator("select")).first, "ANY of these")
        self.hands.press(builder.get_by_role("button", name="+ Add condition"))
        total = builder.locator('.rules-group > [aria-label="Condition 1"]')
        self.hands.choose(self.field("Field", total), "Total")
        self.hands.choose(self.field("Comparison", total), "is more than")
        self.hands.write(self.field("Value", total), "100")
        self.hands.press(builder.get_by_role("button", name="+ Add condition"))
        lines = builder.locator('.rules-group > [aria-label="Condition 2"]')
        self.hands.choose(self.field("Field", lines).first, "Order items")
        line = lines.get_by_role("group", name="Condition 1")
        self.hands.choose(self.field("Field", line), "Quantity")
        self.hands.choose(self.field("Comparison", line), "is more than")
        self.hands.write(self.field("Value", line), "2")

    def say_then_do(self) -> None:
        mail, call = self.page.locator("#actions-0"), self.page.locator("#actions-1")
        self.hands.press(self.button("Send an email"))
        self.hands.write(self.field("To 1", mail), WAREHOUSE)
        self.hands.write(self.field("Subject", mail), "Pack order {{ instance.order_number }}")
        self.hands.write(self.field("Text", mail), "It comes to {{ instance.total }}.")
        self.hands.press(self.button("Call a webhook"))
        self.hands.choose(self.field("Endpoint", call), "ERP (erp)")
        assert unlabelled(self.page) == []
        self.picture("form")

    def save_and_test(self, order: Order) -> None:
        self.hands.press(self.button("Save and test"))
        self.test(order, "The rule would act.")
        gates, planned = self.page.locator(".rules-gates"), self.page.locator(".rules-actions")
        expect(gates.get_by_text("Pending → Paid")).to_be_visible()
        expect(gates.get_by_text("Total is more than 100")).to_be_visible()
        expect(planned.get_by_text(f"Pack order {order.order_number}")).to_be_visible()
        expect(planned.get_by_text("It comes to 128.00.").first).to_be_visible()
        expect(planned.get_by_text("POST", exact=False).first).to_be_visible()
        self.picture("test")

    def test(self, order: Order, verdict: str) -> None:
        self.hands.choose(self.field("One of the latest:"), f"{order} ({order.pk})")
        self.hands.press(self.button("Test"))
        expect(self.page.get_by_text(verdict)).to_be_visible()

    def switch_it_on(self) -> None:
        self.hands.press(self.button("Switch on"))
        expect(self.page.locator(".messagelist .success")).to_be_visible()
        self.picture("switched-on")
        self.go_to("Rules")
        expect(self.page.locator("#result_list .rules-state-on")).to_have_text("on")
        self.picture("list")

    def pay(self, order: Order) -> None:
        self.go_to("Orders")
        self.hands.press(self.link(order.order_number))
        self.hands.choose(self.field("Status:"), "Paid")
        self.hands.press(self.button("Save"))
        expect(self.page.locator(".messagelist .success")).to_be_visible()

    def see_what_it_did(self) -> None:
        self.go_to("Executions")
        expect(self.page.locator("#result_list tbody tr")).to_have_count(2)
        expect(self.page.locator("#result_list .field-state, #result_list td", has_text="done")).to_have_count(2)
        self.picture("executions")
        self.hands.press(self.page.locator("#result_list tbody th a").first)
        expect(self.page.get_by_text("succeeded").first).to_be_visible()
        self.picture("execution")

    def ask_why(self, order: Order) -> None:
        self.go_to("Orders")
        self.hands.press(self.link(order.order_number))
        self.picture("order")
        self.hands.press(self.link("All changes of this object"))

    def record_orders(self) -> None:
        self.hands.press(self.link("Record it from now on"))
        self.picture("recording")
        self.hands.press(self.button("Save"))
        expect(self.page.locator(".messagelist .success")).to_be_visible()


def order_of_pens(number: str, price: int, quantity: int) -> Order:
    shelf, _ = Category.objects.get_or_create(name="Pens")
    pen, _ = Product.objects.get_or_create(name=f"Pen for {price}", slug=f"pen-{price}", price=price, category=shelf)
    order = Order.objects.create(order_number=number, status="pending", total=price * quantity)
    OrderItem.objects.create(order=order, product=pen, quantity=quantity, unit_price=price)
    return order


@pytest.mark.parametrize("hands", [Mouse, Keyboard])
def test_the_story(
    hands: Callable[[Page], Hands],
    watched: Any,
    worker: Worker,
    mailbox: Mailbox,
    receiver: MisbehavingServer,
    shots: Path,
) -> None:
    big, small, other = order_of_pens("A-1", 32, 4), order_of_pens("A-2", 25, 2), order_of_pens("A-3", 25, 2)
    page = watched(viewport=LOOKS["light"][1])
    somebody = Somebody(page, hands(page), shots if hands is Mouse else None)
    page.goto("/admin/")

    somebody.add_the_erp(receiver.url("/orders"))
    somebody.begin_a_rule()
    somebody.say_when()
    somebody.say_only_if()
    somebody.say_then_do()
    somebody.save_and_test(big)
    somebody.test(small, "The rule would not act.")
    somebody.picture("test-not")
    assert not Rule.objects.get().enabled
    assert not mailbox.messages
    somebody.switch_it_on()

    somebody.pay(big)
    worker.eventually(lambda: mailbox.messages and receiver.requests and not Execution.objects.live().exists())
    [message], [request] = mailbox.messages, receiver.requests
    assert (message["To"], message["Subject"]) == (WAREHOUSE, "Pack order A-1")
    assert message.get_body(("plain",)).get_content().strip() == "It comes to 128.00."
    headers = {name.lower(): value for name, value in request.headers}
    sent = Webhook(Endpoint.objects.get(slug="erp").secret).verify(request.body, headers)
    assert sent["data"]["instance"]["order_number"] == "A-1"
    assert request.target == "/orders"
    somebody.see_what_it_did()

    somebody.pay(small)
    somebody.ask_why(small)
    expect(page.get_by_text("Not recorded: there is no event of this object.")).to_be_visible()
    somebody.picture("why-not-recorded")
    somebody.record_orders()
    somebody.pay(other)
    somebody.ask_why(other)
    told = page.locator(".rules-why-change").first
    expect(told).to_contain_text("did not match")
    expect(told).to_contain_text("otal is more than 100")
    expect(told).to_contain_text("50")
    somebody.picture("why")
    assert not Execution.objects.live().exists()
    assert (len(mailbox.messages), len(receiver.requests)) == (1, 1)

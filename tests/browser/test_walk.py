"""The walk of somebody who does not code, counted: from the login to a rule that is on, in no more clicks and keys than
it is worth. By mouse, in German, by keyboard alone, and on a phone.

The rule: mail me when an order over 100 becomes paid, tell our chat, at most once an hour for each customer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.utils import translation
from django.utils.translation import gettext
from playwright.sync_api import expect

from project.shop.models import Order
from rules_engine.models import Execution, HeldMatch, Rule
from rules_engine.testing import run_due
from tests.browser.conftest import Watched
from tests.browser.test_every_page import findings
from tests.browser.test_story import Hands, Keyboard, Mouse
from webhooks.models import Endpoint

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MOST_CLICKS, MOST_KEYS = 25, 60
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
NAME, PASSWORD, ADDRESS = "anna", "geheim-12", "anna@shop.example"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Counted:
    """Hands that count: a click for each link, button, list and field, a key for each letter."""

    def __init__(self, hands: Hands) -> None:
        self.hands = hands
        self.clicks = self.keys = 0

    def press(self, target: Locator) -> None:
        self.clicks += 1
        self.hands.press(target)

    def choose(self, target: Locator, label: str) -> None:
        self.clicks += 1
        self.hands.choose(target, label)

    def write(self, target: Locator, text: str) -> None:
        self.clicks += 1
        self.keys += len(text)
        self.hands.write(target, text)


class Walk:
    """What somebody does on each page, in the language in which it is shown."""

    def __init__(self, watched: Watched, hands: Counted) -> None:
        self.watched, self.page, self.hands = watched, watched.page, hands

    def look(self) -> None:
        """Nobody is shut out, and the page is no wider than the screen. What the policy says of axe is no matter."""
        said = list(self.watched.complaints)
        assert findings(self.page, "phone") == []
        self.watched.complaints[:] = said
        assert self.page.evaluate(TOO_WIDE) <= 0

    def said(self, text: str) -> str:
        return gettext(text)

    def labelled(self, text: str, inside: Any = None) -> Locator:
        return (inside or self.page).get_by_label(text, exact=True)

    def sign_in(self) -> None:
        self.page.goto("/admin/")
        self.hands.write(self.page.locator("#id_username"), NAME)
        self.hands.write(self.page.locator("#id_password"), PASSWORD)
        self.hands.press(self.page.locator("#login-form [type=submit]"))

    def begin(self) -> None:
        self.hands.press(self.page.locator("#content-main .model-rule .addlink"))

    def say_when(self) -> None:
        card = self.page.locator("#rules-card-when")
        self.hands.choose(card.locator("#id_model"), "Order (shop.order)")
        self.hands.choose(self.labelled(self.said("What happens") + ":", card), self.said("a field becomes a value"))
        row = card.locator(".field-changes [role=group]").first
        self.hands.choose(self.labelled(self.said("Field"), row), "Status")
        self.hands.choose(self.labelled(self.said("Value afterwards"), row), "Paid")

    def say_only_if(self) -> None:
        card = self.page.locator("#rules-card-only-if")
        self.hands.press(card.get_by_role("button", name="+ " + self.said("Add condition")))
        row = card.locator(".rules-row").first
        self.hands.choose(self.labelled(self.said("Field"), row), "Total")
        self.hands.choose(self.labelled(self.said("Comparison"), row), self.said("is more than"))
        self.hands.write(self.labelled(self.said("Value"), row), "100")

    def say_at_most(self) -> None:
        card = self.page.locator("#rules-card-at-most")
        self.hands.write(card.locator("#id_throttle_count"), "1")
        self.hands.choose(card.locator('[name="throttle_by_choice"]'), "Customer")

    def say_then(self) -> None:
        card = self.page.locator("#rules-card-then")
        self.hands.press(card.get_by_role("button", name=self.said("Send an email"), exact=True).last)
        self.hands.press(card.get_by_role("button", name=self.said("Call a webhook"), exact=True).last)
        self.hands.choose(self.labelled(self.said("Endpoint"), card.locator("#actions-1")), "Our chat (our-chat)")

    def save(self) -> None:
        self.hands.press(self.page.locator('.submit-row [name="_save"]'))
        beside = self.page.locator("#rules-beside")
        expect(beside.get_by_text(self.said("Test it, then switch it on."))).to_be_visible()

    def switch_on(self) -> None:
        beside = self.page.locator("#rules-beside")
        self.hands.press(beside.get_by_role("button", name=self.said("Switch on"), exact=True))
        expect(beside.locator(".rules-state-on")).to_be_visible()


@pytest.fixture
def walk(chromium: Browser, live_server: Any, settings: Any) -> Any:
    """``walk(hands, language="de", viewport=…)``: somebody before the login, and their chat. None may complain."""
    get_user_model().objects.create_superuser(NAME, ADDRESS, PASSWORD)
    chat = {"url": "https://hooks.slack.com/services/T0/B0/x", "payload_form": "slack"}
    Endpoint.objects.create(name="Our chat", slug="our-chat", **chat)
    opened: list[Any] = []
    watching: list[Watched] = []

    def begin(hands: Callable[[Page], Hands], language: str = "en", **options: Any) -> Walk:
        settings.LANGUAGE_CODE = language
        translation.activate(language)
        opened.append(chromium.new_context(base_url=live_server.url, **{"viewport": DESKTOP, **options}))
        watching.append(Watched(opened[-1].new_page()))
        return Walk(watching[-1], Counted(hands(watching[-1].page)))

    yield begin
    translation.deactivate()
    for context in opened:
        context.close()
    assert [complaint for one in watching for complaint in one.complaints] == []


def make_the_rule(somebody: Walk) -> Rule:
    somebody.sign_in()
    somebody.begin()
    somebody.say_when()
    somebody.say_only_if()
    somebody.say_at_most()
    somebody.say_then()
    somebody.save()
    somebody.switch_on()
    return Rule.objects.get()


def check(rule: Rule) -> None:
    """It is what was wanted, whoever made it in whichever way."""
    assert (rule.model, rule.signals, rule.operations) == ("shop.order", ["post_save"], ["update"])
    assert rule.changes == [{"field": "status", "to": "paid"}]
    assert rule.condition == {">": [{"var": "instance.total"}, 100]}
    assert (rule.throttle_count, rule.throttle_seconds) == (1, 3600)
    assert rule.throttle_by == "{{ instance.customer_id }}"
    assert (rule.enabled, rule.shadow) == (True, False)
    letter, chat = rule.actions.order_by("position")
    assert (letter.kind, letter.config["to"]) == ("send_email", [ADDRESS])
    assert (chat.kind, chat.config["endpoint"]) == ("webhook", "our-chat")


def pay(number: str, total: int, customer: Any) -> None:
    order = Order.objects.create(order_number=number, status="pending", total=total, customer=customer)
    order.status = "paid"
    order.save()


def test_the_walk_takes_few_clicks_and_keys(walk: Any, shots: Path) -> None:
    somebody = walk(Mouse)
    rule = make_the_rule(somebody)
    somebody.page.screenshot(path=str(shots / "walk-on.png"), full_page=True)
    check(rule)
    assert rule.name.startswith("When an order is updated and its status becomes Paid, only if total is more than 100")
    hands = somebody.hands
    assert hands.clicks <= MOST_CLICKS, f"{hands.clicks} clicks, {hands.keys} keys"
    assert hands.keys <= MOST_KEYS, f"{hands.clicks} clicks, {hands.keys} keys"

    carmen = get_user_model().objects.create_user("carmen")
    pay("A-1", 128, carmen)
    pay("A-2", 50, carmen)
    pay("A-3", 300, carmen)
    run_due()
    [message] = mail.outbox
    assert message.to == [ADDRESS]
    assert re.search("Order.* Paid", message.subject)
    assert Execution.objects.filter(kind="webhook").count() == 1
    assert HeldMatch.objects.filter(state=HeldMatch.State.DROPPED).count() == 1

    somebody.page.reload()
    runs = somebody.page.locator(".rules-runs > li")
    expect(runs).to_have_count(3)
    expect(runs.filter(has_text="held back")).to_have_count(1)
    expect(runs.filter(has_text="A-1").first).to_be_visible()
    somebody.page.screenshot(path=str(shots / "walk-ran.png"), full_page=True)


def test_the_walk_is_the_same_in_german(walk: Any, shots: Path) -> None:
    somebody = walk(Mouse, "de")
    rule = make_the_rule(somebody)
    check(rule)
    assert rule.name.startswith("Wenn ")
    assert (somebody.hands.clicks, somebody.hands.keys) <= (MOST_CLICKS, MOST_KEYS)
    somebody.page.screenshot(path=str(shots / "walk-german.png"), full_page=True)


def test_the_walk_is_made_by_keyboard_alone(walk: Any) -> None:
    check(make_the_rule(walk(Keyboard)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_walk_is_made_on_a_phone(walk: Any, shots: Path, scheme: str) -> None:
    somebody = walk(Mouse, viewport=PHONE, color_scheme=scheme)
    somebody.sign_in()
    somebody.begin()
    somebody.say_when()
    somebody.say_only_if()
    somebody.say_at_most()
    somebody.say_then()
    somebody.look()
    somebody.page.screenshot(path=str(shots / f"walk-phone-{scheme}.png"), full_page=True)
    somebody.save()
    somebody.switch_on()
    somebody.look()
    somebody.page.screenshot(path=str(shots / f"walk-phone-on-{scheme}.png"), full_page=True)
    check(Rule.objects.get())

"""Every page of ours, opened once: whoever sees it however can use it, and it works under a strict policy."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from playwright.sync_api import expect

from project.security import POLICY
from rules_engine.models import Rule
from tests import admin_pages
from tests.integration.admin.conftest import change_url, make_user

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page, Request

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DESKTOP = {"width": 1280, "height": 720}
PHONE = {"width": 390, "height": 844}
LOOKS: dict[str, tuple[Any, Any]] = {"light": ("light", DESKTOP), "dark": ("dark", DESKTOP), "phone": ("light", PHONE)}
#: In the dark a page differs by its colours alone. Style sheets are not fetched again for rules about turned screens,
#: which are not asked.
ASKED: dict[str, dict[str, Any]] = {look: {"resultTypes": ["violations"], "preload": False} for look in LOOKS}
ASKED["dark"]["runOnly"] = ["color-contrast", "link-in-text-block"]
GRAVE = ("serious", "critical")
LISTEN = """addEventListener("securitypolicyviolation", (event) =>
  console.error("CSP: " + event.violatedDirective + " " + event.blockedURI + " " + event.sample));"""
#: Two frames are drawn, and what moves or changes its colour has come to its end: a fraction of a second. What never
#: ends, as a page that is not painted, is waited for no longer than a second.
DRAWN = """() => Promise.race([
    new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
      .then(() => Promise.allSettled(document.getAnimations().map((each) => each.finished))),
    new Promise((done) => setTimeout(done, 1000)),
  ]).then(() => null)"""
#: How often a page that still asks for something is looked at again, before it counts as one that never ends.
MOST_WAITS = 500
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
HOSTILE_SCRIPTS = "Array.from(document.scripts).filter((script) => script.text.includes('alert(')).length"


class Visitor:
    """Opens pages and notes what they say, ask for and wait for."""

    def __init__(self, page: Page, home: str) -> None:
        self.page, self.home = page, home
        self.complaints: list[str] = []
        self.waiting: set[Request] = set()
        page.on("console", self.note_message)
        page.on("pageerror", lambda error: self.complaints.append(f"Error in a script: {error}"))
        page.on("dialog", self.note_dialog)
        page.on("request", self.note_request)
        page.on("requestfinished", self.note_end)
        page.on("requestfailed", self.note_end)

    def note_message(self, message: Any) -> None:
        # The browser asks for an icon by itself, and the demo has none.
        if message.type in ("error", "warning") and "favicon" not in message.location.get("url", ""):
            self.complaints.append(message.text)

    def note_dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"A script of the data ran: {dialog.message}")
        dialog.dismiss()

    def note_request(self, request: Request) -> None:
        self.waiting.add(request)
        if not request.url.startswith((self.home, "data:")):
            self.complaints.append(f"It asks for {request.url}")

    def note_end(self, request: Request) -> None:
        self.waiting.discard(request)

    def open(self, address: str) -> list[str]:
        """Open a page and wait until it has all that it asks for; returns what is wrong with it."""
        self.complaints.clear()
        self.waiting.clear()
        response = self.page.goto(address)
        assert response is not None
        self.page.evaluate(DRAWN)
        for _ in range(MOST_WAITS):
            if not self.waiting:
                break
            self.page.wait_for_timeout(10)
            self.page.evaluate(DRAWN)
        wrong = [*self.complaints, *(f"{request.url} was never answered." for request in self.waiting)]
        if response.headers["content-security-policy"] != POLICY:
            wrong.append("It comes without the policy.")
        if self.page.evaluate(HOSTILE_SCRIPTS):
            wrong.append("A script of the data stands in it.")
        return wrong

    def look(self, look: str) -> list[str]:
        """What shuts somebody out of the page that is open, in one of its looks."""
        scheme, size = LOOKS[look]
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size(size)
        self.page.evaluate(DRAWN)
        wrong = findings(self.page, look)
        if (wider := self.page.evaluate(TOO_WIDE)) > 0:
            wrong.append(f"It is {wider} pixels wider than the screen.")
        return wrong


def findings(page: Page, look: str) -> list[str]:
    """What is gravely wrong with the page that is open, in the look that it has, and where."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    violations = page.evaluate("options => axe.run(document, options).then(found => found.violations)", ASKED[look])
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:200]} {node['failureSummary'][:300]}"
        for violation in violations
        if violation["impact"] in GRAVE
        for node in violation["nodes"][:3]
    ]


def test_every_page_is_open_to_all_and_keeps_the_policy(browse: Any, live_server: Any) -> None:
    assert "script-src 'self'" in POLICY
    assert "unsafe" not in POLICY
    admin_pages.fill()
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    context = browse(root)
    context.add_init_script(LISTEN)
    visitor = Visitor(context.new_page(), live_server.url)
    wrong: dict[str, list[str]] = defaultdict(list)
    for name, address in admin_pages.shown(root).items():
        wrong[name] += visitor.open(address)
        for look in LOOKS:
            wrong[f"{name} ({look})"] += visitor.look(look)
    assert {name: problems for name, problems in wrong.items() if problems} == {}


@pytest.mark.parametrize("look", ["dark", "phone"])
def test_nor_is_whoever_may_only_read_a_rule_shut_out(browse: Any, live_server: Any, look: str) -> None:
    admin_pages.fill()
    visitor = Visitor(browse(make_user("rules_engine.view_rule")).new_page(), live_server.url)
    assert visitor.open(change_url(Rule.objects.get(slug="mails"))) == []
    visitor.page.get_by_text("As JSON").first.click()
    expect(visitor.page.locator(".rules-json").first).to_be_visible()
    assert visitor.look(look) == []

"""A real Chromium, for tests marked ``browser``: without one they are left out, or fail where CI=true."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import services
from tests.acceptance.conftest import mailbox, outside, receiver, worker  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

#: `uv run pytest` does without the 160 MB that drive a browser, and says so.
HAS_PLAYWRIGHT = find_spec("playwright") is not None
if not HAS_PLAYWRIGHT and services.in_ci():
    raise pytest.UsageError("Playwright is not installed, and CI=true: `uv sync --group browser` brings it.")
collect_ignore_glob = [] if HAS_PLAYWRIGHT else ["test_*.py"]

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line that these tests were left out."""
    if not HAS_PLAYWRIGHT:
        said = "Playwright is not installed: the tests in a browser were left out; `python3 manage.py test` has it."
        terminalreporter.write_line(said, yellow=True)


@pytest.fixture(scope="session", autouse=True)
def _database_before_server(django_db_setup: None) -> Iterator[None]:
    """The test database is there before the live server starts, which shares its connection with all threads if the
    name is that of a database in memory still; two threads at once in one SQLite connection end the process. And it
    stays until the threads that have answered the browser have closed theirs: one in use cannot be dropped."""
    yield
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(60)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of this folder; each opens a context of its own.

    Not for the session: while it is open, an event loop counts as running in this thread, which others could not bear.
    """
    from playwright.sync_api import sync_playwright

    # Playwright's loop runs in this thread, and Django would refuse its database beside a running loop.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=services.chromium(), args=ARGUMENTS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture(scope="package", autouse=True)
def _pictures_for_who_asks() -> Iterator[None]:
    """Pictures of whole pages are drawn and packed where ``SCREENSHOTS`` names a folder for them, and else left out."""
    with pytest.MonkeyPatch.context() as patch:
        if HAS_PLAYWRIGHT and "SCREENSHOTS" not in os.environ:
            from playwright.sync_api import Locator, Page

            for shown in (Page, Locator):
                patch.setattr(shown, "screenshot", lambda *_shown, **_options: b"")
        yield


@pytest.fixture
def browse(chromium: Browser, live_server: Any) -> Iterator[Any]:
    """Opens a context signed in as a user: ``browse(user, color_scheme="dark", viewport=…)``."""
    from django.conf import settings
    from django.test import Client

    opened: list[BrowserContext] = []

    def open_as(user: Any, **options: Any) -> BrowserContext:
        client = Client()
        client.force_login(user)
        context = chromium.new_context(base_url=live_server.url, **options)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}])
        opened.append(context)
        return context

    yield open_as
    for context in opened:
        context.close()


class Watched:
    """A page under the demo's content security policy; ``complaints`` is all that its console said against it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self._note(message))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning") and "favicon" not in message.location.get("url", ""):
            self.complaints.append(message.text)


@pytest.fixture
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: SCREENSHOTS, or a folder that is thrown away."""
    named = os.environ.get("SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("shots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def watched(browse: Any) -> Iterator[Any]:
    """``watched(color_scheme="dark", …)`` opens a page as an administrator; at the end, none may have complained."""
    from django.contrib.auth import get_user_model

    user = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    opened: list[Watched] = []

    def open_page(**options: Any) -> Page:
        opened.append(Watched(browse(user, **options).new_page()))
        return opened[-1].page

    yield open_page
    assert [complaint for one in opened for complaint in one.complaints] == []


def unlabelled(page: Page) -> list[str]:
    """Names of the controls that a screen reader could not name."""
    script = """(controls) => controls
        .filter((one) => one.type !== "hidden" && one.type !== "submit" && one.checkVisibility())
        .filter((one) => !one.labels.length && !one.getAttribute("aria-label") && !one.getAttribute("title"))
        .map((one) => one.name || one.id)"""
    found: list[str] = page.eval_on_selector_all("#rule_form :is(input, select, textarea)", script)
    return found

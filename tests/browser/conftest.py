"""A real Chromium, for tests marked ``browser``: without one they are left out, or fail where CI=true."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests import services

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

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


@pytest.fixture(scope="session", autouse=True)
def _database_before_server(django_db_setup: None) -> None:
    """The test database is there before the live server starts, which shares its connection with all threads if the
    name is that of a database in memory still; two threads at once in one SQLite connection end the process."""


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

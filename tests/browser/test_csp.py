"""Under a policy that allows no script in a page and nothing from elsewhere, every page of ours still works."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from project.security import POLICY
from tests import admin_pages

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LISTEN = """addEventListener("securitypolicyviolation", (one) =>
  console.error("CSP: " + one.violatedDirective + " " + one.blockedURI + " " + one.sample));"""


def test_no_page_breaks_the_policy_or_fails_under_it(browse: Any, live_server: Any) -> None:
    assert "script-src 'self'" in POLICY
    assert "unsafe" not in POLICY
    admin_pages.fill()
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    context = browse(root)
    context.add_init_script(LISTEN)
    page = context.new_page()
    said: list[str] = []
    elsewhere: set[str] = set()

    def note(one: Any) -> None:
        # The browser asks for an icon by itself, and the demo has none.
        if one.type in ("error", "warning") and "favicon" not in one.location.get("url", ""):
            said.append(one.text)

    page.on("console", note)
    page.on("pageerror", lambda error: said.append(f"error in a script: {error}"))
    page.on("request", lambda one: None if one.url.startswith((live_server.url, "data:")) else elsewhere.add(one.url))
    found: dict[str, list[str]] = {}
    for name, address in admin_pages.shown(root).items():
        said.clear()
        response = page.goto(address, wait_until="networkidle")
        assert response.headers["content-security-policy"] == POLICY
        if said:
            found[name] = list(said)
    assert found == {}
    assert elsewhere == set()


def test_a_script_in_the_data_is_not_run(browse: Any) -> None:
    admin_pages.fill()
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    context = browse(root)
    page = context.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
    for name, address in admin_pages.shown(root).items():
        page.goto(address)
        if "alert(" in page.content():
            scripts = page.evaluate("Array.from(document.scripts).filter((one) => one.text.includes('alert(')).length")
            assert scripts == 0, name
    assert dialogs == []

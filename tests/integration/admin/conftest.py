"""Staff with the permissions a test names, and the rule form as a browser posts it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import unescape
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import translation

from rules_engine.models import Rule

ADD = "admin:rules_engine_rule_add"
WRITERS = (
    "rules_engine.view_rule",
    "rules_engine.add_rule",
    "rules_engine.change_rule",
    "rules_engine.delete_rule",
    "rules_engine.enable_rule",
)


def make_user(*permissions: str, name: str = "staff", **fields: Any) -> Any:
    user = get_user_model().objects.create_user(name, is_staff=True, **fields)
    for label in permissions:
        app, codename = label.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root() -> Any:
    return get_user_model().objects.create_superuser("root", "root@example.com", "x")


@pytest.fixture
def admin_client(root: Any) -> Client:
    return client_of(root)


@pytest.fixture
def german(root: Any, settings: LazySettings) -> Iterator[Client]:
    """A superuser whose browser asks for German, on a site that listens to that."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    client = client_of(root)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    # The middleware leaves its language to the thread; this gives back the one from before.
    with translation.override("en"):
        yield client


@pytest.fixture
def staff() -> Callable[..., Client]:
    """``staff("clinic.view_doctor", …)`` is signed in with these permissions."""

    def sign_in(*permissions: str) -> Client:
        return client_of(make_user(*permissions))

    return sign_in


def post_data(actions: Sequence[Mapping[str, Any]] = (), **fields: Any) -> dict[str, Any]:
    """What the add form posts; ``actions`` are rows of its inline."""
    data: dict[str, Any] = {
        "name": "New order",
        "slug": "new-order",
        "enabled": "on",
        "model": "shop.order",
        "signals": ["post_save"],
        "operations": ["create"],
        "changes": "",
        "condition": "",
        "description": "",
        "position": "0",
        "actions-TOTAL_FORMS": str(len(actions)),
        "actions-INITIAL_FORMS": "0",
        "actions-MIN_NUM_FORMS": "0",
        "actions-MAX_NUM_FORMS": "1000",
        **fields,
    }
    for index, action in enumerate(actions):
        row = {"position": "", "kind": "", "timing": "", "enabled": "on", "config": "", "id": "", **action}
        data.update({f"actions-{index}-{name}": value for name, value in row.items() if value is not None})
    return data


def change_url(rule: Rule) -> str:
    return reverse("admin:rules_engine_rule_change", args=[rule.pk])


def posted_by_the_page(page: str) -> dict[str, Any]:
    """What a browser without JavaScript posts when a page's form is saved as it is."""
    data: dict[str, Any] = {}
    main = page.split('id="rule_form"', 1)[1].split("</form>", 1)[0]
    for tag in re.findall(r"<input [^>]*>", main):
        name, kind = _attribute(tag, "name"), _attribute(tag, "type")
        if kind in ("checkbox", "radio") and " checked" not in tag:
            continue
        if name and kind != "submit" and " disabled" not in tag:
            data.setdefault(name, []).append(_attribute(tag, "value", "on" if kind == "checkbox" else ""))
    for tag, text in re.findall(r"(<textarea [^>]*>)\r?\n?(.*?)</textarea>", main, re.DOTALL):
        if " disabled" not in tag:
            data[_attribute(tag, "name")] = [unescape(text).replace("\r\n", "\n").replace("\n", "\r\n")]
    for tag, options in re.findall(r"(<select [^>]*>)(.*?)</select>", main, re.DOTALL):
        chosen = [option for option in re.findall(r"<option [^>]*>", options) if " selected" in option]
        if " disabled" not in tag:
            data[_attribute(tag, "name")] = [_attribute(option, "value") for option in chosen]
    return data


def _attribute(tag: str, name: str, default: str = "") -> str:
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else default

"""A site on which the libraries of the extra are not installed: sentences, and no page that breaks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from tests.factories import make_endpoint
from tests.integration.admin.conftest import client_of, make_user
from webhooks.models import Endpoint
from webhooks.signing import encryption

pytestmark = pytest.mark.django_db

MISSING = "install django-signal-rules[webhooks]"
FIELDS = {
    "name": "ERP",
    "slug": "erp",
    "url": "https://example.com/",
    "enabled": "on",
    "payload_form": "whole",
    "verify_tls": "on",
}


@pytest.fixture
def editor() -> Client:
    return client_of(make_user(*(f"webhooks.{verb}_endpoint" for verb in ("view", "add", "change"))))


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """One that was stored while they were installed."""
    yield make_endpoint(headers={"X-Key": "canary"})
    encryption._derived.cache_clear()
    encryption._fernet.cache_clear()


@pytest.fixture(autouse=True)
def _without(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"aiohttp", "cryptography", "idna"}
    for name in names.union(name for name in sys.modules if name.partition(".")[0] in names):
        monkeypatch.setitem(sys.modules, name, None)
    encryption._derived.cache_clear()
    encryption._fernet.cache_clear()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"signing": "v1a"},
        {"secret": "whsk_AAAA"},
        {"secret": "whsec_" + "A" * 32},
        {"headers": '{"X-A": "1"}'},
        {"url": "https://bücher.example/"},
    ],
)
def test_an_endpoint_that_cannot_be_stored_is_refused_in_the_form(editor: Client, given: dict[str, Any]) -> None:
    answer = editor.post("/admin/webhooks/endpoint/add/", {**FIELDS, **given})

    assert answer.status_code == 200
    assert MISSING in answer.content.decode()
    assert Endpoint.objects.count() == 1


def test_what_is_stored_is_shown_and_changed_without_its_secrets(editor: Client, endpoint: Endpoint) -> None:
    address = f"/admin/webhooks/endpoint/{endpoint.pk}/change/"

    page = editor.get(address)
    assert page.status_code == 200
    assert MISSING in page.content.decode()
    assert editor.get("/admin/webhooks/endpoint/").status_code == 200
    assert MISSING in editor.post(address, {**FIELDS, "slug": "crm", "generate_secret": "on"}).content.decode()
    assert editor.post(address, {**FIELDS, "slug": "crm"}).status_code == 302
    assert Endpoint.objects.get().name == "ERP"


def test_the_command_that_needs_a_library_says_which() -> None:
    with pytest.raises(CommandError, match="cryptography"):
        call_command("webhooks_reencrypt")

"""The endpoint's admin pages, through Django's test client."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests.certificates import Authority
from tests.factories import make_endpoint
from webhooks.models import Endpoint
from webhooks.models.fields import Sealed
from webhooks.signing.signatures import generate_secret, public_key

pytestmark = pytest.mark.django_db

HEADERS = {"Authorization": "Bearer canary"}


def signed_in(*permissions: str, name: str = "staff") -> Client:
    user = get_user_model().objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def editor() -> Client:
    return signed_in("view_endpoint", "add_endpoint", "change_endpoint", "delete_endpoint")


@pytest.fixture
def endpoint() -> Endpoint:
    return make_endpoint(url="https://example.com/hook?token=abc", headers=HEADERS)


#: What a browser sends of the fields that nobody touched.
UNTOUCHED = {"description": "", "payload_form": "whole", "signing": "v1", "verify_tls": "on"}


def change_url(endpoint: Endpoint) -> str:
    return reverse("admin:webhooks_endpoint_change", args=[endpoint.pk])


def change(client: Client, endpoint: Endpoint, **fields: Any) -> str:
    data = {"name": "CRM", "slug": "crm", "url": endpoint.url, "enabled": "on", **UNTOUCHED, **fields}
    response = client.post(change_url(endpoint), data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def add(client: Client, **fields: Any) -> str:
    data = {"name": "CRM", "slug": "crm", "url": "https://example.com/", "enabled": "on", **UNTOUCHED, **fields}
    response = client.post(reverse("admin:webhooks_endpoint_add"), data, follow=True)
    return response.content.decode()


def test_a_new_endpoints_secret_is_shown_once(editor: Client) -> None:
    page = add(editor)
    endpoint = Endpoint.objects.get()
    assert re.search(r"whsec_[A-Za-z0-9+/=]+", page)
    assert endpoint.secret in page
    assert "whsec_" not in editor.get(change_url(endpoint)).content.decode().replace("“whsec_”", "")


def test_a_secret_that_was_given_is_not_shown_at_all(editor: Client) -> None:
    secret = generate_secret()
    assert secret not in add(editor, secret=secret)
    assert Endpoint.objects.get().secret == secret


def test_no_page_shows_a_stored_secret_or_header(editor: Client, endpoint: Endpoint) -> None:
    for url in (change_url(endpoint), reverse("admin:webhooks_endpoint_changelist")):
        page = editor.get(url).content.decode()
        assert endpoint.secret not in page
        assert "canary" not in page
        assert "token=abc" not in page or url == change_url(endpoint)


def test_empty_fields_keep_what_is_stored(editor: Client, endpoint: Endpoint) -> None:
    change(editor, endpoint, name="Renamed")
    stored = Endpoint.objects.get()
    assert (stored.name, stored.secret, stored.headers) == ("Renamed", endpoint.secret, HEADERS)
    assert stored.signing_secrets() == [endpoint.secret]


def test_a_generated_secret_is_shown_once_and_overlaps_with_the_old(editor: Client, endpoint: Endpoint) -> None:
    page = change(editor, endpoint, generate_secret="on")
    stored = Endpoint.objects.get()
    assert stored.secret != endpoint.secret
    assert stored.secret in page
    assert stored.signing_secrets() == [stored.secret, endpoint.secret]
    again = editor.get(change_url(endpoint)).content.decode()
    assert stored.secret not in again
    assert "the previous one is still used" in again


def test_the_old_secret_can_be_revoked_at_once_or_later(editor: Client, endpoint: Endpoint) -> None:
    change(editor, endpoint, generate_secret="on", revoke_previous="on")
    assert len(Endpoint.objects.get().signing_secrets()) == 1
    change(editor, endpoint, generate_secret="on")
    assert len(Endpoint.objects.get().signing_secrets()) == 2
    change(editor, endpoint, revoke_previous="on")
    assert len(Endpoint.objects.get().signing_secrets()) == 1


@pytest.mark.parametrize(
    ("written", "stored"), [('{"X-A": "1"}', {"X-A": "1"}), ("{}", {}), ("  ", HEADERS)], ids=["new", "none", "kept"]
)
def test_headers_are_replaced_removed_or_kept(
    editor: Client, endpoint: Endpoint, written: str, stored: dict[str, str]
) -> None:
    change(editor, endpoint, headers=written)
    assert Endpoint.objects.get().headers == stored


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "file:///etc/passwd"}, "begins with file"),
        ({"secret": "whsec_short"}, "base64"),
        ({"secret": generate_secret(), "generate_secret": "on"}, "not both"),
        ({"headers": "X-A: 1"}, "not JSON"),
        ({"headers": '["X-A"]'}, "JSON object"),
        ({"headers": '{"Host": "x"}'}, "reserved"),
        ({"headers": '{"X-A": "a\\r\\nb"}'}, "line break"),
        ({"headers": '{"X-A": "☃"}'}, "beyond ASCII"),
    ],
)
def test_what_is_wrong_is_said_at_the_field(
    editor: Client, endpoint: Endpoint, fields: dict[str, str], words: str
) -> None:
    page = change(editor, endpoint, **fields)
    assert "errorlist" in page
    assert words in page
    assert Endpoint.objects.get().url == endpoint.url


def test_whoever_may_only_view_sees_that_there_are_secrets_and_no_more(endpoint: Endpoint) -> None:
    viewer = signed_in("view_endpoint")
    response = viewer.get(change_url(endpoint))
    page = response.content.decode()
    assert response.status_code == 200
    assert "Authorization" in page
    for hidden in (endpoint.secret, "canary", 'name="secret"', 'name="headers"', "enc1:"):
        assert hidden not in page
    assert viewer.post(change_url(endpoint), {"generate_secret": "on"}).status_code == 403
    assert viewer.get(reverse("admin:webhooks_endpoint_add")).status_code == 403


def test_whoever_may_only_view_cannot_guess_a_token_in_the_address(endpoint: Endpoint) -> None:
    Endpoint.objects.filter(pk=endpoint.pk).update(url="https://crm.example.com/hooks?token=s3cr3t-canary")
    viewer, listed = signed_in("view_endpoint"), reverse("admin:webhooks_endpoint_changelist")
    page = viewer.get(change_url(endpoint)).content.decode()
    assert "https://crm.example.com/hooks?…" in page
    assert "s3cr3t" not in page
    assert "CRM" not in viewer.get(listed, {"q": "token=s3c"}).content.decode()
    assert viewer.get(listed, {"url__contains": "token=s3c"}).status_code == 400
    # Who may change it sees in the form what is sent where.
    assert (
        "s3cr3t"
        in signed_in("view_endpoint", "change_endpoint", name="editor").get(change_url(endpoint)).content.decode()
    )


def test_staff_without_permission_see_nothing(endpoint: Endpoint) -> None:
    assert signed_in().get(change_url(endpoint)).status_code == 403


def test_endpoints_are_found_by_name_and_host(editor: Client, endpoint: Endpoint) -> None:
    page = editor.get(reverse("admin:webhooks_endpoint_changelist"), {"q": "example.com"}).content.decode()
    assert "CRM" in page
    assert "example.com" in page


def test_with_a_lost_key_the_pages_work_and_a_new_secret_mends_it(editor: Client, endpoint: Endpoint) -> None:
    # Another SECRET_KEY would end the session as well, so the stored texts are made unreadable instead.
    Endpoint.objects.update(secret=Sealed("enc1:lost"), headers=Sealed("enc1:lost"))
    assert "cannot be decrypted" in editor.get(change_url(endpoint)).content.decode()
    assert editor.get(reverse("admin:webhooks_endpoint_changelist")).status_code == 200
    change(editor, endpoint, generate_secret="on", headers="{}")
    stored = Endpoint.objects.get()
    assert stored.signing_secrets() == [stored.secret]
    assert stored.headers == {}


def test_the_history_does_not_hold_secrets(editor: Client, endpoint: Endpoint) -> None:
    from django.contrib.admin.models import LogEntry

    secret = generate_secret()
    change(editor, endpoint, secret=secret, headers='{"X-A": "canary2"}')
    recorded = " ".join(LogEntry.objects.values_list("change_message", flat=True))
    assert "Signing secret" in recorded
    assert secret not in recorded
    assert "canary2" not in recorded


def test_a_key_pair_is_made_and_its_public_half_shown(editor: Client) -> None:
    page = add(editor, signing="v1a")
    (secret,) = re.findall(r"whsk_[A-Za-z0-9+/=]+", unescape(page))
    endpoint = Endpoint.objects.get()
    assert endpoint.secret == secret
    shown = unescape(editor.get(change_url(endpoint)).content.decode())
    assert str(public_key(secret)) in shown
    assert secret not in shown
    page = unescape(change(editor, endpoint, generate_secret="on", signing="v1a"))
    assert Endpoint.objects.get().secret in page


def test_a_client_certificate_is_kept_and_removed_and_never_comes_out(editor: Client, tmp_path: Path) -> None:
    add(editor)
    endpoint, pem = Endpoint.objects.get(), Authority(tmp_path).pem("shop")
    assert "no private key" in change(editor, endpoint, client_certificate="rubbish")
    change(editor, endpoint, client_certificate=pem)
    change(editor, endpoint)
    assert Endpoint.objects.get().client_certificate.strip() == pem.strip()
    assert "PRIVATE KEY" not in editor.get(change_url(endpoint)).content.decode()
    change(editor, endpoint, remove_client_certificate="on")
    assert Endpoint.objects.get().client_certificate == ""


def test_a_blank_endpoint_is_told_once_what_is_missing_or_wrong(
    admin_client: Client,
) -> None:
    response = admin_client.post(reverse("admin:webhooks_endpoint_add"), {"headers": "Bearer x"})
    errors = response.context_data["adminform"].form.errors  # type: ignore[attr-defined]
    assert errors["url"] == ["This field is required."]
    assert 'Write an object such as {"Authorization": "Bearer …"}.' in errors["headers"][0]

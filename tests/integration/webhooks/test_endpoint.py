"""Endpoints in the database: what is stored, what is refused, and what survives a lost key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.db import connection
from django.utils import timezone

from tests.factories import make_endpoint
from webhooks.errors import EncryptionKeyError
from webhooks.models import Endpoint
from webhooks.models.fields import Sealed
from webhooks.signing.signatures import generate_secret

pytestmark = pytest.mark.django_db

URL = "https://example.com/hook"
HEADERS = {"Authorization": "Bearer canary"}


def make(**fields: Any) -> Endpoint:
    return make_endpoint(**{"url": URL, **fields})


def stored(column: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM webhooks_endpoint")
        return str(cursor.fetchone()[0])


def lose_the_key(settings: Any) -> None:
    settings.WEBHOOKS = {}
    settings.SECRET_KEY = "another"


def test_a_new_endpoint_has_a_secret_of_its_own() -> None:
    endpoint = Endpoint.objects.get(pk=make().pk)
    assert endpoint.secret.startswith("whsec_")
    assert endpoint.signing_secrets() == [endpoint.secret]


def test_secret_and_headers_are_encrypted_in_the_database_alone() -> None:
    secret = make(headers=HEADERS).secret
    assert stored("secret").startswith("enc1:")
    assert "canary" not in stored("headers")
    endpoint = Endpoint.objects.get()
    assert (endpoint.secret, endpoint.headers) == (secret, HEADERS)


def test_values_lists_give_neither_plain_text_nor_ciphertext() -> None:
    make()
    [value] = Endpoint.objects.values_list("secret", flat=True)
    assert isinstance(value, Sealed)
    assert f"{value} {value!r}" == "<encrypted> <encrypted>"


def test_a_secret_cannot_be_searched_for() -> None:
    with pytest.raises(FieldError):
        Endpoint.objects.filter(secret="x").first()


def test_a_lost_key_is_loud_where_the_secret_is_needed_and_nowhere_else(settings: Any) -> None:
    make(headers=HEADERS)
    before = stored("secret")
    lose_the_key(settings)
    endpoint = Endpoint.objects.get()
    with pytest.raises(EncryptionKeyError, match="cannot be decrypted"):
        endpoint.signing_secrets()
    with pytest.raises(EncryptionKeyError):
        _ = endpoint.headers
    endpoint.name = "Renamed"
    endpoint.full_clean()
    endpoint.save()
    assert (stored("name"), stored("secret")) == ("Renamed", before)


def test_a_fixture_carries_the_secret_encrypted_and_takes_it_back() -> None:
    endpoint = make(headers=HEADERS)
    secret = endpoint.secret
    for form in ("json", "xml"):
        fixture = serializers.serialize(form, Endpoint.objects.all(), use_natural_primary_keys=True)
        assert secret not in fixture
        assert "canary" not in fixture
        Endpoint.objects.all().delete()
        [loaded] = serializers.deserialize(form, fixture)
        loaded.save()
        endpoint = Endpoint.objects.get()
        assert (endpoint.natural_key(), endpoint.secret, endpoint.headers) == (("crm",), secret, HEADERS)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "https://user:pass@example.com/"}, "url"),
        ({"url": "https://2130706433/"}, "url"),
        ({"secret": "whsec_short"}, "secret"),
        ({"secret": ""}, "secret"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"X-A": "a\r\nb"}}, "headers"),
    ],
)
def test_what_cannot_be_used_is_refused_on_save_at_its_field(fields: dict[str, Any], at: str) -> None:
    with pytest.raises(ValidationError) as raised:
        make(**fields)
    assert set(raised.value.message_dict) == {at}
    assert not Endpoint.objects.exists()


def test_the_canonical_url_is_stored() -> None:
    assert make(url="https://Bücher.example").url == "https://xn--bcher-kva.example/"


def test_after_a_rotation_both_secrets_sign_until_the_overlap_ends() -> None:
    endpoint = make()
    old = endpoint.secret
    new = endpoint.rotate_secret()
    endpoint.save()
    endpoint = Endpoint.objects.get()
    assert endpoint.signing_secrets() == [new, old]
    endpoint.previous_secret_expires_at = timezone.now() - timedelta(seconds=1)
    assert endpoint.signing_secrets() == [new]


@pytest.mark.parametrize("days", [-1, 7.1, 365])
def test_a_rotation_overlaps_for_a_week_at_most(days: float) -> None:
    endpoint = make()
    secret = endpoint.secret
    with pytest.raises(ValueError, match="7 days"):
        endpoint.rotate_secret(overlap=timedelta(days=days))
    assert endpoint.signing_secrets() == [secret]


@pytest.mark.parametrize("schedule", [["5s"], {"a": 1}, 5, [-1], ["x"] * 60])
def test_a_schedule_that_no_save_has_seen_is_the_sites(schedule: Any, settings: Any) -> None:
    settings.WEBHOOKS = {"RETRY_SCHEDULE": [7]}
    make()
    Endpoint.objects.update(schedule=schedule)
    assert Endpoint.objects.get().retry_schedule() == (7.0,)


def test_a_rotation_without_overlap_revokes_at_once_and_needs_no_old_key(settings: Any) -> None:
    make()
    lose_the_key(settings)
    endpoint = Endpoint.objects.get()
    with pytest.raises(EncryptionKeyError):
        endpoint.rotate_secret()
    new = endpoint.rotate_secret(generate_secret(), overlap=timedelta(0))
    endpoint.save()
    assert Endpoint.objects.get().signing_secrets() == [new]


def test_disabling_needs_no_key(settings: Any) -> None:
    make()
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    endpoint = Endpoint.objects.get()
    endpoint.disable("gone " * 200)
    endpoint = Endpoint.objects.get()
    assert not endpoint.enabled
    assert endpoint.disabled_reason.startswith("gone ")
    assert not Endpoint.objects.filter(enabled=True).exists()


def test_enabling_again_forgets_why_it_was_disabled() -> None:
    endpoint = make()
    endpoint.disable("gone")
    endpoint.enabled = True
    endpoint.save()
    assert Endpoint.objects.get().disabled_reason == ""


def test_the_migration_is_up_to_date() -> None:
    from django.core.management import call_command

    call_command("makemigrations", "webhooks", check=True, dry_run=True, verbosity=0)

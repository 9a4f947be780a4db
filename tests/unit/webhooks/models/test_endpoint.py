"""What an endpoint checks and does by itself, before any database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from webhooks.models import ROTATION_OVERLAP, Endpoint
from webhooks.models.endpoint import LONGEST_OVERLAP
from webhooks.models.fields import Sealed
from webhooks.signing.signatures import PRIVATE_PREFIX, SECRET_PREFIX, generate_key_pair, generate_secret

URL = "https://hooks.example.com/in"


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    settings.WEBHOOKS = {}


def endpoint(**fields: Any) -> Endpoint:
    return Endpoint(**{"slug": "crm", "url": URL, **fields})


def problems(**fields: Any) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as raised:
        endpoint(**fields).clean()
    return raised.value.message_dict


def test_an_endpoint_needs_no_more_than_a_slug_and_an_address() -> None:
    made = endpoint()
    made.clean()
    assert made.secret.startswith(SECRET_PREFIX)


def test_its_address_is_brought_to_its_canonical_form() -> None:
    made = endpoint(url="HTTPS://Hooks.Example.com:443")
    made.clean()
    assert made.url == "https://hooks.example.com/"


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"url": "https://127.0.0.1/"}, "url", "this machine itself"),
        ({"url": "http://example.com/"}, "url", "ALLOW_HTTP"),
        ({"secret": "plain"}, "secret", "begins with"),
        ({"headers": {"Host": "x"}}, "headers", "reserved"),
        ({"ca_certificates": "no PEM"}, "ca_certificates", "BEGIN CERTIFICATE"),
        ({"client_certificate": "no PEM"}, "client_certificate", "private key"),
        ({"verify_tls": False}, "verify_tls", "ALLOW_UNVERIFIED_TLS"),
        ({"schedule": ["soon"]}, "schedule", "list of seconds"),
        ({"rate_count": 5}, "rate_seconds", "two parts"),
        ({"rate_seconds": 5}, "rate_count", "two parts"),
        ({"rate_count": 5, "rate_seconds": 31_622_401}, "rate_seconds", "at most 31,622,400 seconds"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(fields: dict[str, Any], field: str, said: str) -> None:
    by_field = problems(**fields)
    assert list(by_field) == [field]
    assert said in " ".join(by_field[field])


def test_all_that_is_wrong_is_said_at_once() -> None:
    by_field = problems(url="ftp://x/", secret="plain", schedule="soon", rate_count=1)
    assert set(by_field) == {"url", "secret", "schedule", "rate_seconds"}


def test_what_is_stored_and_untouched_needs_no_key_to_stay() -> None:
    made = endpoint(secret=Sealed("enc1:lost"), headers=Sealed("enc1:lost"), client_certificate=Sealed("enc1:lost"))
    made.clean()
    made.clean_fields(exclude=["slug", "name"])
    assert made.has_client_certificate


def test_whoever_switches_it_on_takes_the_reason_away() -> None:
    made = endpoint(disabled_reason="It answered 410.")
    made.clean()
    assert made.disabled_reason == ""
    off = endpoint(enabled=False, disabled_reason="It answered 410.")
    off.clean()
    assert off.disabled_reason == "It answered 410."


def test_lists_and_logs_tell_the_host_alone() -> None:
    assert endpoint(url=f"{URL}?token=abc").host == "hooks.example.com"
    assert endpoint(url="").host == ""


def test_it_is_called_by_its_name_or_else_its_slug() -> None:
    assert str(endpoint()) == "crm"
    assert str(endpoint(name="Our CRM")) == "Our CRM"
    assert endpoint().natural_key() == ("crm",)


# Rotation


def test_during_a_rotation_both_secrets_sign_and_the_new_one_is_first() -> None:
    made = endpoint()
    old = made.secret
    new = made.rotate_secret()
    assert new not in ("", old)
    assert made.signing_secrets() == [new, old]


def test_after_the_overlap_the_new_one_signs_alone() -> None:
    made = endpoint()
    new = made.rotate_secret()
    assert made.previous_secret_expires_at is not None
    assert abs(made.previous_secret_expires_at - timezone.now() - ROTATION_OVERLAP) < timedelta(minutes=1)
    made.previous_secret_expires_at = timezone.now() - timedelta(seconds=1)
    assert made.signing_secrets() == [new]


def test_without_an_overlap_the_old_secret_is_revoked_unread() -> None:
    made = endpoint(secret=Sealed("enc1:lost"))
    new = made.rotate_secret(overlap=timedelta(0))
    assert made.signing_secrets() == [new]
    assert made.previous_secret == ""


def test_a_secret_that_is_given_is_taken() -> None:
    made, own = endpoint(), generate_secret()
    assert made.rotate_secret(own) == own
    assert made.secret == own


def test_a_new_secret_is_of_the_kind_of_the_old_one() -> None:
    assert endpoint(secret=generate_key_pair()).rotate_secret().startswith(PRIVATE_PREFIX)
    assert endpoint().rotate_secret().startswith(SECRET_PREFIX)


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), LONGEST_OVERLAP + timedelta(seconds=1)])
def test_an_overlap_that_is_none_changes_nothing(overlap: timedelta) -> None:
    made = endpoint()
    before = made.secret
    with pytest.raises(ValueError, match="overlap"):
        made.rotate_secret(overlap=overlap)
    assert made.signing_secrets() == [before]

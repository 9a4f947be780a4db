"""Encrypted fields: what they hold, when they decrypt, and what never shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError

from webhooks.errors import EncryptionKeyError
from webhooks.models import Endpoint
from webhooks.models.fields import EncryptedTextField, Sealed
from webhooks.signing import encryption

SECRET = Endpoint._meta.get_field("secret")
HEADERS = Endpoint._meta.get_field("headers")
KEY, OTHER = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture(autouse=True)
def _key(settings: Any) -> None:
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [KEY]}


def stored(field: Any, value: Any) -> str:
    return str(field.get_prep_value(value))


def loaded(**columns: str) -> Endpoint:
    """An endpoint as a query gives it, with these columns as they are stored."""
    values = {field.attname: field.get_default() for field in Endpoint._meta.concrete_fields}
    sealed = {name: Sealed(text) for name, text in columns.items()}
    return Endpoint.from_db("default", list(values), list({**values, **sealed}.values()))


def test_what_is_stored_does_not_show_what_it_is() -> None:
    text = stored(SECRET, "whsec_abc")
    assert text.startswith(encryption.PREFIX)
    assert "whsec" not in text
    assert encryption.unseal(text) == "whsec_abc"


def test_the_same_secret_is_stored_in_other_words_each_time() -> None:
    assert stored(SECRET, "whsec_abc") != stored(SECRET, "whsec_abc")


def test_nothing_is_stored_as_nothing() -> None:
    assert stored(SECRET, "") == ""
    assert stored(HEADERS, {}) == ""
    assert SECRET.get_prep_value(None) is None
    assert SECRET.from_db_value(None, None, None) is None


def test_headers_come_back_as_they_were() -> None:
    headers = {"Authorization": "Bearer ü", "X-Tenant": "7"}
    endpoint = loaded(headers=stored(HEADERS, headers))
    assert endpoint.headers == headers


def test_an_empty_column_is_no_headers_and_an_empty_secret() -> None:
    endpoint = loaded(headers="", secret="")
    assert endpoint.headers == {}
    assert endpoint.secret == ""


def test_a_value_is_decrypted_when_it_is_asked_for_and_not_before(settings: Any) -> None:
    endpoint = loaded(secret=stored(SECRET, "whsec_abc"))
    assert SECRET.is_sealed(endpoint)
    assert endpoint.secret == "whsec_abc"
    assert not SECRET.is_sealed(endpoint)
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [OTHER]}
    assert endpoint.secret == "whsec_abc", "asked for once, it is known"


def test_without_its_key_only_the_value_itself_fails(settings: Any) -> None:
    endpoint = loaded(secret=stored(SECRET, "whsec_abc"))
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [OTHER]}
    assert str(endpoint) == ""
    with pytest.raises(EncryptionKeyError):
        endpoint.signing_secrets()


def test_what_nobody_touched_is_written_back_as_it_was(settings: Any) -> None:
    text = stored(SECRET, "whsec_abc")
    endpoint = loaded(secret=text)
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [OTHER]}
    assert SECRET.get_prep_value(SECRET.pre_save(endpoint, add=False)) == text


def test_what_was_replaced_is_encrypted_with_the_first_key(settings: Any) -> None:
    endpoint = loaded(secret=stored(SECRET, "whsec_abc"))
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [OTHER, KEY]}
    endpoint.secret = "whsec_new"
    text = SECRET.get_prep_value(SECRET.pre_save(endpoint, add=False))
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [OTHER]}
    assert encryption.unseal(text) == "whsec_new"


def test_a_fixture_carries_what_is_stored_and_takes_it_back() -> None:
    endpoint = Endpoint(secret="whsec_abc")
    text = SECRET.value_to_string(endpoint)
    assert text.startswith(encryption.PREFIX)
    value = SECRET.to_python(json.loads(json.dumps(text)))
    assert isinstance(value, Sealed)
    assert SECRET.unsealed(value) == "whsec_abc"


def test_a_sealed_value_prints_as_nothing_that_helps() -> None:
    assert repr(Sealed("enc1:abc")) == "<encrypted>"
    assert "enc1" not in str(Sealed("enc1:abc"))


def test_nobody_can_search_for_a_secret() -> None:
    for lookup in ("exact", "contains", "startswith", "regex", "in", "gt"):
        assert SECRET.get_lookup(lookup) is None
    assert SECRET.get_lookup("isnull") is not None
    with pytest.raises(FieldError):
        Endpoint.objects.filter(secret__startswith="whsec_")


def test_whoever_copies_a_model_is_told_which_columns_to_leave() -> None:
    sensitive = {field.name for field in Endpoint._meta.concrete_fields if getattr(field, "sensitive", False)}
    encrypted = {field.name for field in Endpoint._meta.concrete_fields if isinstance(field, EncryptedTextField)}
    assert sensitive == encrypted == {"secret", "previous_secret", "headers", "client_certificate"}

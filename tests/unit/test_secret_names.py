"""Which names are those of secrets, and what is left of JSON without them."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings

from rules_engine import conf
from rules_engine.context import snapshot
from rules_engine.context.paths import is_sensitive, resolve
from rules_engine.errors import UnknownPath
from rules_engine.hidden.secret_names import is_secret, without_secrets
from tests.zoo.models import Animal, Keeper


@pytest.mark.parametrize(
    "name",
    [
        *(
            "password",
            "PASSWORD",
            "passwords",
            "password2",
            "user_password",
            "userpassword",
            "passwordHash",
            "old-password",
        ),
        *("secret", "client_secret", "clientSecret", "secretkey", "SECRET_KEY", "stripe_secret_value", "secrets"),
        *("token", "authtoken", "accessToken", "tokens", "token_id", "csrf_token_value", "tokenhash"),
        *(
            "api_key",
            "apikey",
            "apiKey",
            "APIKey",
            "X-Api-Key",
            "private_key",
            "privateKey",
            "credentials",
            "session_data",
        ),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "secretary",
        "secretaries",
        "secretariat_id",
        "secretly",
        "tokenizer",
        "tokenized_at",
        "passwordless",
        "key",
        "access",
    ],
)
def test_names_that_merely_begin_like_a_secret(name: str) -> None:
    assert not is_secret(name)
    assert not is_sensitive(Animal, name)


def test_what_a_site_calls_a_secret_is_one_wherever_it_stands() -> None:
    with override_settings(RULES_ENGINE={"SENSITIVE_FIELDS": ["IBAN"]}):
        assert is_secret("bank_iban")
        assert is_secret("ibannumber")
    assert not is_secret("bank_iban")


def test_a_site_excepts_a_name_everywhere() -> None:
    with override_settings(RULES_ENGINE={"SENSITIVE_EXCEPTIONS": ["Max_Tokens"]}):
        assert not is_secret("max_tokens")
        assert not is_sensitive(Animal, "max_tokens")
        assert is_secret("tokens")
    assert is_secret("max_tokens")


def test_a_site_excepts_a_field_of_one_model() -> None:
    with override_settings(RULES_ENGINE={"SENSITIVE_EXCEPTIONS": ["zoo.keeper.api_token"]}):
        assert not is_sensitive(Keeper, "api_token")
        assert is_sensitive(Animal, "api_token")
        assert resolve(Keeper, ("api_token",)).name == "api_token"
        assert is_secret("api_token")
    with pytest.raises(UnknownPath):
        resolve(Keeper, ("api_token",))


def test_no_exception_makes_a_password_an_ordinary_field() -> None:
    user = get_user_model()
    with override_settings(RULES_ENGINE={"SENSITIVE_EXCEPTIONS": [f"{user._meta.label_lower}.password"]}):
        assert is_sensitive(user, "password")


@pytest.mark.parametrize("exceptions", [["password"], ["token"], [""], "max_tokens", [5], ["a.b"]])
def test_an_exception_that_would_lay_everything_open_is_told(exceptions: object) -> None:
    with override_settings(RULES_ENGINE={"SENSITIVE_EXCEPTIONS": exceptions}):
        assert len(conf.problems()) == 1


def test_json_without_its_secrets() -> None:
    value = {"a": 1, "api_key": "x", "list": [{"password": "x", "b": None}], "secretary": "ann"}
    assert without_secrets(value) == {"a": 1, "list": [{"b": None}], "secretary": "ann"}


def test_a_json_field_is_told_without_its_secrets() -> None:
    animal = Animal(data={"api_key": "CANARY", "config": {"password": "CANARY", "host": "h"}})
    assert snapshot.read(animal, {"data": {}}) == {"data": {"config": {"host": "h"}}}


def test_a_path_to_a_secret_inside_json_is_refused() -> None:
    assert resolve(Animal, ("data", "config", "host"))
    with pytest.raises(UnknownPath, match="may not read"):
        resolve(Animal, ("data", "config", "password"))

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from webhooks.errors import EncryptionKeyError
from webhooks.signing import encryption

ROOT = Path(__file__).resolve().parents[4]
APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rules_engine", "webhooks"]
KEY, OTHER = (Fernet.generate_key().decode() for _ in range(2))


def test_a_sealed_text_comes_back_and_does_not_show(settings: Any) -> None:
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [KEY]}
    sealed = encryption.seal("whsec_ü")
    assert sealed.startswith("enc1:")
    assert "whsec" not in sealed
    assert encryption.unseal(sealed) == "whsec_ü"


def test_a_wrong_key_is_a_loud_error_that_says_so(settings: Any) -> None:
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [KEY]}
    sealed = encryption.seal("text")
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [OTHER]}
    with pytest.raises(EncryptionKeyError, match="cannot be decrypted") as raised:
        encryption.unseal(sealed)
    assert sealed not in str(raised.value)


def test_a_text_that_was_never_sealed_is_an_error(settings: Any) -> None:
    with pytest.raises(EncryptionKeyError, match="did not write it"):
        encryption.unseal("whsec_plain")


def test_an_old_key_behind_the_new_one_still_reads(settings: Any) -> None:
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [OTHER]}
    sealed = encryption.seal("text")
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [KEY, OTHER]}
    assert encryption.unseal(sealed) == "text"


def test_without_keys_the_secret_key_and_its_fallbacks_serve(settings: Any) -> None:
    settings.WEBHOOKS = {}
    settings.SECRET_KEY = "first"
    sealed = encryption.seal("text")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "second", ["first"]
    assert encryption.unseal(sealed) == "text"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(EncryptionKeyError):
        encryption.unseal(sealed)


def test_keys_can_be_added_after_a_start_without_any(settings: Any) -> None:
    settings.WEBHOOKS = {}
    sealed = encryption.seal("text")
    settings.WEBHOOKS = {"ENCRYPTION_KEYS": [KEY]}
    assert encryption.unseal(sealed) == "text"


def test_the_derivation_is_the_documented_one(settings: Any) -> None:
    import base64
    import hashlib
    import hmac

    settings.WEBHOOKS, settings.SECRET_KEY = {}, "abc"
    extracted = hmac.digest(bytes(32), b"abc", hashlib.sha256)
    expanded = hmac.digest(extracted, b"django-signal-rules webhooks enc1\x01", hashlib.sha256)
    token = encryption.seal("text").removeprefix("enc1:")
    assert Fernet(base64.urlsafe_b64encode(expanded)).decrypt(token) == b"text"


@pytest.mark.parametrize(
    ("hidden", "code"),
    [
        ("aiohttp", "import webhooks.http.client"),
        ("cryptography", "from webhooks.signing.encryption import seal; seal('text')"),
    ],
)
def test_without_the_extra_only_its_use_fails_and_says_what_to_install(hidden: str, code: str) -> None:
    script = (
        f"import sys; sys.modules[{hidden!r}] = None\n"
        f"from django.conf import settings; settings.configure(SECRET_KEY='x', INSTALLED_APPS={APPS!r})\n"
        "import django; django.setup(); import webhooks.models, webhooks.rule_actions\n"
        "print('loaded')\n" + code
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert ended.stdout == "loaded\n"
    assert "install django-signal-rules[webhooks]" in ended.stderr

"""Secrets at rest: MultiFernet over the operator's keys, or over keys derived from ``SECRET_KEY``.

A sealed text is ``enc1:`` and a Fernet token. ``WEBHOOKS["ENCRYPTION_KEYS"]`` come first: the first of them
encrypts, all of them decrypt. Behind them stand keys derived from ``SECRET_KEY`` and each of ``SECRET_KEY_FALLBACKS``:
HKDF-SHA256 with no salt, the info ``django-signal-rules webhooks enc1`` and 32 bytes of output. So a site that starts
without keys of its own can add them later and still read what it has.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.encoding import force_bytes
from django.utils.translation import gettext

from webhooks import conf
from webhooks.errors import EncryptionKeyError, MissingExtra

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

PREFIX = "enc1:"
DERIVATION_INFO = b"django-signal-rules webhooks enc1"


def seal(text: str) -> str:
    """Encrypt ``text`` with the first key. Raises ``MissingExtra`` without the library cryptography."""
    return PREFIX + _fernet(tuple(_keys())).encrypt(text.encode()).decode()


def resealed(sealed: str) -> str | None:
    """Seal a secret again with the first key; None where it is that already. Raises ``EncryptionKeyError``."""
    unseal(sealed)
    first, token = next(_keys()), sealed.removeprefix(PREFIX)
    from cryptography.fernet import InvalidToken

    try:
        _fernet((first,)).decrypt(token)
    except InvalidToken:
        return PREFIX + _fernet(tuple(_keys())).rotate(token).decode()
    return None


def unseal(sealed: str) -> str:
    """Decrypt the text that was sealed.

    Raises ``EncryptionKeyError`` when no key fits or the text was never sealed; it quotes neither.
    """
    if not sealed.startswith(PREFIX):
        raise EncryptionKeyError(
            gettext(
                'A stored secret does not begin with "%(prefix)s", so webhooks did not write it. Set the secret again.'
            )
            % {"prefix": PREFIX}
        )
    fernet = _fernet(tuple(_keys()))
    from cryptography.fernet import InvalidToken

    try:
        return fernet.decrypt(sealed.removeprefix(PREFIX)).decode()
    except InvalidToken:
        raise EncryptionKeyError(
            gettext(
                'A stored secret cannot be decrypted: none of WEBHOOKS["ENCRYPTION_KEYS"], SECRET_KEY and '
                "SECRET_KEY_FALLBACKS is the key it was encrypted with. Put the old key back, behind the new "
                "one, or set the secret again."
            )
        ) from None


def _keys() -> Iterator[bytes]:
    for key in conf.encryption_keys():
        yield key.encode()
    for secret_key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        yield _derived(force_bytes(secret_key))


@lru_cache(maxsize=8)
def _derived(secret_key: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise MissingExtra("cryptography") from error
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=DERIVATION_INFO)
    return base64.urlsafe_b64encode(derivation.derive(secret_key))


@lru_cache(maxsize=8)
def _fernet(keys: tuple[bytes, ...]) -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet

    return MultiFernet([Fernet(key) for key in keys])

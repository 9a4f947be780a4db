"""Standard Webhooks 1.0 signatures, version 1: HMAC-SHA256 over ``id.timestamp.body``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

from webhooks.errors import InvalidSecret

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
LEAST_BYTES = 24
MOST_BYTES = 64


def generate_secret() -> str:
    """A new secret of 32 random bytes, as ``whsec_`` and base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key that a ``whsec_…`` secret stands for.

    Raises ``InvalidSecret``, which never quotes the secret.
    """
    if not secret.startswith(SECRET_PREFIX):
        raise InvalidSecret(f'A signing secret begins with "{SECRET_PREFIX}", and this one does not.')
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret(f'A signing secret is base64 after "{SECRET_PREFIX}", and this one is not.') from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise InvalidSecret(f"A signing secret has {LEAST_BYTES} to {MOST_BYTES} bytes, and this one has {len(key)}.")
    return key


def sign(secrets_: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: one ``v1,…`` a secret, with spaces between.

    ``timestamp`` is in whole seconds since 1970. During a rotation, give the new secret and the old.
    Raises ``InvalidSecret``, and ``ValueError`` for an id with a dot, which would make the signed text ambiguous.
    """
    if "." in message_id:
        raise ValueError(f"A message id must not contain a dot, and {message_id!r} does.")
    return " ".join(signature(key_of(secret), message_id, str(timestamp), body) for secret in secrets_)


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """One signature, ``v1,`` and base64, with the key's bytes."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

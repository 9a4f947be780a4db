"""Standard Webhooks 1.0 signatures over ``id.timestamp.body``, of the kind that the secret's prefix says.

``whsec_``: version 1, HMAC-SHA256 with a secret that both sides have. ``whsk_``: version 1a, ed25519 with a private
key that only the sender has; receivers check it with the public one, ``whpk_``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from webhooks.errors import InvalidSecret, MissingExtra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
LEAST_BYTES = 24
MOST_BYTES = 64
#: Bytes of an ed25519 seed and of a public key; a private key may be written as the seed, or as both (RFC 8032).
ED25519_BYTES = 32

#: Makes one signature over ``signed_content``.
Signer = Callable[[bytes], str]


def generate_secret() -> str:
    """Make a new secret of 32 random bytes, as ``whsec_`` and base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def generate_key_pair() -> str:
    """Make a new ed25519 key, ``whsk_`` and base64 of seed and public key; ``public_key`` tells what receivers need.

    Raises ``MissingExtra``.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise MissingExtra("cryptography") from error
    private = Ed25519PrivateKey.generate()
    both = private.private_bytes_raw() + private.public_key().public_bytes_raw()
    return PRIVATE_PREFIX + base64.b64encode(both).decode()


def generate_like(secret: str) -> str:
    """Make a new secret of the kind that ``secret`` is of."""
    return generate_key_pair() if secret.startswith(PRIVATE_PREFIX) else generate_secret()


def secret_problem(secret: str) -> str | None:
    """Say why nothing can be signed with this, in a sentence that does not quote it; None where it can."""
    try:
        if secret.startswith(PRIVATE_PREFIX):
            private_key_of(secret)
        else:
            key_of(secret)
    except (InvalidSecret, MissingExtra) as error:
        return str(error)
    return None


def key_of(secret: str) -> bytes:
    """Decode the key that a ``whsec_…`` secret stands for.

    Raises ``InvalidSecret``, which never quotes the secret.
    """
    if not secret.startswith(SECRET_PREFIX):
        raise InvalidSecret(
            gettext(
                'A signing secret begins with "%(secret)s" (or "%(private)s", an ed25519 key), and this one does not.'
            )
            % {"secret": SECRET_PREFIX, "private": PRIVATE_PREFIX}
        )
    key = _decoded(secret, SECRET_PREFIX)
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise InvalidSecret(
            gettext("A signing secret has %(least)s to %(most)s bytes, and this one has %(length)s.")
            % {"least": LEAST_BYTES, "most": MOST_BYTES, "length": len(key)}
        )
    return key


def _decoded(secret: str, prefix: str) -> bytes:
    # Like the libraries of Svix and Standard Webhooks, take a secret whose closing = were lost on the way.
    text = secret.removeprefix(prefix).rstrip("=")
    text += "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret(
            gettext('A signing secret is base64 after "%(prefix)s", and this one is not.') % {"prefix": prefix}
        ) from None


def private_key_of(secret: str) -> Ed25519PrivateKey:
    """Decode the key that a ``whsk_…`` secret stands for. Raises ``InvalidSecret``, which never quotes the secret."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        raise MissingExtra("cryptography") from error
    content = _decoded(secret, PRIVATE_PREFIX)
    if len(content) not in (ED25519_BYTES, 2 * ED25519_BYTES):
        raise InvalidSecret(
            gettext("An ed25519 key has %(seed)s bytes, or %(both)s with its public half, and this one has %(length)s.")
            % {"seed": ED25519_BYTES, "both": 2 * ED25519_BYTES, "length": len(content)}
        )
    key = Ed25519PrivateKey.from_private_bytes(content[:ED25519_BYTES])
    public = content[ED25519_BYTES:]
    if public and public != key.public_key().public_bytes_raw():
        raise InvalidSecret(gettext("The public half of this ed25519 key does not belong to its private half."))
    return key


def public_key(secret: str) -> str | None:
    """Give what receivers check the signatures of a ``whsk_…`` secret with: ``whpk_…``. None for other secrets.

    Raises ``InvalidSecret``.
    """
    if not secret.startswith(PRIVATE_PREFIX):
        return None
    return PUBLIC_PREFIX + base64.b64encode(private_key_of(secret).public_key().public_bytes_raw()).decode()


def version_of(secret: str) -> str:
    """Tell the version of the signatures that are made with this secret: ``v1`` or ``v1a``."""
    return "v1a" if secret.startswith(PRIVATE_PREFIX) else "v1"


def signer(secret: str) -> Signer:
    """Read the secret once for all that is signed with it. Raises ``InvalidSecret``."""
    if secret.startswith(PRIVATE_PREFIX):
        return partial(_signature_with_private_key, private_key_of(secret))
    return partial(signature, key_of(secret))


def sign(secrets_: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """``signed``, where little is signed with these secrets. During a rotation, give the new secret and the old.

    Raises ``InvalidSecret``, and what ``signed`` raises.
    """
    return signed(map(signer, secrets_), message_id, timestamp, body)


def signed(signers: Iterable[Signer], message_id: str, timestamp: int, body: bytes) -> str:
    """Make the value of ``webhook-signature``: one ``v1,…`` or ``v1a,…`` a signer, with spaces between.

    ``timestamp`` is in whole seconds since 1970. Raises ``ValueError`` for an id with a dot, which would make the
    signed text ambiguous.
    """
    if "." in message_id:
        raise ValueError(f"A message id must not contain a dot, and {message_id!r} does.")
    content = signed_content(message_id, str(timestamp), body)
    return " ".join(make(content) for make in signers)


def _signature_with_private_key(key: Ed25519PrivateKey, content: bytes) -> str:
    return "v1a," + base64.b64encode(key.sign(content)).decode()


def signed_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    """Put together the bytes that are signed."""
    return f"{message_id}.{timestamp}.".encode() + body


def signature(key: bytes, content: bytes) -> str:
    """Make one signature of version 1, ``v1,`` and base64, with the key's bytes over ``signed_content``."""
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def fits(secret: str, offered: str, content: bytes) -> bool:
    """Tell whether one offered signature was made over ``content`` with this secret, ``whsec_…``, ``whpk_…`` or
    ``whsk_…``.

    Takes the same time for each wrong one. Raises ``InvalidSecret``.
    """
    if not secret.startswith((PRIVATE_PREFIX, PUBLIC_PREFIX)):
        ours = signature(key_of(secret), content)
        return hmac.compare_digest(ours.encode(), offered.encode())
    key = _public_key_of(secret)
    version, _comma, text = offered.partition(",")
    if version != "v1a":
        return False
    from cryptography.exceptions import InvalidSignature as NotFitting

    try:
        key.verify(base64.b64decode(text, validate=True), content)
    except (NotFitting, binascii.Error, ValueError):
        return False
    return True


def _public_key_of(secret: str) -> Ed25519PublicKey:
    if secret.startswith(PRIVATE_PREFIX):
        return private_key_of(secret).public_key()
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise MissingExtra("cryptography") from error
    content = _decoded(secret, PUBLIC_PREFIX)
    if len(content) != ED25519_BYTES:
        raise InvalidSecret(f"A public ed25519 key has {ED25519_BYTES} bytes, and this one has {len(content)}.")
    return Ed25519PublicKey.from_public_bytes(content)

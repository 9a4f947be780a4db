"""Secrets and keys at the limits of their size, and the whole sentence for each that nothing can be signed with."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from webhooks.errors import InvalidSecret
from webhooks.signing import signatures

SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
NO_SECRET = 'A signing secret begins with "whsec_" (or "whsk_", an ed25519 key), and this one does not.'
NO_BASE64 = 'A signing secret is base64 after "whsec_", and this one is not.'
CONTENT = b"msg.1700000000.{}"


def written(prefix: str, content: bytes) -> str:
    return prefix + base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", NO_SECRET),
        ("WHSEC_abc", NO_SECRET),
        (written("whsec_", bytes(23)), "A signing secret has 24 to 64 bytes, and this one has 23."),
        (written("whsec_", bytes(65)), "A signing secret has 24 to 64 bytes, and this one has 65."),
        ("whsec_", "A signing secret has 24 to 64 bytes, and this one has 0."),
        ("whsec_" + "a" * 41, NO_BASE64),
        ("whsec_" + "ü" * 40, NO_BASE64),
        # Python's decoder would pass over what is none, and sign with another key than the receiver has.
        ("whsec_" + "a" * 20 + " \n" + "a" * 20, NO_BASE64),
        ("whsec_" + "-_" * 20, NO_BASE64),
        (written("whsk_", bytes(31)), "An ed25519 key has 32 bytes, or 64 with its public half, and this one has 31."),
        (written("whsk_", bytes(33)), "An ed25519 key has 32 bytes, or 64 with its public half, and this one has 33."),
        (written("whsk_", bytes(96)), "An ed25519 key has 32 bytes, or 64 with its public half, and this one has 96."),
        (written("whsk_", SEED + SEED), "The public half of this ed25519 key does not belong to its private half."),
        (written("whpk_", PUBLIC), NO_SECRET),
    ],
)
def test_what_nothing_can_be_signed_with_is_refused_in_a_sentence(secret: str, said: str) -> None:
    assert signatures.secret_problem(secret) == said
    with pytest.raises(InvalidSecret) as refused:
        signatures.signer(secret)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "secret",
    [
        written("whsec_", bytes(24)),
        written("whsec_", bytes(64)),
        written("whsk_", SEED),
        written("whsk_", SEED + PUBLIC),
        signatures.generate_secret(),
        signatures.generate_key_pair(),
    ],
    ids=range(6),
)
def test_what_can_be_signed_with_is_fine_and_fits_what_it_signed(secret: str) -> None:
    assert signatures.secret_problem(secret) is None
    made = signatures.signer(secret)(CONTENT)
    assert made.startswith(f"{signatures.version_of(secret)},")
    assert signatures.fits(secret, made, CONTENT)
    assert not signatures.fits(secret, made, CONTENT + b" ")


def test_a_new_secret_is_of_the_kind_that_the_old_one_was() -> None:
    for old, prefix in ((written("whsec_", bytes(24)), "whsec_"), (written("whsk_", SEED), "whsk_")):
        new = signatures.generate_like(old)
        assert new.startswith(prefix)
        assert signatures.secret_problem(new) is None
        assert new != signatures.generate_like(old)
    assert len(base64.b64decode(signatures.generate_secret().removeprefix("whsec_"))) == 32
    assert len(base64.b64decode(signatures.generate_key_pair().removeprefix("whsk_"))) == 64


def test_only_a_private_key_has_a_public_one() -> None:
    assert signatures.public_key(written("whsk_", SEED)) == written("whpk_", PUBLIC)
    assert signatures.public_key(written("whsk_", SEED + PUBLIC)) == written("whpk_", PUBLIC)
    assert signatures.public_key(written("whsec_", bytes(32))) is None


@pytest.mark.parametrize(("size", "said"), [(31, "and this one has 31"), (33, "and this one has 33")])
def test_a_public_key_of_another_size_is_named_as_such(size: int, said: str) -> None:
    made = signatures.signer(written("whsk_", SEED))(CONTENT)
    with pytest.raises(InvalidSecret, match=said):
        signatures.fits(written("whpk_", bytes(size)), made, CONTENT)


@pytest.mark.parametrize(
    "offered",
    ["", "v1a", "v1a,", "v1a,!", "v1a,AAAA", "v2a,{}", "v1,{}", "v1A,{}", " v1a,{}", "v1a,{} ", "v1a, {}", "{}"],
)
def test_an_ed25519_signature_fits_only_as_it_was_written(offered: str) -> None:
    right = signatures.signer(written("whsk_", SEED))(CONTENT).removeprefix("v1a,")
    for secret in (written("whpk_", PUBLIC), written("whsk_", SEED)):
        assert signatures.fits(secret, f"v1a,{right}", CONTENT)
        assert not signatures.fits(secret, offered.format(right), CONTENT)


@settings(max_examples=examples(50), deadline=None)
@given(st.binary(min_size=24, max_size=64), st.text("0123456789abcdef-", max_size=36), st.binary(max_size=64))
def test_a_signature_is_the_standards_own_hmac(key: bytes, message_id: str, body: bytes) -> None:
    # Beside a plain reading of Standard Webhooks 1.0.
    plain = hmac.new(key, message_id.encode() + b".1700000000." + body, hashlib.sha256).digest()
    made = signatures.sign([written("whsec_", key)], message_id, 1_700_000_000, body)
    assert made == f"v1,{base64.b64encode(plain).decode()}"


def test_a_message_id_that_could_be_read_two_ways_is_not_signed() -> None:
    with pytest.raises(ValueError, match=r"must not contain a dot, and 'a\.1' does"):
        signatures.sign([signatures.generate_secret()], "a.1", 1, b"")

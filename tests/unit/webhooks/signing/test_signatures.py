from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from webhooks.errors import InvalidSecret, InvalidSignature
from webhooks.receiver import verify
from webhooks.signing.signatures import generate_key_pair, generate_secret, key_of, public_key, sign

BODY = json.dumps({"name": "Zoë", "n": 1}, ensure_ascii=False).encode()


def headers(*secrets: str, at: int | None = None, message_id: str = "msg-1", body: bytes = BODY) -> dict[str, str]:
    timestamp = int(time.time()) if at is None else at
    return {
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": sign(secrets, message_id, timestamp, body),
    }


def test_the_published_vector_is_met() -> None:
    signature = sign(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_public_library_accepts_what_is_signed_here() -> None:
    secret = generate_secret()
    lowered = {name.lower(): value for name, value in headers(secret).items()}
    assert Webhook(secret).verify(BODY.decode(), lowered) == json.loads(BODY)


def test_the_receiver_accepts_what_the_public_library_signs() -> None:
    secret, now = generate_secret(), datetime.now(UTC)
    signature = Webhook(secret).sign("msg-1", now, BODY.decode())
    signed = {"webhook-id": "msg-1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    verify(BODY, signed, [secret])


def test_during_a_rotation_either_secret_verifies() -> None:
    old, new = generate_secret(), generate_secret()
    both = headers(new, old)
    assert len(both["Webhook-Signature"].split(" ")) == 2
    for secret in (old, new):
        verify(BODY, both, [secret])
        Webhook(secret).verify(BODY.decode(), {name.lower(): value for name, value in both.items()})


@pytest.mark.parametrize("length", [24, 25, 26])
@pytest.mark.parametrize("lost", [1, 2])
def test_a_secret_whose_padding_was_lost_is_the_same_secret(length: int, lost: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(length))).decode()
    shorter = secret.removesuffix("=" * lost)
    assert key_of(shorter) == key_of(secret)
    verify(BODY, headers(secret), [shorter])
    signed = {name.lower(): value for name, value in headers(shorter).items()}
    Webhook(shorter).verify(BODY.decode(), signed)


def test_a_public_key_whose_padding_was_lost_is_the_same_key() -> None:
    private = generate_key_pair()
    public = public_key(private)
    assert public is not None
    assert public.endswith("=")
    verify(BODY, headers(private.rstrip("=")), [public.rstrip("=")])


def test_generated_secrets_differ_and_have_32_bytes() -> None:
    assert len(key_of(generate_secret())) == 32
    assert generate_secret() != generate_secret()


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "begins with"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with"),
        ("whsec_not base64!", "base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "this one has 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "this one has 65"),
    ],
)
def test_a_malformed_secret_is_refused_without_being_quoted(secret: str, words: str) -> None:
    with pytest.raises(InvalidSecret, match=words) as raised:
        key_of(secret)
    assert not secret or secret not in str(raised.value)


@pytest.mark.parametrize("size", [24, 64])
def test_secrets_of_24_and_64_bytes_are_accepted(size: int) -> None:
    assert len(key_of("whsec_" + base64.b64encode(bytes(size)).decode())) == size


def test_an_id_with_a_dot_is_not_signed() -> None:
    with pytest.raises(ValueError, match="dot"):
        sign([generate_secret()], "a.b", 1, b"")


def test_a_changed_body_id_or_secret_is_refused() -> None:
    secret = generate_secret()
    for body, changed, secrets in (
        (BODY + b" ", {}, [secret]),
        (BODY, {"Webhook-Id": "msg-2"}, [secret]),
        (BODY, {}, [generate_secret()]),
        (BODY, {}, []),
        (BODY, {"Webhook-Signature": "v1,é"}, [secret]),
    ):
        with pytest.raises(InvalidSignature, match="None of the signatures"):
            verify(body, {**headers(secret), **changed}, secrets)


@pytest.mark.parametrize(("seconds", "words"), [(-301, "seconds old"), (302, "in the future")])
def test_a_timestamp_outside_the_tolerance_is_refused(seconds: int, words: str) -> None:
    secret = generate_secret()
    with pytest.raises(InvalidSignature, match=words):
        verify(BODY, headers(secret, at=int(time.time()) + seconds), [secret])


@pytest.mark.parametrize("timestamp", ["", "soon", "-5", "1e9", "9" * 5000, "１"])
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str) -> None:
    secret = generate_secret()
    with pytest.raises(InvalidSignature, match="whole number"):
        verify(BODY, {**headers(secret), "Webhook-Timestamp": timestamp}, [secret])


def test_a_missing_header_is_named() -> None:
    signed = headers(generate_secret())
    del signed["Webhook-Id"]
    with pytest.raises(InvalidSignature, match="webhook-id is missing"):
        verify(BODY, signed, [generate_secret()])


#: The specification's example of version 1a.
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
AT, MESSAGE, CONTENT = 1614265330, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
VECTOR = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


def test_the_published_vector_of_version_1a_is_met() -> None:
    assert sign([PRIVATE], MESSAGE, AT, CONTENT) == VECTOR


def test_an_ed25519_signature_is_checked_with_the_public_key_alone() -> None:
    secret, other = generate_key_pair(), generate_key_pair()
    key = public_key(secret)
    assert key is not None
    verify(BODY, headers(secret), [key])
    for wrong in (public_key(other), generate_secret()):
        with pytest.raises(InvalidSignature):
            verify(BODY, headers(secret), [str(wrong)])
    with pytest.raises(InvalidSignature):
        verify(BODY + b" ", headers(secret), [key])


def test_a_rotation_between_kinds_of_secrets_satisfies_both_receivers() -> None:
    old, new = generate_secret(), generate_key_pair()
    both = headers(new, old)
    assert [signature.partition(",")[0] for signature in both["Webhook-Signature"].split()] == ["v1a", "v1"]
    verify(BODY, both, [old])
    verify(BODY, both, [str(public_key(new))])
    Webhook(old).verify(BODY.decode(), {name.lower(): value for name, value in both.items()})


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("whsk_" + base64.b64encode(b"x" * 31).decode(), "32 bytes"),
        ("whsk_" + base64.b64encode(b"x" * 64).decode(), "does not belong"),
        ("whsk_???", "base64"),
    ],
)
def test_an_ed25519_key_that_is_none_is_refused_without_quoting_it(secret: str, said: str) -> None:
    with pytest.raises(InvalidSecret, match=said) as caught:
        sign([secret], "a", 1, b"")
    assert secret not in str(caught.value)


@pytest.mark.parametrize("offered", ["v1a,", "v1a,???", "v1a," + "A" * 86 + "==", "v1,abc", ",", "v1a"])
def test_a_signature_that_is_none_does_not_fit(offered: str) -> None:
    signed = {**headers(PRIVATE), "Webhook-Signature": offered}
    with pytest.raises(InvalidSignature):
        verify(BODY, signed, [str(public_key(PRIVATE))])

"""What a receiver takes at the edges: of time, of what is written in headers, of bodies and of secrets."""

from __future__ import annotations

import base64
import logging
import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.webhooks.test_receiver import BODY, ID, OTHER, SECRET, headers, request
from webhooks.errors import InvalidSecret, InvalidSignature
from webhooks.receiver import MOST_SIGNATURES, verify, webhook
from webhooks.signing.signatures import (
    fits,
    generate_key_pair,
    generate_like,
    public_key,
    secret_problem,
    sign,
    signed_content,
    signer,
    version_of,
)

PRIVATE = generate_key_pair()
PUBLIC = str(public_key(PRIVATE))
NOW = 1_800_000_000


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands still."""
    monkeypatch.setattr("webhooks.receiver.time.time", lambda: NOW + 0.5)


def is_taken(signed: dict[str, str], *secrets: str, body: bytes = BODY, tolerance: float = 300) -> bool:
    try:
        verify(body, signed, secrets or (SECRET,), tolerance)
    except InvalidSignature:
        return False
    return True


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize(
    ("at", "tolerance", "taken"),
    [
        (NOW - 299, 300, True),
        (NOW - 299, 299.5, True),
        (NOW - 300, 300, False),
        (NOW + 300, 300, True),
        (NOW + 301, 300, False),
        (NOW + 1, 0.5, True),
        (NOW, 0.4, False),
        (NOW, 0, False),
        (0, 300, False),
        (0, NOW + 1, True),
    ],
)
def test_a_time_is_taken_up_to_the_tolerance_and_no_further(at: int, tolerance: float, taken: bool) -> None:
    assert is_taken(headers(at=at), tolerance=tolerance) is taken


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize(
    ("at", "said"),
    [
        (NOW - 400, "The timestamp is 400 seconds old; at most 300 are accepted."),
        (NOW + 401, "The timestamp is 400 seconds in the future; at most 300 are accepted."),
    ],
)
def test_a_clock_that_is_wrong_is_told_by_how_much(at: int, said: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="webhooks"):
        answer = webhook(SECRET, remember=0)(lambda request: HttpResponse())(request(headers(at=at)))
    assert answer.status_code == 401
    assert answer.content == b"The signature or the timestamp was not accepted."
    # What a log is read for: which view it was, and why.
    assert caplog.messages[0].startswith(f"A webhook to {__name__}.")
    assert caplog.messages[0].endswith(f"was refused: {said}")


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize("written", [f"0{NOW}", f"00{NOW}"])
def test_zeros_before_a_time_are_part_of_what_was_signed(written: str) -> None:
    made = {**headers(at=NOW), "webhook-timestamp": written}
    assert not is_taken(made)
    signed_so = {**made, "webhook-signature": _signed(SECRET, ID, written, BODY)}
    assert is_taken(signed_so)


def _signed(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    return signer(secret)(signed_content(message_id, timestamp, body))


@pytest.mark.parametrize("timestamp", [" 1800000000", "1800000000 ", "+1800000000", "1800000000.0", "1_800_000_000"])
@pytest.mark.usefixtures("at_noon")
def test_a_time_is_written_in_digits_alone(timestamp: str) -> None:
    made = {**headers(at=NOW), "webhook-timestamp": timestamp}
    made["webhook-signature"] = _signed(SECRET, ID, timestamp, BODY)
    with pytest.raises(InvalidSignature, match=r"^The header webhook-timestamp is not a whole number of seconds\.$"):
        verify(BODY, made, [SECRET])


@pytest.mark.parametrize("between", [" ", "   ", "\t", " \t "])
@pytest.mark.parametrize("around", ["", " "])
def test_signatures_may_stand_any_number_of_blanks_apart(between: str, around: str) -> None:
    made = headers(OTHER, SECRET)
    made["webhook-signature"] = around + made["webhook-signature"].replace(" ", between) + around
    assert is_taken(made)


def altered(signature: str, how: str) -> str:
    version, _comma, text = signature.partition(",")
    return {
        "another version": f"v2,{text}",
        "no version": text,
        "the other kind's version": f"{'v1a' if version == 'v1' else 'v1'},{text}",
        "capitals": f"{version.upper()},{text}",
        "cut": signature[:-4],
        "longer": f"{signature}AAAA",
        "a blank": f"{version}, {text}",
        "joined by a comma": f"{signature},{signature}",
        "empty": "",
        "only a version": f"{version},",
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "another version",
        "no version",
        "the other kind's version",
        "capitals",
        "cut",
        "longer",
        "a blank",
        "joined by a comma",
        "empty",
        "only a version",
    ],
)
@pytest.mark.parametrize(("secret", "valid"), [(SECRET, SECRET), (PRIVATE, PUBLIC), (PRIVATE, PRIVATE)], ids=range(3))
def test_a_signature_that_is_written_otherwise_is_none(how: str, secret: str, valid: str) -> None:
    made = headers(secret)
    assert is_taken(made, valid)
    spoilt = altered(made["webhook-signature"], how)
    assert not is_taken({**made, "webhook-signature": spoilt}, valid)
    # And it keeps no good one beside it from being found.
    assert is_taken({**made, "webhook-signature": f"{spoilt} {made['webhook-signature']}"}, valid)


@pytest.mark.parametrize(
    ("signers", "valid", "taken"),
    [
        ((SECRET,), (OTHER, SECRET), True),
        ((SECRET, OTHER), (OTHER,), True),
        ((PRIVATE,), (SECRET, PUBLIC), True),
        ((PRIVATE, SECRET), (SECRET,), True),
        ((PRIVATE, SECRET), (PUBLIC,), True),
        ((SECRET,), (PUBLIC,), False),
        ((PRIVATE,), (SECRET,), False),
        ((PRIVATE,), (str(public_key(generate_key_pair())), OTHER), False),
    ],
)
def test_old_and_new_secrets_of_either_kind_are_taken(signers: Any, valid: Any, taken: bool) -> None:
    assert is_taken(headers(*signers), *valid) is taken


def test_while_secrets_change_an_id_is_known_by_the_older_one() -> None:
    handled: list[str] = []

    def answer(message_id: str, signers: tuple[str, ...], valid: tuple[str, ...]) -> int:
        # Asynchronous, as it then asks no database whether a transaction is open.
        @webhook(valid)
        async def view(asked: HttpRequest) -> HttpResponse:
            handled.append(asked.headers["webhook-id"])
            return HttpResponse(status=204)

        return int(async_to_sync(view)(request(headers(*signers, message_id=message_id))).status_code)

    name = uuid.uuid4().hex
    assert answer(name, (OTHER,), (OTHER,)) == 204
    # A repetition that was signed with both is the same delivery to a receiver that has both, the old one behind.
    assert answer(name, (SECRET, OTHER), (SECRET, OTHER)) == 200
    assert answer(name, (SECRET, OTHER), (OTHER,)) == 200
    # Of a sender with another secret it is another one.
    assert answer(name, (SECRET,), (SECRET, OTHER)) == 204
    assert handled == [name, name]


@pytest.mark.parametrize("position", range(MOST_SIGNATURES))
def test_the_good_signature_may_be_any_of_those_that_are_looked_at(position: int) -> None:
    made = headers()
    offered = ["v1,AAAA"] * MOST_SIGNATURES
    offered[position] = made["webhook-signature"]
    assert is_taken({**made, "webhook-signature": " ".join(offered)})


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=64), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="."), max_size=9))
def test_whatever_bytes_are_signed_are_taken_and_no_others(body: bytes, message_id: str) -> None:
    for secret, valid in ((SECRET, SECRET), (PRIVATE, PUBLIC)):
        made = headers(secret, body=body, message_id=message_id)
        assert is_taken(made, valid, body=body)
        assert not is_taken(made, valid, body=body + b"\0")
        assert not is_taken({**made, "webhook-id": message_id + "x"}, valid, body=body)
        if body:
            assert not is_taken(made, valid, body=body[:-1] + bytes([body[-1] ^ 1]))


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.text(), min_size=3, max_size=3))
def test_no_header_that_anybody_writes_is_more_than_refused(written: list[str]) -> None:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    assert not is_taken(dict(zip(names, written, strict=True)), SECRET, PUBLIC)
    assert not is_taken({**headers(), "webhook-signature": written[0]}, SECRET, PUBLIC)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("whpk_" + base64.b64encode(bytes(31)).decode(), "A public ed25519 key has 32 bytes, and this one has 31."),
        ("whpk_" + base64.b64encode(bytes(33)).decode(), "A public ed25519 key has 32 bytes, and this one has 33."),
        ("whpk_?", 'A signing secret is base64 after "whpk_", and this one is not.'),
        ("whsec_" + base64.b64encode(bytes(8)).decode(), "A signing secret has 24 to 64 bytes, and this one has 8."),
        (
            "WHSEC_x",
            'A signing secret begins with "whsec_" (or "whsk_", an ed25519 key), and this one does not.',
        ),
    ],
)
def test_a_receivers_own_secret_that_is_none_is_said_in_a_sentence(secret: str, said: str) -> None:
    with pytest.raises(InvalidSecret) as raised:
        fits(secret, "v1,AAAA", b"")
    assert str(raised.value) == said
    # A good one beside it does not hide it.
    with pytest.raises(InvalidSecret):
        verify(BODY, headers(), [SECRET, secret])


@pytest.mark.parametrize("secret", [SECRET, PRIVATE], ids=["symmetric", "asymmetric"])
def test_a_new_secret_is_of_the_old_ones_kind_and_signs(secret: str) -> None:
    new = generate_like(secret)
    assert new != secret
    assert new.partition("_")[0] == secret.partition("_")[0]
    assert secret_problem(new) is None
    assert sign([new], ID, NOW, BODY).startswith(f"{version_of(secret)},")


@pytest.mark.parametrize("secret", ["", "whsec_AAAA", PUBLIC, "whsk_AAAA"], ids=range(4))
def test_what_signs_nothing_is_said_without_being_quoted(secret: str) -> None:
    said = secret_problem(secret)
    assert said is not None
    assert said.endswith(".")
    assert not secret or secret not in said

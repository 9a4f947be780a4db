"""Whatever stands in a field of an endpoint: it is fine, or a sentence says at that field what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from webhooks.models import Endpoint

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"
TEXTS = [
    *("x", "\ud800", "a\x00", "x" * 100_000, "https://[", "http://\x00/", "https://a.example:99999999999999999999/"),
    *("whsec_", "whsk_", "whsec_\ud800", CERTIFICATE.format("\ud800"), CERTIFICATE.format("AAAA"), "\ufeff", "☃"),
    *(
        "https://" + "a." * 200 + "com/",
        "https://xn--\ud800/",
        "https://" + "ü" * 300 + ".de/",
        "https://a.example/?\udfff",
    ),
]
VALUES: list[Any] = [
    *(None, "", 0, 1, -1, True, False, 1.5, [], {}, [1], ["x"], [None], [True], [float("nan")], [10**400], b"x"),
    *(
        {"a": 1},
        {1: "a"},
        {"a": None},
        {"A": "b", "a": "c"},
        {"X": "\ud800"},
        {"X": ["y"]},
        float("inf"),
        10**30,
        Ellipsis,
    ),
]


def problems_of(**fields: Any) -> dict[str, list[str]]:
    endpoint = Endpoint(**{"slug": "crm", "name": "CRM", "url": "https://hooks.example.com/", **fields})
    try:
        endpoint.clean()
    except ValidationError as error:
        return error.message_dict
    return {}


@pytest.mark.parametrize("name", ["url", "secret", "ca_certificates", "client_certificate"])
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:24]))
def test_a_text_that_cannot_be_used_is_refused_at_its_field(name: str, text: str, settings: Any) -> None:
    settings.WEBHOOKS = {}
    found = problems_of(**{name: text})
    assert list(found) == [name]
    assert all(message.endswith(".") and message.encode() for message in found[name])
    # A secret is not quoted, and neither is what may be one.
    if name != "url":
        assert not any(text in message for message in found[name] if len(text) > 4)


@pytest.mark.parametrize("name", ["headers", "schedule"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:24])
def test_json_of_another_shape_is_refused_at_its_field(name: str, value: Any, settings: Any) -> None:
    settings.WEBHOOKS = {}
    found = problems_of(**{name: value})
    usable = {"headers": (None, "", {}, 0, False, []), "schedule": (None, [], [1])}[name]
    is_usable = repr(value) in map(repr, usable)
    assert list(found) == ([] if is_usable else [name])
    assert all(message.endswith(".") for messages in found.values() for message in messages)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"rate_count": 5}, {"rate_seconds"}),
        ({"rate_seconds": 5}, {"rate_count"}),
        ({"rate_count": 5, "rate_seconds": 31_622_400}, set()),
        ({"rate_count": 5, "rate_seconds": 10**12}, {"rate_seconds"}),
        ({"verify_tls": False}, {"verify_tls"}),
        (
            {"url": "ftp://x", "secret": "x", "schedule": 5, "verify_tls": False},
            {"url", "secret", "schedule", "verify_tls"},
        ),
    ],
)
def test_all_that_is_wrong_is_told_at_once(fields: dict[str, Any], wrong: set[str], settings: Any) -> None:
    settings.WEBHOOKS = {}
    assert set(problems_of(**fields)) == wrong

"""What gets through to a receiving view, and what is answered to the rest, without a memory of earlier ones."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.views import View

from webhooks.errors import InvalidSecret, InvalidSignature
from webhooks.receiver import MOST_SIGNATURES, TOLERANCE_SECONDS, verify, webhook
from webhooks.signing.signatures import generate_secret, sign

SECRET, OTHER = generate_secret(), generate_secret()
BODY = b'{"n": 1}'
ID = "msg-1"

Send = Callable[..., HttpResponse]


def headers(*secrets: str, at: float | None = None, body: bytes = BODY, message_id: str = ID) -> dict[str, str]:
    timestamp = int(time.time() if at is None else at)
    signature = sign(secrets or (SECRET,), message_id, timestamp, body)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def request(signed: dict[str, str] | None = None, body: bytes = BODY, **extra: Any) -> HttpRequest:
    return RequestFactory().post(
        "/hook/", body, content_type="application/json", headers=headers() if signed is None else signed, **extra
    )


@pytest.fixture
def seen() -> list[HttpRequest]:
    """The requests that reached the view."""
    return []


@pytest.fixture
def send(seen: list[HttpRequest]) -> Send:
    """Ask a guarded view that answers 204 to what reaches it."""

    def ask(asked: HttpRequest, secrets: Any = SECRET, **options: Any) -> HttpResponse:
        @webhook(secrets, remember=0, **options)
        def view(request: HttpRequest) -> HttpResponse:
            seen.append(request)
            return HttpResponse(status=204)

        answer: HttpResponse = view(asked)
        return answer

    return ask


def test_what_is_signed_reaches_the_view_with_its_body(send: Send, seen: list[HttpRequest]) -> None:
    assert send(request()).status_code == 204
    assert json.loads(seen[0].body) == {"n": 1}


@pytest.mark.parametrize(
    "secrets",
    [SECRET, [SECRET], (OTHER, SECRET), {SECRET}, lambda request: [OTHER, SECRET]],
    ids=["text", "list", "tuple", "set", "function"],
)
def test_one_of_the_valid_secrets_is_enough(send: Send, secrets: Any) -> None:
    assert send(request(), secrets).status_code == 204


@pytest.mark.parametrize("secrets", [OTHER, [], lambda request: []], ids=["another", "none", "function"])
def test_without_a_fitting_secret_nothing_gets_through(send: Send, seen: list[HttpRequest], secrets: Any) -> None:
    assert send(request(), secrets).status_code == 401
    assert seen == []


def test_secrets_may_depend_on_who_sends(send: Send) -> None:
    def of_tenant(asked: HttpRequest) -> str:
        return SECRET if asked.headers["X-Tenant"] == "7" else OTHER

    assert send(request({**headers(), "X-Tenant": "7"}), of_tenant).status_code == 204
    assert send(request({**headers(), "X-Tenant": "8"}), of_tenant).status_code == 401


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_nothing_but_a_post_is_looked_at(send: Send, method: str) -> None:
    answer = send(getattr(RequestFactory(), method)("/hook/"))
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, ""])
def test_each_header_is_needed(send: Send, name: str, value: str | None) -> None:
    signed = headers()
    del signed[name]
    if value is not None:
        signed[name] = value
    assert send(request(signed)).status_code == 400


@pytest.mark.parametrize("length", ["", "-1", "1e3", "١", "many"])
def test_a_length_that_is_no_number_is_refused(send: Send, length: str) -> None:
    asked = request()
    asked.META["CONTENT_LENGTH"] = length
    assert send(asked).status_code == 411


def test_a_body_over_the_bound_is_not_read(send: Send) -> None:
    large = b"x" * 101
    asked = request(headers(body=large), large)
    assert send(asked, most_bytes=100).status_code == 413
    assert not hasattr(asked, "_body")
    exact = b"x" * 100
    assert send(request(headers(body=exact), exact), most_bytes=100).status_code == 204


def test_a_length_of_thousands_of_digits_is_refused_at_once(send: Send) -> None:
    asked = request()
    asked.META["CONTENT_LENGTH"] = "9" * 10_000
    assert send(asked).status_code == 413


def test_why_it_was_refused_goes_to_the_log_alone(send: Send, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="webhooks"):
        answer = send(request(headers(at=time.time() - 3600)))
    assert answer.status_code == 401
    assert b"3600" not in answer.content
    assert "seconds old" in caplog.text


@pytest.mark.parametrize(("age", "status"), [(60, 204), (-60, 204), (TOLERANCE_SECONDS + 5, 401), (-400, 401)])
def test_a_timestamp_counts_for_five_minutes_to_either_side(send: Send, age: float, status: int) -> None:
    assert send(request(headers(at=time.time() - age))).status_code == status


def test_a_sites_own_tolerance_counts(send: Send) -> None:
    late = headers(at=time.time() - 1000)
    assert send(request(late), tolerance=2000).status_code == 204
    assert send(request(headers(at=time.time() - 10)), tolerance=5).status_code == 401


def test_the_view_is_exempt_from_csrf_and_keeps_its_name() -> None:
    def orders(request: HttpRequest) -> HttpResponse:
        """Take an order."""
        return HttpResponse()

    guarded: Any = webhook(SECRET)(orders)
    assert guarded.csrf_exempt
    assert (guarded.__name__, guarded.__doc__) == ("orders", "Take an order.")


def test_classes_and_objects_are_guarded_like_functions() -> None:
    class Orders(View):
        def post(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(status=202)

    class Clerk:
        def __call__(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(status=202)

    for view in (Orders.as_view(), Clerk()):
        guarded = webhook(SECRET, remember=0)(view)
        assert guarded(request()).status_code == 202
        assert guarded(request(headers(OTHER))).status_code == 401


def test_arguments_of_the_path_reach_the_view() -> None:
    @webhook(SECRET, remember=0)
    def view(request: HttpRequest, tenant: str) -> HttpResponse:
        return HttpResponse(tenant)

    assert view(request(), tenant="crm").content == b"crm"


# The check alone


def test_names_of_headers_may_be_in_any_case() -> None:
    verify(BODY, {name.title(): value for name, value in headers().items()}, [SECRET])
    verify(BODY, {name.upper(): value for name, value in headers().items()}, [SECRET])


def test_a_fitting_signature_among_a_rotations_two_is_enough() -> None:
    verify(BODY, headers(OTHER, SECRET), [SECRET])


def test_a_flood_of_signatures_is_not_looked_through() -> None:
    signed = headers()
    many = " ".join(["v1,AAAA"] * MOST_SIGNATURES)
    with pytest.raises(InvalidSignature):
        verify(BODY, {**signed, "webhook-signature": f"{many} {signed['webhook-signature']}"}, [SECRET])
    few = " ".join(["v1,AAAA"] * (MOST_SIGNATURES - 1))
    verify(BODY, {**signed, "webhook-signature": f"{few} {signed['webhook-signature']}"}, [SECRET])


def test_a_malformed_secret_of_ours_is_loud() -> None:
    with pytest.raises(InvalidSecret):
        verify(BODY, headers(), ["no secret"])


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_bytes_that_are_no_text_are_refused(name: str) -> None:
    # As aiohttp hands over what is no UTF-8.
    odd = headers() | {name: b"\xff".decode("utf-8", "surrogateescape")}
    with pytest.raises(InvalidSignature, match=f"The header {name} holds bytes that are no text"):
        verify(BODY, odd, [SECRET])

"""The receiver before views of every kind: whose ids are whose, and what a view may be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient
from django.urls import path, re_path
from django.views import View

from tests.integration.webhooks.test_receiver import OLD_SECRET, SECRET, post, signed
from webhooks.receiver import webhook

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db(transaction=True)]

TENANTS = {"one": SECRET, "two": OLD_SECRET}
received: list[tuple[str, Any]] = []


def take(name: str, request: HttpRequest) -> HttpResponse:
    received.append((name, json.loads(request.body)))
    return HttpResponse(status=204)


class Orders(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        return take("orders", request)


class Invoices(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        return take("invoices", request)


class Later(View):
    async def post(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return take("later", request)


class Callable:
    def __call__(self, request: HttpRequest) -> HttpResponse:
        return take("callable", request)


def made(name: str) -> Any:
    @webhook(SECRET)
    def hook(request: HttpRequest) -> HttpResponse:
        return take(name, request)

    return hook


@webhook(lambda request: TENANTS[request.path.strip("/").rpartition("/")[2]])
def tenant(request: HttpRequest, name: str) -> HttpResponse:
    return take(name, request)


@webhook(SECRET)
def spelled(request: HttpRequest, rest: str = "") -> HttpResponse:
    return take("spelled", request)


@webhook(lambda request: TENANTS[request.headers["X-Tenant"]])
def by_header(request: HttpRequest) -> HttpResponse:
    return take(request.headers["X-Tenant"], request)


urlpatterns = [
    path("orders/", webhook(SECRET)(Orders.as_view())),
    path("invoices/", webhook(SECRET)(Invoices.as_view())),
    path("later/", transaction.non_atomic_requests(webhook(SECRET)(Later.as_view()))),
    path("callable/", webhook(SECRET)(Callable())),
    path("a/", made("a")),
    path("b/", made("b")),
    path("tenant/<name>/", tenant),
    path("header/", by_header),
    re_path("^spelled/?$", spelled),
    path("spelled/<path:rest>", spelled),
    path("generated/", webhook(secret for secret in (OLD_SECRET, SECRET))(Orders.as_view())),
]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    received.clear()
    cache.clear()
    yield
    cache.clear()


@pytest.mark.parametrize(
    ("addresses", "names"),
    [
        (["/orders/", "/invoices/"], ["orders", "invoices"]),
        (["/a/", "/b/"], ["a", "b"]),
        (["/callable/"], ["callable"]),
    ],
)
def test_an_id_is_remembered_for_the_view_that_handled_it_alone(addresses: list[str], names: list[str]) -> None:
    for _ in range(2):
        assert {post(address, **signed()).status_code for address in addresses} <= {204, 200}
    assert [name for name, _body in received] == names


@pytest.mark.parametrize("other", ["/spelled/", "/spelled/once/more", "/spelled?again=1", "/spelled/%2E"])
def test_a_delivery_is_taken_once_however_its_path_is_spelled(other: str) -> None:
    message = signed()
    assert post("/spelled", **message).status_code == 204
    assert post(other, **message).status_code == 200
    assert len(received) == 1


def test_no_sender_can_use_up_the_ids_of_another() -> None:
    for name, secret in TENANTS.items():
        assert post(f"/tenant/{name}/", **signed(secret=secret)).status_code == 204
        message = signed(secret=secret)
        message["headers"]["X-Tenant"] = name
        assert [post("/header/", **message).status_code for _ in range(2)] == [204, 200]
    assert [name for name, _body in received] == ["one", "one", "two", "two"]


def test_an_asynchronous_class_is_guarded_like_a_function() -> None:
    async def ask() -> list[int]:
        client, statuses = AsyncClient(), []
        for message in (signed(), signed(), signed(secret=OLD_SECRET, message_id="msg_2")):
            answer = await client.post("/later/", **message)
            statuses.append(answer.status_code)
        return statuses

    assert asyncio.run(ask()) == [204, 200, 401]
    assert received == [("later", {"a": 1})]


def test_secrets_from_a_generator_are_good_for_more_than_one_request() -> None:
    assert [post("/generated/", **signed(message_id=f"msg_{n}")).status_code for n in range(3)] == [204] * 3


@pytest.mark.parametrize("length", ["²", "٣", "-1", "1_0", " ", "0x5"])
def test_a_length_that_is_no_number_is_refused_and_not_an_error(length: str) -> None:
    assert post("/orders/", **signed(), CONTENT_LENGTH=length).status_code == 411


@pytest.mark.parametrize(
    "change",
    [
        lambda fitting: f"v2,abc {fitting}",
        lambda fitting: f"v1,{'A' * 43}= v1a,{'A' * 86}== {fitting}",
        lambda fitting: f"  {fitting}   v1,x ",
        lambda fitting: f"{fitting}\t{fitting}",
    ],
    ids=["unknown version", "other secrets", "spaces", "a tab"],
)
def test_one_fitting_signature_among_others_is_enough(change: Any) -> None:
    message = signed()
    message["headers"]["webhook-signature"] = change(message["headers"]["webhook-signature"])
    assert post("/orders/", **message).status_code == 204


@pytest.mark.parametrize(
    "change",
    [
        lambda fitting: fitting.removeprefix("v1,"),
        lambda fitting: fitting.replace("v1,", "v1a,"),
        lambda fitting: fitting.replace("v1,", "v1, "),
        lambda fitting: fitting.replace("v1,", "V1,"),
        lambda fitting: fitting.rstrip("="),
        lambda fitting: fitting + ",v1",
        lambda fitting: "v1,",
        lambda fitting: "v1a,%%%",
        lambda fitting: "ÿ,é",
        lambda fitting: " ".join(["v1,x"] * 16 + [fitting]),
    ],
)
def test_what_only_resembles_the_signature_does_not_fit(change: Any) -> None:
    message = signed()
    message["headers"]["webhook-signature"] = change(message["headers"]["webhook-signature"])
    assert post("/orders/", **message).status_code == 401
    assert received == []

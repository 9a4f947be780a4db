"""``webhooks.receiver.webhook`` before real views, asked by our own sender and by the public library."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from standardwebhooks import Webhook as Signer

from project.shop.models import Product
from rules_engine.models import Execution
from rules_engine.testing import create_rule
from tests.factories import make_endpoint
from webhooks.receiver import webhook
from webhooks.sending.sender import drain
from webhooks.signing.signatures import generate_secret

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
commits = pytest.mark.django_db(transaction=True)

SECRET, OLD_SECRET = (generate_secret() for _ in range(2))
received: list[Any] = []
answers: list[int | Callable[[], int]] = []


def take(request: HttpRequest) -> HttpResponse:
    received.append(json.loads(request.body))
    status = answers.pop(0) if answers else 204
    return HttpResponse(status=status() if callable(status) else status)


@webhook([SECRET, OLD_SECRET])
def hook(request: HttpRequest) -> HttpResponse:
    return take(request)


@transaction.non_atomic_requests
@webhook(lambda request: SECRET, most_bytes=100)
async def async_hook(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return take(request)


# Beside a transaction of SQLite no other begins.
@transaction.non_atomic_requests
@webhook(SECRET)
def plain_hook(request: HttpRequest) -> HttpResponse:
    return take(request)


@webhook(SECRET, remember=0)
def forgetful_hook(request: HttpRequest) -> HttpResponse:
    return take(request)


urlpatterns = [
    path("hook/", hook),
    path("async/", async_hook),
    path("plain/", plain_hook),
    path("forgetful/", forgetful_hook),
]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    received.clear()
    answers.clear()
    cache.clear()
    yield
    cache.clear()


def signed(
    body: str = '{"a": 1}', *, message_id: str = "msg_1", secret: str = SECRET, age: float = 0.0
) -> dict[str, Any]:
    """What a client of ours posts, signed by the public library."""
    moment = datetime.now(UTC) - timedelta(seconds=age)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Signer(secret).sign(message_id, moment, body),
    }
    return {"data": body, "content_type": "application/json", "headers": headers}


def post(address: str = "/hook/", **message: Any) -> Any:
    return Client(enforce_csrf_checks=True).post(address, **message)


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET], ids=["new", "old"])
def test_what_the_public_library_signs_reaches_the_view(secret: str) -> None:
    assert post(**signed(secret=secret)).status_code == 204
    assert received == [{"a": 1}]


@commits
def test_the_same_id_reaches_the_view_once_and_another_view_as_well() -> None:
    assert [post(**signed()).status_code for _ in range(3)] == [204, 200, 200]
    assert len(received) == 1
    assert post("/forgetful/", **signed()).status_code == 204


@commits
def test_an_id_whose_view_failed_may_come_again() -> None:
    def fall() -> int:
        raise RuntimeError("out of order")

    answers[:] = [503, fall, 204]
    client = Client(raise_request_exception=False)
    assert [client.post("/hook/", **signed()).status_code for _ in range(4)] == [503, 500, 204, 200]
    assert len(received) == 3


@commits
def test_an_id_whose_work_was_rolled_back_does_not_count_as_handled() -> None:
    def roll_back() -> int:
        Product.objects.create(name="Zoë", price="1")
        transaction.set_rollback(True)
        return 204

    answers[:] = [roll_back]
    client = Client(raise_request_exception=False)
    client.post("/hook/", **signed())
    assert not Product.objects.exists()
    assert client.post("/hook/", **signed()).status_code == 409


@commits
def test_a_repetition_is_asked_to_come_later_while_the_first_runs() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        return 204 if go_on.wait(60) else 500

    answers[:] = [slow]

    def ask() -> None:
        post("/plain/", **signed())
        connections.close_all()

    first = threading.Thread(target=ask)
    first.start()
    assert begun.wait(60)
    assert post("/plain/", **signed()).status_code == 409
    go_on.set()
    first.join()
    assert post("/plain/", **signed()).status_code == 200
    assert len(received) == 1


def test_without_a_memory_every_repetition_reaches_the_view() -> None:
    assert [post("/forgetful/", **signed()).status_code for _ in range(2)] == [204, 204]
    assert len(received) == 2


def without(name: str) -> dict[str, Any]:
    message = signed()
    del message["headers"][name]
    return message


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (signed(secret=generate_secret()), 401),
        (signed(age=301), 401),
        (signed(age=-900), 401),
        ({**signed(), "data": '{"a": 2}'}, 401),
        ({**signed(), "headers": {**signed()["headers"], "webhook-timestamp": "now"}}, 401),
        ({**signed(), "headers": {**signed()["headers"], "webhook-id": "msg_2"}}, 401),
        (without("webhook-id"), 400),
        (without("webhook-timestamp"), 400),
        (without("webhook-signature"), 400),
        (signed(json.dumps("x" * 262_144)), 413),
    ],
    ids=["secret", "old", "future", "body", "garbled", "id", "no id", "no timestamp", "no signature", "large"],
)
def test_what_is_not_signed_or_too_large_does_not_reach_the_view(message: dict[str, Any], status: int) -> None:
    answer = post(**message)
    assert answer.status_code == status
    said = answer.content.decode()
    assert SECRET not in said
    assert message["headers"].get("webhook-signature", "v1,") not in said
    assert "seconds" not in said
    assert received == []


def test_a_body_beyond_what_django_reads_is_refused_and_not_an_error(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert post(**signed('{"text": "longer than ten"}')).status_code == 413


def test_only_post_is_allowed() -> None:
    answer = Client().get("/hook/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@commits
def test_an_asynchronous_view_is_guarded_the_same_way() -> None:
    async def ask() -> list[int]:
        client, statuses = AsyncClient(), []
        wrong = signed(secret=generate_secret(), message_id="msg_2")
        for message in (signed(), signed(), wrong, signed(f'{{"a": "{"x" * 100}"}}', message_id="msg_3")):
            headers = {**message["headers"]}
            response = await client.post(
                "/async/", data=message["data"], content_type="application/json", headers=headers
            )
            statuses.append(response.status_code)
        return statuses

    assert asyncio.run(ask()) == [204, 200, 401, 413]
    assert received == [{"a": 1}]


@commits
@pytest.mark.parametrize("address", ["/hook/", "/async/"])
def test_what_our_own_sender_sends_reaches_the_view(live_server: Any, settings: Any, address: str) -> None:
    port = int(live_server.url.rpartition(":")[2])
    settings.WEBHOOKS = {"ALLOW_HTTP": True, "ALLOWED_NETWORKS": ["127.0.0.0/8"], "ALLOWED_PORTS": [port]}
    url = live_server.url.replace("localhost", "127.0.0.1") + address
    make_endpoint(url=url, secret=SECRET)
    payload = '{"name": "{{ instance.name }}"}'
    create_rule(
        model="shop.product", signals=["post_save"], actions=[("webhook", {"endpoint": "crm", "payload": payload})]
    )
    answers[:] = [500, 204]
    Product.objects.create(name="Zoë", price="1")
    for _ in range(2):
        drain(10)
        Execution.objects.filter(state="retryable").retry()
    assert received == [{"name": "Zoë"}] * 2
    assert Execution.objects.get().state == "succeeded"

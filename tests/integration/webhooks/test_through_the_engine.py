"""The whole way: a rule, a save, an execution, a request, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from project.shop.models import Product
from rules_engine.models import Attempt, Execution
from rules_engine.testing import create_rule, run_due
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from webhooks.models import Endpoint, EndpointState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def endpoint(server: MisbehavingServer) -> Iterator[Endpoint]:
    endpoint = make_endpoint(url=server.url("/hook"))
    create_rule(model="shop.product", signals=["post_save"], actions=[("webhook", {"endpoint": "crm"})])
    return endpoint


def states() -> list[str]:
    return [str(state) for state in Execution.objects.order_by("id").values_list("state", flat=True)]


def test_a_failed_delivery_is_sent_again_with_its_id_and_both_recorded(
    server: MisbehavingServer, endpoint: Endpoint
) -> None:
    server.script(behave.answer(500, b"broken"), behave.answer(200))
    Product.objects.create(name="Zoë", price="1.50")

    run_due()
    assert states() == ["retryable"]
    Execution.objects.all().retry()
    run_due()

    execution = Execution.objects.get()
    assert (execution.state, execution.queue, execution.lane) == ("succeeded", "webhooks", "crm")
    assert [request.header("webhook-id") for request in server.requests] == [str(execution.id)] * 2
    attempts = Attempt.objects.order_by("number")
    assert [attempt.detail["status"] for attempt in attempts] == [500, 200]
    for request in server.requests:
        headers = {name.lower(): value for name, value in request.headers}
        sent = Verifier(endpoint.secret).verify(request.body.decode(), headers)
        assert sent["type"] == "shop.product.create"
        assert sent["data"]["instance"]["price"] == "1.50"


def test_row_24_a_410_cancels_what_waits_for_the_endpoint(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(behave.answer(410))
    for name in ("a", "b", "c"):
        Product.objects.create(name=name, slug=name, price="1")

    run_due()

    *deliveries, told = states()
    assert deliveries == ["discarded", "cancelled", "cancelled"]
    assert told == "succeeded", "the mail to the administrators"
    assert len(server.requests) == 1


def test_row_38_disabling_an_endpoint_cancels_what_waits_for_it(server: MisbehavingServer, endpoint: Endpoint) -> None:
    Product.objects.create(name="a", price="1")
    endpoint.enabled = False
    endpoint.save()

    run_due()

    assert states() == ["cancelled"]
    assert server.requests == []


def test_row_38_a_retry_goes_where_the_endpoint_now_points(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(behave.answer(404))
    Product.objects.create(name="a", price="1")
    run_due()
    endpoint.url = server.url("/moved")
    endpoint.save()
    Execution.objects.all().retry()

    run_due()

    assert [request.target for request in server.requests] == ["/hook", "/moved"]
    assert states() == ["succeeded"]


def test_row_25_run_due_leaves_an_endpoint_alone_that_asks_for_it(
    server: MisbehavingServer, endpoint: Endpoint
) -> None:
    server.script(behave.answer(429, headers={"Retry-After": "600"}))
    for name in ("a", "b", "c"):
        Product.objects.create(name=name, price=1)
    run_due()
    assert len(server.requests) == 1
    waiting = Execution.objects.order_by("pk").values_list("state", "attempts")
    assert sorted(waiting) == [("pending", 0), ("pending", 0), ("retryable", 1)]
    assert run_due() == 0
    # The time that it asked for is over.
    EndpointState.objects.update(asked_until=timezone.now())
    Execution.objects.update(next_attempt_at=Now())
    run_due()
    assert states() == ["succeeded"] * 3

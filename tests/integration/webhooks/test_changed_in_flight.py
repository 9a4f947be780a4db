"""What changes while deliveries are in flight: the endpoint's address, the endpoint itself, a lease, a rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone

from project.shop.models import Product
from rules_engine.models import Attempt, Execution
from rules_engine.testing import create_rule
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.http_server import Behaviour, Conversation, MisbehavingServer
from tests.integration.webhooks.waiting import make_due
from webhooks.models import Endpoint, EndpointState
from webhooks.sending.sender import drain

pytestmark = pytest.mark.django_db(transaction=True)


def order(server: MisbehavingServer, count: int, *slugs: str, **fields: Any) -> None:
    """Have so many deliveries wait for each of these endpoints."""
    for slug in slugs:
        make_endpoint(slug, url=server.url(f"/{slug}"), **fields)
    actions = [("webhook", {"endpoint": slug, "payload": '{"id": "{{ instance.id }}"}'}) for slug in slugs]
    create_rule(model="shop.product", signals=["post_save"], actions=actions)
    more(count)


def more(count: int) -> None:
    for _ in range(count):
        number = Product.objects.count()
        Product.objects.create(name=f"p{number}", slug=f"p{number}", price="1")


def states() -> Counter[str]:
    return Counter(Execution.objects.values_list("state", flat=True))


def meanwhile(work: Callable[[], Any], then: Behaviour) -> Behaviour:
    """Does this in the database before it answers."""

    def done() -> None:
        try:
            work()
        finally:
            connections.close_all()

    async def behave(conversation: Conversation) -> None:
        await sync_to_async(done, thread_sensitive=False)()
        await then(conversation)

    return behave


def test_a_410_of_the_old_address_does_not_disable_the_new_one(server: MisbehavingServer) -> None:
    order(server, 1, "crm")

    def move() -> None:
        endpoint = Endpoint.objects.get()
        endpoint.url = server.url("/moved")
        endpoint.save()

    server.on("/crm", meanwhile(move, behave.answer(410)))
    drain(10)
    assert Endpoint.objects.get().enabled

    more(1)
    drain(10)
    assert server.requests[-1].target == "/moved"
    assert "succeeded" in states()


def test_failures_of_the_old_address_are_not_charged_to_the_new_one(server: MisbehavingServer) -> None:
    order(server, 6, "crm")

    def move() -> None:
        endpoint = Endpoint.objects.get()
        if not endpoint.url.endswith("/moved"):
            endpoint.url = server.url("/moved")
            endpoint.save()

    server.on("/crm", meanwhile(move, behave.answer(503)))
    drain(10)

    assert states() == {"retryable": 6}
    assert not EndpointState.objects.exclude(failures=0, pauses=0).exists()


def test_a_deleted_endpoint_does_not_hide_what_others_answered(server: MisbehavingServer) -> None:
    order(server, 1, "aaa", "crm", "zzz")
    server.on("/aaa", behave.answer(503))
    server.on("/zzz", behave.answer(503))
    server.on("/crm", meanwhile(Endpoint.objects.filter(slug="crm").delete, behave.answer(503)))

    drain(10)

    assert states() == {"retryable": 3}
    assert set(EndpointState.objects.filter(failures=1).values_list("endpoint__slug", flat=True)) == {"aaa", "zzz"}


def test_a_lease_that_runs_out_in_flight_costs_a_repetition_alone(server: MisbehavingServer) -> None:
    order(server, 3, "crm", "erp")
    first = True

    def expire() -> None:
        nonlocal first
        if first:
            first = False
            Execution.objects.filter(lane="crm").update(lease_until=timezone.now() - timedelta(hours=1))

    server.on("/crm", meanwhile(expire, behave.late(1.5)))
    server.on("/erp", behave.late(4))
    drain(10)

    assert states() == {"succeeded": 6}
    assert not Attempt.objects.filter(finished_at=None).exists()
    assert Counter(request.target for request in server.requests)["/erp"] == 3


def test_a_faster_rate_holds_from_the_moment_it_is_saved(server: MisbehavingServer) -> None:
    order(server, 2, "crm", rate_count=1, rate_seconds=86_400)
    drain(2)
    assert len(server.requests) == 1

    Endpoint.objects.update(rate_count=100, rate_seconds=1)
    make_due()
    drain(2)
    assert len(server.requests) == 2

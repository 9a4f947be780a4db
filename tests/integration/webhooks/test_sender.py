"""The sender: many deliveries at once, recorded together, and no endpoint holding up another."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db.models import F
from django.utils import timezone

from project.shop.models import Product
from rules_engine.models import Attempt, Execution, Rule
from rules_engine.sending import order
from rules_engine.testing import create_rule, run_due
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from tests.integration.webhooks.waiting import make_due
from tests.threads import run_together
from webhooks.models import Endpoint, EndpointState
from webhooks.sending.sender import drain
from webhooks.sending.shares import BITE

pytestmark = pytest.mark.django_db(transaction=True)


def endpoint(server: MisbehavingServer, slug: str = "crm", **fields: Any) -> Endpoint:
    return make_endpoint(slug, url=server.url(f"/{slug}"), **fields)


def rule_for(*slugs: str) -> Rule:
    actions = [("webhook", {"endpoint": slug, "payload": '{"id": "{{ instance.id }}"}'}) for slug in slugs]
    return create_rule(model="shop.product", signals=["post_save"], actions=actions)


def products(count: int) -> list[Product]:
    return [Product.objects.create(name=f"p{n}", slug=f"p{n}", price="1") for n in range(count)]


def states() -> Counter[str]:
    return Counter(Execution.objects.filter(kind="webhook").values_list("state", flat=True))


def state(slug: str = "crm") -> EndpointState:
    return EndpointState.objects.get(endpoint__slug=slug)


def later(slug: str = "crm", **by: float) -> None:
    """As if that much time had passed since the endpoint failed."""
    changed, back = state(slug), timedelta(**by)
    for name in ("failing_since", "paused_until", "probe_until", "asked_until", "rate_ready_at"):
        if (value := getattr(changed, name)) is not None:
            setattr(changed, name, value - back)
    changed.save()
    make_due()


def test_what_is_due_is_sent_once_each_over_few_connections_and_recorded(server: MisbehavingServer) -> None:
    endpoint(server)
    rule_for("crm")
    products(60)
    assert drain(10) == 60
    assert states() == {"succeeded": 60}
    sent = [request.header("webhook-id") for request in server.requests]
    assert sorted(sent) == sorted(str(pk) for pk in Execution.objects.values_list("pk", flat=True))
    attempts = Attempt.objects.all()
    ends = {(attempt.number, attempt.outcome, attempt.detail["status"]) for attempt in attempts}
    assert ends == {(1, "succeeded", 200)}
    assert all(attempt.finished_at and attempt.detail["duration_ms"] >= 0 for attempt in attempts)
    assert drain(1) == 0


def test_a_failed_delivery_is_tried_again_on_the_endpoints_own_schedule(server: MisbehavingServer) -> None:
    endpoint(server, schedule=[1000, 2000])
    rule_for("crm")
    products(1)
    server.on("/crm", behave.answer(500, b"broken"))
    waits = []
    for _ in range(3):
        drain(5)
        execution = Execution.objects.get()
        waits.append((execution.next_attempt_at - timezone.now()).total_seconds())
        make_due()
    assert waits[0] == pytest.approx(1000, rel=0.25)
    assert waits[1] == pytest.approx(2000, rel=0.25)
    assert execution.state == "discarded"
    assert [attempt.detail["status"] for attempt in Attempt.objects.order_by("number")] == [500, 500, 500]
    assert "broken" in execution.error


def test_what_waits_for_an_endpoint_or_rule_that_is_gone_is_not_sent(
    server: MisbehavingServer,
) -> None:
    endpoint(server)
    gone = endpoint(server, "gone")
    rule = rule_for("crm", "gone")
    products(1)
    gone.delete()
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    drain(5)
    assert states() == {"cancelled": 2}
    Rule.objects.filter(pk=rule.pk).update(enabled=True)
    Execution.objects.all().retry()
    drain(5)
    assert states() == {"succeeded": 1, "discarded": 1}
    assert "no endpoint" in Execution.objects.get(state="discarded").error
    assert len(server.requests) == 1


def test_row_27_failures_pause_and_one_probe_at_a_time_asks_again(server: MisbehavingServer) -> None:
    endpoint(server)
    rule_for("crm")
    products(20)
    server.on("/crm", behave.answer(503))
    drain(5)
    asked = len(server.requests)
    assert asked in (BITE, 2 * BITE)  # what was in flight before the first answer
    assert state().failures == asked
    assert state().pauses == 1
    make_due()
    drain(5)
    assert len(server.requests) == asked
    assert states() == Counter({"retryable": asked, "pending": 20 - asked}) + Counter()

    pauses = []
    for _ in range(3):
        pauses.append(state().paused_until - timezone.now())
        later(hours=25)
        asked = len(server.requests)
        drain(5)
        assert len(server.requests) == asked + 1, "one probe"
    minutes = [pause.total_seconds() / 60 for pause in pauses]
    assert minutes == pytest.approx([1, 2, 4], abs=0.2)

    server.on("/crm", behave.answer(200))
    later(hours=25)
    drain(5)
    assert states() == {"succeeded": 20}
    assert (state().failures, state().pauses, state().paused_until) == (0, 0, None)


def test_the_administrators_are_told_once_of_an_endpoint_that_is_gone(server: MisbehavingServer, settings: Any) -> None:
    settings.ADMINS = [("Ann", "ann@example.com")]
    endpoint(server)
    rule_for("crm")
    products(6)
    server.on("/crm", behave.answer(410))
    drain(5)
    run_due()
    (message,) = mail.outbox
    assert message.to == ["ann@example.com"]
    assert "CRM was disabled" in message.subject
    assert "410" in message.body


def test_an_endpoint_that_fails_for_five_days_is_disabled_with_a_mail(server: MisbehavingServer, settings: Any) -> None:
    settings.ADMINS = [("Ann", "ann@example.com")]
    endpoint(server)
    rule_for("crm")
    products(6)
    server.on("/crm", behave.answer(500, b"out of order"))
    drain(5)
    later(days=4)
    drain(5)
    assert Endpoint.objects.get().enabled
    later(days=1)
    drain(5)
    failed = Endpoint.objects.get()
    assert not failed.enabled
    assert "5 days" in failed.disabled_reason
    assert states()["retryable"] == 0
    run_due()
    (message,) = mail.outbox
    assert message.to == ["ann@example.com"]
    assert "CRM was disabled" in message.subject
    assert "The endpoint answered 500." in message.body
    # What a receiver says may quote the data it was sent.
    assert "out of order" not in message.body


def test_row_25_retry_after_pauses_the_endpoint_and_not_one_message(server: MisbehavingServer) -> None:
    endpoint(server, concurrency=1)
    rule_for("crm")
    products(3)
    server.script(behave.too_many_requests("120"))
    drain(5)
    assert len(server.requests) == 1
    assert (state().asked_until - timezone.now()).total_seconds() == pytest.approx(120, abs=5)
    make_due()
    drain(5)
    assert len(server.requests) == 1
    later(seconds=121)
    drain(5)
    assert states() == {"succeeded": 3}


def test_our_own_faults_are_not_charged_to_the_endpoint(server: MisbehavingServer) -> None:
    make_endpoint(url=server.url("/crm", host="nowhere.invalid"))
    rule_for("crm")
    products(8)
    drain(10)
    assert states() == {"retryable": 8}
    assert not EndpointState.objects.filter(failures__gt=0).exists()


def test_a_concurrency_limit_holds_across_workers(server: MisbehavingServer) -> None:
    flying, most = [0], [0]

    async def behaviour(conversation: behave.Conversation) -> None:
        import asyncio

        flying[0] += 1
        most[0] = max(most[0], flying[0])
        await asyncio.sleep(0.03)
        flying[0] -= 1
        await behave.answer()(conversation)

    server.on("/crm", behaviour)
    endpoint(server, concurrency=3)
    rule_for("crm")
    products(30)
    run_together(4, lambda _number: drain(10))
    assert states() == {"succeeded": 30}
    assert most[0] == 3


def test_a_rate_holds_across_workers(server: MisbehavingServer) -> None:
    endpoint(server, rate_count=20, rate_seconds=3600)
    rule_for("crm")
    products(30)
    run_together(3, lambda _number: drain(3))
    assert len(server.requests) == 2  # what may be saved up
    later(hours=1)
    run_together(3, lambda _number: drain(3))
    assert len(server.requests) == 4
    assert states() == {"succeeded": 4, "pending": 26}


def test_in_order_a_failed_delivery_holds_back_those_of_its_object_only(server: MisbehavingServer) -> None:
    endpoint(server, ordered=True)
    rule_for("crm")
    first, second = products(2)
    for _ in range(3):
        first.save()
        second.save()
    server.script(behave.answer(500))
    drain(5)
    held = list(Execution.objects.filter(event__object_pk=str(first.pk)).order_by("id"))
    others = Execution.objects.filter(event__object_pk=str(second.pk))
    assert [execution.state for execution in held] == ["retryable", "pending", "pending", "pending"]
    assert {execution.state for execution in others} == {"succeeded"}
    make_due()
    drain(5)
    sent = [request.header("webhook-id") for request in server.requests if f'"id":{first.pk}}}' in str(request.body)]
    assert sent == [str(held[0].pk), *(str(execution.pk) for execution in held)]
    assert states() == {"succeeded": 8}


def test_in_order_what_concerns_no_object_waits_for_nothing(server: MisbehavingServer) -> None:
    endpoint(server, ordered=True)
    for number in range(3):
        config = {"endpoint": "crm", "payload": f'{{"number": {number}}}'}
        order("webhook", config, signal="nightly", context={})
    server.script(behave.answer(500))
    drain(5)
    assert states() == {"retryable": 1, "succeeded": 2}


def test_a_slow_endpoint_does_not_hold_up_another(server: MisbehavingServer, settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "SLOTS": 8, "DEADLINE_SECONDS": 3}
    endpoint(server, "dead")
    endpoint(server, "well")
    server.on("/dead", behave.hang())
    rule_for("dead", "well")
    products(40)
    drain(1)
    slow = Execution.objects.filter(lane="dead", attempts__gt=0)
    assert Execution.objects.filter(lane="well", state="succeeded").count() == 40
    assert 0 < slow.count() <= 8
    assert set(slow.values_list("state", flat=True)) == {"retryable"}


def test_what_was_in_flight_when_a_worker_died_is_sent_again_together(server: MisbehavingServer) -> None:
    endpoint(server)
    rule_for("crm")
    products(20)
    from rules_engine.sending import claim_lanes, start

    claim = claim_lanes("webhooks", {"crm": 20})
    assert len(start(claim.executions, claim.worker)) == 20
    Execution.objects.update(lease_until=F("created_at"))
    drain(5)
    assert states() == {"succeeded": 20}
    assert [attempt.outcome for attempt in Attempt.objects.order_by("number")] == ["lost"] * 20 + ["succeeded"] * 20
    assert {request.connection for request in server.requests} != {1}, "not one by one"


def test_row_31_two_senders_that_drain_at_once_send_each_delivery_once(server: MisbehavingServer) -> None:
    endpoint(server)
    rule_for("crm")
    products(50)
    run_together(3, lambda _number: drain(10))
    sent = Counter(request.header("webhook-id") for request in server.requests)
    assert len(sent) == 50
    assert set(sent.values()) == {1}
    assert states() == {"succeeded": 50}


def test_a_payload_that_cannot_be_made_ends_its_delivery_and_no_other(server: MisbehavingServer) -> None:
    endpoint(server)
    actions = [("webhook", {"endpoint": "crm", "payload": "{{ instance.name }}"})]
    create_rule(model="shop.product", signals=["post_save"], actions=actions)
    Product.objects.create(name="no json", slug="a", price="1")
    Product.objects.create(name="17", slug="b", price="1")
    drain(5)
    assert states() == {"succeeded": 1, "discarded": 1}
    assert [request.body for request in server.requests] == [b"17"]

"""What may go wrong inside a sender: nothing is lost, nothing hangs, and no delivery takes another along."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import F

from project.accounts.models import User
from project.shop.models import Product
from rules_engine.actions import ActionContext
from rules_engine.models import Attempt, Execution, Pause
from rules_engine.outbox import hints
from rules_engine.rules.permissions import Authors
from rules_engine.sending import claim_lanes, start
from rules_engine.testing import create_rule
from rules_engine.work import attempts, tasks
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from webhooks.deliveries import delivery
from webhooks.models import Endpoint, EndpointState
from webhooks.sending import loop, sender
from webhooks.sending.sender import drain

pytestmark = pytest.mark.django_db(transaction=True)


def order(server: MisbehavingServer, count: int, *slugs: str, **fields: Any) -> None:
    """Have so many deliveries wait for each of these endpoints."""
    slugs = slugs or ("crm",)
    for slug in slugs:
        make_endpoint(slug, url=server.url(f"/{slug}"), **fields)
    actions = [("webhook", {"endpoint": slug, "payload": '{"id": "{{ instance.id }}"}'}) for slug in slugs]
    create_rule(model="shop.product", signals=["post_save"], actions=actions)
    for n in range(count):
        Product.objects.create(name=f"p{n}", slug=f"p{n}", price="1")


def states() -> Counter[str]:
    return Counter(Execution.objects.values_list("state", flat=True))


def assert_nothing_is_leased() -> None:
    assert not Execution.objects.exclude(leased_by="").exists()
    assert not Attempt.objects.filter(finished_at=None).exists()


def webhook_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("webhooks", "rules-engine-lease"))]


def test_a_message_that_cannot_be_made_takes_no_other_along(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(server, 10)
    made, poison = delivery.message, Execution.objects.order_by("id")[3].pk

    def fail_once(endpoint: Endpoint, context: ActionContext, config: Any) -> Any:
        if context.execution_id == poison:
            raise ZeroDivisionError("nobody foresaw this")
        return made(endpoint, context, config)

    monkeypatch.setattr(delivery, "message", fail_once)
    drain(5)
    assert states() == {"succeeded": 9, "retryable": 1}
    assert "nobody foresaw this" in Execution.objects.get(pk=poison).error
    assert_nothing_is_leased()


def test_an_answer_that_is_not_understood_takes_no_other_along(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(server, 10)
    server.script(behave.answer(418))
    judged = delivery.judge

    def judge(sent: Any, answer: Any) -> Any:
        if answer.status == 418:
            raise ZeroDivisionError("a teapot")
        return judged(sent, answer)

    monkeypatch.setattr(delivery, "judge", judge)
    drain(5)
    assert states() == {"succeeded": 9, "retryable": 1}
    assert_nothing_is_leased()


def test_an_auth_backend_that_raises_takes_no_other_rule_along(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(server, 2, "a", "b")
    author = User.objects.create_superuser("ada")
    Execution.objects.update(author_id=str(author.pk))
    refusal = Authors.refusal

    def raise_for_one(self: Authors, author: Any, action: Any, *others: Any) -> Any:
        if action.config["endpoint"] == "a":
            raise ZeroDivisionError("no backend")
        return refusal(self, author, action, *others)

    monkeypatch.setattr(Authors, "refusal", raise_for_one)
    drain(5)
    assert Counter(Execution.objects.values_list("lane", "state")) == {("a", "retryable"): 2, ("b", "succeeded"): 2}
    assert "no backend" in Execution.objects.filter(lane="a")[0].error
    assert_nothing_is_leased()


def test_a_database_that_goes_away_loses_nothing_that_was_sent(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(server, 10, concurrency=4)
    looked, looks = sender.due_lanes, [0]

    def go_away(queue: str) -> list[str]:
        looks[0] += 1
        if looks[0] == 2:
            raise OperationalError("the server closed the connection")
        return looked(queue)

    monkeypatch.setattr(sender, "due_lanes", go_away)
    with pytest.raises(OperationalError):
        drain(5)
    assert states() == {"succeeded": 4, "pending": 6}
    assert_nothing_is_leased()
    assert webhook_threads() == []
    drain(5)
    assert states() == {"succeeded": 10}
    assert len(server.requests) == 10


def test_what_is_on_record_late_was_sent_once(server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    order(server, 10)
    finish, tries = attempts.finish, [0]

    def fail_twice(finished: Any) -> Any:
        tries[0] += bool(finished)
        if finished and tries[0] <= 2:
            raise OperationalError("not now")
        return finish(finished)

    monkeypatch.setattr(attempts, "finish", fail_twice)
    drain(5)
    assert states() == {"succeeded": 10}
    assert len(server.requests) == 10


def test_a_claim_that_could_not_be_begun_is_due_again_at_once(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(server, 5)

    def go_away(executions: Any, worker: str) -> Any:
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(sender, "start", go_away)
        with pytest.raises(OperationalError):
            drain(5)
    assert_nothing_is_leased()
    drain(5)
    assert states() == {"succeeded": 5}


def test_an_event_loop_that_cannot_start_is_an_error_and_not_a_wait(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(server, 1)

    def broken(**options: Any) -> Any:
        raise ZeroDivisionError("no loop")

    monkeypatch.setattr(loop, "Client", broken)
    with pytest.raises(ZeroDivisionError):
        drain(5)
    assert states() == {"pending": 1}
    assert webhook_threads() == []


def test_an_event_loop_that_ends_in_flight_is_our_fault_and_replaced(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(server, 5)
    server.on("/crm", behave.hang())
    send = loop.InFlight.send

    def send_and_end(self: loop.InFlight, batch: Any) -> None:
        send(self, batch)
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    with monkeypatch.context() as patch:
        patch.setattr(loop.InFlight, "send", send_and_end)
        drain(5)
    assert states() == {"retryable": 5}
    assert not EndpointState.objects.filter(failures__gt=0).exists()
    server.on("/crm", behave.answer())
    Execution.objects.update(next_attempt_at=F("created_at"))
    drain(5)
    assert states() == {"succeeded": 5}


def test_one_slot_is_enough(server: MisbehavingServer, settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "SLOTS": 1}
    order(server, 3, "a", "b")
    drain(10)
    assert states() == {"succeeded": 6}
    assert {request.connection for request in server.requests} <= {1, 2}


def test_ten_silent_endpoints_leave_room_for_one_that_is_well(server: MisbehavingServer, settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "SLOTS": 24, "DEADLINE_SECONDS": 30}
    silent = [f"silent{n}" for n in range(10)]
    for slug in silent:
        server.on(f"/{slug}", behave.once(lambda: Counter(r.target for r in server.requests)["/well"] == 20))
    order(server, 20, *silent, "well")
    drain(30)
    assert not Attempt.objects.exclude(outcome="succeeded").exists(), "the one that is well waited for silent ones"
    assert states() == {"succeeded": 220}


def test_a_rate_is_used_up_within_one_drain(server: MisbehavingServer) -> None:
    order(server, 12, rate_count=20, rate_seconds=1)
    assert drain(30) == 12
    assert states() == {"succeeded": 12}


def test_what_is_not_begun_costs_an_endpoint_neither_rate_nor_probe(
    server: MisbehavingServer,
) -> None:
    order(server, 3, rate_count=20, rate_seconds=3600)
    pause = Pause.objects.create(rule_slug=Execution.objects.all()[0].rule_slug)
    for _ in range(5):
        drain(1)
    assert server.requests == []
    pause.delete()
    drain(1)
    assert len(server.requests) == 2  # what may be saved up


def test_deliveries_held_back_do_not_use_up_what_the_endpoint_may_get(server: MisbehavingServer) -> None:
    order(server, 1, ordered=True, rate_count=20, rate_seconds=3600)
    Product.objects.get().save()
    server.script(behave.answer(500))
    drain(1)
    assert Counter(Execution.objects.values_list("state", flat=True)) == {"retryable": 1, "pending": 1}
    for _ in range(5):
        drain(1)
    Execution.objects.update(next_attempt_at=F("created_at"))
    drain(1)
    assert len(server.requests) == 2, "the second of the two that may be saved up"


def test_what_waits_for_a_paused_endpoint_does_not_keep_workers_busy(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order(server, 30)
    server.on("/crm", behave.answer(503))
    tasks.drain("webhooks")
    announced: list[str] = []
    monkeypatch.setattr(hints, "notify", announced.append)
    Execution.objects.update(next_attempt_at=F("created_at"))
    assert tasks.due_queues("webhooks") == ["webhooks"]
    tasks.drain("webhooks")
    assert announced == []


def test_what_took_two_processes_down_goes_out_alone_and_before_the_rest(server: MisbehavingServer) -> None:
    order(server, 6)
    suspect = Execution.objects.order_by("-id")[0]
    for _ in range(2):
        Execution.objects.exclude(pk=suspect.pk).update(next_attempt_at=None)
        claim = claim_lanes("webhooks", {"crm": 10})
        if not claim:
            claim = sender.claim_crashed("webhooks", ["crm"])
        assert len(start(claim.executions, claim.worker)) == 1
        Execution.objects.update(lease_until=F("created_at"))
    Execution.objects.update(next_attempt_at=F("created_at"))
    flying, most = [0], [0]

    async def behaviour(conversation: behave.Conversation) -> None:
        import asyncio

        flying[0] += 1
        await asyncio.sleep(0.3)
        if conversation.request.header("webhook-id") == str(suspect.pk):
            most[0] = flying[0]
        flying[0] -= 1
        await behave.answer()(conversation)

    server.on("/crm", behaviour)
    drain(10)
    assert states() == {"succeeded": 6}
    assert server.requests[0].header("webhook-id") == str(suspect.pk)
    assert most[0] == 1, "something was beside it"

"""Deliveries that are sent again: the same id, their history kept, behind what is fresh."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from project.shop.models import Product
from rules_engine.actions import replay_executions
from rules_engine.models import Attempt, Event, Execution
from rules_engine.sending import Selection, lane_figures, latest_replays, replay
from rules_engine.testing import create_rule
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from webhooks.models import Endpoint, EndpointState, lanes
from webhooks.sending.sender import drain

pytestmark = pytest.mark.django_db

ANN = {"id": "1", "username": "ann"}


@pytest.fixture
def endpoint(server: MisbehavingServer) -> Endpoint:
    endpoint = make_endpoint(url=server.url("/crm"), schedule=[])
    payload = '{"id": "{{ instance.id }}"}'
    create_rule(
        model="shop.product", signals=["post_save"], actions=[("webhook", {"endpoint": "crm", "payload": payload})]
    )
    return endpoint


def products(count: int, start: int = 0) -> None:
    for n in range(start, start + count):
        Product.objects.create(name=f"p{n}", slug=f"p{n}", price="1")


def states() -> Counter[str]:
    return Counter(Execution.objects.filter(kind="webhook").values_list("state", flat=True))


def selection(*states: str, **fields: Any) -> Selection:
    return Selection("webhooks", lanes.counted("crm"), states=states or ("discarded",), **fields)


def carry_out(chosen: Selection) -> Execution:
    """Ask for a replay and have a worker see to it; what it made due is not sent yet."""
    replay(chosen, by=ANN, into=lanes.replayed("crm"))
    run_due_of("rules")
    [execution] = latest_replays("crm")
    return execution


def run_due_of(queue: str) -> None:
    from rules_engine.work.queues import drain as drain_queue

    drain_queue(queue, seconds=30)


def command(**options: Any) -> str:
    out = StringIO()
    call_command("webhooks_replay", stdout=out, **options)
    return out.getvalue()


def test_failed_deliveries_are_sent_again_with_ids_and_history(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(behave.answer(500, b"broken"), behave.answer(200))
    products(2)
    drain(60)
    [failed] = Execution.objects.filter(state="discarded")
    done = carry_out(selection())
    assert done.summary == "1 executions are due again"
    assert done.event.actor_name == "ann"
    drain(60)
    assert states() == {"succeeded": 2}
    assert [request.header("webhook-id") for request in server.requests].count(str(failed.pk)) == 2
    attempts = Attempt.objects.filter(execution=failed).order_by("number")
    assert [attempt.detail["status"] for attempt in attempts] == [500, 200]


def test_succeeded_deliveries_are_sent_again_only_if_asked_for(server: MisbehavingServer, endpoint: Endpoint) -> None:
    products(3)
    drain(60)
    assert carry_out(selection()).summary.startswith("0 ")
    assert carry_out(selection("succeeded", "discarded")).summary.startswith("3 ")
    drain(60)
    assert Counter(Counter(request.header("webhook-id") for request in server.requests).values()) == {2: 3}


def test_a_window_and_a_kind_of_error_choose_what_is_sent_again(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(*[behave.answer(status) for status in (500, 503, 404)], behave.drop())
    for n in range(4):
        products(1, n)
        drain(60)
    first, second, third, last = Execution.objects.order_by("id")
    Execution.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(days=2))
    yesterday = timezone.now() - timedelta(days=1)
    chosen = {
        (first.pk,): selection(until=yesterday),
        (second.pk, third.pk, last.pk): selection(since=yesterday),
        (first.pk, second.pk): selection(detail={"status": [500, 599]}),
        (third.pk,): selection(detail={"status": 404}),
        (last.pk,): selection(detail={"error_kind": "connect"}),
    }
    for pks, selected in chosen.items():
        assert set(selected.rows().values_list("pk", flat=True)) == set(pks)


def test_what_happens_meanwhile_is_sent_before_what_is_replayed(
    server: MisbehavingServer, endpoint: Endpoint, settings: Any
) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "SLOTS": 2}
    products(6)
    drain(60)
    carry_out(selection("succeeded"))
    server.requests.clear()
    products(3, start=6)
    fresh = {str(pk) for pk in Execution.objects.filter(state="pending").values_list("pk", flat=True)}
    drain(60)
    sent = [request.header("webhook-id") for request in server.requests]
    assert len(sent) == 9
    assert set(sent[:3]) == fresh


def test_row_40_a_replay_during_an_outage_waits_and_loses_nothing(
    server: MisbehavingServer, endpoint: Endpoint
) -> None:
    server.on("/crm", behave.answer(503))
    products(8)
    drain(60)
    assert states() == {"discarded": 8}
    asked = len(server.requests)
    carry_out(selection())
    drain(60)
    assert len(server.requests) == asked, "the endpoint is paused"
    assert states() == {"retryable": 8}
    server.on("/crm", behave.answer(200))
    EndpointState.objects.update(paused_until=F("failing_since"))
    drain(60)
    assert states() == {"succeeded": 8}


def test_a_replay_that_died_half_way_goes_on_and_does_nothing_twice(
    server: MisbehavingServer, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_executions, "BATCH", 2)
    products(6)
    drain(60)
    replay(selection("succeeded"), by=ANN, into=lanes.replayed("crm"))
    told: list[str] = []

    def die_later(queue: str) -> None:
        told.append(queue)
        if len(told) == 2:
            raise RuntimeError("the worker goes")

    with monkeypatch.context() as patch:
        patch.setattr(replay_executions.hints, "notify", die_later)
        run_due_of("rules")
    assert states() == {"succeeded": 2, "retryable": 4}
    drain(60)
    assert states() == {"succeeded": 6}
    Execution.objects.filter(state="retryable").retry()
    run_due_of("rules")
    drain(60)
    assert latest_replays("crm")[0].state == "succeeded"
    assert Counter(Counter(request.header("webhook-id") for request in server.requests).values()) == {2: 6}


def test_deliveries_whose_event_is_gone_are_counted_and_left_alone(
    server: MisbehavingServer, endpoint: Endpoint
) -> None:
    products(2)
    drain(60)
    Event.objects.filter(pk=Execution.objects.order_by("id")[0].event_id)._raw_delete("default")
    assert selection("succeeded").count() == (1, 1)
    assert (
        carry_out(selection("succeeded")).summary
        == "1 executions are due again; 1 are not: their event is not recorded"
    )
    assert states() == {"succeeded": 1, "retryable": 1}


def test_what_is_replayed_counts_in_the_figures_and_for_the_concurrency(
    server: MisbehavingServer, endpoint: Endpoint
) -> None:
    products(2)
    drain(60)
    carry_out(selection("succeeded"))
    drain(60)
    now = timezone.now()
    figures, later = lane_figures("webhooks", lanes.counted("crm"), now - timedelta(days=1), now)
    assert later.attempts == 0
    assert (figures.attempts, figures.share, figures.is_sample) == (4, 1.0, False)
    assert figures.median is not None
    assert figures.p95 is not None
    assert 0 <= figures.median <= figures.p95
    assert lane_figures("webhooks", lanes.counted("crm"), now - timedelta(days=1), sample=1)[0].is_sample


def failing(**fields: Any) -> Selection:
    return Selection("webhooks", lanes.counted("crm"), states=(), failing=True, **fields)


@pytest.fixture
def retried(server: MisbehavingServer, endpoint: Endpoint) -> Endpoint:
    """Three deliveries that failed once and wait an hour for their next attempt."""
    Endpoint.objects.filter(pk=endpoint.pk).update(schedule=[3600, 3600])
    server.on("/crm", behave.answer(500))
    products(3)
    drain(60)
    assert states() == {"retryable": 3}
    Endpoint.objects.get().resume()
    server.on("/crm", behave.answer(200))
    return endpoint


def test_what_is_being_retried_is_tried_at_once_where_it_waits(server: MisbehavingServer, retried: Endpoint) -> None:
    assert selection().retried().count() == 0
    assert (failing().count(), failing().retried().count()) == ((0, 0), 3)
    done = carry_out(failing())
    assert done.summary == "0 executions are due again; 3 that were being retried are tried at once"
    assert set(Execution.objects.filter(kind="webhook").values_list("lane", "failures")) == {("crm", 0)}
    drain(60)
    assert states() == {"succeeded": 3}
    assert Counter(Counter(request.header("webhook-id") for request in server.requests).values()) == {2: 3}


def test_of_what_is_being_retried_window_and_error_choose(retried: Endpoint) -> None:
    assert failing(since=timezone.now() - timedelta(hours=1)).retried().count() == 3
    assert failing(until=timezone.now() - timedelta(hours=1)).retried().count() == 0
    assert failing(detail={"status": [500, 599]}).retried().count() == 3
    assert failing(detail={"status": 404}).retried().count() == 0


def test_what_failed_again_since_it_was_asked_has_had_its_turn(server: MisbehavingServer, retried: Endpoint) -> None:
    server.on("/crm", behave.answer(500))
    carry_out(failing())
    drain(60)
    assert states() == {"retryable": 3}
    Endpoint.objects.get().resume()
    Execution.objects.filter(kind="replay_executions").update(state="retryable", next_attempt_at=Now())
    run_due_of("rules")
    assert latest_replays("crm")[0].state == "succeeded"
    assert not Execution.objects.filter(kind="webhook", next_attempt_at__lte=timezone.now()).exists()


def test_what_a_worker_has_or_was_replayed_is_not_being_retried(retried: Endpoint) -> None:
    taken, again, _left = Execution.objects.filter(kind="webhook").order_by("id")
    Execution.objects.filter(pk=taken.pk).update(leased_by="w", lease_until=timezone.now() + timedelta(hours=1))
    Execution.objects.filter(pk=again.pk).update(failures=0)
    assert failing().retried().count() == 1


def test_a_replay_that_an_earlier_release_asked_for_is_read() -> None:
    stored = selection("discarded").as_json()
    del stored["failing"]
    assert replay_executions.from_json(stored) == selection("discarded")
    assert replay_executions.from_json(failing().as_json()) == failing()


def test_the_command_counts_what_is_being_retried_too(server: MisbehavingServer, retried: Endpoint) -> None:
    Execution.objects.filter(pk=Execution.objects.filter(kind="webhook")[0].pk).update(state="discarded")
    counted = command(endpoint="crm", since="1h", dry_run=True)
    assert "1 delivery to crm would be sent again." in counted
    assert "2 more, being retried, would be tried at once." in counted
    assert "being retried" not in command(endpoint="crm", since="1h", dry_run=True, status="discarded")
    assert "2 more, being retried, will be tried at once." in command(endpoint="crm", since="1h", status="failing")
    run_due_of("rules")
    drain(60)
    assert states() == {"discarded": 1, "succeeded": 2}


def test_a_state_that_is_no_end_cannot_be_replayed() -> None:
    with pytest.raises(ValueError, match="pending"):
        selection("pending")


def test_a_rule_cannot_replay() -> None:
    from rules_engine.rules import registry

    assert "replay_executions" not in registry.kinds()
    with pytest.raises(Exception, match="not by a rule"):
        create_rule(model="shop.product", signals=["post_save"], actions=[("replay_executions", {})]).full_clean()


# The command


def test_the_command_counts_and_then_replays(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.on("/crm", behave.answer(503))
    products(2)
    drain(60)
    assert "2 deliveries to crm would be sent again" in command(endpoint="crm", since="1h", dry_run=True)
    assert states() == {"discarded": 2}
    assert "0 deliveries" in command(endpoint="crm", since="1h", error_kind="404", dry_run=True)
    assert "2 deliveries to crm will be sent again" in command(endpoint="crm", since="1h", error_kind="5xx")
    assert states() == {"discarded": 2}
    run_due_of("rules")
    assert states() == {"retryable": 2}
    [asked] = latest_replays("crm")
    assert json.loads(json.dumps(asked.config))["selection"]["detail"] == {"status": [500, 599]}
    assert "command line" in asked.event.actor_name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"endpoint": "crn"}, "Did you mean"),
        ({"endpoint": "crm", "since": "yesterday"}, "2026-"),
        ({"endpoint": "crm", "since": "999999d"}, "Expected an age"),
        ({"endpoint": "crm", "since": "2026-02-30"}, "Expected an age"),
        ({"endpoint": "crm", "since": "9999-12-31T23:59:59-23:59"}, "Expected an age"),
        ({"endpoint": "crm", "since": "1h", "until": "2h"}, "before"),
        ({"endpoint": "crm", "error_kind": "slow"}, "timeout"),
        ({"endpoint": "off"}, "disabled"),
    ],
)
def test_the_command_says_what_it_cannot_do(
    server: MisbehavingServer, endpoint: Endpoint, options: dict[str, str], words: str
) -> None:
    make_endpoint("off", url=server.url("/off"), enabled=False)
    with pytest.raises(CommandError, match=words):
        command(**{"since": "1h", **options})

"""The endpoint's page: how it does, and what its buttons do."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Product
from rules_engine.models import Attempt, Event, Execution
from rules_engine.testing import create_rule
from rules_engine.work.queues import drain as drain_queue
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from tests.integration.admin.conftest import client_of, make_user
from tests.integration.webhooks.test_admin import UNTOUCHED
from webhooks.endpoints import breaker
from webhooks.endpoints.policy import Report
from webhooks.models import Endpoint, EndpointState
from webhooks.sending.sender import drain

pytestmark = pytest.mark.django_db

LIST = "admin:webhooks_endpoint_changelist"
EDITOR = ("view_endpoint", "change_endpoint", "test_endpoint", "replay_delivery", "view_execution")


def signed_in(*permissions: str) -> Client:
    user = get_user_model().objects.create_user(f"staff{len(permissions)}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def editor() -> Client:
    return signed_in(*EDITOR)


@pytest.fixture
def endpoint(server: MisbehavingServer) -> Endpoint:
    endpoint = make_endpoint(url=server.url("/crm"), schedule=[])
    payload = '{"id": "{{ instance.id }}"}'
    create_rule(
        model="shop.product", signals=["post_save"], actions=[("webhook", {"endpoint": "crm", "payload": payload})]
    )
    return endpoint


def products(count: int) -> None:
    for n in range(count):
        Product.objects.create(name=f"p{n}", slug=f"p{n}-{Product.objects.count()}", price="1")


def url_of(endpoint: Endpoint, page: str = "change") -> str:
    return reverse(f"admin:webhooks_endpoint_{page}", args=[endpoint.pk])


def shown(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", unescape(response.content.decode()))


def press(client: Client, endpoint: Endpoint, button: str, **data: Any) -> str:
    response = client.post(url_of(endpoint, button), data, follow=True)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", unescape(response.content.decode()))


# What it says


def test_the_page_says_how_deliveries_went_and_which_failed(
    server: MisbehavingServer, endpoint: Endpoint, editor: Client
) -> None:
    server.script(behave.answer(500, b"out of order"))
    products(4)
    drain(60)
    Attempt.objects.filter(outcome="succeeded").update(detail={"status": 200, "duration_ms": 120})
    old = Execution.objects.filter(state="succeeded").order_by("id")[0]
    Attempt.objects.filter(execution=old).update(started_at=timezone.now() - timedelta(days=3))
    page = shown(editor, url_of(endpoint))
    assert '<th scope="row">last 24 hours</th><td>3</td><td>66.67 %</td><td>120 ms</td>' in page
    assert '<th scope="row">last 7 days</th><td>4</td><td>75 %</td><td>120 ms</td>' in page
    failed = Execution.objects.get(state="discarded")
    assert reverse("admin:rules_engine_execution_change", args=[failed.pk]) in page
    assert "The endpoint answered 500." in page
    assert "You may not view objects of this model, and so not this data either." in page
    assert "out of order" not in page
    viewer = client_of(make_user("webhooks.view_endpoint", "shop.view_product", name="viewer"))
    assert "It said: out of order" in shown(viewer, url_of(endpoint))
    assert "Nothing waits." in page
    products(2)
    assert "Waiting: 2, the oldest since" in shown(editor, url_of(endpoint))
    address = re.search(r'href="([^"]+)">All deliveries', page)
    assert address is not None
    assert "6 rows" in shown(editor, address[1])


@pytest.mark.parametrize(
    ("fields", "state", "words", "button"),
    [
        ({}, {}, 'rules-state-on">open<', False),
        ({}, {"failures": 2, "last_error": "It answered 500."}, "It answered 500.", True),
        ({}, {"failures": 5, "pauses": 1, "paused_until": timedelta(hours=1)}, ">paused until", True),
        ({}, {"failures": 5, "pauses": 1, "paused_until": -timedelta(hours=1)}, ">probing<", True),
        ({}, {"asked_until": timedelta(hours=1)}, "asked to wait until", True),
        ({"enabled": False, "disabled_reason": "It answered 410."}, {}, "It answered 410.", False),
        ({"enabled": False}, {}, "Switched off by hand.", False),
    ],
    ids=["open", "failing", "paused", "probing", "asked", "gone", "by hand"],
)
def test_the_state_is_said_in_words(
    endpoint: Endpoint, editor: Client, fields: dict[str, Any], state: dict[str, Any], words: str, button: bool
) -> None:
    Endpoint.objects.update(**fields)
    now = timezone.now()
    moments = {name: now + value if isinstance(value, timedelta) else value for name, value in state.items()}
    if state:
        EndpointState.objects.create(endpoint=endpoint, **moments)
    page = shown(editor, url_of(endpoint))
    assert words in page
    assert (url_of(endpoint, "resume") in page) == button
    assert "failing since" not in page.lower() or "failing_since" in state


def test_the_list_shows_trouble_first_with_what_it_is(
    server: MisbehavingServer, endpoint: Endpoint, editor: Client
) -> None:
    make_endpoint("a-well", name="well", url=server.url("/a"))
    make_endpoint("b-gone", name="gone", url=server.url("/b")).disable("It answered 410.")
    make_endpoint("c-off", name="off", url=server.url("/c"), enabled=False)
    server.on("/crm", behave.answer(500, b"out of order"))
    products(2)
    drain(60)
    page = shown(editor, reverse(LIST))
    places = [page.index(f">{slug}<") for slug in ("crm", "b-gone", "a-well", "c-off")]
    assert places == sorted(places)
    assert "The endpoint answered 500." in page
    # What a receiver says may quote the data it was sent, and this list is for people who may not view that.
    assert "out of order" not in page
    assert "It answered 410." in page
    assert '<td class="field-success">0 %</td>' in page


def test_the_list_says_how_endpoints_do_in_a_fixed_number_of_queries(editor: Client) -> None:
    event = Event.objects.create(signal="x", occurred_at=timezone.now(), root_id=uuid4())
    base = {"event": event, "rule_version": 1, "kind": "webhook", "queue": "webhooks", "attempts": 1}

    def deliver(lane: str, *outcomes: str) -> None:
        for outcome in outcomes:
            execution = Execution.objects.create(lane=lane, **base)
            Attempt.objects.create(execution=execution, number=1, outcome=outcome, finished_at=timezone.now())

    def make(slug: str) -> None:
        make_endpoint(slug)
        deliver(slug, "succeeded", "succeeded", "failed")

    make("a")
    deliver("a:replay", "succeeded")
    deliver("a:test", "failed", "failed")
    make("b")
    make_endpoint("c")
    with CaptureQueriesContext(connection) as few:
        page = shown(editor, reverse(LIST))
    assert re.findall(r'<td class="field-success">(.*?)</td>', page) == ["75 %", "66.67 %", "–"]
    Attempt.objects.filter(execution__lane="b").update(started_at=timezone.now() - timedelta(hours=25))
    for number in range(5):
        make(f"d-{number}")
    with CaptureQueriesContext(connection) as many:
        page = shown(editor, reverse(LIST))
    assert re.findall(r'<td class="field-success">(.*?)</td>', page) == ["75 %", "–", "–", *["66.67 %"] * 5]
    assert len(many) == len(few) <= 12


# The form


@pytest.mark.parametrize(
    ("written", "stored"),
    [("5s, 5m, 2h, 1d", [5, 300, 7200, 86400]), ("[5, 60]", [5, 60]), ("", None), ("[]", []), ("1.5", [1.5])],
)
def test_a_schedule_is_written_as_people_write_it(
    endpoint: Endpoint, editor: Client, written: str, stored: list[float] | None
) -> None:
    assert save(editor, endpoint, schedule=written) == []
    endpoint.refresh_from_db()
    assert endpoint.schedule == stored
    page = shown(editor, url_of(endpoint))
    assert "5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 1d" in page


def save(client: Client, endpoint: Endpoint, **fields: str) -> list[str]:
    """What is wrong, as ``field: sentence``."""
    data = {"name": "CRM", "slug": "crm", "url": endpoint.url, "enabled": "on", **UNTOUCHED, **fields}
    response = client.post(url_of(endpoint), data)
    if response.status_code == 302:
        return []
    errors = response.context["adminform"].form.errors
    return [f"{name}: {sentence}" for name, sentences in errors.items() for sentence in sentences]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schedule": "5s, soon"}, "schedule: Wait number 2, “soon”, is not a time"),
        ({"schedule": "31d"}, "schedule: Expected a list of seconds from 0 to 2,592,000"),
        ({"rate_count": "10"}, "rate_seconds: A rate has two parts"),
        ({"rate_seconds": "10"}, "rate_count: A rate has two parts"),
        ({"concurrency": "0"}, "concurrency: Ensure this value is greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_explained_at_its_field(
    endpoint: Endpoint, editor: Client, fields: dict[str, str], words: str
) -> None:
    assert any(problem.startswith(words) for problem in save(editor, endpoint, **fields))


@pytest.mark.parametrize("change", ["url", "secret", "enabled"])
def test_what_mends_an_endpoint_makes_it_start_anew(
    server: MisbehavingServer, endpoint: Endpoint, editor: Client, change: str
) -> None:
    long_ago = timezone.now() - timedelta(days=6)
    EndpointState.objects.create(
        endpoint=endpoint, failures=9, pauses=4, failing_since=long_ago, paused_until=timezone.now() + timedelta(days=1)
    )
    assert save(editor, endpoint, description="The same place") == []
    assert EndpointState.objects.get().failures == 9, "nothing was mended"
    fields = {"url": {"url": server.url("/new")}, "secret": {"generate_secret": "on"}, "enabled": {}}[change]
    if change == "enabled":
        Endpoint.objects.update(enabled=False, disabled_reason="It had failed for 5 days.")
    assert save(editor, endpoint, **fields) == []
    state = EndpointState.objects.get()
    assert (state.failures, state.pauses, state.failing_since, state.paused_until) == (0, 0, None, None)


def test_an_endpoint_enabled_again_is_not_disabled_by_its_first_failure(
    server: MisbehavingServer, endpoint: Endpoint
) -> None:
    EndpointState.objects.create(endpoint=endpoint, failures=9, failing_since=timezone.now() - timedelta(days=6))
    assert breaker.record(endpoint, [Report(taken=False, error="It answered 500.")])
    Endpoint.objects.update(enabled=True)  # also from a shell, past save()
    server.on("/crm", behave.answer(500))
    products(1)
    drain(60)
    assert Endpoint.objects.get().enabled
    assert EndpointState.objects.get().failures == 1


# The buttons


def test_a_test_delivery_is_sent_to_a_paused_endpoint_and_not_counted(
    server: MisbehavingServer, endpoint: Endpoint, editor: Client
) -> None:
    server.on("/crm", behave.answer(500, b"out of order"))
    until = timezone.now() + timedelta(hours=1)
    EndpointState.objects.create(endpoint=endpoint, failures=5, pauses=1, paused_until=until)
    assert "on its way" in press(editor, endpoint, "test")
    drain(60)
    [request] = server.requests
    assert b'"type":"webhooks.test"' in request.body
    assert Execution.objects.get().state == "discarded", "it is tried once"
    assert EndpointState.objects.get().failures == 5
    page = shown(editor, url_of(endpoint))
    assert "Last test: " in page
    assert "out of order" in page.partition("Last test: ")[2]
    assert '<th scope="row">last 24 hours</th><td>0</td><td>–</td>' in page
    assert LogEntry.objects.get().change_message == "Sent a test delivery."


def test_a_disabled_endpoint_can_be_tested_and_a_410_is_explained(
    server: MisbehavingServer, endpoint: Endpoint, editor: Client
) -> None:
    Endpoint.objects.update(enabled=False)
    server.script(behave.answer(410), behave.answer(200))
    for _ in range(2):
        press(editor, endpoint, "test")
        drain(60)
    assert len(server.requests) == 2
    assert "crm answered 200" in shown(editor, url_of(endpoint))
    Endpoint.objects.update(enabled=True)
    server.script(behave.answer(410))
    press(editor, endpoint, "test")
    drain(60)
    assert Endpoint.objects.get().enabled
    assert "would be disabled" in shown(editor, url_of(endpoint))


def test_resuming_sends_at_once_and_is_on_record(server: MisbehavingServer, endpoint: Endpoint, editor: Client) -> None:
    until = timezone.now() + timedelta(hours=1)
    EndpointState.objects.create(endpoint=endpoint, failures=5, pauses=1, paused_until=until)
    products(1)
    drain(60)
    assert server.requests == []
    assert "go out again" in press(editor, endpoint, "resume")
    drain(60)
    assert len(server.requests) == 1
    assert LogEntry.objects.get().change_message == "Resumed."


def test_a_replay_is_counted_first_and_then_carried_out(
    server: MisbehavingServer, endpoint: Endpoint, editor: Client
) -> None:
    server.script(behave.answer(500), behave.answer(404))
    products(3)
    drain(60)
    form = {"since": "1h", "until": "", "status": "failed", "error_kind": ""}
    assert "would be sent again: 2." in press(editor, endpoint, "replay", **form, count="Count")
    assert "would be sent again: 1." in press(editor, endpoint, "replay", **{**form, "error_kind": "5xx"}, count="1")
    assert "2 deliveries are sent again." in press(editor, endpoint, "replay", **form, replay="Replay")
    drain_queue("rules", seconds=60)
    drain(60)
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    page = shown(editor, url_of(endpoint))
    assert re.search(r"Last replay: .*succeeded, staff5.*2 executions are due again", page)
    assert LogEntry.objects.get().change_message == "Replayed 2 deliveries."


def test_a_replay_says_both_counts_as_soon_as_it_is_opened(endpoint: Endpoint, editor: Client) -> None:
    products(2)
    given_up, retried = Execution.objects.all()
    later = timezone.now() + timedelta(hours=1)
    Execution.objects.filter(pk=given_up.pk).update(state="discarded", failures=1)
    Execution.objects.filter(pk=retried.pk).update(state="retryable", failures=1, next_attempt_at=later)
    page = shown(editor, url_of(endpoint, "replay"))
    assert "Deliveries that would be sent again: 1." in page
    assert "Being retried, and would be tried at once: 1." in page
    assert "resume it first" not in page
    EndpointState.objects.update_or_create(endpoint=endpoint, defaults={"pauses": 1, "paused_until": later})
    assert "To have them sent at once, resume it first." in shown(editor, url_of(endpoint, "replay"))
    form = {"since": "1h", "until": "", "status": "failed", "error_kind": ""}
    said = press(editor, endpoint, "replay", **form, replay="Replay")
    assert "1 delivery is sent again. 1 that is being retried is tried at once." in said


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"since": "yesterday"}, "Expected an age such as 30m, 2h or 3d"),
        ({"since": "1h", "until": "2h"}, "The window ends before it begins."),
        ({"error_kind": "slow"}, "Expected a status such as 503 or 5xx"),
    ],
)
def test_a_replay_that_cannot_be_is_explained(
    endpoint: Endpoint, editor: Client, fields: dict[str, str], words: str
) -> None:
    form = {"since": "1h", "until": "", "status": "failed", "error_kind": "", **fields}
    assert words in press(editor, endpoint, "replay", **form, replay="Replay")
    assert not Event.objects.exists()


def test_a_disabled_endpoint_is_not_replayed(endpoint: Endpoint, editor: Client) -> None:
    Endpoint.objects.update(enabled=False)
    form = {"since": "1h", "until": "", "status": "all", "error_kind": ""}
    assert "Enable it first." in press(editor, endpoint, "replay", **form, replay="Replay")


def test_each_button_needs_its_permission_and_a_post(endpoint: Endpoint) -> None:
    viewer, editor = signed_in("view_endpoint"), signed_in(*EDITOR)
    EndpointState.objects.create(endpoint=endpoint, failures=1)
    page, full = shown(viewer, url_of(endpoint)), shown(editor, url_of(endpoint))
    for button in ("test", "resume", "replay"):
        assert url_of(endpoint, button) in full
        assert url_of(endpoint, button) not in page
        assert viewer.post(url_of(endpoint, button)).status_code == 403
        assert Client().post(url_of(endpoint, button)).status_code == 302
    for button in ("test", "resume"):
        assert editor.get(url_of(endpoint, button)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get(username="staff5"))
    assert strict.post(url_of(endpoint, "test")).status_code == 403
    assert not Event.objects.exists()
    assert EndpointState.objects.get().failures == 1


# The executions' own pages


def test_one_delivery_is_replayed_from_its_page(server: MisbehavingServer, endpoint: Endpoint) -> None:
    products(1)
    drain(60)
    execution = Execution.objects.get()
    page, button = (
        reverse(f"admin:rules_engine_execution_{name}", args=[execution.pk]) for name in ("change", "replay")
    )
    client = signed_in("view_execution", "retry_execution")
    assert button in shown(client, page)
    client.post(button)
    drain(60)
    assert [request.header("webhook-id") for request in server.requests] == [str(execution.pk)] * 2
    assert Attempt.objects.filter(execution=execution, outcome="succeeded").count() == 2


def test_what_was_ordered_by_hand_reads_well(endpoint: Endpoint, editor: Client) -> None:
    press(editor, endpoint, "test")
    client = signed_in("view_execution", "view_event", "view_rule")
    execution = Execution.objects.get()
    changelist = reverse("admin:rules_engine_execution_changelist")
    assert '<td class="field-rule_told"><span class="rules-name" dir="auto">ordered by hand</span>' in shown(
        client, changelist
    )
    assert "1 execution " in shown(client, f"{changelist}?rule_slug=:by-hand")
    page = shown(client, reverse("admin:rules_engine_execution_change", args=[execution.pk]))
    assert "webhook, ordered by hand" in page
    assert "webhooks.test" in shown(client, reverse("admin:rules_engine_event_change", args=[execution.event_id]))
    assert "ordered by hand" in shown(client, reverse("admin:rules_engine_event_changelist"))

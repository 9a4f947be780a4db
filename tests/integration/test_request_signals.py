"""Rules on requests and on what goes wrong in them, under real WSGI and ASGI handlers."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core import signals as core
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path

from rules_engine.middleware import ActorMiddleware
from rules_engine.models import Event, Execution
from rules_engine.rules.validation import rule_problems
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.types import RuleSpec
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ event.signal }} {{ request.method }} {{ request.path }}"})]
SHOP_ONLY = {"starts_with": [{"var": "request.path"}, "/shop/"]}


def save(request: HttpRequest) -> HttpResponse:
    Keeper.objects.create(name="k")
    return HttpResponse("made", status=201)


@transaction.non_atomic_requests
async def save_async(request: HttpRequest) -> HttpResponse:
    await Keeper.objects.acreate(name="k")
    return HttpResponse("made", status=201)


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("password=canary-secret is wrong for " + "x" * 600)


@transaction.non_atomic_requests
async def fail_async(request: HttpRequest) -> HttpResponse:
    raise ValueError("password=canary-secret is wrong for " + "x" * 600)


urlpatterns = [
    path("shop/save/", save),
    path("shop/save-async/", save_async),
    path("shop/fail/", fail),
    path("shop/fail-async/", fail_async),
    path("other/", plain),
]


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None: ...


@contextmanager
def wsgi_server() -> Iterator[int]:
    """A real WSGI server on the demo's middleware; gives its port."""
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def by_wsgi(*paths: str) -> list[int]:
    statuses = []
    with wsgi_server() as port:
        for one in paths:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            client.request("GET", one, headers={"Host": "localhost"})
            response = client.getresponse()
            response.read()
            statuses.append(response.status)
            client.close()
    return statuses


def by_asgi(*paths: str) -> list[int]:
    application = get_asgi_application()

    async def ask(one: str) -> int:
        sent: list[Any] = []
        scope = {
            "type": "http", "method": "GET", "path": one, "raw_path": one.encode(), "query_string": b"token=canary",
            "headers": [(b"host", b"localhost")], "root_path": "", "scheme": "http", "http_version": "1.1",
            "server": ("localhost", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if not messages:
                await asyncio.sleep(3600)
            return messages.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await application(scope, receive, send)
        return int(sent[0]["status"])

    async def all_of_them() -> list[int]:
        return list(await asyncio.gather(*(ask(one) for one in paths)))

    return asyncio.run(all_of_them())


SERVERS = pytest.mark.parametrize("ask", [by_wsgi, by_asgi])


@pytest.fixture(autouse=True)
def _site(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Threads end with the request here, and with them nobody is left to close what they would keep open.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.DEBUG_PROPAGATE_EXCEPTIONS = False


def told(signal: str) -> list[dict[str, Any]]:
    found = Event.objects.filter(signal=signal).order_by("occurred_at")
    return [event.context["request"] for event in found]


@SERVERS
@pytest.mark.parametrize("signal", ["request_started", "request_finished"])
def test_a_rule_on_requests_hears_those_of_its_path(ask: Any, signal: str) -> None:
    create_rule(signals=[signal], condition=SHOP_ONLY, actions=LOG)
    assert ask("/other/", "/shop/save/", "/other/") == [200, 201, 200]
    [request] = told(signal)
    assert (request["method"], request["path"]) == ("GET", "/shop/save/")
    assert "canary" not in str(Event.objects.get().context)
    assert run_due() == 1
    assert Execution.objects.get().state == "succeeded"


@SERVERS
@pytest.mark.parametrize("view", ["/shop/save/", "/shop/save-async/"])
def test_a_requests_start_its_changes_and_its_end_have_one_id(ask: Any, view: str) -> None:
    for signal in ("request_started", "request_finished"):
        create_rule(signals=[signal], actions=LOG)
    create_rule(model=Keeper, actions=LOG)
    ask(view, "/other/")
    [change] = told("post_save")
    assert change["path"] == view
    started = {request["path"]: request["id"] for request in told("request_started")}
    finished = {request["path"]: request["id"] for request in told("request_finished")}
    assert started == finished
    assert started[view] == change["id"] != started["/other/"]


@SERVERS
def test_a_finished_request_has_its_status(ask: Any) -> None:
    condition = {">=": [{"var": "request.status"}, 400]}
    create_rule(signals=["request_finished"], condition=condition, actions=LOG)
    assert ask("/shop/save/", "/nowhere/") == [201, 404]
    assert [(one["path"], one["status"]) for one in told("request_finished")] == [("/nowhere/", 404)]


def test_a_request_that_the_middleware_did_not_see_is_not_told_as_another(settings: Any) -> None:
    create_rule(signals=["request_finished"], actions=LOG)
    by_wsgi("/shop/save/")
    settings.MIDDLEWARE = []
    by_wsgi("/other/")
    assert [one and one["path"] for one in told("request_finished")] == ["/shop/save/", None]


def test_no_receiver_of_ours_is_on_requests_unless_a_rule_needs_it() -> None:
    def ours() -> int:
        signals = (core.request_started, core.request_finished, core.got_request_exception)
        return sum(str(found[0][0]).startswith("rules_engine.request") for one in signals for found in one.receivers)

    request = RequestFactory().get("/")
    assert ours() == 0
    rule = create_rule(signals=["request_finished"], actions=LOG)
    assert ours() == 1
    rule.delete()
    refresh()
    assert ours() == 0
    ActorMiddleware(lambda _: HttpResponse())(request)
    assert "close" not in vars(request)


@SERVERS
@pytest.mark.parametrize("view", ["/shop/fail/", "/shop/fail-async/"])
def test_an_exception_is_told_by_type_text_and_place_without_secrets(ask: Any, view: str) -> None:
    condition = {"==": [{"var": "signal.exception.type"}, "ValueError"]}
    body = "{{ signal.exception.where }}: {{ signal.exception.text }} at {{ signal.request.path }}"
    create_rule(
        signals=["got_request_exception"],
        condition=condition,
        actions=[("send_email", {"to": ["a@example.com"], "subject": "Error", "body": body})],
    )
    assert ask("/other/", view) == [200, 500]
    event = Event.objects.get()
    exception = event.context["signal"]["exception"]
    assert set(exception) == {"type", "text", "where"}
    assert exception["where"].startswith(f"{__name__}:")
    assert exception["text"].startswith("password=[hidden] is wrong for xxx")
    assert len(exception["text"]) <= 501
    assert event.context["signal"]["request"] == {"method": "GET", "path": view}
    assert event.context["request"]["path"] == view
    assert "canary" not in str(event.context)
    assert run_due() == 1


@SERVERS
def test_connections_that_requests_are_told_by_are_closed_again(ask: Any) -> None:
    for signal in ("request_finished", "got_request_exception"):
        create_rule(signals=[signal], actions=LOG)
    before = _connections()
    ask("/shop/fail/", "/other/")
    assert Event.objects.count() == 3
    # The server's process of a connection goes on for a moment after the client has closed it.
    end = time.monotonic() + SECONDS_TO_END
    while _connections() != before and time.monotonic() < end:
        time.sleep(0.05)
    assert _connections() == before


#: For PostgreSQL to end a process whose client has gone, on a machine that is busy.
SECONDS_TO_END = 60.0


def _connections() -> int:
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def test_the_status_is_asked_of_finished_requests_alone() -> None:
    condition = {"==": [{"var": "request.status"}, 500]}
    [problem] = rule_problems(RuleSpec(slug="r", signals=("request_started",), condition=condition))
    assert "request_finished" in problem.message
    assert rule_problems(RuleSpec(slug="r", signals=("request_finished",), condition=condition)) == []

"""The middleware: whatever a request is made of, it is answered as without rules, and saves in it are recorded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core import signals as core
from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from rules_engine.live import faults
from rules_engine.middleware import ActorMiddleware
from rules_engine.models import Event
from rules_engine.testing import create_rule
from tests.fuzz import making, odd_objects
from tests.fuzz.running import fuzz
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 150
PARTS = ("REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "QUERY_STRING", "REMOTE_ADDR", "HTTP_HOST", "HTTP_COOKIE")
LOG = [("log_message", {"message": "{{ actor }} {{ request.path }} {{ request.method }}"})]
READING = {"or": [{"var": "actor.username"}, {"in": ["x", {"var": "request.path"}]}, {"!": [{"var": "request"}]}]}


class OddUser:
    """A user of a site's own making, of which nothing can be asked."""

    is_authenticated = True
    pk = id = 5

    def __getattr__(self, name: str) -> Any:
        raise odd_objects.OddError


def prepare() -> None:
    """Make rules about requests and about who acted in them."""
    create_rule(Keeper, slug="saves", condition=READING, actions=LOG)
    create_rule(signals=["request_started", "request_finished", "got_request_exception"], slug="requests", actions=LOG)


def _environ(chance: random.Random) -> dict[str, Any]:
    environ: dict[str, Any] = RequestFactory()._base_environ()
    for name in PARTS:
        if chance.random() < 0.5:
            # Of all parts, Django takes half a character in a path alone.
            half = "surrogatepass" if name == "PATH_INFO" else "replace"
            environ[name] = chance.choice(making.TEXTS).encode("utf-8", half).decode("latin-1")
    return environ


def _request(chance: random.Random, environ: dict[str, Any]) -> Any:
    request = WSGIRequest(environ)
    if chance.random() < 0.3:
        request.path = chance.choice(making.TEXTS)
    if chance.random() < 0.3:
        request.method = chance.choice((*making.TEXTS, None))  # type: ignore[assignment]
    if chance.random() < 0.7:
        users = (OddUser(), None, "x", odd_objects.odd(chance, 0))
        request.user = chance.choice(users)
    return request


@contextmanager
def _connected() -> Iterator[None]:
    """Keep the connection that Django closes at both ends of a request, as its test client does."""
    for signal in (core.request_started, core.request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (core.request_started, core.request_finished):
            signal.connect(close_old_connections)


def surface(chance: random.Random) -> None:
    environ, status = _environ(chance), chance.choice((200, 204, 302, 404, 500, 599))

    def view(request: Any) -> HttpResponse:
        Keeper.objects.create(name="k")
        if chance.random() < 0.2:
            core.got_request_exception.send(sender=None, request=request)
        return HttpResponse("as ever", status=status)

    before = faults.of_process.total
    with transaction.atomic(), _connected():
        core.request_started.send(sender=None, environ=environ)
        request = _request(chance, environ)
        response = ActorMiddleware(view)(request)
        assert isinstance(response, HttpResponse)
        assert (response.status_code, response.content) == (status, b"as ever")
        request.close()
        core.request_finished.send(sender=None)
        assert ActorMiddleware(view).process_exception(request, ValueError(chance.choice(making.TEXTS))) is None
        assert all(event.captured().context is not None for event in Event.objects.all())
        assert Keeper.objects.exists()
        transaction.set_rollback(True)
    assert faults.of_process.total == before


def test_any_request_is_answered_as_without_rules() -> None:
    prepare()
    fuzz(surface, COUNT)

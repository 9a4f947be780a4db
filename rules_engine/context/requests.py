"""Which HTTP request the signals of requests are about: Django sends ``request_finished`` without saying it.

The middleware sees the request, and the request is closed just before ``request_finished`` is sent, in the same thread
and context: there it is remembered, for as long as it takes, and only while some rule listens.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.core.handlers.wsgi import get_path_info, get_script_name

from rules_engine.context.snapshot import clean_text

#: Where a request's id is kept from its first signal on: in what the server made for this request alone.
KEY = "rules_engine.request_id"


@dataclass(slots=True)
class Visit:
    """A request on its way: ``told`` is ``{"id", "method", "path", "status"}``, the status null until it is known."""

    request: Any
    told: dict[str, Any]


_finished: ContextVar[Visit | None] = ContextVar("rules_engine_finished", default=None)
_is_wanted = False


def listen(names: Collection[str]) -> None:
    """Remember requests until they are finished if ``request_finished`` is among the signals that rules listen to."""
    global _is_wanted
    _is_wanted = "request_finished" in names


def describe(request: Any) -> dict[str, Any]:
    """``{"id", "method", "path"}`` of Django's request."""
    carrier = getattr(request, "environ", None) or getattr(request, "scope", None) or {}
    return _described(carrier.get(KEY), request.method, request.path)


def describe_start(sent: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return ``{"id", "method", "path"}`` of what a server hands to ``request_started``; None where it says neither.

    That keeps the id for the request's later signals.
    """
    if isinstance(environ := sent.get("environ"), dict):
        script, path = get_script_name(environ), get_path_info(environ) or "/"
        # As WSGIRequest puts it together.
        told = _described(None, environ.get("REQUEST_METHOD"), f"{script.rstrip('/')}/{path.replace('/', '', 1)}")
        environ[KEY] = told["id"]
        return told
    if isinstance(scope := sent.get("scope"), dict):
        told = _described(None, scope.get("method"), scope.get("path"))
        scope[KEY] = told["id"]
        return told
    return None


def _described(known: Any, method: Any, path: Any) -> dict[str, Any]:
    identity = known if isinstance(known, str) else uuid.uuid4().hex
    return {"id": identity, "method": clean_text(str(method or "").upper(), 20), "path": clean_text(str(path), 1_000)}


def until_finished(request: Any, told: Mapping[str, Any]) -> Visit | None:
    """Remember the request until its ``request_finished``; None where no rule listens to that."""
    if not _is_wanted:
        return None
    visit = Visit(request, {**told, "status": None})
    request.close = _Closer(request.close, visit)
    return visit


class _Closer:
    """``request.close``, which Django calls when the response is closed, right before ``request_finished``."""

    def __init__(self, close: Callable[[], Any], visit: Visit) -> None:
        self.close, self.visit = close, visit

    def __call__(self) -> None:
        try:
            self.close()
        finally:
            _finished.set(self.visit if _is_wanted else None)

    def __reduce__(self) -> Any:
        # Sites may pickle a request; what it was in this process stays here.
        return _Closed, ()


class _Closed:
    def __call__(self) -> None: ...


def finished() -> Visit | None:
    """Return the request that is just finished, told once; None where the middleware did not see it."""
    visit = _finished.get()
    _finished.set(None)
    return visit

"""Who is behind the change that is being captured, and in which request. Right under threads and asyncio alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.db import router
from django.utils.functional import empty

from rules_engine.context import requests
from rules_engine.context.savepoints import confined


@dataclass(slots=True)
class Tally:
    """How many executions a chain had when they were last counted, how many were added here since, and the slugs of
    the rules that were told of it when the chain was stopped."""

    counted: int | None = None
    added: int = 0
    told: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Cause:
    """The execution whose action is making changes right now: its event's root, and how deep the chain is."""

    root_id: uuid.UUID
    depth: int
    rule_slug: str
    author_id: Any = None
    execution_id: uuid.UUID | None = None
    tally: Tally = field(default_factory=Tally, compare=False)


_user: ContextVar[Any] = ContextVar("rules_engine_user", default=None)
_request: ContextVar[Any] = ContextVar("rules_engine_request", default=None)
_cause: ContextVar[Cause | None] = ContextVar("rules_engine_cause", default=None)
_loading: ContextVar[bool] = ContextVar("rules_engine_loading", default=False)
_paused: ContextVar[bool] = ContextVar("rules_engine_paused", default=False)


@contextmanager
def _set(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


@contextmanager
def acting_as(user: Any) -> Iterator[None]:
    """Changes made inside are recorded as this user's: for commands, Celery tasks and scripts."""
    with _set(_user, user):
        yield


@contextmanager
def in_request(request: Any) -> Iterator[None]:
    """Changes made inside belong to this HTTP request and to its user. Used by the middleware."""
    with during(request, requests.describe(request)):
        yield


@contextmanager
def during(request: Any, told: Mapping[str, Any]) -> Iterator[None]:
    """What happens inside belongs to this request, told as ``{"id", "method", "path"}``; Django's own may be None."""
    with _set(_request, (request, told)):
        yield


@contextmanager
def caused_by(cause: Cause) -> Iterator[None]:
    """Changes made inside are a consequence of an execution; their events continue its chain."""
    with _set(_cause, cause):
        yield


@contextmanager
def paused() -> Iterator[None]:
    """No rule sees the changes made inside; for imports and repairs. Nothing of them is recorded."""
    with _set(_paused, True):
        yield


@contextmanager
def loading() -> Iterator[None]:
    """Changes made inside are data being loaded: only the rules that ask for those see them."""
    with _set(_loading, True):
        yield


def is_loading() -> bool:
    """Whether the code runs inside ``loading()``."""
    return _loading.get()


def is_paused() -> bool:
    """Whether the code runs inside ``paused()``."""
    return _paused.get()


def cause() -> Cause | None:
    """The execution that is making changes, or None for changes from outside."""
    return _cause.get()


def actor() -> Mapping[str, Any] | None:
    """``{"id", "username"}`` of whoever acts, or None. May load the request's user: one query, on first use."""
    user = _user.get()
    if user is None and (pair := _request.get()) is not None:
        user = getattr(pair[0], "user", None)
    if getattr(user, "_wrapped", None) is empty:
        with confined(router.db_for_read(get_user_model())):
            bool(user)
    if user is None or not getattr(user, "is_authenticated", False):
        return None
    return {"id": user.pk if isinstance(user.pk, int) else str(user.pk), "username": user.get_username()}


def request() -> Mapping[str, Any] | None:
    """``{"id", "method", "path"}`` of the current request, or None."""
    pair = _request.get()
    return None if pair is None else pair[1]

"""Who is behind the change that is being captured, and in which request. Right under threads and asyncio alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth import get_user_model
from django.db import router
from django.utils.functional import empty

from rules_engine.context import requests
from rules_engine.context.snapshot import clean_text
from rules_engine.databases.savepoints import confined

#: Characters of a user's name, and of a key that is a text, that an event keeps.
LONGEST_NAME = 250


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


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the changes made just now come from, and whether rules are to see them."""

    #: Whoever acts; None leaves it to the request.
    user: Any = None
    #: Django's request, of which the user is read; None where there is none, or where it is not known.
    request: Any = None
    #: The request as ``{"id", "method", "path"}``.
    told: Mapping[str, Any] | None = None
    #: The execution whose action makes the changes; None for changes from outside.
    cause: Cause | None = None
    is_loading: bool = False
    is_paused: bool = False

    def actor(self) -> Mapping[str, Any] | None:
        """Return ``{"id", "username"}`` of whoever acts, or None. May load the request's user: one query, once."""
        user = getattr(self.request, "user", None) if self.user is None else self.user
        if getattr(user, "_wrapped", None) is empty:
            with confined(router.db_for_read(get_user_model())):
                bool(user)
        if user is None or not getattr(user, "is_authenticated", False):
            return None
        key = user.pk if isinstance(user.pk, int) else clean_text(str(user.pk), LONGEST_NAME)
        return {"id": key, "username": clean_text(str(user.get_username()), LONGEST_NAME)}


#: Outside of all that is said below: nobody, nowhere.
NOWHERE = Origin()
_origin: ContextVar[Origin] = ContextVar("rules_engine_origin", default=NOWHERE)

#: ``origin()`` is where the changes made just now come from.
origin = _origin.get


@contextmanager
def _within(**known: Any) -> Iterator[None]:
    token = _origin.set(replace(_origin.get(), **known))
    try:
        yield
    finally:
        _origin.reset(token)


@contextmanager
def acting_as(user: Any) -> Iterator[None]:
    """Record the changes made inside as this user's: for commands, Celery tasks and scripts."""
    with _within(user=user):
        yield


@contextmanager
def in_request(request: Any) -> Iterator[None]:
    """Record the changes made inside as this HTTP request's, and as its user's."""
    with during(request, requests.describe(request)):
        yield


@contextmanager
def during(request: Any, told: Mapping[str, Any]) -> Iterator[None]:
    """Record what happens inside as this request's, told as ``{"id", "method", "path"}``; Django's own may be None."""
    with _within(request=request, told=told):
        yield


@contextmanager
def caused_by(cause: Cause) -> Iterator[None]:
    """Record the changes made inside as consequences of an execution: their events continue its chain."""
    with _within(cause=cause):
        yield


@contextmanager
def as_consequence(cause: Cause, author: Any) -> Iterator[None]:
    """Record the changes made inside as consequences of an execution, in its author's name; None is nobody's."""
    with _within(cause=cause, user=author):
        yield


@contextmanager
def again(origin: Origin) -> Iterator[None]:
    """Record what happens inside as what that origin did, whatever the process does meanwhile."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


@contextmanager
def paused() -> Iterator[None]:
    """Keep the changes made inside from all rules, for imports and repairs. Nothing of them is recorded."""
    with _within(is_paused=True):
        yield


@contextmanager
def loading() -> Iterator[None]:
    """Take the changes made inside for data being loaded: only the rules that ask for those see them."""
    with _within(is_loading=True):
        yield

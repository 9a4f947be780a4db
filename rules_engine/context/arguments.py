"""What a signal without a model sends, as data for the context: without headers, cookies and secrets.

Whatever comes is bounded before it is looked at: a list that holds itself, or one thing a million times over, must
not hold up the sender.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth import signals as auth
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signals as core
from django.db import DEFAULT_DB_ALIAS, models
from django.db.backends.signals import connection_created
from django.db.models import signals as of_models
from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.base import Template
from django.template.context import BaseContext

from rules_engine.context import exceptions
from rules_engine.context.snapshot import CUT, clean_text, safe
from rules_engine.databases.savepoints import confined
from rules_engine.hidden.secret_names import is_secret, without_secrets
from rules_engine.hidden.texts import masked
from rules_engine.types import Path, Unread, ask

#: Of what a server hands to ``request_started``: all but this may be a secret (cookies, authorization, query).
OF_A_REQUEST = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "type", "method", "path")
#: What one signal's arguments may come to: values, and thousands of characters.
ROOM = 20_000
#: Printing these would run queries, or tell what was typed into a form.
NEVER_PRINTED = (models.QuerySet, models.Manager, BaseContext, BaseForm, HttpResponseBase)
TEXT_CHARACTERS = 250
#: What can be looked at without running a query.
KNOWN = (
    *(NoneType, str, bytes, int, float, Decimal, UUID, date, time, timedelta, list, tuple, set, frozenset, dict),
    *(models.Model, HttpRequest, Template, BaseException, *NEVER_PRINTED),
)

Wanted = Callable[[str], bool]


def arguments(signal: Any, sender: Any, sent: Mapping[str, Any], reads: Iterable[Path] = ()) -> dict[str, Any]:
    """Return a signal's own arguments as JSON-safe data, without requests' headers and without secrets.

    What raises when it is looked at is told by its type and that of the error, beside all others. Django's own signals
    are told as ``context.signals`` documents them. An object of a model is ``{"model", "pk"}``,
    with its ``text`` where one of ``reads`` asks for it: printing an object may cost a query.
    """
    wanted = _wanted_texts(reads)
    if (told := _DJANGOS.get(id(signal))) is not None:
        return told(sender, sent, wanted)
    hidden = {"value"} if is_secret(str(sent.get("setting", ""))) else set()
    room = [ROOM]
    return {
        clean_text(name, 200): _argument(name, value, wanted, room)
        for name, value in sent.items()
        if name not in hidden and not is_secret(name)
    }


def _wanted_texts(reads: Iterable[Path]) -> Wanted:
    names = {path[1] if len(path) > 1 else "" for path in reads if path[0] == "signal" and path[2:3] in ((), ("text",))}
    return lambda name: name in names or "" in names


def _argument(name: str, value: Any, wanted: Wanted, room: list[int]) -> Any:
    return _looked_at(value, _told, name, value, wanted, room)


def _looked_at(value: Any, look: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a look at a value gives; what a site sends may raise anything, and the mark says so."""
    told = ask(_confined_look, value, look, *arguments)
    if isinstance(told, Unread):
        return {"type": type(value).__qualname__, "text": f"<{type(told.error).__name__}>"}
    return told


def _confined_look(value: Any, look: Callable[..., Any], *arguments: Any) -> Any:
    with _confined(value):
        return look(*arguments)


def _confined(value: Any) -> AbstractContextManager[None]:
    """Return a savepoint for what may query in being looked at: what is not known, lazy objects among it. By its type:
    to ask a lazy object what it is would be to look at it."""
    return nullcontext() if issubclass(type(value), KNOWN) else confined(DEFAULT_DB_ALIAS)


def _told(name: str, value: Any, wanted: Wanted, room: list[int]) -> Any:
    if name in ("environ", "scope") and isinstance(value, Mapping):
        return {key: safe(value[key]) for key in OF_A_REQUEST if key in value}
    if isinstance(value, HttpRequest):
        return request_of(value)
    if isinstance(value, models.Model):
        return _object(value, wanted(name))
    if isinstance(value, Template):
        return safe(value.name)
    return _masked(without_secrets(safe(_bounded(value, room, 0))))


def request_of(request: Any) -> dict[str, Any] | None:
    """Return a request as ``{"method", "path"}``; None for what is none."""
    if not isinstance(request, HttpRequest):
        return None
    return {"method": safe(request.method), "path": safe(request.path)}


def _object(instance: models.Model, with_text: bool) -> dict[str, Any]:
    told: dict[str, Any] = safe(instance)
    if isinstance(instance, AbstractBaseUser):
        told["username"] = clean_text(str(instance.get_username()), TEXT_CHARACTERS)
    if with_text:
        told["text"] = clean_text(_printed(instance), TEXT_CHARACTERS)
    return told


class _Printed:
    """Stands in for what is printed where anything that it raises is caught, once its queries are undone."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        if not isinstance(self.value, models.Model):
            return str(self.value)
        with confined(self.value._state.db or DEFAULT_DB_ALIAS):
            return str(self.value)


def _printed(value: Any) -> str:
    return str(safe(_Printed(value))["text"])


def _bounded(value: Any, room: list[int], depth: int) -> Any:
    """Return it without what goes beyond ``room``, and what it holds as JSON-safe data; queries, forms and the like are
    told by their type, and so is what raises."""
    return _looked_at(value, _safe, value, room, depth)


def _safe(value: Any, room: list[int], depth: int) -> Any:
    room[0] -= 1 + (len(value) // 1_000 if isinstance(value, str) else 0)
    if room[0] < 0:
        return CUT
    if isinstance(value, HttpRequest):
        return request_of(value)
    if isinstance(value, NEVER_PRINTED):
        return {"type": type(value).__qualname__, "text": ""}
    if isinstance(value, Mapping):
        return {key: _bounded(item, room, depth + 1) for key, item in _within(value.items(), room, depth)}
    if isinstance(value, list | tuple | set | frozenset):
        return [_bounded(item, room, depth + 1) for item in _within(value, room, depth)]
    return safe(value)


def _within(items: Iterable[Any], room: list[int], depth: int) -> Iterable[Any]:
    for item in items if depth < 16 else ():
        if room[0] < 0:
            return
        yield item


def _masked(value: Any) -> Any:
    """Hide secrets in what is told by its ``str`` alone, which may print them: ``Card(token='…')``."""
    if isinstance(value, dict):
        if set(value) == {"type", "text"} and isinstance(value["text"], str):
            return {"type": value["type"], "text": masked(value["text"])}
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


# Django's own signals


def _nothing(sender: Any, sent: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    return {}


def _exception(sender: Any, sent: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    return {"exception": exceptions.current(sys.exc_info()[1]), "request": _request(sent)}


def _migrated(sender: Any, sent: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    config = sent.get("app_config")
    # Django sends it for just these, in this order.
    last = [app for app in apps.get_app_configs() if app.models_module is not None][-1:]
    plain = {name: safe(sent.get(name)) for name in ("using", "verbosity", "interactive")}
    plan = [_printed(step[0]) for step in sent.get("plan") or () if isinstance(step, tuple)]
    return {"app": getattr(config, "label", ""), "last": config in last, "plan": safe(plan), **plain}


def _request(sent: Mapping[str, Any]) -> Any:
    request = sent.get("request")
    return _argument("request", request, _is_never, [ROOM]) if request is not None else None


def _is_never(name: str) -> bool:
    return False


def _class(sender: Any, sent: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    return {"model": safe(sender._meta.label_lower)}


def _connection(sender: Any, sent: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    connection = sent.get("connection")
    return {"connection": {name: safe(getattr(connection, name, None)) for name in ("alias", "vendor")}}


def _logged_in(sender: Any, sent: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    user = _argument("user", sent.get("user"), wanted, [ROOM])
    return {"user": user if isinstance(user, dict) else None, "request": _request(sent)}


def _login_failed(sender: Any, sent: Mapping[str, Any], wanted: Wanted) -> dict[str, Any]:
    credentials = sent.get("credentials")
    if not isinstance(credentials, Mapping):
        credentials = {}
    # Whatever else a backend takes may be a secret: Django hides only what is named like one.
    tried = credentials.get("username", credentials.get(get_user_model().USERNAME_FIELD))
    username = None if tried is None else clean_text(_printed(tried), TEXT_CHARACTERS)
    return {"credentials": {"username": username}, "request": _request(sent)}


_DJANGOS: Mapping[int, Callable[[Any, Mapping[str, Any], Wanted], dict[str, Any]]] = {
    id(core.request_finished): _nothing,
    id(core.got_request_exception): _exception,
    id(of_models.pre_migrate): _migrated,
    id(of_models.post_migrate): _migrated,
    id(of_models.class_prepared): _class,
    id(connection_created): _connection,
    id(auth.user_logged_in): _logged_in,
    id(auth.user_logged_out): _logged_in,
    id(auth.user_login_failed): _login_failed,
}

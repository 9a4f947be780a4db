"""What a signal without a model sends, as data for the context: without headers, cookies and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.context import BaseContext

from rules_engine.events.paths import is_secret
from rules_engine.events.snapshot import safe

#: Of what a server hands to ``request_started``: all but this may be a secret (cookies, authorization, query).
OF_A_REQUEST = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "type", "method", "path")


def arguments(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A signal's own arguments as JSON-safe data, without requests' headers and without secrets."""
    hidden = {"value"} if is_secret(str(sent.get("setting", ""))) else set()
    return {name: _argument(name, value) for name, value in sent.items() if name not in hidden and not is_secret(name)}


def _argument(name: str, value: Any) -> Any:
    if name in ("environ", "scope") and isinstance(value, Mapping):
        return {key: safe(value[key]) for key in OF_A_REQUEST if key in value}
    if isinstance(value, HttpRequest):
        return {"method": safe(value.method), "path": safe(value.path)}
    if isinstance(value, models.QuerySet | BaseContext | HttpResponseBase):
        return {"type": type(value).__qualname__, "text": ""}
    return _without_secrets(safe(value))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(item) for key, item in value.items() if not is_secret(key)}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value

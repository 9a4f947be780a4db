"""The body of a delivery: the event's whole context, or what the rule's payload template makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from rules_engine.actions import Event, PermanentError, TemplateError, render

#: Above this, in bytes, the attempt's record carries a warning; above the other nothing is sent.
LARGE = 20 * 1024
TOO_LARGE = 256 * 1024

_PLACE = re.compile(r"\{\{\s*([A-Za-z_]\w*(?:\.\w+)*)\s*\}\}")
_MISSING = object()


def event_type(event: Event) -> str:
    """Name what happened: ``"shop.order.update"`` where there is a model and an operation, ``"shop.order_paid"`` for a
    site's own signal, else what there is."""
    if not event.operation and "." in event.signal:
        return event.signal
    if event.operation and event.model:
        return f"{event.model}.{event.operation}"
    return ".".join(part for part in (event.model, event.operation, event.signal) if part)


def body(event: Event, template: Any = None) -> bytes:
    """Make the JSON that is signed and sent: the same bytes at every attempt.

    Without a template: ``{"type", "timestamp", "data"}`` with the whole context as ``data``. A template that is JSON
    has its texts filled in one by one, so that no value can break out of its quotes, and a text that is nothing but
    ``{{ a.path }}`` becomes the value itself. Any other template is rendered as a whole and must then be JSON.
    Raises ``PermanentError`` for a template that cannot be filled in, no JSON, and anything over 256 KB.
    """
    return checked(filled(event, template))


def checked(value: Any) -> bytes:
    """Write the value as JSON. Raises ``PermanentError`` where that is more than is ever sent."""
    try:
        content = encoded(value)
    except (ValueError, RecursionError) as error:
        raise _no_json(error) from None
    if len(content) > TOO_LARGE:
        raise PermanentError(
            gettext(
                "The payload is %(length)s bytes, and at most %(most)s are sent. Give the action a payload with "
                "only what the receiver needs."
            )
            % {"length": f"{len(content):,}", "most": f"{TOO_LARGE:,}"}
        )
    return content


def filled(event: Event, template: Any) -> Any:
    """Fill in what ``body`` encodes. Raises ``PermanentError``."""
    try:
        return _content(event, template)
    except TemplateError as error:
        # The event never changes, so neither does the outcome.
        raise PermanentError(gettext("The payload cannot be filled in: %(error)s") % {"error": error}) from error
    except RecursionError as error:
        raise _no_json(error) from None


def is_empty(template: Any) -> bool:
    """Tell whether a rule leaves the payload to the endpoint's form."""
    return template in (None, "", {}, [])


def envelope(event: Event) -> dict[str, Any]:
    """Make what stands around the data."""
    return {"type": event_type(event), "timestamp": event.occurred_at.isoformat()}


def encoded(value: Any) -> bytes:
    """Write compact UTF-8 JSON. Raises ``ValueError`` for what JSON does not have."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
    return text.encode()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _content(event: Event, template: Any) -> Any:
    if is_empty(template):
        return {**envelope(event), "data": dict(event.context)}
    if isinstance(template, str):
        structure = parsed(template)
        if structure is _MISSING:
            return _rendered(template, event.context)
        template = structure
    return _filled(template, event.context)


def parsed(text: str) -> Any:
    """Read the JSON that a template already is before anything is filled in, ``_MISSING`` where it is none."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _MISSING


def _refuse_constant(name: str) -> Any:
    # Python reads and writes NaN and Infinity as if JSON had them.
    raise ValueError(f"{name} is no JSON")


def texts(template: Any) -> list[str]:
    """List every text of a template that is rendered: to check each, and to say which is wrong."""
    if isinstance(template, str):
        structure = parsed(template)
        return [template] if structure is _MISSING else _leaves(structure)
    return _leaves(template)


def _leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _leaves(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _leaves(item)]
    return []


def _filled(template: Any, data: Mapping[str, Any]) -> Any:
    if isinstance(template, Mapping):
        return {key: _filled(value, data) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [_filled(value, data) for value in template]
    return _filled_text(template, data) if isinstance(template, str) else template


def _filled_text(text: str, data: Mapping[str, Any]) -> Any:
    place = _PLACE.fullmatch(text.strip())
    value = _looked_up(data, place.group(1).split(".")) if place else _MISSING
    return render(text, data) if value is _MISSING else value


def _looked_up(value: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list | tuple) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return _MISSING
    return value


def _rendered(template: str, data: Mapping[str, Any]) -> Any:
    try:
        return json.loads(render(template, data), parse_constant=_refuse_constant)
    except ValueError as error:
        raise _no_json(error) from None


def _no_json(error: Exception) -> PermanentError:
    return PermanentError(
        gettext(
            "The payload is not JSON once its values are filled in: %(error)s. Write the payload as JSON, "
            'with places such as "{{ instance.name }}" inside quotes: values are then encoded for you.'
        )
        % {"error": error}
    )

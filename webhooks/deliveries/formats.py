"""The forms a payload can take on the wire: bytes and headers, the same at every attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext

from rules_engine.actions import Event, PermanentError, TemplateError, render
from webhooks import conf
from webhooks.deliveries import chats, payload

JSON = "application/json; charset=utf-8"
CLOUDEVENTS_JSON = "application/cloudevents+json; charset=utf-8"
#: Characters that a header's value may have as they are, by CloudEvents' HTTP binding (3.1.3.2): printable ASCII but
#: for the double quote and the percent sign.
_UNCHANGED = " !#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Encoded:
    """What is posted. ``headers`` are those that belong to the form, besides the content type."""

    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


#: An event, the rule's payload template, and the message's id; all raise ``PermanentError``.
Format = Callable[[Event, Any, str], Encoded]


def whole(event: Event, template: Any, message_id: str) -> Encoded:
    """Make ``{"type", "timestamp", "data"}`` with all that was captured; a template takes the place of all of it."""
    return Encoded(payload.body(event, template))


def thin(event: Event, template: Any, message_id: str) -> Encoded:
    """Make ``{"type", "timestamp", "data"}`` with which object it was and no more: the receiver asks for the rest."""
    if not payload.is_empty(template):
        return whole(event, template, message_id)
    which = {"model": event.model, "pk": event.pk} if event.model else {}
    return Encoded(payload.checked({**payload.envelope(event), "data": which}))


def cloudevent(event: Event, template: Any, message_id: str) -> Encoded:
    """Make a CloudEvent 1.0, structured: attributes and data in one JSON object."""
    attributes = {"specversion": "1.0", "datacontenttype": "application/json", **_attributes(event, message_id)}
    return Encoded(payload.checked({**attributes, "data": _data(event, template)}), CLOUDEVENTS_JSON)


def cloudevent_binary(event: Event, template: Any, message_id: str) -> Encoded:
    """Make a CloudEvent 1.0, binary: the data is the body, the attributes are headers."""
    attributes = {"specversion": "1.0", **_attributes(event, message_id)}
    headers = {f"ce-{name}": quote(value, safe=_UNCHANGED) for name, value in attributes.items()}
    return Encoded(payload.checked(_data(event, template)), JSON, headers)


def chat(event: Event, template: Any, message_id: str) -> Encoded:
    """Make ``{"text": …}`` as Slack's, Mattermost's and Google Chat's incoming webhooks take it.

    The template is the text; one that is a JSON object is sent as it is, for blocks and cards.
    """
    if chats.is_object(template):
        return whole(event, template, message_id)
    text = template if isinstance(template, str) and template.strip() else _headline(event)
    try:
        return Encoded(payload.checked({"text": render(text, event.context)}))
    except TemplateError as error:
        raise PermanentError(gettext("The message cannot be filled in: %(error)s") % {"error": error}) from error


def _chat_of(form: str) -> Format:
    def message(event: Event, template: Any, message_id: str) -> Encoded:
        return Encoded(payload.checked(chats.content(form, event, template)))

    return message


def _headline(event: Event) -> str:
    return " ".join(str(part) for part in (payload.event_type(event), event.pk) if part is not None)


def _attributes(event: Event, message_id: str) -> dict[str, str]:
    subject = {} if event.pk is None else {"subject": str(event.pk)}
    return {
        "id": message_id,
        "source": conf.source(),
        "type": payload.event_type(event),
        "time": event.occurred_at.isoformat(),
        **subject,
    }


def _data(event: Event, template: Any) -> Any:
    return dict(event.context) if payload.is_empty(template) else payload.filled(event, template)


FORMATS: Mapping[str, Format] = {
    "whole": whole,
    "thin": thin,
    "cloudevents": cloudevent,
    "cloudevents_binary": cloudevent_binary,
    "chat": chat,
    **{form: _chat_of(form) for form in chats.CHATS},
}


def encode(form: str, event: Event, template: Any, message_id: str) -> Encoded:
    """Make what to post in this form, a key of ``FORMATS``.

    Raises ``PermanentError`` for a template that cannot be filled in, no JSON, and anything over 256 KB.
    """
    return FORMATS[form](event, template, message_id)

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest

from rules_engine.actions import Event, PermanentError
from webhooks.deliveries.formats import FORMATS, encode
from webhooks.models import PayloadForm

ID = uuid.UUID(int=1)
AT = datetime(2031, 5, 6, 8, tzinfo=UTC)


def event(**fields: Any) -> Event:
    values = {
        "id": ID,
        "signal": "post_save",
        "operation": "update",
        "model": "shop.order",
        "pk": 7,
        "occurred_at": AT,
        "root_id": ID,
        "depth": 0,
        "context": {"instance": {"total": "12.50", "name": "Zoë"}},
    }
    return Event(**{**values, **fields})


def made(form: str, template: Any = None, **fields: Any) -> Any:
    return json.loads(encode(form, event(**fields), template, "msg-1").body)


def test_each_choice_of_an_endpoint_has_its_form() -> None:
    assert set(PayloadForm.values) == set(FORMATS)


def test_thin_tells_which_object_it_was_and_nothing_of_it() -> None:
    assert made("thin") == {
        "type": "shop.order.update",
        "timestamp": "2031-05-06T08:00:00+00:00",
        "data": {"model": "shop.order", "pk": 7},
    }
    assert made("thin", model="", pk=None, operation=None, signal="shop.order_paid")["data"] == {}
    assert made("thin", '{"n": "{{ instance.name }}"}') == {"n": "Zoë"}


def test_a_structured_cloudevent_has_the_required_attributes() -> None:
    encoded = encode("cloudevents", event(), None, "msg-1")
    assert encoded.content_type.startswith("application/cloudevents+json")
    assert json.loads(encoded.body) == {
        "specversion": "1.0",
        "id": "msg-1",
        "source": "urn:django-signal-rules",
        "type": "shop.order.update",
        "time": "2031-05-06T08:00:00+00:00",
        "subject": "7",
        "datacontenttype": "application/json",
        "data": {"instance": {"total": "12.50", "name": "Zoë"}},
    }
    assert made("cloudevents", '{"n": "{{ instance.name }}"}')["data"] == {"n": "Zoë"}


def test_a_binary_cloudevent_has_attributes_in_headers_and_data_as_body(settings: Any) -> None:
    settings.WEBHOOKS = {"SOURCE": "https://shop.example.com"}
    encoded = encode("cloudevents_binary", event(pk='Zoë "1" 50%'), None, "msg-1")
    assert encoded.headers == {
        "ce-specversion": "1.0",
        "ce-id": "msg-1",
        "ce-source": "https://shop.example.com",
        "ce-type": "shop.order.update",
        "ce-time": "2031-05-06T08:00:00+00:00",
        "ce-subject": "Zo%C3%AB %221%22 50%25",
    }
    assert json.loads(encoded.body) == {"instance": {"total": "12.50", "name": "Zoë"}}
    assert encoded.content_type.startswith("application/json")


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ("Order {{ instance.name }}: {{ instance.total }}", {"text": "Order Zoë: 12.50"}),
        ("", {"text": "shop.order.update 7"}),
        ('{"blocks": [{"text": "{{ instance.name }}"}]}', {"blocks": [{"text": "Zoë"}]}),
        ({"text": "{{ instance.name }}"}, {"text": "Zoë"}),
        ('He said "{{ instance.name }}"\nand went', {"text": 'He said "Zoë"\nand went'}),
    ],
)
def test_a_chat_message_is_the_rules_text(template: Any, body: Any) -> None:
    assert made("chat", template) == body


@pytest.mark.parametrize("form", PayloadForm.values)
def test_what_is_too_large_in_any_form_is_not_sent(form: str) -> None:
    with pytest.raises(PermanentError, match="at most 262,144"):
        encode(form, event(context={"instance": {"name": "x" * 300_000}}), '{"n": "{{ instance.name }}"}', "msg-1")


@pytest.mark.parametrize("form", PayloadForm.values)
def test_the_same_bytes_come_out_at_every_attempt(form: str) -> None:
    assert encode(form, event(), None, "msg-1") == encode(form, event(), None, "msg-1")


def test_a_signal_without_an_object_is_told_without_one() -> None:
    signal = {"model": "", "pk": None, "operation": None, "signal": "shop.stock_low"}
    assert made("chat", **signal) == {"text": "shop.stock_low"}
    assert "subject" not in made("cloudevents", **signal)
    assert "ce-subject" not in encode("cloudevents_binary", event(**signal), None, "msg-1").headers


@pytest.mark.parametrize("pk", [0, "", "a/b", "ключ", 2**70])
def test_any_key_is_the_subject_of_a_cloudevent_in_both_of_its_modes(pk: Any) -> None:
    assert made("cloudevents", pk=pk)["subject"] == str(pk)
    header = encode("cloudevents_binary", event(pk=pk), None, "msg-1").headers["ce-subject"]
    assert header.isascii()
    assert unquote(header) == str(pk)

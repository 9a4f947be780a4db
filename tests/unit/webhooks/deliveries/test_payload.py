from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.actions import Event, PermanentError
from tests.examples import examples
from webhooks.deliveries.formats import encode
from webhooks.deliveries.payload import TOO_LARGE, body, checked, event_type, is_empty, texts

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INSTANCE = {"id": 7, "name": 'Zoë "Z" O\'Neil\n<b>', "tags": [{"id": 1}], "note": None}


def event(**changes: Any) -> Event:
    identifier = uuid.UUID(int=1)
    fields: dict[str, Any] = {
        "id": identifier,
        "signal": "post_save",
        "operation": "update",
        "model": "shop.order",
        "pk": 7,
        "occurred_at": WHEN,
        "root_id": identifier,
        "depth": 0,
        "context": {"instance": INSTANCE},
    }
    return Event(**{**fields, **changes})


def test_without_a_template_the_whole_context_is_sent() -> None:
    sent = body(event())
    assert json.loads(sent) == {
        "type": "shop.order.update",
        "timestamp": "2026-01-02T03:04:05+00:00",
        "data": {"instance": INSTANCE},
    }
    assert b'{"type":"shop.order.update","timestamp"' in sent
    assert "Zoë".encode() in sent


def test_the_same_event_gives_the_same_bytes() -> None:
    assert body(event()) == body(event())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "shop.order.update"),
        ({"operation": None}, "shop.order.post_save"),
        ({"model": "", "operation": None, "signal": "user_logged_in"}, "user_logged_in"),
        ({"operation": None, "signal": "shop.order_paid"}, "shop.order_paid"),
    ],
)
def test_the_type_says_what_happened(changes: dict[str, Any], expected: str) -> None:
    assert event_type(event(**changes)) == expected


@pytest.mark.parametrize("written", [str, dict], ids=["as text", "as JSON"])
def test_values_cannot_break_out_of_a_json_template(written: Any) -> None:
    template: Any = {"who": "{{ instance.name }}", "greeting": "Hello {{ instance.name }}!", "fixed": [1, True]}
    sent = json.loads(body(event(), json.dumps(template) if written is str else template))
    assert sent["who"] == INSTANCE["name"]
    assert sent["fixed"] == [1, True]
    assert set(sent) == {"who", "greeting", "fixed"}


def test_a_place_that_stands_alone_keeps_its_values_type() -> None:
    template = {"id": "{{ instance.id }}", "tags": "{{ instance.tags }}", "tag": "{{instance.tags.0.id}}"}
    assert json.loads(body(event(), template)) == {"id": 7, "tags": [{"id": 1}], "tag": 1}


def test_a_template_that_is_not_json_once_filled_in_is_explained() -> None:
    with pytest.raises(PermanentError, match="inside quotes"):
        body(event(), '{"name": {{ instance.name }}}')


def test_a_template_of_another_shape_is_rendered_as_a_whole() -> None:
    assert json.loads(body(event(), '{"id": {{ instance.id }}}')) == {"id": 7}


@pytest.mark.parametrize(
    "template",
    [
        '{"a": NaN}',
        "-Infinity",
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        "[" * 5000 + "]" * 5000,
        '{"a": ' * 2000 + '"{{ instance.id }}"' + "}" * 2000,
    ],
    ids=["NaN", "infinity", "too large a number", "half a character", "too deep to read", "too deep to fill in"],
)
@pytest.mark.parametrize("form", ["whole", "cloudevents"])
def test_what_no_receiver_could_read_is_final_and_explained(template: str, form: str) -> None:
    with pytest.raises(PermanentError, match="not JSON"):
        encode(form, event(), template, "id")


def test_a_payload_over_256_kb_is_refused() -> None:
    with pytest.raises(PermanentError, match="262,144"):
        body(event(context={"instance": {"text": "x" * 300_000}}))


def test_what_json_does_not_know_becomes_its_text() -> None:
    assert json.loads(body(event(context={"total": Decimal("1.10")})))["data"] == {"total": "1.10"}


def test_the_texts_of_a_template_are_found_wherever_they_are() -> None:
    assert texts('{"a": ["{{ b }}", 1], "c": {"d": "e"}}') == ["{{ b }}", "e"]
    assert texts("{% if a %}1{% endif %}") == ["{% if a %}1{% endif %}"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Of a signal of the site's the name says all, also where the rule looks at a model.
        ({"operation": "", "signal": "shop.order_paid", "model": "shop.order"}, "shop.order_paid"),
        ({"operation": "update", "signal": "shop.order_paid"}, "shop.order.update"),
        ({"operation": "update", "model": ""}, "update.post_save"),
        ({"operation": "delete", "signal": "post_delete"}, "shop.order.delete"),
    ],
)
def test_the_type_is_the_most_that_is_known(changes: dict[str, Any], expected: str) -> None:
    assert event_type(event(**changes)) == expected


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("instance.tags.0", {"id": 1}),
        ("instance.tags.0.id", 1),
        ("instance.note", None),
        ("instance.matrix.1.0", 3),
        ("instance", INSTANCE | {"matrix": [[1, 2], [3]], "7": "seven"}),
        ("instance.7", "seven"),
    ],
)
def test_a_place_alone_is_looked_up_through_records_and_lists(place: str, value: Any) -> None:
    known = event(context={"instance": INSTANCE | {"matrix": [[1, 2], [3]], "7": "seven"}})
    for written in (f"{{{{ {place} }}}}", f"  {{{{{place}}}}}\n"):
        assert json.loads(body(known, {"at": written})) == {"at": value}


@pytest.mark.parametrize("place", ["instance.tags.id", "instance.nme", "instance.tags.²", "nothing"])
def test_a_place_that_is_nowhere_is_explained_and_final(place: str) -> None:
    with pytest.raises(PermanentError, match="The payload cannot be filled in"):
        body(event(), {"at": f"{{{{ {place} }}}}"})


@pytest.mark.parametrize(("more", "is_sent"), [(0, True), (1, False)])
def test_a_payload_of_just_256_kb_is_sent(more: int, is_sent: bool) -> None:
    text = "é" * 100 + "x" * (TOO_LARGE - len(b'{"t":""}') - 200 + more)
    if is_sent:
        assert len(checked({"t": text})) == TOO_LARGE
    else:
        with pytest.raises(PermanentError, match="The payload is 262,145 bytes, and at most 262,144 are sent"):
            checked({"t": text})


@pytest.mark.parametrize("template", [None, "", {}, []])
def test_no_template_leaves_the_payload_to_the_form(template: Any) -> None:
    assert is_empty(template)
    assert json.loads(body(event(), template))["data"] == {"instance": INSTANCE}


@pytest.mark.parametrize("template", [0, False, "null", " ", [[]], {"a": None}])
def test_what_is_merely_small_is_a_template(template: Any) -> None:
    assert not is_empty(template)


@settings(max_examples=examples(50), deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=8,
    )
)
def test_whatever_an_event_holds_arrives_as_it_was(value: Any) -> None:
    # In a place of its own a value keeps its type; among words it is text that JSON still reads.
    sent = json.loads(body(event(context={"v": value}), {"own": "{{ v }}", "fixed": ["{{ v }}", 1]}))
    assert sent == {"own": value, "fixed": [value, 1]}

"""Templates, addresses and answers that are nearly something else, and what goes out or is made of them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from rules_engine.actions import PermanentError
from tests.unit.webhooks.deliveries.test_chats import message, words
from tests.unit.webhooks.deliveries.test_formats import event, made
from webhooks.deliveries.chats import CHATS, asked_wait, refusal, service_of
from webhooks.deliveries.formats import encode


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://discordapp.com/api/webhooks/1/x", "discord"),
        ("https://ptb.discordapp.com/api/v9/webhooks/1/x", "discord"),
        ("https://example.webhook.office.com/webhookb2/x", "teams"),
        ("https://x.1a.environment.api.powerplatform.com:443/powerautomate/x", "teams"),
        ("https://prod.logic.azure.com.evil.example/workflows/x", None),
        ("http://hooks.slack.com/services/x", None),
        ("https://chat.googleapis.com/v1/rooms/x", None),
    ],
)
def test_an_address_is_a_chats_to_its_last_letter(url: str, service: str | None) -> None:
    assert service_of(url) == service


@pytest.mark.parametrize("form", CHATS)
def test_only_a_delivery_that_is_a_test_says_that_it_is_one(form: str) -> None:
    assert words(form, test="yes").startswith("Order 2")
    assert words(form, "Paid", test=True) == "Paid"


@pytest.mark.parametrize("form", CHATS)
def test_an_object_is_one_behind_blanks_too(form: str) -> None:
    assert message(form, ' \n{"cards": ["{{ instance.name }}"]}', instance={"name": "x"})["cards"] == ["x"]


@pytest.mark.parametrize("form", ["discord", "teams", "mattermost"])
def test_an_address_of_other_letters_is_written_plainly(form: str) -> None:
    assert words(form, "{{ instance.url }}", instance={"url": "https://é.example/a_b"}) == r"https://é.example/a\_b"


def test_an_answer_that_nests_without_end_says_nothing() -> None:
    endless = "[" * 100_000
    assert refusal("slack", endless) is None
    assert asked_wait("discord", endless) is None


def test_a_chats_message_that_is_blank_is_a_headline() -> None:
    assert made("chat", " \n") == {"text": "shop.order.update 7"}
    assert made("chat", "", pk=0) == {"text": "shop.order.update 0"}
    with pytest.raises(PermanentError, match=r"^The message cannot be filled in: "):
        made("chat", "{{ instance.nothing }}")


@pytest.mark.parametrize("template", [0, False])
@pytest.mark.parametrize("form", ["thin", "cloudevents", "cloudevents_binary"])
def test_what_is_merely_small_is_what_is_sent(form: str, template: Any) -> None:
    sent = made(form, template)
    assert (sent["data"] if form == "cloudevents" else sent) is template


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity"])
def test_a_value_that_json_does_not_have_is_explained(written: str) -> None:
    for template in (written, f'{{"n": {written}}}', '{"n": {{ instance.n }}}'):
        with pytest.raises(PermanentError, match="is not JSON once its values are filled in"):
            encode("whole", event(context={"instance": {"n": written}}), template, "msg-1")


def test_records_and_rows_of_any_kind_are_sent_as_such() -> None:
    context = {"instance": MappingProxyType({"name": "Zoë", "rows": (1, 2)})}
    assert made("whole", context=context)["data"] == {"instance": {"name": "Zoë", "rows": [1, 2]}}
    assert made("whole", {"list": ("{{ instance.name }}", "{{ instance.rows.1 }}")}, context=context) == {
        "list": ["Zoë", 2]
    }


def test_a_row_behind_the_last_is_an_empty_text() -> None:
    assert made("whole", {"row": "{{ instance.rows.2 }}"}, context={"instance": {"rows": [1, 2]}}) == {"row": ""}

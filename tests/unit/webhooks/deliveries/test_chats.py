"""Messages to chats: what each service takes, and what values may not do in it."""

from __future__ import annotations

import html
import json
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.actions import Event, PermanentError
from tests.examples import examples
from webhooks.deliveries.chats import CHATS, asked_wait, content, cut, refusal, service_of
from webhooks.models.choices import CHATS as CHOICES

ID = uuid.UUID(int=1)
AT = datetime(2031, 5, 6, 8, tzinfo=UTC)
#: The beginning of an entity or an escape, which is never what a message ends in.
HALF = re.compile(r"(&\w*|\\)$", re.ASCII)
PAID = {"changes": {"status": {"old": "draft", "new": "paid"}}}


def event(**context: Any) -> Event:
    header = {"model": "shop.order", "pk": 2, "operation": "update", "signal": "post_save"}
    return Event(ID, "post_save", "update", "shop.order", 2, AT, ID, 0, {"event": header, **context})


def message(form: str, template: Any = None, **context: Any) -> Any:
    return content(form, event(**context), template)


def words(form: str, template: Any = None, **context: Any) -> str:
    made = message(form, template, **context)
    if form == "teams":
        return "\n".join(block["text"] for block in made["attachments"][0]["content"]["body"])
    return str(made["content"] if form == "discord" else made["text"])


def test_each_choice_that_is_a_chat_has_its_service() -> None:
    assert {*CHATS, "chat"} == CHOICES


@pytest.mark.parametrize("form", CHATS)
def test_an_empty_message_says_what_happened_with_a_link(form: str, settings: Any) -> None:
    assert words(form, **PAID) == "Order 2: status Draft → Paid"
    settings.RULES_ENGINE = {"SITE_URL": "https://shop.example.com"}
    link = "https://shop.example.com/admin/shop/order/2/change/"
    assert words(form, "  ", **PAID) == f"Order 2: status Draft → Paid\n{link}"


@pytest.mark.parametrize("form", CHATS)
def test_a_test_delivery_says_that_it_is_one(form: str) -> None:
    assert words(form, test=True) == "This is a test message. Nothing happened."


def test_teams_is_sent_an_adaptive_card_of_lines() -> None:
    made = message("teams", "One\ntwo\n\nthree")
    assert made["type"] == "message"
    [attachment] = made["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"
    assert attachment["content"]["body"] == [
        {"type": "TextBlock", "text": "One", "wrap": True},
        {"type": "TextBlock", "text": "two", "wrap": True, "spacing": "None"},
        {"type": "TextBlock", "text": "three", "wrap": True},
    ]


HOSTILE = "<!channel> & <@U1> @everyone *b* _i_ [x](https://evil.example) `c` <users/all>"


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        (
            "slack",
            "&lt;!channel&gt; &amp; &lt;@U1&gt; @everyone *b* _i_ [x](https://evil.example) `c` &lt;users/all&gt;",
        ),
        (
            "discord",
            r"\<!channel\> & \<@U1\> @everyone \*b\* \_i\_ \[x\](https://evil.example) \`c\` \<users/all\>",
        ),
        (
            "teams",
            r"\<!channel\> & \<@U1\> @everyone \*b\* \_i\_ \[x\](https://evil.example) \`c\` \<users/all\>",
        ),
        (
            "mattermost",
            "\\<!channel\\> & \\<@\u200bU1\\> @\u200beveryone \\*b\\* \\_i\\_ \\[x\\](https://evil.example) "
            "\\`c\\` \\<users/all\\>",
        ),
        (
            "google_chat",
            "<\u200b!channel> & <\u200b@U1> @everyone *b* _i_ [x](https://evil.example) `c` <\u200busers/all>",
        ),
    ],
)
def test_values_neither_ping_anybody_nor_make_links(form: str, shown: str) -> None:
    template = "*New*: {{ instance.name }}"
    assert words(form, template, instance={"name": HOSTILE}) == f"*New*: {shown}"


@pytest.mark.parametrize("form", CHATS)
def test_the_words_of_a_rule_are_the_services_own_markup(form: str) -> None:
    assert words(form, "*bold* <https://example.com|link> @here") == "*bold* <https://example.com|link> @here"


def test_nobody_is_pinged_in_discord_whatever_the_message_says() -> None:
    assert message("discord", "@everyone")["allowed_mentions"] == {"parse": []}
    assert message("discord", '{"content": "@everyone"}') == {"content": "@everyone", "allowed_mentions": {"parse": []}}
    own = '{"content": "x", "allowed_mentions": {"users": ["7"]}}'
    assert message("discord", own)["allowed_mentions"] == {"users": ["7"]}


@pytest.mark.parametrize("form", CHATS)
def test_an_address_stays_one_that_leads_somewhere(form: str) -> None:
    address = "https://example.com/a_b/~c-d/?q=1#x"
    assert words(form, "{{ instance.url }}", instance={"url": address}) == address


@pytest.mark.parametrize(
    ("form", "most"), [("slack", 40_000), ("discord", 2_000), ("mattermost", 16_383), ("google_chat", 4_096)]
)
def test_a_message_that_is_too_long_is_cut_and_marked(form: str, most: int) -> None:
    assert cut("x" * most, CHATS[form]) == "x" * most
    long = words(form, "{{ instance.name }}" * 20, instance={"name": "y" * 4_000})
    assert len(long) == most
    assert long.endswith("y…")


def test_a_card_is_cut_to_what_teams_takes() -> None:
    made = message("teams", "{{ instance.name }}\n" * 20, instance={"name": "€" * 4_000})
    assert 27_000 < len(json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()) <= 28 * 1024
    assert made["attachments"][0]["content"]["body"][-1]["text"].endswith("…")


def test_no_emoji_entity_or_escape_is_cut_in_half() -> None:
    discord, slack = CHATS["discord"], CHATS["slack"]
    assert cut("😀" * 1_500, discord) == "😀" * 999 + "…"
    assert cut("x" * 1_998 + "\\*" * 5, discord) == "x" * 1_998 + "…"
    assert cut("x" * 39_996 + "&amp;" * 5, slack) == "x" * 39_996 + "…"


@pytest.mark.parametrize("form", CHATS)
def test_an_empty_message_or_a_wrong_one_is_an_error_in_words(form: str) -> None:
    with pytest.raises(PermanentError, match="comes out empty"):
        message(form, "{% if instance.name %}x{% endif %}", instance={"name": ""})
    with pytest.raises(PermanentError, match="cannot be filled in"):
        message(form, "{{ instance.nothing }}", instance={"pk": 1})


@pytest.mark.parametrize("form", CHATS)
def test_a_json_object_is_sent_as_the_service_has_it(form: str) -> None:
    assert message(form, '{"cards": [{"text": "{{ instance.name }}"}]}', instance={"name": "<Zoë>"})["cards"] == [
        {"text": "<Zoë>"}
    ]


@pytest.mark.parametrize("form", CHATS)
def test_an_object_that_was_not_written_as_text_is_one_too(form: str) -> None:
    made = message(form, {"cards": [{"text": "{{ instance.name }}"}]}, instance={"name": "<Zoë>"})
    assert made["cards"] == [{"text": "<Zoë>"}]
    assert ("allowed_mentions" in made) == (form == "discord")


@settings(max_examples=examples(60), deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from([*CHATS]))
def test_no_message_is_longer_than_its_service_takes(text: str, form: str) -> None:
    chat = replace(CHATS[form], most=CHATS[form].length("x") + 12)
    shortened = cut(text, chat)
    assert chat.length(shortened) <= chat.most
    if chat.length(text) <= chat.most:
        assert shortened == text
    else:
        # As much as fits: what is kept is the beginning, and the next character would be too many.
        kept = shortened.removesuffix("…")
        assert text.startswith(kept)
        further = next(end for end in range(len(kept) + 1, len(text) + 1) if not HALF.search(text[:end]))
        assert chat.length(text[:further] + "…") > chat.most or further - len(kept) > 1


@settings(max_examples=examples(60), deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_slack_is_sent_reads_as_the_value_was(value: str) -> None:
    assert html.unescape(CHATS["slack"].escape(value)) == html.unescape(html.escape(value, quote=False))
    assert "<" not in CHATS["slack"].escape(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("# Title", r"\# Title"),
        ("  - item\n+ item", r"  \- item" + "\n" + r"\+ item"),
        ("a - b + c # d", "a - b + c # d"),
        ("> quoted", r"\> quoted"),
        ("a\\b", r"a\\b"),
        ("https://example.com/a_b see", r"https://example.com/a\_b see"),
        ("http://example.com/*", r"http://example.com/\*"),
    ],
)
def test_what_markdown_reads_as_more_is_written_plainly(value: str, shown: str) -> None:
    assert words("discord", "{{ instance.name }}", instance={"name": value}) == shown.strip()


@pytest.mark.parametrize(
    ("form", "answer", "refused"),
    [
        ("slack", "ok", False),
        ("slack", '{"ok":true}', False),
        ("slack", '{"ok":false,"error":"no_text"}', True),
        ("discord", "", False),
        ("teams", "", False),
        ("teams", "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429", True),
        ("whole", '{"ok":false}', False),
        ("discord", "delivery failed", False),
        ("slack", "delivery failed", False),
        ("slack", "[1]", False),
    ],
)
def test_an_answer_that_refuses_in_words_is_a_refusal(form: str, answer: str, refused: bool) -> None:
    assert (refusal(form, answer) is not None) is refused


@pytest.mark.parametrize(
    ("form", "answer", "seconds"),
    [
        ("discord", '{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}', 64.57),
        ("discord", '{"retry_after": 2}', 2.0),
        ("discord", '{"retry_after": true}', None),
        ("discord", '{"retry_after": -1}', None),
        ("discord", '{"retry_after": 1e999}', None),
        # More digits than a float has room for: as long as any answer may ask for.
        ("discord", '{"retry_after": 1' + "0" * 400 + "}", 86_400.0),
        ("discord", '{"retry_after": 0}', None),
        ("discord", "[1]", None),
        ("discord", '{"retry_after": "soon"}', None),
        ("discord", "rate limited", None),
        ("slack", '{"retry_after": 2}', None),
    ],
)
def test_discord_says_in_its_answer_how_long_to_wait(form: str, answer: str, seconds: float | None) -> None:
    assert asked_wait(form, answer) == seconds


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", "slack"),
        ("https://discord.com/api/webhooks/1/x", "discord"),
        ("https://canary.discord.com/api/v10/webhooks/1/x", "discord"),
        ("https://chat.googleapis.com/v1/spaces/x/messages?key=y", "google_chat"),
        ("https://prod-1.westeurope.logic.azure.com:443/workflows/x", "teams"),
        ("https://hooks.slack.com.evil.example/services/x", None),
        ("https://discord.com/channels/1", None),
        ("https://example.com/https://hooks.slack.com/", None),
    ],
)
def test_an_address_tells_its_chat(url: str, service: str | None) -> None:
    assert service_of(url) == service

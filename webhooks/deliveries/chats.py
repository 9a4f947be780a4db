"""Chats: the message that each service takes, what makes values harmless in it, its limit, and what its answers mean.

The words of a rule's message are the author's, so ``*bold*`` and links work as the service has them. Values are data:
they format nothing, and nobody is pinged because a customer called themself ``@everyone``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from rules_engine.actions import Event, PermanentError, TemplateError, render
from webhooks.deliveries import payload
from webhooks.deliveries.verdict import LONGEST_RETRY_AFTER

#: What is said where a rule says nothing.
MESSAGE = "{{ what_happened }}{% if admin_url %}\n{{ admin_url }}{% endif %}"
MARK = "…"
#: Between the characters of a mention it is seen by nobody, and makes it none.
_APART = "\u200b"
#: An address without characters that any service formats is left whole: with a backslash in it, it leads nowhere.
_ADDRESS = re.compile(r"https?://[\w\-./?=&%:#~+,;]+", re.ASCII)
#: Whom a message to Discord may ping.
NOBODY: Mapping[str, Any] = {"parse": []}
#: What is left of an entity or an escape that was cut in the middle.
_HALF = re.compile(r"(&\w*|\\)$", re.ASCII)


def _characters(text: str) -> int:
    """Count as the strictest service does, by UTF-16: most emoji are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(frozen=True, slots=True)
class Chat:
    """A service: what it takes, what makes a value plain text in it, and how long a message may be."""

    body: Callable[[str], dict[str, Any]]
    escape: Callable[[str], str]
    most: int
    length: Callable[[str], int] = _characters


def _entities(value: str) -> str:
    """Write what begins a mention, a channel or a link in Slack as entities, which are all that it reads."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown(value: str) -> str:
    """Put backslashes before what Markdown reads as more than a character."""
    if _ADDRESS.fullmatch(value):
        return value
    escaped = re.sub(r"([\\`*_~|<>\[\]])", r"\\\1", value)
    return re.sub(r"(?m)^(\s*)([#+-])", r"\1\\\2", escaped)


def _markdown_without_mentions(value: str) -> str:
    return _markdown(value).replace("@", f"@{_APART}")


def _without_tags(value: str) -> str:
    """Part what begins a mention or a link in Google Chat, which knows no escape."""
    return value.replace("<", f"<{_APART}")


def _text(text: str) -> dict[str, Any]:
    return {"text": text}


def _content(text: str) -> dict[str, Any]:
    # Also where somebody's own words say @everyone: who is meant to be called is for people.
    return {"content": text, "allowed_mentions": NOBODY}


def _card(text: str) -> dict[str, Any]:
    """Make an Adaptive Card with a block for each line: clients differ in what a line break is within one."""
    blocks: list[dict[str, Any]] = []
    is_apart = True
    for line in text.splitlines():
        if line.strip():
            block = {"type": "TextBlock", "text": line, "wrap": True}
            blocks.append(block if is_apart else {**block, "spacing": "None"})
        is_apart = not line.strip()
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _card_bytes(text: str) -> int:
    return len(payload.encoded(_card(text)))


#: By an endpoint's payload form. The limits are those that the services give: Slack and Mattermost for a text, Discord
#: for ``content``, Google Chat for a text, and Teams for the whole message, in bytes.
CHATS: Mapping[str, Chat] = {
    "slack": Chat(_text, _entities, 40_000),
    "teams": Chat(_card, _markdown, 28 * 1024, _card_bytes),
    "discord": Chat(_content, _markdown, 2_000),
    "mattermost": Chat(_text, _markdown_without_mentions, 16_383),
    "google_chat": Chat(_text, _without_tags, 4_096),
}


#: How the addresses begin that the services give for messages, without what is a customer's own.
ADDRESSES = (
    (re.compile(r"https://hooks\.slack\.com/"), "slack"),
    (re.compile(r"https://([a-z]+\.)?(discord|discordapp)\.com/api/(v\d+/)?webhooks/"), "discord"),
    (re.compile(r"https://chat\.googleapis\.com/v1/spaces/"), "google_chat"),
    (re.compile(r"https://[\w.-]+\.(logic\.azure\.com|webhook\.office\.com|api\.powerplatform\.com)[:/]"), "teams"),
)


def service_of(url: str) -> str | None:
    """Return the chat whose address a URL seems to be, a key of ``CHATS``; None where it seems to be none."""
    return next((form for pattern, form in ADDRESSES if pattern.match(url)), None)


def content(form: str, event: Event, template: Any) -> Any:
    """Make what is posted of a rule's message; a template that is a JSON object is filled in, for cards and blocks.

    Raises ``PermanentError`` for a message that cannot be filled in, and for one that comes out empty.
    """
    chat = CHATS[form]
    if is_object(template):
        filled = payload.filled(event, template)
        return {"allowed_mentions": NOBODY, **filled} if form == "discord" else filled
    try:
        text = _message(event, template, chat).strip()
    except TemplateError as error:
        raise PermanentError(gettext("The message cannot be filled in: %(error)s") % {"error": error}) from error
    if not text:
        raise PermanentError(gettext("The message comes out empty, and chats take none such; nothing was sent."))
    return chat.body(cut(text, chat))


def _message(event: Event, template: Any, chat: Chat) -> str:
    if isinstance(template, str) and template.strip():
        return render(template, event.context, escape=chat.escape)
    if event.context.get("test") is True:
        return gettext("This is a test message. Nothing happened.")
    return render(MESSAGE, event.context, escape=chat.escape)


def is_object(template: Any) -> bool:
    """Tell whether a rule's message is a whole payload as the service has it."""
    return isinstance(template, Mapping) or (isinstance(template, str) and template.lstrip().startswith('{"'))


def cut(text: str, chat: Chat) -> str:
    """Return as much of the text as the service takes, marked where it was cut."""
    if chat.length(text) <= chat.most:
        return text
    least, beyond = 0, len(text)
    while beyond - least > 1:
        middle = (least + beyond) // 2
        if chat.length(_ended(text[:middle])) <= chat.most:
            least = middle
        else:
            beyond = middle
    return _ended(text[:least])


def _ended(text: str) -> str:
    return _HALF.sub("", text) + MARK


def refusal(form: str, excerpt: str) -> str | None:
    """Say why an answer with a good status is none: some services refuse in the answer's words. None: it is good."""
    if form == "teams" and "delivery failed" in excerpt:
        return "Teams answered that it did not deliver the message."
    if form == "slack" and _parsed(excerpt).get("ok") is False:
        return "Slack answered that it did not take the message."
    return None


def asked_wait(form: str, excerpt: str) -> float | None:
    """Read for how many seconds Discord asks to be left alone, which it says in the answer; None where it does not."""
    seconds = _parsed(excerpt).get("retry_after") if form == "discord" else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        return None
    # A whole number in JSON may be beyond all that a float holds.
    return float(min(seconds, LONGEST_RETRY_AFTER))


def _parsed(excerpt: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(excerpt)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, Mapping) else {}

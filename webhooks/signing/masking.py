"""What may be recorded of a delivery: never a secret, a signature or a custom header's value, whoever echoes them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

MASK = "…"
#: Shorter values are too common in ordinary text to hide every occurrence of.
SHORTEST = 4
EXCERPT_CHARACTERS = 1000


#: A step of a path that reads like a token, as the addresses of chats have them.
_TOKEN = re.compile(r"(?=.*\d)[\w.~-]{16,}|[A-Za-z0-9]{20,}")


def masked_url(url: str) -> str:
    """Write the URL without what may be a token: its query, and what looks like one in its path."""
    parts = urlsplit(url)
    path = "/".join(MASK if _TOKEN.fullmatch(step) else step for step in parts.path.split("/"))
    return urlunsplit((parts.scheme, parts.netloc, path, MASK if parts.query else "", ""))


def url_secrets(url: str) -> list[str]:
    """List what may be a token in it, as written and decoded: the query, its values, and steps that look like one."""
    parts = urlsplit(url)
    written = [part.partition("=")[2] for part in parts.query.split("&")]
    steps = [step for step in parts.path.split("/") if _TOKEN.fullmatch(step)]
    return [parts.query, *written, *(value for _, value in parse_qsl(parts.query)), *steps]


def _forms(value: str) -> Iterator[str]:
    quoted = json.dumps(value)[1:-1]
    yield from (value, quoted, quoted.replace("/", "\\/"), html.escape(value), quote(value, safe=""), quote(value))


def words(value: str) -> list[str]:
    """List a header's value, and what it consists of but for the first word: an answer may quote ``Bearer …``, or the
    token alone."""
    return [value, *value.split()[1:]]


def masked(text: str, hidden: Iterable[str]) -> str:
    """Replace each of the ``hidden`` values in ``text``, also where it is written as JSON, HTML or a URL has it, and
    cut it to what is kept of an answer."""
    if len(text) < SHORTEST:
        return text
    # No form is shorter than its value, and most answers are shorter than a secret.
    forms = {form for value in hidden if SHORTEST <= len(value) <= len(text) for form in _forms(value)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    if len(text) <= EXCERPT_CHARACTERS:
        return text
    return text[:EXCERPT_CHARACTERS] + MASK

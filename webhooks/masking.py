"""What may be recorded of a delivery: never a secret, a signature or a custom header's value, whoever echoes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit, urlunsplit

MASK = "…"
#: Shorter values are too common in ordinary text to hide every occurrence of.
SHORTEST = 4
EXCERPT_CHARACTERS = 1000


#: A step of a path that reads like a token, as the addresses of chats have them.
_TOKEN = re.compile(r"(?=.*\d)[\w.~-]{16,}|[A-Za-z0-9]{20,}")


def masked_url(url: str) -> str:
    """The URL without what may be a token: its query, and what looks like one in its path."""
    parts = urlsplit(url)
    path = "/".join(MASK if _TOKEN.fullmatch(step) else step for step in parts.path.split("/"))
    return urlunsplit((parts.scheme, parts.netloc, path, MASK if parts.query else "", ""))


def query_secrets(url: str) -> list[str]:
    """The query and each value in it, as written and decoded: any of them may be a token."""
    query = urlsplit(url).query
    written = [part.partition("=")[2] for part in query.split("&")]
    return [query, *written, *(value for _, value in parse_qsl(query))]


def masked(text: str, hidden: Iterable[str]) -> str:
    """``text``, cut to what is kept of an answer, with each of the ``hidden`` values replaced."""
    for value in sorted(set(hidden), key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, MASK)
    return text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS] + MASK

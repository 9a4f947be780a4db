"""What may be recorded of a delivery: never a secret, a signature or a custom header's value, whoever echoes them."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit, urlunsplit

MASK = "…"
#: Shorter values are too common in ordinary text to hide every occurrence of.
SHORTEST = 4
EXCERPT_CHARACTERS = 1000


def masked_url(url: str) -> str:
    """The URL without its query, which may hold a token."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, MASK if parts.query else "", ""))


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

"""A mail's text as HTML: paragraphs, line breaks and links, and nothing that a value could add to them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.utils.html import escape

#: An address in a text, without what ends a sentence behind it. Quotes and angle brackets end it too.
_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]}]")
_BREAKS = re.compile(r"\r\n|\r|\n")


def html_of(text: str) -> str:
    """Return the text as an HTML document: blank lines part paragraphs, other line breaks stay, addresses are links."""
    paragraphs = re.split(r"\n(?:[^\S\n]*\n)+", _BREAKS.sub("\n", text).strip("\n"))
    body = "\n".join(f"<p>{_paragraph(written)}</p>" for paragraph in paragraphs if (written := paragraph.strip("\n")))
    return f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{body}\n</body></html>\n'


def _paragraph(text: str) -> str:
    return "<br>".join("".join(_pieces(line)) for line in text.split("\n"))


def _pieces(line: str) -> Iterator[str]:
    end = 0
    for link in _LINK.finditer(line):
        address = escape(link[0])
        yield escape(line[end : link.start()])
        yield f'<a href="{address}">{address}</a>'
        end = link.end()
    yield escape(line[end:])

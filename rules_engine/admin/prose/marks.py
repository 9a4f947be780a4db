"""What a clause is made of: running text, gaps to be filled in, and code that has no words.

While it is put together a clause is a plain text in which control characters mark the latter two, so that patterns of
every language can place it with ``%``; whatever a rule says is freed of such characters first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

GAP = "\x00"
_CODE, _END = "\x01", "\x02"
_MARKED = re.compile(f"{GAP}|{_CODE}[^{_END}]*{_END}?")
#: Control characters, halves of pairs, marks that turn the direction of what follows, and line ends.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069]+")
#: Of one value, and of a clause: a sentence is read in one go.
LONGEST_VALUE = 80
LONGEST_CLAUSE = 500
#: Deeper than rules may be, and far from what recursion takes.
DEEPEST = 64

Kind = Literal["text", "gap", "code"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence. A gap says ``…`` and stands for what is still to be filled in."""

    text: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Words:
    """A clause or a sentence, to be shown as text or as HTML."""

    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return "".join(part.text for part in self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def has_gaps(self) -> bool:
        """Whether something is still to be filled in."""
        return any(part.kind == "gap" for part in self.parts)

    @property
    def html(self) -> SafeString:
        """The words with gaps that a screen reader is told of, and code as code."""
        return format_html_join("", "{}", ((_html(part),) for part in self.parts))

    def shortened(self, most: int) -> Words:
        """The words, cut between two of them where they are longer than that."""
        kept: list[Part] = []
        room = most
        for part in self.parts:
            if len(part.text) > room:
                cut = part.text[:room].rpartition(" ")[0] if part.kind == "text" else part.text[:room]
                return Words((*kept, Part(f"{cut.rstrip(' ,:;')}…", part.kind)))
            kept.append(part)
            room -= len(part.text)
        return self


def words_of(marked: str) -> Words:
    """The words of a text in which gaps and code are marked."""
    return Words(tuple(_parts(marked)))


def _parts(marked: str) -> Iterator[Part]:
    at = 0
    for found in _MARKED.finditer(marked):
        if text := marked[at : found.start()]:
            yield Part(text)
        mark = found.group()
        yield Part("…", "gap") if mark == GAP else Part(mark.strip(_CODE + _END), "code")
        at = found.end()
    if text := marked[at:]:
        yield Part(text)


def _html(part: Part) -> SafeString:
    if part.kind == "gap":
        gap = '<span class="rules-gap"><span aria-hidden="true">…</span><span class="visually-hidden">{}</span></span>'
        return format_html(gap, gettext("(to be filled in)"))
    return format_html('<code dir="auto">{}</code>' if part.kind == "code" else "{}", part.text)


def shown(text: Any, longest: int = LONGEST_VALUE) -> str:
    """What a rule says, on one line and not too long; a gap where it says nothing."""
    line = " ".join(_UNSHOWN.sub(" ", str(text)[: 4 * longest]).split())
    return (line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…") or GAP


def code(value: Any) -> str:
    """What has no words, as it is written."""
    if is_too_deep(value):
        return f"{_CODE}…{_END}"
    written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"{_CODE}{shown(written).replace(GAP, '…')}{_END}"


def is_too_deep(value: Any) -> bool:
    """Whether a value is nested deeper than what a rule may hold; looked at without recursion."""
    level: list[Any] = [value]
    for _depth in range(DEEPEST):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return False
    return True


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def cut(marked: str, longest: int = LONGEST_CLAUSE) -> str:
    """A clause that is not too long; what is cut ends in a gap-free ellipsis, with its marks whole."""
    if len(marked) <= longest:
        return marked
    kept = marked[:longest].rpartition(" ")[0] or marked[:longest]
    is_open = kept.rfind(_CODE) > kept.rfind(_END)
    return f"{kept.rstrip(' ,')}…{_END if is_open else ''}"


def listed(items: Iterable[str], pattern: str, most: int = 4, more: str = "") -> str:
    """Items joined: commas, and between the last two the pattern; what is too many is counted."""
    said = list(items)
    if len(said) > most:
        said = [*said[: most - 1], (more or gettext("%(count)s more")) % {"count": len(said) - most + 1}]
    if not said:
        return GAP
    *first, last = said
    return pattern % {"first": ", ".join(first), "last": last} if first else last


def all_of(items: Iterable[str], most: int = 4) -> str:
    """Items joined by commas and "and"."""
    return listed(items, gettext("%(first)s and %(last)s"), most)


def any_of(items: Iterable[str], most: int = 8) -> str:
    """Items joined by commas and "or"."""
    return listed(items, gettext("%(first)s or %(last)s"), most)

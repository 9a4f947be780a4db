"""A flow as SVG, drawn by the server: no script and no style of its own, so that light, dark and themes follow."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Mapping, Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from rules_engine.admin.flow.graph import Box, Flow
from rules_engine.admin.flow.layout import WIDTH, Place, Point, laid_out

LINE, PADDING, MOST_LINES = 16, 8, 3
ROOM = WIDTH - 2 * PADDING
#: How wide letters are at 12 px in a broad font, as most of them are at most.
NARROW, USUAL, BROAD, FULL = 4.6, 7.7, 10.5, 12.5
NARROW_LETTERS, BROAD_LETTERS = set("iljtfr.,:;'!|()[] "), set("mwMW@%&—QOG")


def svg(flow: Flow, urls: Mapping[str, str]) -> SafeString:
    """Draw it, with a link on each box that has an address in ``urls`` by its key. The list beside it says the same, so
    it is hidden from whoever hears pages, and its links are for the mouse."""
    texts = {box.key: _texts(box) for box in flow.boxes}
    heights = {key: 2 * PADDING + LINE * len(lines) for key, lines in texts.items()}
    plan = laid_out(heights, flow.arrows)
    arrows = format_html_join(
        "", '<path class="flow-arrow" d="{}" marker-end="url(#flow-head)"></path>', _curves(plan.paths)
    )
    loops = format_html_join(
        "", '<path class="flow-loop" d="{}" marker-end="url(#flow-head)"></path>', _loops(plan.backwards)
    )
    boxes = format_html_join("", "{}", ((_box(box, plan.places[box.key], texts[box.key], urls),) for box in flow.boxes))
    text = (
        '<svg class="flow" width="{}" height="{}" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">'
        '<defs><marker id="flow-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path class="flow-head" d="M0 0 8 4 0 8z"></path></marker></defs>{}{}{}</svg>'
    )
    size = (f"{plan.width:.0f}", f"{plan.height:.0f}")
    return format_html(text, *size, *size, arrows, loops, boxes)


def _box(box: Box, place: Place, lines: Sequence[str], urls: Mapping[str, str]) -> SafeString:
    # A picture inside the picture cuts off what a font makes wider than it was taken for.
    inner = format_html(
        '<svg x="{}" y="{}" width="{}" height="{}"><rect x="1" y="1" width="{}" height="{}" rx="{}"></rect>{}'
        "<title>{}</title></svg>",
        *(f"{number:.1f}" for number in (place.x, place.y)),
        *(WIDTH, f"{place.height:.0f}", WIDTH - 2, f"{place.height - 2:.0f}"),
        14 if box.kind in ("model", "signal") else 4,
        format_html_join("", '<text class="{}" x="{}" y="{}">{}</text>', _lines(box, lines)),
        f"{box.title}: {box.note}" if box.note else box.title,
    )
    marks = ("" if box.is_on else " flow-off") + (" flow-here" if box.is_here else "")
    url = urls.get(box.key, "")
    if not url:
        return format_html('<g class="flow-{}{}">{}</g>', box.kind, marks, inner)
    return format_html('<a class="flow-{}{}" href="{}" tabindex="-1">{}</a>', box.kind, marks, url, inner)


def _lines(box: Box, lines: Sequence[str]) -> list[tuple[str, float, int, str]]:
    last = len(lines) - 1
    return [
        ("flow-note" if box.note and index == last else "flow-title", WIDTH / 2, PADDING + 12 + LINE * index, line)
        for index, line in enumerate(lines)
    ]


def _texts(box: Box) -> list[str]:
    notes = wrapped(box.note, 1) if box.note else []
    return [*wrapped(box.title, MOST_LINES - len(notes)), *notes]


def wrapped(text: str, most: int) -> list[str]:
    """Break a text into at most so many lines that fit a box; what has no room ends in an ellipsis."""
    lines, line = [], ""
    words = [part for word in text.split() for part in _cut(word)]
    for word in words:
        longer = f"{line} {word}" if line else word
        if width_of(longer) <= ROOM:
            line = longer
        else:
            lines.append(line)
            line = word
    lines = [one for one in (*lines, line) if one] or [""]
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and width_of(f"{last}…") > ROOM:
        last = last[:-1]
    return [*lines[: most - 1], f"{last}…"]


def _cut(word: str) -> list[str]:
    """The word, in pieces that fit a line."""
    pieces, piece = [], ""
    for letter in word:
        if width_of(piece + letter) > ROOM:
            pieces.append(piece)
            piece = ""
        piece += letter
    return [*pieces, piece]


def width_of(text: str) -> float:
    """Say how wide a text is at most, about, in pixels."""
    return sum(map(_letter_width, text))


def _letter_width(letter: str) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF":
        return FULL
    if letter in BROAD_LETTERS:
        return BROAD
    if letter in NARROW_LETTERS:
        return NARROW
    return USUAL + 1 if letter.isupper() else USUAL


def _curves(paths: Sequence[Sequence[Point]]) -> list[tuple[str]]:
    drawn = []
    for points in paths:
        parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
        for index, ((x, y), (to_x, to_y)) in enumerate(itertools.pairwise(points)):
            if index % 2:  # through a place that it passes
                parts.append(f"L{to_x:.1f} {to_y:.1f}")
            else:
                half = (x + to_x) / 2
                parts.append(f"C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        drawn.append(("".join(parts),))
    return drawn


def _loops(backwards: Sequence[tuple[Point, Point]]) -> list[tuple[str]]:
    return [
        (f"M{x:.1f} {y:.1f}C{x:.1f} {y + 60:.1f} {to_x:.1f} {to_y + 60:.1f} {to_x:.1f} {to_y:.1f}",)
        for (x, y), (to_x, to_y) in backwards
    ]

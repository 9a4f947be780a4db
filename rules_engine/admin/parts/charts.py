"""Small charts, drawn by the server: no script, no inline style, and said in words for whoever cannot see them."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

WIDTH, HEIGHT, STEP = 3, 20, 4


def hours_chart(hours: Sequence[Sequence[int]]) -> SafeString:
    """A bar for each hour, oldest first: what was done, and on top of it what failed. Nothing where nothing was."""
    highest = max((sum(counts) for counts in hours), default=0)
    if not highest:
        return SafeString("")
    bars = [bar for place, counts in enumerate(hours) for bar in _bars(place * STEP, counts, highest)]
    rects = format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"></rect>', bars)
    text = '<svg class="rules-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    return format_html(text, len(hours) * STEP - 1, HEIGHT, _words(hours, highest), rects)


def _bars(x: int, counts: Sequence[int], highest: int) -> list[tuple[str, int, str, int, str]]:
    bars, top = [], float(HEIGHT)
    for name, count in zip(("rules-chart-fired", "rules-chart-failed"), counts, strict=True):
        if count:
            # However few they are among many, they are seen.
            height = max(1.5, count / highest * HEIGHT)
            top = max(0.0, top - height)
            bars.append((name, x, f"{top:.1f}", WIDTH, f"{height:.1f}"))
    return bars


def _words(hours: Sequence[Sequence[int]], highest: int) -> str:
    ago = len(hours) - 1 - max(place for place, counts in enumerate(hours) if sum(counts) == highest)
    fired, failed = (sum(counts[index] for counts in hours) for index in (0, 1))
    text = ngettext(
        "By hour: %(fired)s fired, %(failed)s failed, at most %(most)s in one hour, %(ago)s hour ago.",
        "By hour: %(fired)s fired, %(failed)s failed, at most %(most)s in one hour, %(ago)s hours ago.",
        ago,
    )
    return text % {"fired": fired, "failed": failed, "most": highest, "ago": ago}

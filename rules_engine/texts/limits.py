"""What one text may cost. Sizes are in characters, times in seconds."""

from __future__ import annotations

import time

from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.errors import TemplateError

#: A template's source.
SOURCE = 16 * 1024
#: Openings of tags and variables in one source: the lexer's time grows with their number times the length.
TAGS = 1_000
#: How deep tags may stand in each other, and how many words one condition may have.
NESTING, WORDS = 20, 60
#: One value, as it is printed or given to a filter; the rest is cut off and marked.
VALUE = 4 * 1024
#: What comes out of one text.
OUTPUT = 200_000
#: Steps (values looked up, filters, rounds of a loop) and seconds that one rendering may take.
STEPS, SECONDS = 10_000, 1.0

#: An error text, which may quote the template.
MESSAGE = 600

#: Stands for what was cut off.
MARK = "…"


class Budget:
    """The steps, seconds and characters that one rendering has left; each call raises ``TemplateError`` at the end."""

    __slots__ = ("_characters", "_deadline", "_steps")

    def __init__(self) -> None:
        self._steps = STEPS
        self._characters = OUTPUT
        self._deadline = time.monotonic() + SECONDS

    def spend(self) -> None:
        """Take one step."""
        self._steps -= 1
        if self._steps < 0:
            message = gettext("the text takes more than %(most)s steps; loop over fewer rows or nest fewer loops.")
            raise TemplateError(message % {"most": number_format(STEPS, force_grouping=True)})
        if time.monotonic() > self._deadline:
            message = gettext("the text takes longer than %(seconds)s s; loop over fewer rows or nest fewer loops.")
            raise TemplateError(message % {"seconds": f"{SECONDS:g}"})

    def write(self, text: str) -> str:
        """Count ``text`` as output and give it back."""
        self._characters -= len(text)
        if self._characters < 0:
            message = gettext("the text comes to more than %(most)s characters; print fewer values or rows.")
            raise TemplateError(message % {"most": number_format(OUTPUT, force_grouping=True)})
        return text


def cut(text: str, size: int = VALUE) -> str:
    """``text``, or as much of it as ``size`` allows (that of one value), marked with an ellipsis."""
    return text if len(text) <= size else text[: size - len(MARK)] + MARK

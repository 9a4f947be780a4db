"""Log lines that cannot be forged: what data and exceptions say is told in one line, without what steers a terminal.

A filter on the logger does it, for every handler and whatever formats the record. Of a traceback the structure stays,
which is Python's; what each exception in it says is one line of it, without what is hidden (``hidden.texts``).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from textwrap import indent
from typing import Any

from rules_engine.hidden.texts import masked
from rules_engine.types import Unread, ask

#: A forged line begins with a line break, a forged colour with ESC; and half a character no handler can write, so that
#: the whole line would be lost.
HALVES = {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}
ESCAPED = (
    {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))}
    | HALVES
    | {
        0x0A: "\\n",
        0x0D: "\\r",
        0x09: "\\t",
        0x2028: "\\u2028",
        0x2029: "\\u2029",
    }
)
CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
WHILE_HANDLED = "\nDuring handling of the above exception, another exception occurred:\n\n"
#: Exceptions of one traceback, and of one group, that are told.
LONGEST_CHAIN, LARGEST_GROUP = 50, 15


def keep_to_one_line(logger: logging.Logger) -> logging.Logger:
    """Have what is logged there carry no line break and no control character of data's; returns the logger.

    Filters of a logger do not hear what is logged below it: each logger is to be kept by itself.
    """
    if not any(isinstance(kept, OneLine) for kept in logger.filters):
        logger.addFilter(OneLine())
    return logger


class OneLine(logging.Filter):
    """Escapes the values of a record and what its exceptions say; refuses none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; say that it is to be logged."""
        record.msg = _escaped(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {name: _escaped(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(_escaped(value) for value in record.args)
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = "".join(_traceback(record.exc_info[1], set())).rstrip("\n")
        return True


class _Escaped:
    """A value that is made a text when, and if, a handler wants it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __str__(self) -> str:
        return _told(_asked(str, self._value), self._value)

    def __repr__(self) -> str:
        return _told(_asked(repr, self._value), self._value)


def _asked(how: Callable[[Any], str], value: Any) -> str:
    """Return what a value says; its type where it cannot say anything: the line is told all the same."""
    text = ask(how, value)
    return f"<{type(value).__name__}>" if isinstance(text, Unread) else text


def _told(text: str, value: Any) -> str:
    """Errors quote what they are about; what a site says by itself stays as it is."""
    return (masked(text) if isinstance(value, BaseException) else text).translate(ESCAPED)


def _escaped(value: Any) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    return value.translate(ESCAPED) if type(value) is str else _Escaped(value)


def _traceback(error: BaseException, told: set[int]) -> Iterator[str]:
    """Python's traceback, each exception's own words in one line."""
    told.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told and len(told) < LONGEST_CHAIN:
        yield from _traceback(before, told)
        yield CAUSED if before is error.__cause__ else WHILE_HANDLED
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        for frame in traceback.format_tb(error.__traceback__):
            yield "".join(f"{line.translate(ESCAPED)}\n" for line in frame.rstrip("\n").split("\n"))
    words = "".join(traceback.format_exception_only(type(error), error)).rstrip("\n")
    yield f"{masked(words).translate(ESCAPED)}\n"
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions[:LARGEST_GROUP]:
            if id(one) not in told and len(told) < LONGEST_CHAIN:
                yield indent("".join(_traceback(one, told)), "  | ")

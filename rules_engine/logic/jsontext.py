"""Strict JSON text: what Python's parser lets pass is refused, and every refusal says where and why."""

from __future__ import annotations

import json
import math
import re
from json import JSONDecodeError
from typing import Any, NoReturn

from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.errors import InvalidRule, Problem
from rules_engine.logic.shape import MAX_JSON_DEPTH, MAX_JSON_SIZE

# What decides structure outside of strings. An unterminated string runs to the end, so that scanning stays linear.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|[\[\]{}]|-?Infinity|NaN|//|/\*|#', re.DOTALL)
_KEY_ENDS = re.compile(r"[ \t\r\n]*:")

#: The parser's own messages (their beginnings), and ours.
_SENTENCES = {
    "Extra data": _("the JSON ends before this, and more text follows; a condition is a single JSON value"),
    "Expecting property name": _('a key in double quotes was expected here, such as {"var": …}'),
    "Illegal trailing comma": _("a comma stands before the closing bracket; remove it"),
    "Expecting ',' delimiter": _("a comma or a closing bracket was expected here"),
    "Expecting ':' delimiter": _("a colon was expected here, between a key and its value"),
    "Unterminated string": _("a text starts here and its closing quote is missing"),
    "Invalid control character": _("a line break or tab stands inside a text; write it as \\n or \\t"),
    "Invalid \\": _('a backslash in a text must be followed by one of " \\ / b f n r t u; write \\\\ for a backslash'),
}


def parse(text: str) -> Any:
    """Read the Python value of a strict JSON text.

    Raises ``InvalidRule`` with one problem, pointer ``""``, whose sentence gives line and column: for a byte order
    mark, a comment, NaN or Infinity, a duplicate key, trailing text, numbers past 64 bits, nesting deeper than
    ``MAX_JSON_DEPTH`` levels or a text longer than ``MAX_JSON_SIZE`` characters.
    """
    if len(text) > MAX_JSON_SIZE:
        message = gettext("The JSON is %(count)s characters long; at most %(most)s are allowed.")
        _refuse(message % {"count": _grouped(len(text)), "most": _grouped(MAX_JSON_SIZE)})
    if text.startswith("\ufeff"):
        _refuse(gettext("The JSON starts with a byte order mark (line 1, column 1); save the text without one."))
    if not text.strip():
        _refuse(gettext("The JSON is empty; write a condition, or leave the field out to match always."))
    _scan(text)
    try:
        return json.loads(text, parse_int=_whole_number, parse_float=_number)
    except JSONDecodeError as error:
        error = _with_trailing_comma(error)
        message = gettext("This is not JSON (%(place)s): %(explanation)s.")
        _refuse(message % {"place": _place(text, error.pos), "explanation": _explanation(error)})


def _refuse(message: str) -> NoReturn:
    raise InvalidRule([Problem("", message)])


def _grouped(number: int) -> str:
    return number_format(number, force_grouping=True)


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return gettext("line %(line)s, column %(column)s") % {"line": line, "column": column}


def _with_trailing_comma(error: JSONDecodeError) -> JSONDecodeError:
    """Python before 3.13 points behind a comma that is too much, at the bracket, and expects another value there."""
    before = error.doc[: error.pos].rstrip()
    if not before.endswith(",") or error.doc[error.pos : error.pos + 1] not in ("]", "}"):
        return error
    return JSONDecodeError("Illegal trailing comma", error.doc, len(before) - 1)


def _explanation(error: JSONDecodeError) -> str:
    character = error.doc[error.pos : error.pos + 1]
    if character == "'":
        return gettext("texts and keys stand in double quotes, not single ones")
    for beginning, sentence in _SENTENCES.items():
        if error.msg.startswith(beginning):
            return str(sentence)
    if not character:
        return gettext("the text ends where a value was expected; a bracket is not closed")
    word = re.match(r"\w*", error.doc[error.pos :])
    shown = (word.group() if word else "")[:20] or character
    return gettext('a value was expected here, and "%(found)s" is none') % {"found": shown}


def _scan(text: str) -> None:
    """Refuse, before the real parser sees it, what that would accept, misreport or nest too deeply for."""
    keys: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        mark, start = token.group(), token.start()
        if mark in "[{":
            keys.append(set())
            if len(keys) > MAX_JSON_DEPTH:
                message = gettext("The JSON is nested deeper than %(most)s levels at %(place)s; split it up.")
                _refuse(message % {"most": MAX_JSON_DEPTH, "place": _place(text, start)})
        elif mark in "]}":
            if keys:
                keys.pop()
        elif mark[0] != '"':
            _refuse(f"{_stranger(mark)} ({_place(text, start)}).")
        elif keys and _KEY_ENDS.match(text, token.end()):
            _note_key(keys[-1], mark, _place(text, start))


def _stranger(mark: str) -> str:
    if mark in ("//", "/*", "#"):
        return gettext("JSON has no comments; put remarks into the rule's description")
    return gettext("JSON has no number %(found)s; write a finite number, or null") % {"found": mark}


def _note_key(seen: set[str], token: str, place: str) -> None:
    try:
        key = json.loads(token)
    except JSONDecodeError:
        return  # The real parser says what is wrong with it.
    if key in seen:
        message = gettext(
            'The key "%(key)s" stands twice in one object, the second time at %(place)s; only one would count. '
            'To use an operator twice, wrap both in {"and": [ … ]}.'
        )
        _refuse(message % {"key": key[:50], "place": place})
    seen.add(key)


def _whole_number(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        _refuse(gettext("The number %(digits)s… does not fit 64 bits; write it as text.") % {"digits": digits[:25]})
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        _refuse(gettext("The number %(digits)s is too large to be a number.") % {"digits": digits[:25]})
    return value

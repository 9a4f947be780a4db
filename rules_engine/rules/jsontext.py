"""Strict JSON text: what Python's parser lets pass is refused, and every refusal says where and why."""

from __future__ import annotations

import json
import math
import re
from json import JSONDecodeError
from typing import Any, NoReturn

from rules_engine.errors import InvalidRule, Problem
from rules_engine.rules.shape import MAX_DEPTH, MAX_SIZE

# What decides structure outside of strings. An unterminated string runs to the end, so that scanning stays linear.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|[\[\]{}]|-?Infinity|NaN|//|/\*|#', re.DOTALL)
_KEY_ENDS = re.compile(r"[ \t\r\n]*:")

#: The parser's own messages (their beginnings), and ours.
_SENTENCES = {
    "Extra data": "the JSON ends before this, and more text follows; a condition is a single JSON value",
    "Expecting property name": 'a key in double quotes was expected here, such as {"var": …}',
    "Illegal trailing comma": "a comma stands before the closing bracket; remove it",
    "Expecting ',' delimiter": "a comma or a closing bracket was expected here",
    "Expecting ':' delimiter": "a colon was expected here, between a key and its value",
    "Unterminated string": "a text starts here and its closing quote is missing",
    "Invalid control character": "a line break or tab stands inside a text; write it as \\n or \\t",
    "Invalid \\": 'a backslash in a text must be followed by one of " \\ / b f n r t u; write \\\\ for a backslash',
}


def parse(text: str) -> Any:
    """The Python value of a strict JSON text.

    Raises ``InvalidRule`` with one problem, pointer ``""``, whose sentence gives line and column: for a byte order
    mark, a comment, NaN or Infinity, a duplicate key, trailing text, numbers past 64 bits, nesting deeper than
    ``MAX_DEPTH`` levels or a text longer than ``MAX_SIZE`` characters.
    """
    if len(text) > MAX_SIZE:
        _refuse(f"The JSON is {len(text):,} characters long; at most {MAX_SIZE:,} are allowed.")
    if text.startswith("\ufeff"):
        _refuse("The JSON starts with a byte order mark (line 1, column 1); save the text without one.")
    if not text.strip():
        _refuse("The JSON is empty; write a condition, or leave the field out to match always.")
    _scan(text)
    try:
        return json.loads(text, parse_int=_whole_number, parse_float=_number)
    except JSONDecodeError as error:
        _refuse(f"This is not JSON ({_place(text, error.pos)}): {_explanation(error)}.")


def _refuse(message: str) -> NoReturn:
    raise InvalidRule([Problem("", message)])


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


def _explanation(error: JSONDecodeError) -> str:
    found = error.doc[error.pos : error.pos + 1]
    if found == "'":
        return "texts and keys stand in double quotes, not single ones"
    for beginning, sentence in _SENTENCES.items():
        if error.msg.startswith(beginning):
            return sentence
    if not found:
        return "the text ends where a value was expected; a bracket is not closed"
    word = re.match(r"\w*", error.doc[error.pos :])
    return f'a value was expected here, and "{(word.group() if word else "")[:20] or found}" is none'


def _scan(text: str) -> None:
    """Refuse, before the real parser sees it, what that would accept, misreport or nest too deeply for."""
    keys: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        found, start = token.group(), token.start()
        if found in "[{":
            keys.append(set())
            if len(keys) > MAX_DEPTH:
                _refuse(f"The JSON is nested deeper than {MAX_DEPTH} levels at {_place(text, start)}; split it up.")
        elif found in "]}":
            if keys:
                keys.pop()
        elif found[0] != '"':
            _refuse(f"{_stranger(found)} ({_place(text, start)}).")
        elif keys and _KEY_ENDS.match(text, token.end()):
            _note_key(keys[-1], found, _place(text, start))


def _stranger(found: str) -> str:
    if found in ("//", "/*", "#"):
        return "JSON has no comments; put remarks into the rule's description"
    return f"JSON has no number {found}; write a finite number, or null"


def _note_key(seen: set[str], token: str, place: str) -> None:
    try:
        key = json.loads(token)
    except JSONDecodeError:
        return  # The real parser says what is wrong with it.
    if key in seen:
        _refuse(
            f'The key "{key[:50]}" stands twice in one object, the second time at {place}; only one would count. '
            'To use an operator twice, wrap both in {"and": [ … ]}.'
        )
    seen.add(key)


def _whole_number(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        _refuse(f"The number {digits[:25]}… does not fit 64 bits; write it as text.")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        _refuse(f"The number {digits[:25]} is too large to be a number.")
    return value

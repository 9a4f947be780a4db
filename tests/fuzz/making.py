"""Odd values of every kind, by chance."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

TEXTS = (
    *("", " ", "x", "paid", "0", "-1", "1e999", "null", "true", "2031-05-06", "2031-05-06T08:00:00Z", "25:61", "\x00"),
    *("\ud800", "\u202e", "\u2028", "ﬀ", "😀", "İ", "<script>", "{{ instance.total }}", "{% for x in y %}", "%s %(a)s"),
    *("a\r\nBcc: b@x.example", "../../etc/passwd", "'; DROP TABLE x; --", "\x1b[31m", "https://[::1]/", "a" * 300),
)
NUMBERS = (0, 1, -1, 2, 31, 1.5, -0.0, 1e308, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 5e-324)
PIECES = ('"', "{", "}", "[", "]", ",", ":", "\\", "NaN", "1e999", "/*", "\ufeff", "\\ud800", "9" * 40)
NAMES = (
    *("instance", "old", "changed", "changes", "event", "actor", "request", "m2m", "signal", "held", "each", "status"),
    *("total", "items", "customer", "pk", "id", "order_number", "quantity", "email", "password", "", "0", "__class__"),
)


def leaf(chance: random.Random) -> Any:
    """A value without parts."""
    return chance.choice((chance.choice(TEXTS), chance.choice(NUMBERS), None, True, False, chance.choice(NAMES)))


def json_value(chance: random.Random, depth: int = 4) -> Any:
    """A JSON value, lone surrogates among its texts."""
    kind = chance.random()
    if depth == 0 or kind < 0.4:
        return leaf(chance)
    if kind < 0.65:
        return [json_value(chance, depth - 1) for _ in range(chance.randint(0, 4))]
    return {chance.choice(NAMES): json_value(chance, depth - 1) for _ in range(chance.randint(0, 4))}


def deep(chance: random.Random) -> Any:
    """A list or object of great depth."""
    value: Any = leaf(chance)
    for _ in range(chance.choice((60, 70, 300))):
        value = [value] if chance.random() < 0.5 else {chance.choice(NAMES): value}
    return value


def spoiled(chance: random.Random, text: str) -> str:
    """A text with pieces taken out, put in, doubled and exchanged."""
    for _ in range(chance.randint(0, 4)):
        at = chance.randint(0, len(text))
        end = min(len(text), at + chance.choice((1, 1, 3, 20)))
        piece = chance.choice(
            ('"', "{", "}", "[", "]", ",", ":", "\\", "NaN", "1e999", "/*", "\ufeff", "\\ud800", "9" * 40)
        )
        text = text[:at] + chance.choice(("", piece, text[at:end] * 2)) + text[end:]
    return text


def json_text(chance: random.Random, value: Any) -> str:
    """A value as JSON text, perhaps spoiled, perhaps of great depth."""
    kind = chance.random()
    if kind < 0.03:
        return chance.choice(("[", '{"a":', '{"!":[')) * chance.choice((70, 5_000))
    text = json.dumps(value, ensure_ascii=chance.random() < 0.5)
    return text if kind < 0.5 else spoiled(chance, text)


def some(chance: random.Random, make: Callable[[random.Random], Any], most: int = 3) -> list[Any]:
    """A few of what ``make`` makes."""
    return [make(chance) for _ in range(chance.randint(0, most))]

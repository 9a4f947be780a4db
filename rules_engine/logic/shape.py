"""The bounds that keep a written condition small enough, and JSON enough, to hand to anything."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.errors import Problem

#: Levels of nesting; far more than people write, far less than what harms a parser.
MAX_JSON_DEPTH = 64
#: Characters of JSON text, and of the same thing as Python values.
MAX_JSON_SIZE = 64 * 1024
_MOST_PROBLEMS = 50
_BAD_CHARACTER = re.compile("[\x00\ud800-\udfff]")


def pointer(*steps: str | int) -> str:
    """Return the RFC 6901 pointer of those steps: ``pointer("/", 0)`` is ``"/~1/0"``."""
    return "".join(["/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps])


class _Node(NamedTuple):
    value: Any
    parent: _Node | None
    step: str | int
    depth: int


def _lineage(node: _Node) -> Iterator[_Node]:
    here: _Node | None = node
    while here is not None:
        yield here
        here = here.parent


def _pointer_of(node: _Node) -> str:
    return pointer(*[ancestor.step for ancestor in list(_lineage(node))[-2::-1]])


def shape_problems(logic: Any) -> list[Problem]:
    """Say what makes a Python value no JSON value, or one too deep or large: problems with pointers, at most 50.

    Walks without recursion and stops at the first bound it meets, so any object is safe to pass: one that contains
    itself, is nested a million levels deep, or a million items wide.
    """
    problems: list[Problem] = []
    room = MAX_JSON_SIZE
    stack = [_Node(logic, None, "", 1)]
    while stack and len(problems) < _MOST_PROBLEMS:
        node = stack.pop()
        room -= _size(node.value)
        if room < 0:
            return [*problems, _too_large()]
        if isinstance(node.value, dict | list) and node.depth > MAX_JSON_DEPTH:
            return [*problems, _too_deep(node)]
        message = _misfit(node.value)
        if message:
            problems.append(Problem(_pointer_of(node), message))
        else:
            stack.extend(_children(node))
    return problems


def _size(value: Any) -> int:
    if isinstance(value, str | dict | list):
        return len(value) + 2
    return 2


def _children(node: _Node) -> Iterator[_Node]:
    if isinstance(node.value, dict):
        items: Any = reversed(node.value.items())
    elif isinstance(node.value, list):
        items = zip(range(len(node.value) - 1, -1, -1), reversed(node.value), strict=True)
    else:
        return
    for step, value in items:
        yield _Node(value, node, step, node.depth + 1)


def _too_large() -> Problem:
    message = gettext("The JSON is larger than %(most)s characters; split the rule in two.")
    return Problem("", message % {"most": number_format(MAX_JSON_SIZE, force_grouping=True)})


def _too_deep(node: _Node) -> Problem:
    seen: set[int] = set()
    for ancestor in _lineage(node):
        if id(ancestor.value) in seen:
            return Problem("", gettext("The JSON contains itself; a condition must have an end."))
        seen.add(id(ancestor.value))
    return Problem(
        "", gettext("The JSON is nested deeper than %(most)s levels; split it up.") % {"most": MAX_JSON_DEPTH}
    )


def _misfit(value: Any) -> str | None:
    if value is None or isinstance(value, bool | list):
        return None
    if isinstance(value, str):
        return _text_misfit(value)
    if isinstance(value, int):
        fits = -(2**63) <= value < 2**63
        return None if fits else gettext("This number does not fit 64 bits; write it as text.")
    if isinstance(value, float):
        finite = math.isfinite(value)
        return None if finite else gettext("JSON has no NaN and no Infinity; write a finite number, or null.")
    if isinstance(value, dict):
        return next(filter(None, map(_key_misfit, value)), None)
    if isinstance(value, tuple | set | frozenset):
        message = gettext('A Python "%(type)s" is not JSON; write a list.')
    else:
        message = gettext('A Python "%(type)s" is not JSON; write text, a number, true, false or null.')
    return message % {"type": type(value).__name__}


def _key_misfit(key: Any) -> str | None:
    if isinstance(key, str):
        return _text_misfit(key) or (gettext("This key is far too long.") if len(key) > MAX_JSON_SIZE else None)
    message = gettext('The keys of an object are texts, and one here is a Python "%(type)s".')
    return message % {"type": type(key).__name__}


def _text_misfit(text: str) -> str | None:
    if _BAD_CHARACTER.search(text):
        return gettext("This text holds a NUL or half of a surrogate pair, which no database stores; remove it.")
    return None

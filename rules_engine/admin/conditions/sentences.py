"""A condition in the words of its builder, for whoever may only read it: no scripts, nothing to be changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.one_line import GROUPS, words_of
from rules_engine.admin.conditions.words import MOMENTS, SIGNS, UNITS, WORDS, comparison, group_words, many_words

COMPARED = {
    "==": "is", "!=": "is_not", "===": "same", "!==": "not_same", ">": "more", ">=": "at_least", "<": "less",
    "<=": "at_most", "starts_with": "starts", "ends_with": "ends",
}  # fmt: skip
NEGATED = {
    "changed": "unchanged", "one_of": "not_one_of", "contains": "not_contains", "starts": "not_starts",
    "ends": "not_ends", "between": "not_between", "inside": "not_inside",
}  # fmt: skip
#: Each with whether the greater stands first.
RANGES = {"<=": ("between", False), "<": ("inside", False), ">=": ("between", True), ">": ("inside", True)}
SPAN = re.compile(r"(\d+)([dhms])")
MANY = ("some", "all", "none")
#: Operators whose second argument is asked of each row of the first.
OF_ROWS = (*MANY, "filter", "map", "reduce")


@dataclass(frozen=True, slots=True)
class Part:
    """A line, and what stands below it. ``is_code``: it has no words, and is told as it is written."""

    words: str
    children: list[Part] = field(default_factory=list)
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A part of a condition on one line; ``is_code``: it has no words, and is told as it is written."""

    words: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A comparison taken apart: what is compared, by which operator of the builder, with what, in words."""

    name: str
    title: str
    kind: str
    op: str
    right: str


@dataclass(frozen=True, slots=True)
class Test:
    """A comparison of one value; ``is_bare``: with nothing to its right."""

    name: str
    op: str
    right: Any = None
    is_bare: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """Two bounds."""

    low: Any
    high: Any


def read(logic: Any, titles: Titles) -> Part:
    """The condition as lines, the outermost group first."""
    if (test := test_of(logic)) is not None:
        return Part(_sentence(test, titles))
    return _many(logic, titles) or _group(logic, titles) or Part(words_of(logic), is_code=True)


def said(logic: Any, titles: Titles) -> Said:
    """One part of a condition by itself: ``Total is more than 100``, and of what only leads to a value its name."""
    if name := name_of(logic):
        return Said(titles.title(name))
    if (test := test_of(logic)) is not None:
        return Said(_sentence(test, titles))
    operator, arguments = call_of(logic)
    if operator in ("and", "or"):
        return Said(group_words("all" if operator == "and" else "any"))
    if operator == "!" and len(arguments) == 1:
        inner = said(arguments[0], titles)
        return Said(f"{GROUPS['!']} {inner.words}", inner.is_code)
    if operator in MANY and len(arguments) == 2 and (name := name_of(arguments[0])):
        each = said(arguments[1], titles.of_rows(name))
        return Said(f"{titles.title(name)} {many_words(operator)}: {each.words}", each.is_code)
    return Said(words_of(logic), is_code=True)


def asked_of(logic: Any, titles: Titles) -> Asked | None:
    """A comparison with its parts; None for what is none, or has no words."""
    test = test_of(logic)
    if test is None:
        return None
    right = "" if test.is_bare else _right(test, titles)
    return Asked(test.name, titles.title(test.name), titles.kind(test.name), test.op, right)


def titles_below(logic: Any, pointer: str, titles: Titles) -> Titles:
    """What names are called in the part at that JSON pointer, directly below ``logic``: in what is asked of each row
    of a relation they are columns of the row."""
    operator, arguments = call_of(logic)
    if operator not in OF_ROWS or not pointer.endswith(f"/{operator}/1"):
        return titles
    return titles.of_rows(name_of(arguments[0]))


def call_of(logic: Any) -> tuple[str, list[Any]]:
    """The operator and its arguments; an empty operator for what is no operation."""
    if not isinstance(logic, Mapping) or len(logic) != 1:
        return "", []
    operator, given = next(iter(logic.items()))
    return str(operator), given if isinstance(given, list) else [given]


def name_of(logic: Any) -> str:
    """What a plain ``var`` reads; empty for all else."""
    operator, arguments = call_of(logic)
    is_plain = operator == "var" and len(arguments) == 1 and isinstance(arguments[0], str)
    return arguments[0] if is_plain else ""


def test_of(logic: Any) -> Test | None:
    """The comparison that a row of the builder would show; None where there is none."""
    operator, arguments = call_of(logic)
    if name := name_of(logic):
        return Test(name, "set", is_bare=True)
    if operator in ("!", "!!") and len(arguments) == 1 and (name := name_of(arguments[0])):
        return Test(name, "set" if operator == "!!" else "unset", is_bare=True)
    if operator == "!" and len(arguments) == 1:
        inner = test_of(arguments[0])
        negated = NEGATED.get(inner.op) if inner else None
        return Test(inner.name, negated, inner.right, inner.is_bare) if inner and negated else None
    if operator == "in" and len(arguments) == 2:
        return _membership(*arguments)
    if operator in COMPARED and len(arguments) == 2 and (name := name_of(arguments[0])):
        return _comparison(name, COMPARED[operator], arguments[1])
    if operator in RANGES and len(arguments) == 3 and (name := name_of(arguments[1])):
        op, is_falling = RANGES[operator]
        low, _value, high = reversed(arguments) if is_falling else arguments
        return Test(name, op, Range(low, high)) if is_operand(low) and is_operand(high) else None
    return None


def _membership(left: Any, right: Any) -> Test | None:
    if isinstance(left, str) and (name := name_of(right)):
        is_change = name == "changed"
        return Test(f"instance.{left}", "changed", is_bare=True) if is_change else Test(name, "contains", left)
    is_plain = isinstance(right, list) and not any(isinstance(operand, Mapping | list) for operand in right)
    return Test(name, "one_of", right) if is_plain and (name := name_of(left)) else None


def _comparison(name: str, op: str, right: Any) -> Test | None:
    if right is None and op in ("is", "same", "is_not", "not_same"):
        return Test(name, "null" if op in ("is", "same") else "not_null", is_bare=True)
    return Test(name, op, right) if is_operand(right) else None


def is_operand(logic: Any) -> bool:
    """Whether there are words for it: a value, a field, a time relative to now, or a sum of two such."""
    if not isinstance(logic, Mapping | list):
        return True
    operator, arguments = call_of(logic)
    is_sum = operator in SIGNS and len(arguments) == 2 and all(map(is_operand, arguments))
    return bool(name_of(logic)) or _moment(logic) is not None or is_sum


def _moment(logic: Any) -> str | None:
    operator, arguments = call_of(logic)
    if operator == "format_date" and arguments:
        return _moment(arguments[0])
    if operator == "now" and not arguments:
        return str(MOMENTS[""])
    if operator not in ("+", "-") or len(arguments) != 2 or call_of(arguments[0]) != ("now", []):
        return None
    _timestamp, span = call_of(arguments[1])
    written = SPAN.fullmatch(str(span[0])) if span else None
    return f"{written[1]} {UNITS[written[2]]} {MOMENTS[operator]}" if written else None


def _sentence(test: Test, titles: Titles) -> str:
    kind, before = titles.kind(test.name), test.name.startswith("old.")
    said = f"{titles.title(test.name)} {comparison(test.op, kind, before=before)}"
    return said if test.is_bare else f"{said} {_right(test, titles)}"


def _right(test: Test, titles: Titles) -> str:
    if isinstance(test.right, Range):
        return " – ".join(_operand(bound, test.name, titles) for bound in (test.right.low, test.right.high))
    if isinstance(test.right, list):
        return ", ".join(titles.value(test.name, value) for value in test.right)
    return _operand(test.right, test.name, titles)


def _operand(logic: Any, name: str, titles: Titles) -> str:
    if other := name_of(logic):
        mark = f" ({WORDS['before']})" if other.startswith("old.") else ""
        return f"{titles.title(other)}{mark}"
    if (moment := _moment(logic)) is not None:
        return moment
    operator, arguments = call_of(logic)
    if not arguments:
        return titles.value(name, logic)
    first, last = (_operand(argument, name, titles) for argument in arguments)
    return f"{first} {SIGNS[operator]} {last}"


def _many(logic: Any, titles: Titles) -> Part | None:
    operator, arguments = call_of(logic)
    if operator not in MANY or len(arguments) != 2 or not (name := name_of(arguments[0])):
        return None
    inner = read(arguments[1], titles.of_rows(name))
    return Part(f"{titles.title(name)} {many_words(operator)}", [inner])


def _group(logic: Any, titles: Titles) -> Part | None:
    group = next(group_of(logic), None)
    if group is None:
        return None
    kind, items = group
    return Part(group_words(kind), [read(item, titles) for item in items])


def group_of(logic: Any) -> Iterator[tuple[str, list[Any]]]:
    """The kind of a group and what is in it; nothing for what is no group."""
    operator, arguments = call_of(logic)
    if operator in ("and", "or"):
        yield ("all" if operator == "and" else "any"), arguments
    elif operator == "!" and len(arguments) == 1:
        inner, items = call_of(arguments[0])
        yield (("not_all" if inner == "and" else "none"), items) if inner in ("and", "or") else ("none", arguments)

"""Keeps what an evaluation makes small: operations are counted by the library, and the bytes of values here.

A short condition can double a text with each row. So the values that could grow are handed through an operator of our
own, ``bounded``, which gives back what it gets and counts it. It is put in after a condition was checked, where nobody
writes it: around what makes texts and lists inside of loops and around what ``map`` and ``reduce`` gather, unless it is
made of the row's own values alone; and around what is read, where one expression reads very often. What else an
evaluation makes is about as large as what is written or read.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from datalogic_py import DataHandle, DataLogicError, Engine, Rule
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.errors import ConditionError
from rules_engine.logic.evaluator import engine_for, engine_of, explain, operators

OPERATOR, TRUTH = "bounded", "!!"
#: Characters of JSON that one evaluation may make: a million are a book, and are counted in some ten milliseconds.
MOST_MADE = 1_000_000
#: Reads in one expression below which nothing that it puts together is much larger than the event.
FEW_READS = 32
#: Characters of a constant that may be repeated for each row.
SHORT_TEXT = 200

_LOOPS_THAT_GATHER = frozenset({"map", "reduce"})
#: What makes a new text, list or object of its arguments.
_MAKERS = frozenset({
    "cat", "merge", "map", "reduce", "filter", "sort", "slice", "distinct", "group_by",
    "keys", "values", "entries", "split", "substr", "upper", "lower", "trim",
})  # fmt: skip
#: What comes to a number, a truth or a time, whatever it is given.
_SMALL = frozenset({
    "==", "===", "!=", "!==", "<", "<=", ">", ">=", "!", "!!", "in", "+", "-", "*", "/", "%", "abs", "ceil", "floor",
    "length", "starts_with", "ends_with", "some", "all", "none", "type", "exists", "now", "timestamp", "date_diff",
})  # fmt: skip
_READS = frozenset({"var", "val"})


class _Meter(threading.local):
    """What the evaluation of this thread may still make."""

    room = MOST_MADE
    is_exceeded = False


_METER = _Meter()


class ValueTooLargeError(ConditionError):
    """An evaluation made more than it may."""


@dataclass(frozen=True, slots=True)
class Metered:
    """A compiled rule, and whether what it makes is counted: what cannot grow is not slowed down."""

    rule: Rule
    is_counted: bool

    def evaluated(self, data: DataHandle) -> Any:
        """Evaluate it. Raises ``ConditionError`` naming operator and pointer, ``ValueTooLargeError`` where it grew."""
        if self.is_counted:
            return self._counted(data)
        try:
            return self.rule.evaluate_data(data)
        except DataLogicError as error:
            raise ConditionError(explain(error, _place_in_source)) from error

    def _counted(self, data: DataHandle) -> Any:
        _METER.room, _METER.is_exceeded = MOST_MADE, False
        try:
            value = self.rule.evaluate_data(data)
        except DataLogicError as error:
            if not _METER.is_exceeded:
                raise ConditionError(explain(error, _place_in_source)) from error
            raise ValueTooLargeError(_too_large()) from error
        # Also where ``try`` went on after that.
        if _METER.is_exceeded:
            raise ValueTooLargeError(_too_large())
        return value


def _too_large() -> str:
    text = gettext("The condition put together more than %(most)s characters on this event and was stopped.")
    return text % {"most": number_format(MOST_MADE, force_grouping=True)}


def count(arguments: str) -> str:
    """Give back the one argument, as the library asks for it: JSON for JSON."""
    _METER.room -= len(arguments)
    if _METER.room < 0:
        _METER.is_exceeded = True
        raise ValueTooLargeError(_too_large())
    return arguments[1:-1]


@lru_cache(maxsize=8)
def metered_engine(budget: int) -> Engine:
    """Return the engine that counts bytes as well; thread-safe, shared. For logic that ``metered`` gave."""
    return engine_of(budget, {OPERATOR: count})


def metered_value(logic: Any, budget: int) -> Metered:
    """Compile logic that has passed ``check_expression`` for its value. Raises ``ConditionError`` where it cannot."""
    written = metered(logic)
    return _compiled(written, written != logic, budget)


def metered_truth(logic: Any, budget: int) -> Metered:
    """Compile logic that has passed ``check_expression`` for whether its value is true. Raises ``ConditionError``."""
    written = metered(logic)
    return _compiled(written if _comes_to_little(logic) else {TRUTH: [written]}, written != logic, budget)


def _compiled(written: Any, is_counted: bool, budget: int) -> Metered:
    engine = metered_engine(budget) if is_counted else engine_for(budget)
    try:
        return Metered(engine.compile(json.dumps(written)), is_counted)
    except DataLogicError as error:
        raise ConditionError(explain(error, _place_in_source)) from error


def metered(logic: Any) -> Any:
    """Return the logic with ``bounded`` around what may grow; itself where nothing can."""
    return _rewritten(logic, _Place(reads_often=_reads_in(logic) > FEW_READS))


def _place_in_source(pointer: str) -> str:
    """Return the JSON pointer, which is into what was compiled, as one into what was written."""
    return pointer.removeprefix(f"/{TRUTH}/0").replace(f"/{OPERATOR}/0", "")


def _reads_in(node: Any) -> int:
    if isinstance(node, list):
        return sum(map(_reads_in, node))
    if not isinstance(node, dict):
        return 0
    return sum((name in _READS) + _reads_in(value) for name, value in node.items())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part of the logic stands. ``loops``: how many bodies it is in; ``is_looked_at``: what it comes to is not
    put into a value by its parent."""

    loops: int = 0
    is_reduced: bool = False
    reads_often: bool = False
    is_looked_at: bool = False

    def may_grow(self, node: Any) -> bool:
        """Say whether a value made here may, over all rounds, be much larger than what the event holds."""
        if self.loops == 0:
            return False
        # In one loop, all that is made of the rows' own values is as large as the rows.
        return self.loops > 1 or self.is_reduced or not _is_of_its_row(node)


def _is_of_its_row(node: Any) -> bool:
    if isinstance(node, list):
        return all(map(_is_of_its_row, node))
    if isinstance(node, Mapping):
        return "val" not in node and all(map(_is_of_its_row, node.values()))
    return not isinstance(node, str) or len(node) <= SHORT_TEXT


def _rewritten(node: Any, place: _Place) -> Any:
    inner = replace(place, is_looked_at=False)
    if isinstance(node, list):
        return [_rewritten(item, inner) for item in node]
    if not isinstance(node, Mapping) or len(node) != 1:
        return node
    name, value = next(iter(node.items()))
    if name in _READS:
        return _wrapped(node) if place.reads_often and not place.is_looked_at else node
    arguments = value if isinstance(value, list) else [value]
    written = [_argument(name, argument, index, place) for index, argument in enumerate(arguments)]
    operation = {name: written if isinstance(value, list) else written[0]}
    return _wrapped(operation) if name in _MAKERS and place.may_grow(node) else operation


def _argument(name: str, argument: Any, index: int, place: _Place) -> Any:
    if name not in operators() or operators()[name]["scoped_arg"] != index:
        return _rewritten(argument, replace(place, is_looked_at=name in _SMALL))
    is_reduced = place.is_reduced or name == "reduce"
    body = replace(place, loops=place.loops + 1, is_reduced=is_reduced, is_looked_at=name not in _LOOPS_THAT_GATHER)
    written = _rewritten(argument, body)
    is_kept = name in _LOOPS_THAT_GATHER and body.may_grow(argument) and not _comes_to_little(written)
    return _wrapped(written) if is_kept else written


def _comes_to_little(node: Any) -> bool:
    if isinstance(node, Mapping):
        name = next(iter(node), "")
        return name in _SMALL or name == OPERATOR
    return not isinstance(node, list)


def _wrapped(node: Any) -> Any:
    return {OPERATOR: [node]}

"""Decimals through expressions. The evaluator calculates with floating-point numbers, which have 53 bits.

What is merely chosen gets its own digits back; a calculation with more digits is an error, not a number nearby.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from rules_engine.errors import ConditionError
from rules_engine.logic.evaluator import number_of
from rules_engine.logic.variables import Variable, variables
from rules_engine.types import Path

#: Operators that make something new of a number's digits; all others choose, compare or count.
CALCULATING = frozenset({"+", "-", "*", "/", "%", "abs", "ceil", "floor", "cat", "substr"})
#: Up to here floating-point numbers have every whole one.
WHOLE = 2**53


def with_digits(result: Any, logic: Any, data: Mapping[str, Any], *, all_of_them: bool) -> Any:
    """Return what an expression came to, with the digits of the decimals that it has chosen.

    Those that a number cannot hold come back as ``Decimal``; with ``all_of_them`` every decimal does. Raises
    ``ConditionError`` where such a one was calculated with.
    """
    by_number: dict[float | int, set[Decimal]] = {}
    for variable in variables(logic):
        for value in _numbers(data, (*(variable.within or ()), *variable.path)):
            _refuse_to_calculate(logic, variable, value)
            if isinstance(value, Decimal) and (all_of_them or not _is_held(value)):
                by_number.setdefault(number_of(value), set()).add(value)
    return _restored(result, by_number) if by_number else result


def _refuse_to_calculate(logic: Any, variable: Variable, value: Decimal | int) -> None:
    if _is_held(value) and -WHOLE <= value <= WHOLE:
        return
    operators = CALCULATING.intersection(_around(logic, variable.pointer))
    if not operators:
        return
    message = gettext(
        '"%(path)s" has more digits than "%(operator)s" can calculate with, which are 15. Copy it as it is, or '
        "increase a field by it."
    )
    path = ".".join((*(variable.within or ()), *variable.path))
    raise ConditionError(message % {"path": path, "operator": min(operators)})


def _around(logic: Any, pointer: str) -> Iterator[str]:
    """Return the operators that stand around the place, the outermost first."""
    node = logic
    for part in pointer.split("/")[1:]:
        if isinstance(node, list):
            node = node[int(part)]
        else:
            operator = part.replace("~1", "/").replace("~0", "~")
            yield operator
            node = node[operator]


def _is_held(value: Decimal | int) -> bool:
    """Say whether a number has all its digits."""
    number = number_of(value) if isinstance(value, Decimal) else value
    return Decimal(repr(number)) == value


def _numbers(value: Any, path: Path) -> Iterator[Decimal | int]:
    """Return the numbers at a path of the data, and all that lie below it."""
    if path and isinstance(value, Mapping):
        yield from _numbers(value.get(path[0]), path[1:])
    elif isinstance(value, list):
        if path and path[0].isdecimal():
            yield from _numbers(value[int(path[0])] if int(path[0]) < len(value) else None, path[1:])
        else:
            for row in value:
                yield from _numbers(row, path)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item, ())
    elif not path and isinstance(value, Decimal | int) and not isinstance(value, bool):
        yield value


def _restored(result: Any, by_number: Mapping[float | int, set[Decimal]]) -> Any:
    if isinstance(result, dict):
        return {key: _restored(item, by_number) for key, item in result.items()}
    if isinstance(result, list):
        return [_restored(item, by_number) for item in result]
    if isinstance(result, bool) or not isinstance(result, int | float) or result not in by_number:
        return result
    chosen = by_number[result]
    if len(chosen) > 1:
        message = gettext("An expression chooses among decimals that differ in more than 15 digits, which it cannot.")
        raise ConditionError(message)
    return next(iter(chosen))

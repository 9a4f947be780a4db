"""Conditions written in Python, for packs and tests; what they give is plain JSONLogic::

    from rules_engine.conditions import has_changed, instance, logic, some

    condition = logic(has_changed("status") & (instance.status == "paid") & ~(instance.total < 100))
    condition = logic(some(instance.lines, lambda line: line.price > instance.limit))

``&``, ``|`` and ``~`` bind tighter than ``==`` and ``<`` in Python: put comparisons into brackets. The JSON is emitted
by ``jsonlogic-py``; what that gets wrong for our evaluator (``~``, null, lists, names inside loops) is settled here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any

import jsonlogic
from jsonlogic.operations import Operation

__all__ = [
    "Expression",
    "actor",
    "apply",
    "changed",
    "changes",
    "contains",
    "created",
    "event",
    "every",
    "has_changed",
    "if_null",
    "instance",
    "is_in",
    "logic",
    "m2m",
    "missing",
    "none",
    "old",
    "request",
    "signal",
    "some",
]


class _Json(jsonlogic.Operand):
    """JSON that is emitted as it is; the library's own literal turns null into the text "None"."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    def _prepare(self) -> Any:
        return self._value


class Expression:
    """A part of a condition. Compare it, calculate with it, combine it; ``logic`` gives its JSON."""

    # Built when the JSON is asked for: a name is written differently inside each loop around it.
    def __init__(self, build: Callable[[int], jsonlogic.Operand]) -> None:
        self._build = build

    def __bool__(self) -> bool:
        raise TypeError('A condition has no truth value in Python; combine conditions with "&", "|" and "~".')

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return apply("==", self, other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return apply("!=", self, other)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: Any) -> Expression:
        return apply("<", self, other)

    def __le__(self, other: Any) -> Expression:
        return apply("<=", self, other)

    def __gt__(self, other: Any) -> Expression:
        return apply(">", self, other)

    def __ge__(self, other: Any) -> Expression:
        return apply(">=", self, other)

    def __and__(self, other: Any) -> Expression:
        return apply("and", self, other)

    def __or__(self, other: Any) -> Expression:
        return apply("or", self, other)

    def __invert__(self) -> Expression:
        return apply("!", self)

    def __add__(self, other: Any) -> Expression:
        return apply("+", self, other)

    def __radd__(self, other: Any) -> Expression:
        return apply("+", other, self)

    def __sub__(self, other: Any) -> Expression:
        return apply("-", self, other)

    def __rsub__(self, other: Any) -> Expression:
        return apply("-", other, self)

    def __mul__(self, other: Any) -> Expression:
        return apply("*", self, other)

    def __rmul__(self, other: Any) -> Expression:
        return apply("*", other, self)

    def __truediv__(self, other: Any) -> Expression:
        return apply("/", self, other)

    def __mod__(self, other: Any) -> Expression:
        return apply("%", self, other)

    def __repr__(self) -> str:
        return str(self._build(0))


class _Name(Expression):
    """A name in the context (``loop`` 0) or in a row of the loop of that depth; attributes go further down."""

    def __init__(self, path: tuple[str, ...], loop: int = 0) -> None:
        super().__init__(self._written)
        self._path = path
        self._loop = loop

    def __getattr__(self, name: str) -> _Name:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str | int) -> _Name:
        return _Name((*self._path, str(name)), self._loop)

    # Without it, Python would iterate by index for ever.
    __iter__ = None

    def _written(self, depth: int) -> jsonlogic.Operand:
        if depth == self._loop:
            return jsonlogic.Variable(".".join(self._path))
        return _Json({"val": [[2 * (depth - self._loop)], *self._path]})


def _operand(value: Any, depth: int) -> jsonlogic.Operand:
    if isinstance(value, Expression):
        return value._build(depth)
    if isinstance(value, list | tuple):
        return _Json([_operand(item, depth)._prepare() for item in value])
    if isinstance(value, set | frozenset):
        # In one order, so that the same pack gives the same JSON in every process.
        return _operand(sorted(value, key=repr), depth)
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"An object of JSON has texts as keys, and got {wrong[0]!r}.")
        return _Json({key: _operand(item, depth)._prepare() for key, item in value.items()})
    if isinstance(value, Decimal | float) and not isfinite(value):
        raise TypeError(f"A condition can hold numbers that JSON has, and got {value}.")
    if isinstance(value, Decimal):
        return _Json(int(value) if value == value.to_integral_value() else float(value))
    if isinstance(value, datetime | date | time):
        return _Json(value.isoformat())
    if value is None or isinstance(value, bool | int | float | str):
        return _Json(value)
    raise TypeError(f"A condition can hold JSON values and dates, and got a {type(value).__name__}.")


def logic(expression: Any) -> Any:
    """Write an expression as JSONLogic, a dict; other values are made JSON. Raises ``TypeError`` for what cannot be."""
    return _operand(expression, 0)._prepare()


def apply(operator: str, *arguments: Any) -> Expression:
    """Take any operator by name: ``apply("starts_with", instance.name, "A")``."""

    def build(depth: int) -> jsonlogic.Operand:
        return _call(operator, [_operand(argument, depth) for argument in arguments])

    return Expression(build)


def _call(operator: str, operands: list[Any]) -> jsonlogic.Operand:
    return jsonlogic.Expression(Operation(operator, None), *operands) if operands else _Json({operator: []})


def has_changed(field: str) -> Expression:
    """Ask whether the field is among those that changed."""
    return apply("in", field, changed)


def is_in(value: Any, options: Any) -> Expression:
    """Ask whether the value is one of the options."""
    return apply("in", value, options)


def contains(whole: Any, part: Any) -> Expression:
    """Ask whether a list has the item, or a text the part."""
    return apply("in", part, whole)


def if_null(value: Any, default: Any) -> Expression:
    """Take the value, or the default where it is null or missing; what arithmetic on optional fields needs."""
    return apply("??", value, default)


def missing(*names: str) -> Expression:
    """Find those of the names, such as ``"instance.email"``, that are not there; a field that is null is there."""
    return apply("missing", *names)


def some(rows: Expression, test: Callable[[Any], Any]) -> Expression:
    """Ask whether the test holds for at least one row: ``some(instance.lines, lambda line: line.price > 5)``."""
    return _loop("some", rows, test)


def every(rows: Expression, test: Callable[[Any], Any]) -> Expression:
    """Ask whether the test holds for all rows; false where there are none."""
    return _loop("all", rows, test)


def none(rows: Expression, test: Callable[[Any], Any]) -> Expression:
    """Ask whether the test holds for no row."""
    return _loop("none", rows, test)


def _loop(operator: str, rows: Expression, test: Callable[[Any], Any]) -> Expression:
    def build(depth: int) -> jsonlogic.Operand:
        body = _operand(test(_Name((), depth + 1)), depth + 1)
        return _call(operator, [_operand(rows, depth), body])

    return Expression(build)


event = _Name(("event",))
instance = _Name(("instance",))
old = _Name(("old",))
changed = _Name(("changed",))
changes = _Name(("changes",))
created = _Name(("created",))
actor = _Name(("actor",))
request = _Name(("request",))
m2m = _Name(("m2m",))
signal = _Name(("signal",))

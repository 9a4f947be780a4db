"""Comparisons: Python's own where both sides are of one known type, else a function that does as JSONLogic."""

from __future__ import annotations

from datetime import date, time
from itertools import pairwise

from rules_engine.source.literals import literal
from rules_engine.source.writer import Value, Writer

NUMBERS = frozenset({"integer", "decimal", "float"})
TIMES: dict[str, type[date] | type[time]] = {"date": date, "time": time}
OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
COMPARE = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def negated(value: Value) -> str:
    """Return the code of its opposite."""
    return value.opposite or f"not {value.at(5)}"


def as_text(writer: Writer, value: Value) -> Value:
    """Return the value as a text; null is empty."""
    if value.kind == "text" and not value.null:
        return value
    if value.kind == "text":
        return Value(f'({value.at(4)} or "")', "text", False)
    return Value(f"{writer.module.function('text')}({value.code})", "text", False)


def equal(writer: Writer, values: list[Value], wanted: bool) -> Value | None:
    """Write ``==`` and ``!=``."""
    if len(values) != 2:
        return None
    left, right = values if not values[0].constant or values[1].constant else values[::-1]
    value = _equal(left, right, wanted) or _equal_days(writer, left, right, wanted)
    if value is not None:
        return value
    code = f"{writer.module.function('same')}({left.code}, {right.code})"
    return _either(code, f"not {code}", wanted, 12)


def _either(yes: str, no: str, wanted: bool, level: int = 6) -> Value:
    first, second = (yes, no) if wanted else (no, yes)
    return Value(first, "boolean", False, 5 if first.startswith("not ") else level, opposite=second)


def _compared(left: Value, right: Value, wanted: bool) -> Value:
    return _either(f"{left.at(7)} == {right.at(7)}", f"{left.at(7)} != {right.at(7)}", wanted)


def _equal(left: Value, right: Value, wanted: bool) -> Value | None:
    if right.kind == "null":
        return _equals_null(left, wanted)
    if right.constant and left.kind == right.kind == "boolean":
        yes = left.code if not left.null else f"{left.at(7)} is True"
        return _either(yes, f"not {left.at(5)}", wanted is right.constant[0], 12 if not left.null else 6)
    if left.kind == right.kind == "text" or (left.kind in NUMBERS and right.kind in NUMBERS):
        return _equals_alike(left, right, wanted)
    if left.kind == right.kind and left.kind in ("date", "time", "uuid"):
        return _compared(left, right, wanted)
    return None


def _equals_null(left: Value, wanted: bool) -> Value | None:
    empty = {"text": '""', **dict.fromkeys(NUMBERS, "0")}.get(left.kind)
    if empty is not None:
        if not left.null:
            return _either(f"{left.at(7)} == {empty}", f"{left.at(7)} != {empty}", wanted)
        return _either(f"{left.at(7)} in (None, {empty})", f"{left.at(7)} not in (None, {empty})", wanted)
    if left.kind == "boolean":
        return _either(f"not {left.at(5)}", f"bool({left.code})", wanted, 12)
    if left.kind in ("date", "time", "datetime", "uuid", "object"):
        return _either(f"{left.at(7)} is None", f"{left.at(7)} is not None", wanted)
    return None


def _equals_alike(left: Value, right: Value, wanted: bool) -> Value | None:
    if right.constant and right.constant[0] in (0, "") and left.null:
        return _equals_null(left, wanted)
    if left.null and not right.constant:
        return None
    if right.null and not right.constant:
        return None
    pair = _exact(left, right)
    return None if pair is None else _compared(*pair, wanted)


def _exact(left: Value, right: Value) -> tuple[Value, Value] | None:
    """Return both as Python can compare them: 0.1 of JSON is the decimal 0.1, and not the binary fraction."""
    kinds = {left.kind, right.kind}
    if kinds != {"decimal", "float"}:
        return left, right
    return None  # the printed function takes both as the rule does


def _equal_days(writer: Writer, left: Value, right: Value, wanted: bool) -> Value | None:
    moment = _moment(writer, left, right)
    return None if moment is None else _compared(left, moment, wanted)


def _moment(writer: Writer, left: Value, right: Value) -> Value | None:
    """Return a text constant as the date or time that the other side is."""
    kind = TIMES.get(left.kind)
    if kind is None or not right.constant or not isinstance(right.constant[0], str):
        return None
    try:
        moment = kind.fromisoformat(right.constant[0])
    except ValueError:
        return None
    if moment.isoformat() != right.constant[0]:
        return None  # the rule compares the texts
    return Value(f"{writer.module.use('datetime', left.kind)}.fromisoformat({literal(right.constant[0])})")


def identical(writer: Writer, values: list[Value], wanted: bool) -> Value | None:
    """Write ``===`` and ``!==``."""
    if len(values) != 2:
        return None
    left, right = values if not values[0].constant or values[1].constant else values[::-1]
    if left.constant and right.constant and (left.kind == "null") != (right.kind == "null"):
        # Of a number or a text Python warns that "is" is not meant.
        return _either("False", "True", wanted)
    if right.kind == "null":
        return _either(f"{left.at(7)} is None", f"{left.at(7)} is not None", wanted)
    if right.constant and left.kind == right.kind == "boolean":
        value = right.constant[0]
        return _either(f"{left.at(7)} is {value}", f"{left.at(7)} is not {value}", wanted)
    alike = left.kind == right.kind == "text" or (left.kind in NUMBERS and right.kind in NUMBERS)
    if alike and (pair := _exact(left, right)) is not None:
        return _compared(*pair, wanted)
    code = f"{writer.module.function('identical')}({left.code}, {right.code})"
    return _either(code, f"not {code}", wanted, 12)


def ordered(writer: Writer, values: list[Value], operator: str) -> Value | None:
    """Write ``<`` and its like; ``a < b < c`` is both."""
    pairs = [_ordered(writer, left, right, operator) for left, right in pairwise(values)]
    if len(pairs) < 2:
        return pairs[0] if pairs else None
    return Value(" and ".join(pair.at(5) for pair in pairs), "boolean", False, 4)


def _ordered(writer: Writer, left: Value, right: Value, operator: str) -> Value:
    moments = _moment(writer, left, right), _moment(writer, right, left)
    other = moments[0] or right
    first = moments[1] or left
    alike = left.kind in NUMBERS and right.kind in NUMBERS and _exact(left, right) is not None
    if not alike and left.kind == right.kind:
        alike = left.kind in ("text", "date", "time")
    if not (alike or any(moments)) or "null" in (left.kind, right.kind):
        compare = f"{writer.module.use_module('operator')}.{COMPARE[operator]}"
        code = f"{writer.module.function('ordered')}({compare}, {left.code}, {right.code})"
        return Value(code, "boolean", False, opposite=f"not {code}")
    code = f"{first.at(7)} {operator} {other.at(7)}"
    guards = [f"{value.at(7)} is not None" for value in (left, right) if value.null and not value.constant]
    if guards:
        return Value(" and ".join([*guards, code]), "boolean", False, 4)
    return Value(code, "boolean", False, 6, opposite=f"{first.at(7)} {OPPOSITE[operator]} {other.at(7)}")

"""Calculations. Decimals stay exact among themselves; beside other numbers they become floats, as in the rule."""

from __future__ import annotations

from rules_engine.source.comparing import NUMBERS
from rules_engine.source.writer import Value, Writer

LEVELS = {"+": 8, "-": 8, "*": 9, "/": 9, "%": 9}


def _numbers(writer: Writer, values: list[Value]) -> list[Value]:
    found = [one if one.kind in NUMBERS else _number(writer, one) for one in values]
    if {one.kind for one in found} <= {"integer"} or {one.kind for one in found} <= {"integer", "decimal"}:
        return found
    return [Value(f"float({one.code})", "float", False) if one.kind == "decimal" else one for one in found]


def _number(writer: Writer, value: Value) -> Value:
    return Value(f"{writer.module.function('number')}({value.code})", "float", False)


def arithmetic(writer: Writer, values: list[Value], operator: str) -> Value | None:
    """``+`` and its like. Null raises, as it is an error of the rule."""
    found = _numbers(writer, values)
    if not found or (len(found) == 1 and values[0].kind in ("list", "any", "rows")):
        return None
    kind = next((kind for kind in ("decimal", "float") if any(one.kind == kind for one in found)), "integer")
    level = LEVELS[operator]
    if len(found) == 1:
        return Value(f"-{found[0].at(11)}", kind, False, 10) if operator == "-" else found[0]
    if operator == "%":
        function = f"{writer.module.use_module('math')}.fmod"
        return Value(f"{function}({found[0].code}, {found[1].code})", "float", False) if len(found) == 2 else None
    first, *rest = found
    code = " ".join([first.at(level), *(f"{operator} {one.at(level + 1)}" for one in rest)])
    return Value(code, "float" if operator == "/" and kind == "integer" else kind, False, level)


def smallest(writer: Writer, values: list[Value], function: str) -> Value | None:
    """``min`` and ``max``."""
    if len(values) < 2:
        return None
    found = _numbers(writer, values)
    kinds = {one.kind for one in found}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    return Value(f"{function}({', '.join(one.code for one in found)})", kind, False)


def rounded(writer: Writer, values: list[Value], function: str) -> Value | None:
    """``abs``, ``ceil`` and ``floor``."""
    if len(values) != 1:
        return None
    (value,) = _numbers(writer, values)
    name = function if function == "abs" else f"{writer.module.use_module('math')}.{function}"
    return Value(f"{name}({value.code})", value.kind if function == "abs" else "integer", False)

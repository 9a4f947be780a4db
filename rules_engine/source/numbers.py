"""Calculations. Decimals stay exact among themselves; beside other numbers they become floats, as in the rule."""

from __future__ import annotations

from rules_engine.source.comparing import NUMBERS
from rules_engine.source.writer import Value, Writer

LEVELS = {"+": 8, "-": 8, "*": 9, "/": 9, "%": 9}


def _numbers(writer: Writer, values: list[Value]) -> list[Value]:
    numbers = [value if value.kind in NUMBERS else _number(writer, value) for value in values]
    if {value.kind for value in numbers} <= {"integer", "decimal"}:
        return numbers
    return [Value(f"float({value.code})", "float", False) if value.kind == "decimal" else value for value in numbers]


def _number(writer: Writer, value: Value) -> Value:
    return Value(f"{writer.module.function('number')}({value.code})", "float", False)


def arithmetic(writer: Writer, values: list[Value], operator: str) -> Value | None:
    """Write ``+`` and its like. Null raises, as it is an error of the rule."""
    numbers = _numbers(writer, values)
    if not numbers or (len(numbers) == 1 and values[0].kind in ("list", "any", "rows")):
        return None
    kind = next((kind for kind in ("decimal", "float") if any(number.kind == kind for number in numbers)), "integer")
    level = LEVELS[operator]
    if len(numbers) == 1:
        return Value(f"-{numbers[0].at(11)}", kind, False, 10) if operator == "-" else numbers[0]
    if operator == "%":
        function = f"{writer.module.use_module('math')}.fmod"
        return Value(f"{function}({numbers[0].code}, {numbers[1].code})", "float", False) if len(numbers) == 2 else None
    first, *rest = numbers
    code = " ".join([first.at(level), *(f"{operator} {number.at(level + 1)}" for number in rest)])
    return Value(code, "float" if operator == "/" and kind == "integer" else kind, False, level)


def smallest(writer: Writer, values: list[Value], function: str) -> Value | None:
    """Write ``min`` and ``max``."""
    if len(values) < 2:
        return None
    numbers = _numbers(writer, values)
    kinds = {number.kind for number in numbers}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    return Value(f"{function}({', '.join(number.code for number in numbers)})", kind, False)


def rounded(writer: Writer, values: list[Value], function: str) -> Value | None:
    """Write ``abs``, ``ceil`` and ``floor``."""
    if len(values) != 1:
        return None
    (value,) = _numbers(writer, values)
    name = function if function == "abs" else f"{writer.module.use_module('math')}.{function}"
    return Value(f"{name}({value.code})", value.kind if function == "abs" else "integer", False)

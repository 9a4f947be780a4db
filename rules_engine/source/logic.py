"""JSONLogic as Python expressions. Where the types are known it is what a developer would write; where they are not,
it calls the small functions of ``printed``, which do as JSONLogic does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rules_engine.source.comparing import as_text, equal, identical, negated, ordered
from rules_engine.source.literals import literal, quoted
from rules_engine.source.names import NULL, below, context_value, unsupported
from rules_engine.source.numbers import arithmetic, rounded, smallest
from rules_engine.source.writer import Value, Writer
from rules_engine.types import Path


@dataclass(frozen=True, slots=True)
class Scopes:
    """Where an expression stands: the writer, and the rows of the loops around it, the innermost last."""

    writer: Writer
    rows: tuple[Value, ...] = ()

    def read(self, path: Path) -> Value:
        """Return a path from here: of the innermost row, or of the context."""
        if not self.rows:
            return context_value(self.writer, path) if path else unsupported(self.writer, {"var": ""})
        row = self.rows[-1]
        if row.kind == "pair":
            return self._of_pair(row, path)
        if not path or row.model is not None:
            return below(self.writer, row, path)
        return Value(f"{self.writer.module.function('read')}({row.code}, {', '.join(map(quoted, path))})")

    def _of_pair(self, pair: Value, path: Path) -> Value:
        if path[:1] == ("accumulator",) and len(path) == 1:
            return Value("accumulator")
        if path[:1] != ("current",):
            return unsupported(self.writer, {"var": ".".join(path)})
        start = Value("current", "object" if pair.model else "any", pair.model is None, model=pair.model)
        return below(self.writer, start, path[1:])

    def out(self, levels: int) -> Scopes:
        """Return the scopes as seen from so many loops further out."""
        return Scopes(self.writer, self.rows[: len(self.rows) - levels])


def condition(writer: Writer, logic: Any) -> list[Value]:
    """Return the parts of a condition that must all hold."""
    if isinstance(logic, Mapping) and list(logic) == ["and"] and isinstance(logic["and"], list):
        return [part for inner in logic["and"] for part in condition(writer, inner)]
    return [expression(writer, logic)]


def expression(writer: Writer, logic: Any) -> Value:
    """Write any expression over the context."""
    return _written(Scopes(writer), logic)


def _written(scopes: Scopes, logic: Any) -> Value:
    if isinstance(logic, list):
        return Value(f"[{', '.join(_written(scopes, inner).code for inner in logic)}]", "list", False)
    if not isinstance(logic, Mapping):
        return _constant(logic)
    if len(logic) != 1:
        return unsupported(scopes.writer, logic)
    ((operator, operands),) = logic.items()
    arguments = operands if isinstance(operands, list) else [operands]
    build = OPERATORS.get(operator)
    value = build(scopes, arguments) if build else None
    return unsupported(scopes.writer, logic) if value is None else value


def _constant(value: Any) -> Value:
    kinds = {bool: "boolean", int: "integer", float: "float", str: "text"}
    if value is None:
        return NULL
    level = 10 if isinstance(value, int | float) and value < 0 else 12
    return Value(literal(value), kinds[type(value)], False, level, constant=(value,))


Arguments = list[Any]
Build = Callable[[Scopes, Arguments], Value | None]


def _var(scopes: Scopes, arguments: Arguments) -> Value | None:
    name = arguments[0] if arguments else ""
    if isinstance(name, bool) or not isinstance(name, str | int):
        return None
    path = tuple(str(name).split(".")) if name != "" else ()
    return scopes.read(path)  # what a path leads to is there, if null: a default has nothing to stand in for


def _val(scopes: Scopes, arguments: Arguments) -> Value | None:
    levels = 0
    if arguments and isinstance(arguments[0], list):
        if not (len(arguments[0]) == 1 and isinstance(arguments[0][0], int)) or abs(arguments[0][0]) % 2:
            return None
        levels, arguments = min(abs(arguments[0][0]) // 2, len(scopes.rows)), arguments[1:]
    return scopes.out(levels).read(tuple(map(str, arguments)))


def _exists(scopes: Scopes, arguments: Arguments) -> Value | None:
    path = tuple(map(str, arguments))
    is_field = len(path) == 2 and path[0] == "instance" and not scopes.rows
    return Value("True", "boolean", False, constant=(True,)) if is_field else None


def _missing(scopes: Scopes, arguments: Arguments) -> Value | None:
    listed = (argument if isinstance(argument, list) else [argument] for argument in arguments)
    names = [str(name) for argument in listed for name in argument]
    direct = all(name.count(".") == 1 and name.startswith("instance.") for name in names) and not scopes.rows
    return Value("[]", "list", False) if direct else None  # a field is always there


def _each(scopes: Scopes, arguments: Arguments) -> list[Value]:
    return [_written(scopes, argument) for argument in arguments]


def _truth(scopes: Scopes, arguments: Arguments, *, wanted: bool) -> Value:
    value = _written(scopes, arguments[0]) if arguments else NULL
    no = f"not {value.at(5)}"
    if wanted:
        return Value(f"bool({value.code})", "boolean", False, opposite=no)
    return Value(negated(value), "boolean", False, 1 if value.opposite else 5, opposite=value.code)


def _joined(scopes: Scopes, arguments: Arguments, word: str, level: int) -> Value:
    parts = _each(scopes, arguments)
    kinds = {part.kind for part in parts}
    code = f" {word} ".join(part.at(level + 1) for part in parts)
    return Value(code, kinds.pop() if len(kinds) == 1 else "any", any(part.null for part in parts), level)


def _if(scopes: Scopes, arguments: Arguments) -> Value:
    parts = _each(scopes, arguments)
    rest = parts.pop() if len(parts) % 2 else NULL
    for index in range(len(parts) - 2, -1, -2):
        test, then = parts[index], parts[index + 1]
        kind = then.kind if then.kind == rest.kind else rest.kind if then.kind == "null" else then.kind
        kind = kind if rest.kind in (kind, "null") and then.kind in (kind, "null") else "any"
        rest = Value(f"{then.at(2)} if {test.at(2)} else {rest.at(1)}", kind, then.null or rest.null, 1)
    return rest


def _coalesce(scopes: Scopes, arguments: Arguments) -> Value:
    *first, last = _each(scopes, arguments)
    for value in reversed(first):
        if value.null:
            kind = value.kind if last.kind == value.kind else _wider(value.kind, last.kind)
            last = Value(f"{value.at(2)} if {value.at(7)} is not None else {last.at(1)}", kind, last.null, 1)
        else:
            last = value
    return last


def _wider(first: str, second: str) -> str:
    return first if {first, second} <= {"decimal", "integer"} and first == "decimal" else "any"


def _in(scopes: Scopes, arguments: Arguments) -> Value | None:
    needle, whole = _each(scopes, arguments)
    if isinstance(arguments[1], list) and all(isinstance(item, str | int | bool | None) for item in arguments[1]):
        items = literal(arguments[1])
        code = f"({items[1:-1]}{',' if len(arguments[1]) == 1 else ''})"
        item = needle if needle.kind in ("text", "integer", "decimal", "float", "null") else _plain(scopes, needle)
        return _contained(item, Value(code))
    if whole.kind == "list":
        return _contained(needle, whole)
    if whole.kind == "text" and needle.kind == "text" and not needle.null:
        return _contained(needle, Value(f'({whole.at(3)} or "")') if whole.null else whole)
    return None


def _plain(scopes: Scopes, value: Value) -> Value:
    return Value(f"{scopes.writer.module.function('plain')}({value.code})")


def _contained(needle: Value, whole: Value) -> Value:
    is_in, is_not_in = (f"{needle.at(7)} {word} {whole.at(7)}" for word in ("in", "not in"))
    return Value(is_in, "boolean", False, 6, opposite=is_not_in)


def _cat(scopes: Scopes, arguments: Arguments) -> Value:
    parts = [as_text(scopes.writer, value) for value in _each(scopes, arguments)]
    return Value(" + ".join(part.at(9) for part in parts) or '""', "text", False, 8 if len(parts) > 1 else 12)


def _method(name: str, scopes: Scopes, arguments: Arguments) -> Value:
    """Call a method of Python's own texts."""
    subject, *rest = _each(scopes, arguments)
    text = as_text(scopes.writer, subject)
    listed = ", ".join(as_text(scopes.writer, value).code for value in rest)
    kind = "boolean" if name in ("startswith", "endswith") else "text"
    return Value(f"{text.at(12)}.{name}({listed})", kind, False)


def _substr(scopes: Scopes, arguments: Arguments) -> Value:
    text, *rest = _each(scopes, arguments)
    codes = [as_text(scopes.writer, text).code, *(value.code for value in rest)]
    return Value(f"{scopes.writer.module.function('substr')}({', '.join(codes)})", "text", False)


def _length(scopes: Scopes, arguments: Arguments) -> Value:
    value = _written(scopes, arguments[0])
    if value.kind == "rows" and value.code.endswith(".all()"):
        return Value(f"{value.code.removesuffix('.all()')}.count()", "integer", False)
    return Value(f"len({value.code})", "integer", False)


def _merge(scopes: Scopes, arguments: Arguments) -> Value:
    parts = ", ".join(value.code for value in _each(scopes, arguments))
    return Value(f"{scopes.writer.module.function('merge')}({parts})", "list", False)


def _now(scopes: Scopes, arguments: Arguments) -> Value:
    return Value(f"{scopes.writer.module.use('django.utils', 'timezone')}.now()", "datetime", False)


def _loop(scopes: Scopes, arguments: Arguments) -> tuple[Value, Value, Value]:
    """Return the rows, one of them, and the body."""
    rows = _written(scopes, arguments[0])
    name = "row" if not scopes.rows and scopes.writer.row is None else f"row_{len(scopes.rows) + 2}"
    row = Value(name, "object" if rows.model else "any", rows.model is None, model=rows.model)
    body = _written(Scopes(scopes.writer, (*scopes.rows, row)), arguments[1])
    source = rows if rows.kind in ("rows", "list") and not rows.null else Value(f"({rows.at(3)} or ())")
    return source, row, body


def _any(scopes: Scopes, arguments: Arguments, *, wanted: bool) -> Value:
    rows, row, body = _loop(scopes, arguments)
    code = f"any({body.at(2)} for {row.code} in {rows.at(3)})"
    yes, no = Value(code, "boolean", False, opposite=f"not {code}"), Value(f"not {code}", "boolean", False, 5)
    return yes if wanted else no


def _all(scopes: Scopes, arguments: Arguments) -> Value:
    rows, row, body = _loop(scopes, arguments)
    code = f"{scopes.writer.module.function('every')}({rows.code}, lambda {row.code}: {body.code})"
    return Value(code, "boolean", False)


def _filter(scopes: Scopes, arguments: Arguments) -> Value:
    rows, row, body = _loop(scopes, arguments)
    code = f"[{row.code} for {row.code} in {rows.at(3)} if {body.at(2)}]"
    return Value(code, "list", False, model=row.model)


def _map(scopes: Scopes, arguments: Arguments) -> Value:
    rows, row, body = _loop(scopes, arguments)
    return Value(f"[{body.at(2)} for {row.code} in {rows.at(3)}]", "list", False)


def _reduce(scopes: Scopes, arguments: Arguments) -> Value | None:
    if len(arguments) < 3:
        return None
    rows = _written(scopes, arguments[0])
    body = _written(Scopes(scopes.writer, (*scopes.rows, Value("", "pair", model=rows.model))), arguments[1])
    start = _written(scopes, arguments[2])
    function = scopes.writer.module.use("functools", "reduce")
    source = rows.code if rows.kind in ("rows", "list") and not rows.null else f"{rows.at(3)} or ()"
    return Value(f"{function}(lambda accumulator, current: {body.code}, {source}, {start.code})", "any", False)


def _over(write: Callable[..., Value | None], detail: Any, scopes: Scopes, arguments: Arguments) -> Value | None:
    """Write an operator over values that are written already."""
    return write(scopes.writer, _each(scopes, arguments), detail)


OPERATORS: Mapping[str, Build] = {
    "var": _var,
    "val": _val,
    "exists": _exists,
    "missing": _missing,
    "==": partial(_over, equal, True),
    "!=": partial(_over, equal, False),
    "===": partial(_over, identical, True),
    "!==": partial(_over, identical, False),
    **{operator: partial(_over, ordered, operator) for operator in ("<", "<=", ">", ">=")},
    "!": partial(_truth, wanted=False),
    "!!": partial(_truth, wanted=True),
    "and": partial(_joined, word="and", level=4),
    "or": partial(_joined, word="or", level=3),
    "if": _if,
    "?:": _if,
    "??": _coalesce,
    **{operator: partial(_over, arithmetic, operator) for operator in ("+", "-", "*", "/", "%")},
    "max": partial(_over, smallest, "max"),
    "min": partial(_over, smallest, "min"),
    "abs": partial(_over, rounded, "abs"),
    "ceil": partial(_over, rounded, "ceil"),
    "floor": partial(_over, rounded, "floor"),
    "in": _in,
    "cat": _cat,
    "lower": partial(_method, "lower"),
    "upper": partial(_method, "upper"),
    "trim": partial(_method, "strip"),
    "starts_with": partial(_method, "startswith"),
    "ends_with": partial(_method, "endswith"),
    "substr": _substr,
    "length": _length,
    "merge": _merge,
    "now": _now,
    "some": partial(_any, wanted=True),
    "none": partial(_any, wanted=False),
    "all": _all,
    "filter": _filter,
    "map": _map,
    "reduce": _reduce,
}

"""Which names a condition reads, where each stands, and which rows it belongs to: read off the JSON, not evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext

from rules_engine.errors import Problem
from rules_engine.logic.evaluator import operators
from rules_engine.logic.shape import pointer
from rules_engine.types import Path

MAX_STEPS = 16
MAX_NAME = 200
#: Operators whose rows are rows of their first argument, so that names inside keep their meaning.
_ROW_KEEPING = frozenset({"filter", "sort", "distinct", "slice", "??"})
_UNKNOWN: Final = None


@dataclass(frozen=True, slots=True)
class Variable:
    """One read. ``pointer`` is where the operator stands in the condition.

    ``path`` starts at the context where ``within`` is None; otherwise at one row of the to-many path ``within``
    (which starts at the context). An empty ``path`` is the whole context, or the whole row.
    """

    pointer: str
    path: Path
    within: Path | None = None


@dataclass(frozen=True, slots=True)
class _Scope:
    """What ``var`` reads from at a place: the context, a row, reduce's pair, or the error that ``try`` caught.

    ``rows`` is the to-many path of the rows, ``_UNKNOWN`` where they are computed.
    """

    kind: str = "context"
    rows: Path | None = _UNKNOWN


_Scopes = tuple[_Scope, ...]
_ROOT: _Scopes = (_Scope(),)


def variables(logic: Any) -> list[Variable]:
    """Return every ``var``, ``val``, ``exists``, ``missing`` and ``missing_some`` of a condition of bounded depth.

    Left out: reads of rows that are no model's (literals, results of ``map``), reduce's accumulator, the error inside
    ``try``, and names that are computed; the last are problems, see ``reading_problems``.
    """
    return [read for read in _walk(logic, "", _ROOT) if isinstance(read, Variable)]


def reading_problems(logic: Any) -> list[Problem]:
    """Say what is wrong with how a condition of bounded depth names what it reads."""
    problems: list[Problem] = []
    for read in _walk(logic, "", _ROOT):
        if isinstance(read, Problem):
            problems.append(read)
        elif message := _odd_path(read):
            problems.append(Problem(read.pointer, message))
    return problems


def rows_path(logic: Any) -> Path | None:
    """Return the to-many path whose rows an expression yields, perhaps filtered or sorted; None where they are
    computed."""
    return _source(logic, _ROOT)


def _odd_path(read: Variable) -> str | None:
    if len(read.path) > MAX_STEPS or any(len(name) > MAX_NAME for name in read.path):
        message = gettext("This name is far too long: at most %(steps)s steps of %(characters)s characters.")
        return message % {"steps": MAX_STEPS, "characters": MAX_NAME}
    if read.within is None and not read.path:
        return gettext(
            'This names nothing, and so reads the whole event; name a field, such as {"var": "instance.status"}.'
        )
    if read.within is None and "." in read.path[0]:
        steps = ", ".join(f'"{name}"' for name in read.path[0].split("."))
        return gettext("This operator takes a name in pieces: write [%(steps)s].") % {"steps": steps}
    return None


def _walk(node: Any, at: str, scopes: _Scopes) -> Iterator[Variable | Problem]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            if isinstance(item, list | dict):
                yield from _walk(item, f"{at}/{index}", scopes)
    elif isinstance(node, dict) and len(node) == 1:
        ((operator, value),) = node.items()
        listed = isinstance(value, list)
        arguments = value if listed else [value]
        here = at + pointer(operator)
        yield from _reads(operator, arguments, at, scopes)
        for index, argument in enumerate(arguments):
            if isinstance(argument, list | dict):
                place = f"{here}/{index}" if listed else here
                yield from _walk(argument, place, _inner(operator, arguments, index, scopes))


def _inner(operator: str, arguments: list[Any], index: int, scopes: _Scopes) -> _Scopes:
    info = operators().get(operator)
    scoped = info["scoped_arg"] if info else None
    if scoped == "last":
        caught = len(arguments) > 1 and index == len(arguments) - 1
        return (*scopes, _Scope("error")) if caught else scopes
    if scoped is None or index != scoped:
        return scopes
    kind = "pair" if operator == "reduce" else "row"
    return (*scopes, _Scope(kind, _source(arguments[0], scopes)))


def _source(node: Any, scopes: _Scopes) -> Path | None:
    """Return the to-many path that an iterated expression yields rows of, or ``_UNKNOWN``."""
    if not (isinstance(node, dict) and len(node) == 1):
        return _UNKNOWN
    ((operator, value),) = node.items()
    arguments = value if isinstance(value, list) else [value]
    if operator in _ROW_KEEPING:
        return _source(arguments[0], scopes) if arguments else _UNKNOWN
    paths = [read for read in _reads(operator, arguments, "", scopes) if isinstance(read, Variable)]
    if operator not in ("var", "val") or len(paths) != 1:
        return _UNKNOWN
    return (*(paths[0].within or ()), *paths[0].path)


def _reads(operator: str, arguments: list[Any], at: str, scopes: _Scopes) -> Iterator[Variable | Problem]:
    if operator == "var":
        yield from _read(_dotted(arguments[0] if arguments else ""), at, scopes)
    elif operator == "val":
        level, steps = _level(arguments)
        yield from _outer(level, _pieces(steps), at, scopes)
    elif operator == "exists":
        yield from _read(_pieces(arguments), at, scopes)
    elif operator == "missing":
        yield from _each(arguments, at, scopes)
    elif operator == "missing_some" and len(arguments) > 1:
        yield from _each(arguments[1:2], at, scopes)


def _each(names: Iterable[Any], at: str, scopes: _Scopes) -> Iterator[Variable | Problem]:
    for name in names:
        if isinstance(name, list):
            yield from _each(name, at, scopes)
        else:
            yield from _read(_dotted(name), at, scopes)


def _dotted(name: Any) -> Path | None:
    """``"doctor.email"`` as steps; None for what is not a plain name."""
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        return None
    return tuple(str(name).split(".")) if name != "" else ()


def _pieces(steps: list[Any]) -> Path | None:
    plain = all(isinstance(step, str | int) and not isinstance(step, bool) for step in steps)
    return tuple(str(step) for step in steps) if plain else None


def _level(arguments: list[Any]) -> tuple[int | None, list[Any]]:
    """Say how far out a ``val`` reads (``{"val": [[2], "x"]}``), and the rest of its arguments; None if computed."""
    if not (arguments and isinstance(arguments[0], list)):
        return 0, arguments
    levels = arguments[0]
    if len(levels) == 1 and isinstance(levels[0], int | float) and not isinstance(levels[0], bool):
        return abs(int(levels[0])), arguments[1:]
    return None, arguments


def _outer(level: int | None, path: Path | None, at: str, scopes: _Scopes) -> Iterator[Variable | Problem]:
    if level is None:
        yield from _read(None, at, scopes)
    elif level % 2 and path == ("index",) and len(scopes) > 1:
        return  # The row's number, not a field.
    else:
        # Each enclosing loop is two levels: its row's number, then what is around it.
        out = min((level + 1) // 2, len(scopes) - 1)
        yield from _read(path, at, scopes[: len(scopes) - out])


def _read(path: Path | None, at: str, scopes: _Scopes) -> Iterator[Variable | Problem]:
    scope = scopes[-1]
    if path is None:
        message = gettext(
            "The name to read is computed here, so nobody can say beforehand which field it is; write it out as text. "
            'To choose between two fields, use {"if": [ … ]}.'
        )
        yield Problem(at, message)
    elif scope.kind == "context":
        yield Variable(at, path)
    elif scope.kind == "error":
        if path not in ((), ("type",)):
            yield Problem(at, _misplaced(gettext('the last part of "try"'), '"type"', path))
    elif scope.kind == "pair":
        yield from _read_pair(path, at, scope)
    elif scope.rows is not None:
        yield Variable(at, path, scope.rows)


def _read_pair(path: Path, at: str, scope: _Scope) -> Iterator[Variable | Problem]:
    if path and path[0] not in ("current", "accumulator"):
        yield Problem(at, _misplaced('"reduce"', gettext('"current" and "accumulator"'), path))
    elif len(path) > 1 and path[0] == "current" and scope.rows is not None:
        yield Variable(at, path[1:], scope.rows)


def _misplaced(place: str, readable: str, path: Path) -> str:
    outer = ", ".join(f'"{name}"' for name in path)
    message = gettext(
        'Inside %(place)s only %(readable)s can be read; for the event\'s own fields write {"val": [[2], %(outer)s]}.'
    )
    return message % {"place": place, "readable": readable, "outer": outer}

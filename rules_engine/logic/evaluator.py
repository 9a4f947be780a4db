"""The evaluator, ``datalogic-py``, set up once: which operators there are, what null means, how much work is allowed.

The library crashes the process on Python objects that are nested deeply or contain themselves; so it is handed JSON
text of bounded depth, or data that was copied and bounded here. ``jsonlogic.py`` is the module for others to import.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from datalogic_py import DataHandle, DataLogicError, Engine
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.errors import ConditionError
from rules_engine.types import CUT_TYPES, Path

#: Everything but the tensor and feature-flag families, which have no use in rules.
FAMILIES = ("ExtString", "ExtArray", "ExtObject", "ExtMath", "ExtControl", "ErrorHandling", "DateTime")

#: A null or missing operand never satisfies an ordering comparison, and is no number in arithmetic:
#: elsewhere null counts as 0, and ``total < 5`` would hold for every empty total.
CONFIG: Mapping[str, Any] = {"numeric_coercion": {"null_to_zero": False}}

DATA_DEPTH = 64
DATA_ITEMS = 1_000_000
_AS_IS = frozenset({str, int, bool, type(None)})


@lru_cache(maxsize=8)
def engine_for(budget: int) -> Engine:
    """Return the engine whose evaluations may spend ``budget`` operations each; thread-safe, shared."""
    return engine_of(budget)


def engine_of(budget: int, own: Mapping[str, Callable[[str], str]] | None = None) -> Engine:
    """Make an engine; ``own`` are further operators, JSON list of arguments in, JSON out."""
    config = {**CONFIG, "ops_budget": budget}
    return Engine(families=list(FAMILIES), config=config, custom_operators=dict(own or {}))


@lru_cache(maxsize=16)
def facts_of(source: str, budget: int) -> Mapping[str, Any]:
    """Return what the library knows of logic in JSON: what it reads, whether that is complete …

    A few are kept, for it is asked thrice while one condition is checked and compiled. Raises ``DataLogicError``.
    """
    facts: Mapping[str, Any] = engine_for(budget).compile(source).facts()
    return facts


@lru_cache(maxsize=1)
def operators() -> Mapping[str, Any]:
    """Return every operator, by name and alias: the library's description (``min_args``, ``scoped_arg``, …)."""
    table: dict[str, Any] = {}
    for info in engine_for(1).operators():
        table.update(dict.fromkeys((info["name"], *info["aliases"]), info))
    return table


class Cut(NamedTuple):
    """What was cut off: its path, without the numbers of rows, and which of ``CUT_TYPES`` it is."""

    path: Path
    kind: str


class Partial(NamedTuple):
    """Data of which some was cut off."""

    handle: DataHandle
    cuts: frozenset[Cut]


def data_handle(context: Mapping[str, Any]) -> DataHandle | Partial:
    """Make a context ready to be evaluated against by any number of conditions; ``Partial`` where some is cut off.

    ``Decimal`` becomes a number. Raises ``ConditionError`` for what is not JSON, for more than ``DATA_DEPTH`` levels,
    for more than ``DATA_ITEMS`` items, and for data that contains itself.
    """
    if _is_exact(context):
        return _handle_of(context)
    room = [DATA_ITEMS, 0]
    handle = _handle_of(_plain(context, DATA_DEPTH, room))
    # What was cut off is of a type of its own.
    cuts = frozenset(_cuts_in(context, ())) if room[1] else None
    return Partial(handle, cuts) if cuts else handle


def _handle_of(data: Any) -> DataHandle:
    try:
        return DataHandle(data)
    except DataLogicError:
        pass
    try:
        return DataHandle(_with_floats(plain_data(data)))
    except DataLogicError as error:
        raise ConditionError(gettext("The event's data is not JSON: %s.") % error) from error


def _cuts_in(value: Any, path: Path) -> Iterator[Cut]:
    if isinstance(value, CUT_TYPES):
        yield Cut(path, type(value).__name__)
    if isinstance(value, Mapping):
        for name, item in value.items():
            if type(item) not in _AS_IS:
                yield from _cuts_in(item, (*path, name))
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) not in _AS_IS:
                yield from _cuts_in(item, path)


def _with_floats(value: Any) -> Any:
    """Return the data with floating-point numbers for whole ones beyond 64 bits: some databases give 1e300 back so."""
    if isinstance(value, dict):
        return {key: _with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    if not isinstance(value, int) or -(2**63) <= value < 2**63:
        return value
    return float(value) if abs(value) < 10**308 else str(value)


def _is_exact(context: Any) -> bool:
    """Say whether the library can take it as it is: exact JSON types, bounded. Three times as fast as making a copy."""
    level = [context]
    room = DATA_ITEMS
    for _ in range(DATA_DEPTH):
        below: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is dict or kind is list:
                room -= len(value)
                if room < 0:
                    return False
                below.extend(value.values() if kind is dict else value)
            elif kind not in _AS_IS and not (kind is float and math.isfinite(value)):
                return False
        if not below:
            return True
        level = below
    return False


def plain_data(context: Mapping[str, Any]) -> Any:
    """Return a copy made of nothing but JSON types. Raises ``ConditionError`` as ``data_handle`` does."""
    return _plain(context, DATA_DEPTH, [DATA_ITEMS, 0])


def _plain(value: Any, depth: int, room: list[int]) -> Any:
    """Copy a value. ``room`` is how many items it may have yet, and how many were of other types than JSON's own."""
    # Exact types first, without calls: they are nearly everything, and this runs for every captured event.
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        room[0] -= len(value)
        if depth <= 0 or room[0] < 0:
            message = gettext(
                "The event's data is nested deeper than %(levels)s levels, has more than %(items)s items, or contains "
                "itself."
            )
            raise ConditionError(message % {"levels": DATA_DEPTH, "items": _grouped(DATA_ITEMS)})
        depth -= 1
        if kind is dict:
            copy: dict[Any, Any] = {}
            for key, item in value.items():
                if type(item) is Decimal:
                    item = number_of(item)
                elif type(item) not in _AS_IS:
                    item = _plain(item, depth, room)
                copy[key] = item
            return copy
        return [v if type(v) in _AS_IS else _plain(v, depth, room) for v in value]
    if kind is float or kind is Decimal:
        return number_of(value)
    return value if kind in _AS_IS else _other(value, depth, room)


def number_of(value: float | Decimal) -> float | int:
    """Return the number that the evaluator is given for a decimal. Raises ``ConditionError`` for NaN and infinities."""
    number = float(value)
    if not math.isfinite(number):
        raise ConditionError(gettext("The event's data holds a NaN or an infinite number, which JSON has not."))
    # Whole decimals keep all their digits; a float has 53 bits of them.
    is_whole = isinstance(value, Decimal) and number.is_integer() and abs(number) < 2**63
    return int(value) if is_whole else number


def _other(value: Any, depth: int, room: list[int]) -> Any:
    """Subclasses and other mappings, as the JSON type that they stand for."""
    room[1] += 1
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Decimal):
        return number_of(value)
    if isinstance(value, Mapping):
        return _plain(dict(value), depth, room)
    if isinstance(value, list):
        return _plain(list(value), depth, room)
    message = gettext('The event\'s data holds a Python "%(type)s", which is not JSON.')
    raise ConditionError(message % {"type": type(value).__name__})


def explain(error: DataLogicError, place_of: Callable[[str], str] = str) -> str:
    """Tell an evaluation's failure in a sentence that names the operator, its JSON pointer and the remedy.

    Never holds a value from the event: error texts travel further than the event's data may. ``place_of`` turns a
    pointer into what was compiled to one into what was written.
    """
    kind = getattr(error, "error_type", "")
    where = _where(error, place_of)
    if kind == "BudgetExceeded":
        message = gettext(
            "The condition took more than %(budget)s operations on this event and was stopped%(where)s. "
            "Make it simpler, or raise CONDITION_BUDGET in RULES_ENGINE."
        )
        return message % {"budget": _grouped(getattr(error, "budget", None) or 0), "where": where}
    operator = getattr(error, "operator", None) or "?"
    if (kind == "Thrown" and "NaN" in str(error)) or kind == "InvalidArguments":
        message = gettext('The operator "%(operator)s" could not work with the values it was given%(where)s.')
        return f"{message % {'operator': operator, 'where': where}} {_remedy(operator)}"
    message = gettext('The operator "%(operator)s" failed%(where)s: %(reason)s.')
    return message % {"operator": operator, "where": where, "reason": _reason(kind)}


def _grouped(number: int) -> str:
    return number_format(number, force_grouping=True)


def _where(error: DataLogicError, place_of: Callable[[str], str]) -> str:
    path = getattr(error, "path", None)
    if not path:
        return ""
    place = place_of(path[-1]["json_pointer"])
    return gettext(" (at %s)") % place if place else gettext(" (the outermost one)")


def _reason(kind: str) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()
    return words or gettext("no reason was given")


def _remedy(operator: str) -> str:
    if operator in ("<", "<=", ">", ">="):
        return gettext(
            "It compares two numbers, two texts or two dates, not one kind with another and no objects or lists."
        )
    if operator in ("==", "!="):
        return gettext('It can not compare a list or an object with a plain value; use "===" or name a field of it.')
    if operator in ("datetime", "timestamp", "parse_date", "format_date", "date_diff"):
        return gettext("It expects a date and time such as 2026-01-31T12:00:00Z; an empty field is none.")
    given = gettext(
        "An empty or missing field is no number and no list; give it a value to stand in, such as %(example)s."
    ) % {"example": '{"??": [{"var": "instance.total"}, 0]}'}
    divides = operator in ("/", "%")
    return f"{given} {gettext('A division by zero counts as such, too.')}" if divides else given

"""The only values a template ever sees: plain JSON, behind classes that offer no method under a field's name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString
from django.utils.translation import gettext

from rules_engine.errors import TemplateError
from rules_engine.texts.limits import MARK, VALUE

#: What a look-up gives that found nothing; null is a value and is not this.
MISSING: Any = object()
#: Values deeper than this are printed as an ellipsis, so data that contains itself has an end.
DEEPEST = 8


class Record:
    """A mapping of JSON: reached by item, tested with ``in``, iterated for its keys, and nothing else.

    ``lenient`` is for a mapping whose keys come and go by nature, as those of JSON do: what is not in it is null, not
    missing.
    """

    __slots__ = ("_lenient", "_raw")

    def __init__(self, raw: Mapping[str, Any], *, lenient: bool = False) -> None:
        self._raw = raw
        self._lenient = lenient

    def __getitem__(self, key: str) -> Any:
        if key in self._raw:
            return plain(self._raw[key], lenient=self._lenient)
        return None if self._lenient else MISSING

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key in self._raw

    def __iter__(self) -> Iterator[str]:
        return (_key(key) for key in self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __str__(self) -> str:
        return _written(self)


class Rows:
    """A list of JSON: reached by number, tested with ``in``, iterated, and nothing else."""

    __slots__ = ("_lenient", "_raw")

    def __init__(self, raw: Sequence[Any], *, lenient: bool = False) -> None:
        self._raw = raw
        self._lenient = lenient

    def __getitem__(self, index: int) -> Any:
        return plain(self._raw[index], lenient=self._lenient)

    def __contains__(self, value: object) -> bool:
        return any(same(plain(item), value) for item in self._raw)

    def __iter__(self) -> Iterator[Any]:
        return (plain(item, lenient=self._lenient) for item in self._raw)

    def __reversed__(self) -> Iterator[Any]:
        return (plain(item, lenient=self._lenient) for item in reversed(self._raw))

    def __len__(self) -> int:
        return len(self._raw)

    def __str__(self) -> str:
        return _written(self)


def plain(value: Any, *, lenient: bool = False) -> Any:
    """``value`` as a template may see it: None, bool, int, float, str, ``Record`` or ``Rows``.

    What an event tells of an object has its ``pk``; a mapping without, and all within one, is JSON and ``lenient``.
    Subclasses are taken down to their base, so neither a "safe" string nor an enum brings behaviour along. Anything
    that is not plain data raises ``TemplateError`` with the name of its type.
    """
    if value is None or type(value) in (bool, int, float, str, SafeString, Record, Rows):
        return str.__str__(value) if type(value) is SafeString else value
    if isinstance(value, dict | MappingProxyType):
        return Record(value, lenient=lenient or "pk" not in value)
    if isinstance(value, list | tuple):
        return Rows(value, lenient=lenient)
    return _scalar(value)


def unwrapped(value: Any) -> Any:
    """Return what ``plain`` wrapped as JSON again, a copy of it; decimals as they are."""
    if isinstance(value, Record | Rows):
        return _copied(value._raw)
    return str.__str__(value) if isinstance(value, str) else value


def _copied(raw: Any) -> Any:
    if isinstance(raw, Mapping):
        return {_key(key): _copied(item) for key, item in raw.items()}
    return [_copied(item) for item in raw] if isinstance(raw, list | tuple) else raw


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__add__(value, 0)
    if isinstance(value, float):
        return float.__add__(value, 0.0)
    if type(value) in (Decimal, UUID):
        return str(value)
    if type(value) in (datetime, date, time):
        return str(value.isoformat())
    message = gettext("a text can print plain data only, and a value is of the type %(type)s.")
    raise TemplateError(message % {"type": type(value).__name__})


def _key(key: Any) -> str:
    if not isinstance(key, str):
        message = gettext("a text can print plain data only, and a record has a key of type %(type)s.")
        raise TemplateError(message % {"type": type(key).__name__})
    return str.__str__(key)


def child(value: Any, step: str) -> Any:
    """Say what ``.step`` leads to from ``value``, or ``MISSING``. Everything reached through null is null."""
    if value is None:
        return None
    if isinstance(value, Record):
        return value[step]
    if isinstance(value, Rows) and step.isdecimal() and len(step) < 10 and int(step) < len(value):
        return value[int(step)]
    return MISSING


def may_lack(value: Any, step: str) -> bool:
    """Say whether a value need not have the step: JSON, whose shape nobody has promised, and a list that is shorter."""
    return isinstance(value, Record | Rows) and (value._lenient or (isinstance(value, Rows) and step.isdecimal()))


def same(left: Any, right: Any) -> bool:
    """Say whether two scalars are equal; whole records and lists equal nothing."""
    return not isinstance(left, Record | Rows) and not isinstance(right, Record | Rows) and bool(left == right)


def kind(value: Any) -> str:
    """Say what sort of value this is, in an administrator's words, for error texts that must not show it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return gettext("true or false")
    if isinstance(value, int | float):
        return gettext("a number")
    if isinstance(value, Record | Rows):
        return gettext("a record") if isinstance(value, Record) else gettext("a list")
    return gettext("text")


def printed(value: Any) -> str:
    """``value`` as text of at most ``limits.VALUE`` characters: null is empty, a record or a list is JSON.

    Safe strings, which only literals and filters make, are bounded by what made them and stay whole.
    """
    if value is None:
        return ""
    if isinstance(value, SafeString):
        return value
    return cut(value if isinstance(value, str) else str(value) if isinstance(value, Record | Rows) else _number(value))


def _number(value: bool | int | float) -> str:
    # Python refuses to write integers of more than some thousand digits; 2**4000 has 1,205.
    if isinstance(value, int) and value.bit_length() > 4_000:
        raise TemplateError(gettext("a number is too large to be printed."))
    return str(value)


def _written(value: Record | Rows) -> str:
    pieces: list[str] = []
    room = VALUE
    for piece in _pieces(value, 0):
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            break
    return cut("".join(pieces))


def _pieces(value: Any, depth: int) -> Iterator[str]:
    if not isinstance(value, Record | Rows):
        yield json.dumps(cut(value), ensure_ascii=False) if isinstance(value, str) else _literal(value)
    elif depth == DEEPEST:
        yield f'"{MARK}"'
    else:
        opening, closing = "{}" if isinstance(value, Record) else "[]"
        yield opening
        for position, item in enumerate(value):
            yield ", " if position else ""
            if isinstance(value, Record):
                yield json.dumps(cut(item), ensure_ascii=False) + ": "
            yield from _pieces(value[item], depth + 1) if isinstance(value, Record) else _pieces(item, depth + 1)
        yield closing


def _literal(value: bool | int | float | None) -> str:
    return "null" if value is None else _number(value).lower()


def cut(text: str, size: int = VALUE) -> str:
    """``text``, or as much of it as ``size`` allows (that of one value), marked with an ellipsis."""
    return text if len(text) <= size else text[: size - len(MARK)] + MARK

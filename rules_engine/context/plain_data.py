"""Plain data: JSON-safe, bounded, and compared as JSON.

Decimals stay ``Decimal`` in the process, so that conditions see a number and texts its exact digits; ``plain`` turns
them to strings for storage and payloads and notes where they were, ``restore`` turns them back.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.db import models
from django.utils.functional import Promise

from rules_engine import conf
from rules_engine.types import CUT_TYPES, CutList, CutMapping, CutText, Unread, ask

#: What fields raise for a value that is none of theirs; it is told as it stands.
NO_VALUE = (ValidationError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError)
#: Nested values (JSON fields, signal arguments) are kept to this depth.
MAX_DEPTH = 16
CUT = "…"
#: The least that TEXT_LIMIT can be: of texts up to it, the setting need not be looked up.
SHORT = 250
#: What stands for what is cut off.
MARK = re.compile(f"{CUT}([0-9a-f]{{8}})?")
#: What is plain data as it stands: most of what an event holds, and passed by without a call.
PLAIN_TYPES = frozenset((str, int, float, bool, type(None)))
#: Bits of a whole number that is written out, and the power of ten up to which a decimal is a number.
MOST_BITS, MOST_TENS = 4_000, 300
#: Keeps the digits of every such decimal; Python's own context would keep 28.
ALL_DIGITS = decimal.Context(prec=1_000)
#: A whole number of more bits is greater than any float.
FLOAT_BITS = 1_024
#: Characters of a mapping's key.
KEY_CHARACTERS = 200


def clean_text(text: str, limit: int | None = None) -> str:
    """Return text that any database and any JSON parser takes: no NUL, no lone surrogates, cut and marked if too long.

    ``limit`` is in characters, without the mark. Without it TEXT_LIMIT holds, and the mark tells cut texts apart.
    """
    if limit is not None:
        text = text if len(text) <= limit else text[:limit] + CUT
    elif len(text) > SHORT and len(text) > (most := conf.text_limit()):
        return CutText(_clean(text[:most] + CUT + _fingerprint(text)))
    return _clean(text)


def _clean(text: str) -> str:
    if text.isascii():
        return text.replace("\x00", "\ufffd")
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _fingerprint(text: str) -> str:
    # Two long texts that differ beyond the cut are not the same text: a change there is a change.
    # A checksum does for that, and of long texts takes a tenth of what a digest does.
    return f"{zlib.crc32(text.encode('utf-8', 'replace')):08x}"


def safe(value: Any, depth: int = 0) -> Any:
    """Return any Python value as JSON-safe data (``Decimal`` excepted).

    Dates are ISO 8601, a UUID is a string, a file its name, NaN and infinities are null, model instances are
    ``{"model", "pk"}``; what is unknown becomes ``{"type", "text"}`` so that nobody takes it for the thing itself.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(str.__str__(value))  # of an Enum, str() is the member's name
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else _long_number(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        # Beyond what a binary fraction can hold, conditions know no such number.
        return (value if abs(value.adjusted()) <= MOST_TENS else str(value)) if value.is_finite() else None
    return _safe_other(value, depth)


def _long_number(value: int) -> Any:
    """Return a whole number beyond 64 bits, on which JSON parsers and columns disagree: a database may have made it of
    a float; any other one is told by its digits."""
    # Python takes a second for the decimal digits of a number of a million bits, and refuses to write longer ones.
    if value.bit_length() > MOST_BITS:
        return {"type": type(value).__qualname__, "text": clean_text(hex(value))}
    number = float(value) if value.bit_length() < FLOAT_BITS else math.inf
    is_one = math.isfinite(number) and decimal.Decimal(repr(number)) == value
    return number if is_one else str(int(value))


def _safe_other(value: Any, depth: int) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return _instant(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID | Promise):
        return clean_text(str(value))
    if isinstance(value, File):
        return clean_text(value.name or "")
    if isinstance(value, models.Model):
        return {"model": value._meta.label_lower, "pk": safe(value.pk, depth + 1)}
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _safe_container(value, depth)
    return _marked(value)


def _instant(value: datetime.datetime) -> str:
    """Return the one form of an instant, whichever time zone the caller thinks in: the database answers in UTC."""
    try:
        return value.astimezone(datetime.UTC).isoformat()
    except OverflowError:  # the end of the calendar, which many write for "never": UTC is a day further there
        return value.isoformat()


def _safe_container(value: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return CutMapping(type="truncated", text=_mark_of(value))
    most = conf.rows_limit()
    is_cut = len(value) > most
    if isinstance(value, Mapping):
        # Of many keys the first in their order are told, for a database gives them back in an order of its own.
        items = sorted(value.items(), key=lambda item: str(item[0]))[:most] if is_cut else value.items()
        told = {_key(key): safe(item, depth + 1) for key, item in items}
        return CutMapping(told, **{CUT: _mark_of(value)}) if is_cut else told
    rows = [safe(item, depth + 1) for item in islice(value, most)]
    return CutList([*rows, _mark_of(value)]) if is_cut else rows


def _key(key: Any) -> str:
    text = str(key)
    return clean_text(text if len(text) <= KEY_CHARACTERS else text[:KEY_CHARACTERS] + CUT + _fingerprint(text))


def is_cut(value: Any) -> bool:
    """Say whether a list or a mapping was longer than it is told."""
    if isinstance(value, list):
        return bool(value) and isinstance(value[-1], str) and MARK.fullmatch(value[-1]) is not None
    return isinstance(value, Mapping) and CUT in value


def is_cut_text(text: str) -> bool:
    """Say whether a text was longer than it is told."""
    return len(text) > conf.text_limit() and MARK.fullmatch(text[conf.text_limit() :]) is not None


def _mark_of(value: Any) -> str:
    """Return the mark of what is cut off, with a fingerprint of the whole: a change behind the cut is a change."""
    try:
        text = json.dumps(value, skipkeys=True, default=_unwritten)
        # One order of keys, and 1.0 is 1: a database writes numbers as it likes.
        text = json.dumps(json.loads(text, parse_float=_number), sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return CUT  # It holds itself.
    return CUT + _fingerprint(text)


def _unwritten(value: Any) -> str:
    return str(value) if isinstance(value, decimal.Decimal | datetime.date | uuid.UUID) else type(value).__qualname__


def _number(text: str) -> int | float:
    number = float(text)
    return int(number) if number.is_integer() else number


def same(one: Any, other: Any) -> bool:
    """Say whether two values are equal as JSON has it: ``1`` is not ``true``, at any depth."""
    if one is other:
        return True
    if type(one) is str and type(other) is str:  # as most are, and told apart without another call
        return one == other
    return bool(one == other) and _are_alike(one, other)


def _are_alike(one: Any, other: Any) -> bool:
    """Say whether of two values that Python holds to be equal none has a number where the other has true or false."""
    if isinstance(one, str | decimal.Decimal):
        return not isinstance(other, bool)
    if isinstance(one, Mapping):
        return all(_are_alike(item, other[key]) for key, item in one.items())
    if isinstance(one, list):
        return all(map(_are_alike, one, other))
    return isinstance(one, bool) is isinstance(other, bool)


def _marked(value: Any) -> dict[str, str]:
    text = ask(str, value)
    if isinstance(text, Unread):
        text = f"<{type(text.error).__name__} in str()>"
    return {"type": type(value).__qualname__, "text": clean_text(text)}


#: What is asked for its own size; a tuple, for to put the types together takes longer than to ask.
_SIZED = (str, dict, list)


def size_of(value: Any) -> int:
    """Return about how many bytes JSON takes for plain data."""
    if isinstance(value, str):
        return len(value) + 2 if value.isascii() else len(value.encode("utf-8", "replace")) + 2
    if isinstance(value, dict | MappingProxyType):
        size = 2
        for key, item in value.items():
            # As of items, in one loop: of a thousand rows this is asked while a save waits.
            size += len(key) + (size_of(item) + 4 if isinstance(item, _SIZED) else 12)
        return size
    return _size_of_items(value) if isinstance(value, list | tuple) else 8


def _size_of_items(items: Iterable[Any]) -> int:
    # Numbers are told apart here, for a call for each would be most of what this takes.
    return 2 + sum(size_of(item) + 4 if isinstance(item, _SIZED) else 12 for item in items)


#: What is copied without a call of ``plain`` where all in it is plain.
_COPIED = frozenset((dict, list))


def plain(value: Any, pointer: str = "", found: list[str] | None = None, cut: list[str] | None = None) -> Any:
    """Copy data with each ``Decimal`` as its exact string.

    The pointers of those strings are added to ``found``; those of what was cut off to ``cut``, after its type's name.
    """
    if type(value) is dict:
        return _plain_parts(value, pointer, found, cut)
    if isinstance(value, decimal.Decimal):
        if found is not None:
            found.append(pointer)
        return str(value)
    if cut is not None and isinstance(value, CUT_TYPES):
        cut.append(f"{type(value).__name__}{pointer}")
    if isinstance(value, Mapping):
        return _plain_parts(value, pointer, found, cut)
    if isinstance(value, list | tuple):
        items: list[Any] = []
        for index, item in enumerate(value):
            items.append(item if type(item) in PLAIN_TYPES else plain(item, f"{pointer}/{index}", found, cut))
        return items
    return value


def _plain_parts(parts: Mapping[Any, Any], pointer: str, found: list[str] | None, cut: list[str] | None) -> Any:
    """Copy a mapping, as ``plain`` does. Each event passes here: no call is made for what is plain, or a number."""
    told: dict[Any, Any] = {}
    for key, item in parts.items():
        kind = type(item)
        if kind in _COPIED and PLAIN_TYPES.issuperset(map(type, item.values() if kind is dict else item)):
            item = item.copy()
        elif kind not in PLAIN_TYPES:
            step = str(key).replace("~", "~0").replace("/", "~1")
            below = f"{pointer}/{step}"
            if kind is decimal.Decimal and found is not None:
                found.append(below)
                item = str(item)
            else:
                item = _plain_parts(item, below, found, cut) if kind is dict else plain(item, below, found, cut)
        told[key] = item
    return told


def restore(value: Any, pointers: Iterable[str]) -> Any:
    """Undo ``plain``, in place: what stands at one of the pointers is again of the type that it was."""
    # What is outermost came first: a list is replaced before what is in it.
    for pointer in pointers:
        kind, *steps = pointer.split("/")
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in steps]
        here = value
        for part in parents:
            here = here[int(part)] if isinstance(here, list) else here[part]
        key: Any = int(last) if isinstance(here, list) else last
        here[key] = _RESTORED[kind](here[key])
    return value


_RESTORED: Mapping[str, Callable[[Any], Any]] = {"": decimal.Decimal, **{kind.__name__: kind for kind in CUT_TYPES}}

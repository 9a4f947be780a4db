"""The filters a text may use. Each is bounded: what goes in is cut to ``limits.VALUE``, and so is what comes out.

Not here, because a short argument makes them large: ``center``, ``ljust``, ``rjust``, ``stringformat``, ``wordwrap``;
because they lift the escaping or show internals: ``safe``, ``safeseq``, ``pprint``, ``json_script``, ``random``.
"""

from __future__ import annotations

import datetime as dt
import json as json_module
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.template import defaultfilters
from django.utils import dateformat, formats, timezone
from django.utils.dateparse import parse_date, parse_datetime, parse_time
from django.utils.html import conditional_escape, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from rules_engine.errors import TemplateError
from rules_engine.texts.limits import MARK, VALUE
from rules_engine.texts.plain import Rows, cut, printed

Filter = Callable[..., Any]

#: Django's own names for the formats of the language in use.
NAMED_FORMATS = frozenset(
    {"DATE_FORMAT", "DATETIME_FORMAT", "TIME_FORMAT", "YEAR_MONTH_FORMAT", "MONTH_DAY_FORMAT"}
    | {"SHORT_DATE_FORMAT", "SHORT_DATETIME_FORMAT"}
)


def _on_text(function: Filter) -> Filter:
    """Return the filter on bounded text: Django's own would print null as "None" and take any length."""

    @wraps(function)
    def bounded(value: Any, *args: Any, **flags: Any) -> Any:
        result = function(printed(value), *args, **flags)
        return cut(result) if isinstance(result, str) and not isinstance(result, SafeString) else result

    return bounded


def default(value: Any, arg: Any) -> Any:
    """``arg`` in place of anything empty; also forgives a path that the event does not have."""
    return value or arg


def default_if_none(value: Any, arg: Any) -> Any:
    """``arg`` in place of null alone; also forgives a path that the event does not have."""
    return arg if value is None else value


def length(value: Any) -> int:
    """Characters of a text, rows of a list; null has none."""
    return 0 if value is None else len(value)


def first(value: Any) -> Any:
    """Return the first row of a list, null where there is none. Raises ``TypeError`` for what is no list."""
    return _rows(value)[0] if value else None


def last(value: Any) -> Any:
    """Return the last row of a list, null where there is none. Raises ``TypeError`` for what is no list."""
    return _rows(value)[-1] if value else None


def _rows(value: Any) -> Rows:
    if not isinstance(value, Rows):
        raise TypeError("a list is needed")
    return value


def join(value: Any, arg: Any, autoescape: bool = True) -> str:
    """Return the rows of a list with ``arg`` between them, cut at the length of one value. Raises ``TypeError``."""
    if value is None:
        return ""
    parts: list[str] = []
    room = VALUE
    for item in _rows(value):
        parts.append(printed(item))
        room -= len(parts[-1]) + len(str(arg))
        if room < 0:
            parts[-1] = MARK
            break
    return str(format_html_join(arg, "{}", ((part,) for part in parts))) if autoescape else cut(str(arg).join(parts))


join.needs_autoescape = True  # type: ignore[attr-defined]  # Django's way to mark a filter


def json(value: Any) -> str:
    """Return the value as JSON, to be put in a payload without quotes: ``{"name": {{ instance.name|json }}}``."""
    is_scalar = value is None or isinstance(value, bool | int | float | str)
    text = json_module.dumps(value, ensure_ascii=False) if is_scalar else str(value)
    if len(text) >= VALUE:
        message = gettext("a value is longer than %(most)s characters as JSON; cut it first, with truncatechars.")
        raise TemplateError(message % {"most": formats.number_format(VALUE, force_grouping=True)})
    return text


def floatformat(value: Any, arg: Any = -1) -> str:
    """Return a number, or an exact decimal as text, with so many places. Raises ``TemplateError`` for more than 99."""
    # Django's takes any number of places, and makes that many digits.
    if not re.fullmatch(r"(-?\d{1,2})?[gu]{0,2}", str(arg), re.ASCII) or str(arg) == "":
        raise TemplateError(
            gettext('floatformat takes up to 99 decimal places, such as floatformat:2 or floatformat:"2g".')
        )
    return str(defaultfilters.floatformat(printed(value), arg))


def add(value: Any, arg: Any) -> int | None:
    """Return the sum of two whole numbers; null stays null. Raises ``TemplateError`` for anything else.

    Django's takes more: it cuts the places off decimals, and joins texts.
    """
    if value is None or arg is None:
        return None
    if type(value) is not int or type(arg) is not int:
        raise TemplateError(
            gettext("add takes whole numbers, such as held.count|add:1; an expression adds any others.")
        )
    return value + arg


def date(value: Any, arg: Any = "DATE_FORMAT") -> str:
    """Return an ISO 8601 date or datetime in Django's date format, datetimes in the current time zone."""
    if value in (None, ""):
        return ""
    moment = _moment(str(value), parse_datetime, parse_date)
    if arg in NAMED_FORMATS:
        return formats.date_format(moment, arg)
    return cut(dateformat.format(moment, cut(str(arg))))


def time(value: Any, arg: Any = "TIME_FORMAT") -> str:
    """Return an ISO 8601 time or datetime in Django's time format, datetimes in the current time zone."""
    if value in (None, ""):
        return ""
    moment = _moment(str(value), parse_time, parse_datetime)
    if arg in NAMED_FORMATS:
        return formats.time_format(moment, arg)
    return cut(dateformat.time_format(moment, cut(str(arg))))


def _moment(text: str, *parsers: Callable[[str], dt.date | dt.time | None]) -> Any:
    for parse in parsers:
        moment = parse(text[:64])
        if isinstance(moment, dt.datetime) and timezone.is_aware(moment):
            return timezone.localtime(moment)
        if moment is not None:
            return moment
    raise ValueError("not ISO 8601")


_ON_TEXT = (
    "capfirst filesizeformat linebreaksbr lower slugify striptags title truncatechars truncatewords upper urlencode"
    " wordcount"
)

FILTERS: Mapping[str, Filter] = {
    "add": add,
    "date": date,
    "default": default,
    "default_if_none": default_if_none,
    "escape": _on_text(conditional_escape),
    "first": first,
    "floatformat": floatformat,
    "join": join,
    "json": json,
    "last": last,
    "length": length,
    "linebreaks": _on_text(defaultfilters.linebreaks_filter),
    "pluralize": defaultfilters.pluralize,
    "time": time,
    "yesno": defaultfilters.yesno,
    **{name: _on_text(getattr(defaultfilters, name)) for name in _ON_TEXT.split()},
}
#: Filters that give a missing value a meaning, when they are the first.
FALLBACKS = frozenset({default, default_if_none})

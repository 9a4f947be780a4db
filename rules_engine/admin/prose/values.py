"""Texts, values and expressions of a rule, in words: ``customer’s email``, ``“Order ‹order number›”``, ``Paid``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.sentences import call_of, name_of
from rules_engine.admin.conditions.words import WORDS
from rules_engine.admin.prose import marks
from rules_engine.admin.prose.marks import GAP, code, shown
from rules_engine.admin.prose.names import Names, moment

_PLACE = re.compile(r"{{\s*([\w.]+)\s*(?:\|[^{}]*)?}}")
_TAG = re.compile(r"{%.*?%}|{#.*?#}", re.DOTALL)
SIGNS = {"+": "+", "-": "−", "*": "×", "/": "÷"}
_SPAN = re.compile(r"(\d{1,9})([dhms])")
#: Longer than any sum that people write.
MOST_PARTS = 6


def text(written: Any, names: Names) -> str:
    """A text or an expression of a config. A text that is one place is told as what stands there."""
    if isinstance(written, Mapping):
        return expression(written, names)
    if written in (None, "", [], ()) or not isinstance(written, str):
        return GAP if written in (None, "", [], ()) else code(written)
    whole = _PLACE.fullmatch(written.strip())
    return names.own(whole[1]) if whole else _filled(written, names)


def quoted(written: Any, names: Names) -> str:
    """As ``text``, where what is said word for word stands in quotation marks."""
    said = text(written, names)
    is_said = isinstance(written, str) and said != GAP and not _PLACE.fullmatch(written.strip())
    return gettext("“%s”") % said if is_said else said


def key(written: str, names: Names) -> str:
    """What a text that tells matches apart is made of: ``customer``, ``status and total``; else the text itself."""
    places = [found[1] for found in _PLACE.finditer(written)]
    if places and not re.search(r"\w", _PLACE.sub("", written)):
        return marks.all_of(dict.fromkeys(names(place) for place in places))
    return quoted(written, names)


def _filled(written: str, names: Names) -> str:
    """A text with what stands at its places, and without what only steers it."""
    begin = written[: 8 * marks.LONGEST_VALUE]
    before = _TAG.split(begin)[0]
    bare = before.rstrip() + "…" if before.strip() and before != begin else _TAG.sub("", begin)
    return shown(_PLACE.sub(lambda found: f"‹{_plain(names(found[1]))}›", bare))


def _plain(marked: str) -> str:
    return str(marks.words_of(marked)).strip('“”„"')


def value(titles: Titles, name: str, given: Any, names: Names) -> str:
    """A value that a field has, gets, or is compared with: by its title where there are choices."""
    if isinstance(given, Mapping):
        return expression(given, names)
    if isinstance(given, str) and (_PLACE.search(given) or _TAG.search(given)):
        return quoted(given, names)
    if isinstance(given, list):
        return marks.listed((value(titles, name, one, names) for one in given), "%(first)s, %(last)s")
    if given is None:
        return gettext("no value")
    if isinstance(given, str) and (said := _of_kind(titles.kind(name), given)):
        return said
    return shown(titles.value(name, given))


def _of_kind(kind: str, written: str) -> str:
    """A date as the site writes it, a number without quotation marks; empty for all else."""
    if kind == "number" and re.fullmatch(r"-?\d{1,30}(\.\d{1,30})?", written):
        return written
    if kind not in ("date", "datetime"):
        return ""
    try:
        found: date | datetime | None = parse_datetime(written) or parse_date(written)
    except ValueError:
        return ""
    if isinstance(found, datetime) and len(written) > len("2031-01-01"):
        return moment(found)
    return str(date_format(found)) if found is not None else ""


def expression(logic: Any, names: Names, depth: int = 0) -> str:
    """What an expression comes to, where that is a field, a time, or a short sum; else as it is written."""
    if name := name_of(logic):
        return names(name) if depth else names.own(name)
    if (said := relative(logic)) is not None:
        return said
    operator, arguments = call_of(logic)
    if operator == "-" and len(arguments) == 1 and depth < MOST_PARTS:
        return f"−{_operand(arguments[0], names, depth)}"
    if operator in SIGNS and 2 <= len(arguments) <= MOST_PARTS and depth < MOST_PARTS:
        return f" {SIGNS[operator]} ".join(_operand(argument, names, depth) for argument in arguments)
    return code(logic)


def _operand(logic: Any, names: Names, depth: int) -> str:
    if not isinstance(logic, Mapping | list):
        return shown(marks.code(logic)) if isinstance(logic, str) else shown(logic)
    said = expression(logic, names, depth + 1)
    return f"({said})" if call_of(logic)[0] in SIGNS and len(call_of(logic)[1]) > 1 else said


def relative(logic: Any) -> str | None:
    """A time relative to now: ``3 days ago``; None for what is no such time."""
    operator, arguments = call_of(logic)
    if operator == "format_date" and arguments:
        return relative(arguments[0]) if call_of(arguments[0])[0] != "format_date" else None
    if operator == "now" and not arguments:
        return gettext("now")
    if operator not in ("+", "-") or len(arguments) != 2 or call_of(arguments[0]) != ("now", []):
        return None
    span, given = call_of(arguments[1])
    written = _SPAN.fullmatch(str(given[0])) if span == "timestamp" and given else None
    if written is None:
        return None
    return ago(int(written[1]), written[2]) if operator == "-" else from_now(int(written[1]), written[2])


def ago(count: int, unit: str) -> str:
    """So long before now."""
    said = {
        "d": ngettext("%(count)s day ago", "%(count)s days ago", count),
        "h": ngettext("%(count)s hour ago", "%(count)s hours ago", count),
        "m": ngettext("%(count)s minute ago", "%(count)s minutes ago", count),
        "s": ngettext("%(count)s second ago", "%(count)s seconds ago", count),
    }
    return said[unit] % {"count": count}


def from_now(count: int, unit: str) -> str:
    """So long after now."""
    said = {
        "d": ngettext("%(count)s day from now", "%(count)s days from now", count),
        "h": ngettext("%(count)s hour from now", "%(count)s hours from now", count),
        "m": ngettext("%(count)s minute from now", "%(count)s minutes from now", count),
        "s": ngettext("%(count)s second from now", "%(count)s seconds from now", count),
    }
    return said[unit] % {"count": count}


def yes_or_no(given: bool) -> str:
    """What a checkbox says."""
    return str(WORDS["yes"] if given else WORDS["no"])

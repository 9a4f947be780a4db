"""A condition as it is written, on one line."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

LONGEST = 200
GROUPS = {
    "and": _("all of"),
    "or": _("any of"),
    "!": _("not"),
    "some": _("at least one of"),
    "all": _("each of"),
    "none": _("none of"),
}
BETWEEN = {"==": "=", "===": "=", "!=": "≠", "!==": "≠", ">": ">", ">=": "≥", "<": "<", "<=": "≤"}


def words_of(logic: Any) -> str:
    """A part of a condition, as short as can be said: ``instance.total > 100``."""
    if not isinstance(logic, dict) or len(logic) != 1:
        return short(logic)
    operator, given = next(iter(logic.items()))
    arguments = given if isinstance(given, list) else [given]
    if operator == "var":
        return str(arguments[0]) if arguments and arguments[0] != "" else gettext("the row itself")
    if operator in ("and", "or"):
        return str(GROUPS[operator])
    if operator == "!" and arguments:
        return f"{GROUPS['!']} {words_of(arguments[0])}"
    if operator in ("some", "all", "none") and len(arguments) == 2:
        return f"{GROUPS[operator]} {words_of(arguments[0])}: {words_of(arguments[1])}"
    if operator in BETWEEN and len(arguments) == 2:
        return f"{words_of(arguments[0])} {BETWEEN[operator]} {words_of(arguments[1])}"
    return _cut(f"{operator}({', '.join(words_of(argument) for argument in arguments)})")


def short(value: Any) -> str:
    """A value as JSON on one line, cut."""
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"

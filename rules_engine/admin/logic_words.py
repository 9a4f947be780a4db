"""A condition's trace as a tree that a page can draw: each part in words, with what it came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Node:
    """One part. ``state`` is true, false, value, error or skipped; ``result`` is what it came to, in words."""

    words: str
    state: str
    result: str
    children: tuple[Node, ...] = ()


def drawn(tree: Mapping[str, Any]) -> Node:
    """The node of a trace, as ``tracing.trace`` gives it."""
    children = tuple(drawn(one) for one in tree["children"])
    state, result = _outcome(tree)
    return Node(words_of(tree["expression"]), state, result, children)


def _outcome(tree: Mapping[str, Any]) -> tuple[str, str]:
    if "error" in tree:
        return "error", str(tree["error"])
    if tree.get("skipped"):
        return "skipped", gettext("not looked at: it was decided before")
    if "values" in tree:
        values = [short(value) for value in tree["values"]]
        more = tree["count"] - len(values)
        return "value", ", ".join(values) + (gettext(" and %s more") % more if more > 0 else "")
    value = tree["value"]
    if value is True or value is False:
        return ("true", gettext("true")) if value else ("false", gettext("false"))
    return "value", short(value)


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
    return _cut(f"{operator}({', '.join(words_of(one) for one in arguments)})")


def short(value: Any) -> str:
    """A value as JSON on one line, cut."""
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"

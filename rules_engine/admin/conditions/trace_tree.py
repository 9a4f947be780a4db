"""A condition's trace as a tree that a page can draw: each part in words, with what it came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, ngettext

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.one_line import short, words_of
from rules_engine.admin.conditions.sentences import Said, name_of, said, titles_below


@dataclass(frozen=True, slots=True)
class Node:
    """One part. ``state`` is true, false, value, error or skipped; ``result`` is what it came to, in words; ``code``
    is the part as it is written."""

    said: Said
    state: str
    result: str
    code: str
    children: tuple[Node, ...] = ()


def drawn(tree: Mapping[str, Any], titles: Titles) -> Node:
    """The node of a trace, as ``tracing.trace`` gives it, with names called as the rule's form calls them."""
    logic = tree["expression"]
    children = tuple(drawn(child, titles_below(logic, child["pointer"], titles)) for child in tree["children"])
    name = name_of(logic)
    state, result = _outcome(tree, lambda value: titles.value(name, value) if name else short(value))
    return Node(said(logic, titles), state, result, words_of(logic), children)


def _outcome(tree: Mapping[str, Any], shown: Callable[[Any], str]) -> tuple[str, str]:
    if "error" in tree:
        return "error", str(tree["error"])
    if tree.get("skipped"):
        return "skipped", gettext("not looked at: it was decided before")
    if "values" in tree:
        values = [shown(value) for value in tree["values"]]
        more = tree["count"] - len(values)
        return "value", ", ".join(values) + (gettext(" and %s more") % more if more > 0 else "")
    value = tree["value"]
    if value is True or value is False:
        return ("true", gettext("true")) if value else ("false", gettext("false"))
    return "value", _rows_words(value) or shown(value)


def _rows_words(value: Any) -> str:
    """Related rows by their number: what is read of each is said by itself."""
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return ""
    return ngettext("%(count)s row", "%(count)s rows", len(value)) % {"count": len(value)}

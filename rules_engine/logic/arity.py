"""How many arguments each operator takes. The library lets most pass that have too few, and many of those match
everything: ``{"!": [{"in": ["a"]}]}`` is true of each event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext, ngettext

from rules_engine.errors import Problem
from rules_engine.logic.evaluator import operators
from rules_engine.logic.shape import pointer

#: What the library lets do without any argument, and what then comes to a constant that nobody means.
_NEEDS_ONE = frozenset({"!", "!!", "+", "*", "cat", "merge", "missing", "??"})
#: With a single argument these give it back.
_NEEDS_TWO = frozenset({"substr", "if", "?:", "try"})


def arity_problems(logic: Any) -> list[Problem]:
    """Find the operators with too few or too many arguments, with pointers. ``logic`` has passed ``shape_problems``."""
    return list(_walk(logic, ""))


def _walk(node: Any, at: str) -> Iterator[Problem]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            if isinstance(item, list | Mapping):
                yield from _walk(item, f"{at}/{index}")
    elif isinstance(node, Mapping):
        if len(node) == 1:
            yield from _operator_problems(*next(iter(node.items())), at)
        for key, item in node.items():
            if isinstance(item, list | Mapping):
                yield from _walk(item, f"{at}{pointer(key)}")


def _operator_problems(name: str, arguments: Any, at: str) -> Iterator[Problem]:
    info = operators().get(name)
    if info is None:
        return
    count = len(arguments) if isinstance(arguments, list) else 1
    fewest, most = _fewest(name, info), info["max_args"]
    if count >= fewest and (most is None or count <= most):
        return
    message = gettext('"%(operator)s" takes %(wanted)s, not %(count)s.')
    yield Problem(at, message % {"operator": name, "wanted": _wanted(fewest, most), "count": count})


def _fewest(name: str, info: Mapping[str, Any]) -> int:
    fewest: int = info["min_args"]
    if name in _NEEDS_TWO:
        return max(fewest, 2)
    return max(fewest, 1) if name in _NEEDS_ONE else fewest


def _wanted(fewest: int, most: int | None) -> str:
    if most is None:
        return ngettext("at least %(count)s argument", "at least %(count)s arguments", fewest) % {"count": fewest}
    if most == fewest:
        return ngettext("exactly %(count)s argument", "exactly %(count)s arguments", fewest) % {"count": fewest}
    return gettext("%(fewest)s to %(most)s arguments") % {"fewest": fewest, "most": most}

"""Conditions over what was cut off: answered where what was kept decides, an error where the rest would.

An event keeps so many rows of a relation, so many characters of a text. *Is none of its rows late?* has no answer where
only the first thousand were read, unless one of those is late. So a condition that meets such data is evaluated in
another form: beside what looks for something among many (``in``, ``some``, ``all``, ``none``) stands an operator of our
own, ``cut_off``, which is come to where the kept part has not decided, and fails; elsewhere it takes the place of the
value, unless all that is asked is whether there is any, or whether a text equals another.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

from datalogic_py import Engine
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.context.plain_data import CUT, is_cut, is_cut_text
from rules_engine.errors import ConditionError
from rules_engine.logic.evaluator import Cut, Partial, engine_of
from rules_engine.logic.metering import OPERATOR, TRUTH, Metered, count, metered
from rules_engine.logic.shape import pointer
from rules_engine.logic.variables import variables

#: How a value is looked at: for its truth, for being equal or less, for what is among it, only handed on, or whole.
_Look = Literal["truth", "order", "among", "told", "whole"]

#: Which argument is many things, and whether one of the kept ones can decide for true, or for false.
_SEARCHES: Mapping[str, tuple[int, bool]] = {"in": (1, True), "some": (0, True), "all": (0, False), "none": (0, False)}
#: What gives back all different rows that it is given.
_KEEP_ALL = frozenset({"sort", "distinct"})
_LOOKS: Mapping[str, _Look] = {
    **dict.fromkeys(("!", "!!"), "truth"),
    **dict.fromkeys(("==", "===", "!=", "!==", "<", "<=", ">", ">=", "starts_with"), "order"),
}
#: What comes to one of its arguments, so that they are looked at as it is itself.
_CHOICES = frozenset({"and", "or", "if", "?:", "??"})
_READS = frozenset({"var", "val"})
#: What is below an object of which some was cut off.
BELOW = "below"
_Places = Mapping[str, tuple[str, str]]


CUT_OFF, KEPT = "cut_off", "kept_part"


class CutOffError(ConditionError):
    """What was cut off of the event's data would decide."""


class _Trouble(threading.local):
    """Why this thread's evaluation was stopped: the library hands on that an operator failed, and not with what."""

    said = ""


_TROUBLE = _Trouble()


def value_of(logic: Any, data: Partial, whole: Metered) -> Any:
    """Evaluate logic that has passed ``check_expression``; ``whole`` is how it is evaluated over data that is whole.

    Raises ``CutOffError`` where what was cut off would decide, and ``ConditionError`` as ``whole`` does.
    """
    return _evaluated(logic, data, "told", whole)


def truth_of(logic: Any, data: Partial, whole: Metered) -> Any:
    """Evaluate as ``value_of`` does, where only the truth of the result is asked for."""
    return _evaluated(logic, data, "truth", whole)


def _evaluated(logic: Any, data: Partial, look: _Look, whole: Metered) -> Any:
    if not _places(logic, data.cuts):
        return whole.evaluated(data.handle)
    _TROUBLE.said = ""
    try:
        return _guarded(json.dumps(logic), data.cuts, look, conf.condition_budget()).evaluated(data.handle)
    except ConditionError as error:
        if not _TROUBLE.said:
            raise
        raise CutOffError(_TROUBLE.said) from error


@lru_cache(maxsize=256)
def _guarded(source: str, cuts: frozenset[Cut], look: _Look, budget: int) -> Metered:
    logic = json.loads(source)
    node, left = _node(logic, "", look, _places(logic, cuts))
    written = metered({"or": [node, *left]} if left else node)
    written = {TRUTH: [written]} if look == "truth" else written
    return Metered(_engine(budget).compile(json.dumps(written)), is_counted=True)


@lru_cache(maxsize=8)
def _engine(budget: int) -> Engine:
    return engine_of(budget, {OPERATOR: count, CUT_OFF: _cut_off, KEPT: _kept_part})


def _cut_off(arguments: str) -> str:
    """Say no of what is whole. Raises ``CutOffError`` for what is not."""
    kind, path, told = json.loads(arguments)
    if _IS_CUT[kind](told):
        _TROUBLE.said = _said(kind, path, told)
        raise CutOffError(_TROUBLE.said)
    return "false"


def _kept_part(arguments: str) -> str:
    """Give a value without its mark, which is among what was kept and is none of it."""
    [told] = json.loads(arguments)
    if isinstance(told, str) and is_cut_text(told):
        return json.dumps(told[: told.rindex(CUT)])
    return json.dumps(told[:-1]) if isinstance(told, list) and is_cut(told) else arguments[1:-1]


#: How the kept part tells that there was more; rows tell by their type alone, and what is below an object by not being
#: there.
_IS_CUT: Mapping[str, Callable[[Any], bool]] = {
    "CutRows": lambda _told: True,
    "CutText": lambda told: isinstance(told, str) and is_cut_text(told),
    "CutList": is_cut,
    "CutMapping": lambda told: is_cut(told) or (isinstance(told, Mapping) and told.get("type") == "truncated"),
    BELOW: lambda told: told is None,
}


def _said(kind: str, path: str, told: Any) -> str:
    if kind == "CutText":
        message = gettext(
            '"%(path)s" is longer than the %(most)s characters that are kept of a text (TEXT_LIMIT in RULES_ENGINE), '
            "and the rest would decide here."
        )
        return message % {"path": path, "most": _grouped(conf.text_limit())}
    if isinstance(told, int) and told < conf.rows_limit():
        message = gettext(
            'There is more in "%(path)s" than the %(told)s that are read, which come to %(bytes)s bytes (EVENT_BYTES '
            "in RULES_ENGINE), and the rest would decide here. Rows can be counted and added up whatever their number: "
            "items__count, items__sum__price."
        )
        return message % {"path": path, "told": _grouped(told), "bytes": _grouped(conf.event_bytes())}
    message = gettext(
        'There is more in "%(path)s" than the %(most)s that are read (ROWS_LIMIT in RULES_ENGINE), and the rest would '
        "decide here. Rows can be counted and added up whatever their number: items__count, items__sum__price."
    )
    return message % {"path": path, "most": _grouped(conf.rows_limit())}


def _grouped(number: int) -> str:
    return str(number_format(number, force_grouping=True))


def _places(logic: Any, cuts: frozenset[Cut]) -> _Places:
    """Return what is cut off by the pointers of what reads it."""
    kinds = {cut.path: cut.kind for cut in cuts}
    places: dict[str, tuple[str, str]] = {}
    for variable in variables(logic):
        path = tuple(name for name in (*(variable.within or ()), *variable.path) if not name.isdecimal())
        kind = kinds.get(path)
        if kind is None and any(kinds.get(path[:end]) == "CutMapping" for end in range(1, len(path))):
            kind = BELOW
        if kind is not None:
            places[variable.pointer] = (kind, ".".join(path))
    return places


def _node(node: Any, at: str, look: _Look, places: _Places) -> tuple[Any, list[Any]]:
    """Return the node as it is to be evaluated, and what is to be asked where that has not decided."""
    if isinstance(node, list):
        return _all(node, [f"{at}/{index}" for index in range(len(node))], [look] * len(node), places)
    if not isinstance(node, Mapping) or len(node) != 1:
        return node, []
    ((operator, value),) = node.items()
    if operator in _READS:
        return _read(node, look, *places.get(at, ("", "")))
    listed = isinstance(value, list)
    arguments = value if listed else [value]
    here = at + pointer(operator)
    pointers = [f"{here}/{index}" if listed else here for index in range(len(arguments))]
    looks = [_look_at(operator, index, len(arguments), look) for index in range(len(arguments))]
    written, left = _all(arguments, pointers, looks, places)
    operation = {operator: written if listed else written[0]}
    decides = _decides(operator, look)
    if not left or decides is None:
        return operation, left
    if decides:
        return {"or": [operation, *left]}, []
    return {"and": [operation, *({"!": [guard]} for guard in left)]}, []


def _all(nodes: list[Any], pointers: list[str], looks: list[_Look], places: _Places) -> tuple[list[Any], list[Any]]:
    pairs = [_node(node, at, look, places) for node, at, look in zip(nodes, pointers, looks, strict=True)]
    return [written for written, _ in pairs], [guard for _, guards in pairs for guard in guards]


def _read(node: Mapping[str, Any], look: _Look, kind: str, path: str) -> tuple[Any, list[Any]]:
    if not kind or _is_sure(kind, look):
        return node, []
    # By its length where its type says all: the rows themselves need not be handed over.
    guard = {CUT_OFF: [kind, path, {"length": [node]} if kind == "CutRows" else node]}
    if look != "among":
        return {"if": [guard, None, node]}, []
    return (node if kind == "CutRows" else {KEPT: [node]}), [guard]


def _is_sure(kind: str, look: _Look) -> bool:
    """Say whether the kept part decides, or says itself that it is one.

    Two long texts of which one was cut are told apart by their marks.
    """
    if kind == BELOW:
        return False
    return look == "truth" or (look == "order" and kind == "CutText") or (look == "told" and kind != "CutRows")


def _decides(operator: str, look: _Look) -> bool | None:
    """Say for which answer one of the kept things can decide alone; None where the operator does not search."""
    if operator == "filter" and look == "truth":
        return True
    return _SEARCHES[operator][1] if operator in _SEARCHES else None


def _look_at(operator: str, index: int, count: int, look: _Look) -> _Look:
    """Say how an operator that is looked at so itself looks at one of its arguments."""
    if operator in _SEARCHES:
        if index == _SEARCHES[operator][0]:
            return "among"
        return "order" if operator == "in" else "truth"
    if operator == "filter":
        return "truth" if index else "among" if look in ("truth", "among") else "whole"
    if operator in _KEEP_ALL and index == 0:
        return look if look in ("truth", "among") else "whole"
    if operator in _CHOICES:
        is_asked = operator in ("if", "?:") and index % 2 == 0 and index < count - 1
        return "truth" if is_asked else look
    return _LOOKS.get(operator, "whole")

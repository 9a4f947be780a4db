"""Which constants a rule asks for: values without which it neither matches nor fails, whatever else is so.

They come from the ``to`` of its changes, and from equalities of the object's own fields with constants at the beginning
of its condition: ``==`` and ``===``, ``in`` a list, and what ``and`` joins of these. A key is given only where leaving
the rule out says exactly what trying it would say:

- The condition fails for no other reason: the key stands before all that could fail, and nothing that the rule reads
  has code of the site's own in being read.
- Two values of one type are equal in JSONLogic where they are in Python. So a constant is compared with values of its
  own type, and null equals none of them; of any other value ``Plan`` takes the rule to be one that may match. Left out
  are constants that null is loosely equal to (0, "" and false), and texts that could be a date or a length of time,
  which JSONLogic compares as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from django.core.signals import setting_changed
from django.db import models

from rules_engine import conf
from rules_engine.context.paths import ModelClass, aggregate_of, field_of, readable_fields, steps
from rules_engine.context.plain_data import PLAIN_TYPES
from rules_engine.context.stored_form import is_held_plainly, is_told_plainly
from rules_engine.errors import UnknownPath
from rules_engine.logic.evaluator import number_of
from rules_engine.rules.matching import CompiledRule
from rules_engine.setting_values import SETTING
from rules_engine.types import EVERY_FIELD, Path

#: A constant may be a date, or a length of time ("1d", "24h"): two of them are equal that are written otherwise.
_MAY_BE_TIME = re.compile(r"\s*[-+p]*\s*\d+\D", re.IGNORECASE)
#: Constants of a list that are told apart; a rule that names more is tried each time.
MOST_CONSTANTS = 100
#: The types of numbers, which are compared with one another.
NUMBERS = frozenset((int, float, Decimal))
#: Whole numbers that a binary fraction holds exactly.
EXACT = 2**53
#: An evaluation may be stopped for its length before it comes to a constant where it is given fewer operations.
LEAST_BUDGET = 1_000
_EQUALITIES = frozenset({"==", "==="})
_TRUTHS = frozenset({"!", "!!"})


class Key(NamedTuple):
    """A field of the object, by its column name, and the constants that it has to equal one of.

    ``kind`` is the type of the constants; of a change's ``to`` it is ``object``: those may be of any.
    """

    name: str
    kind: type
    values: tuple[Any, ...]
    #: The name of the field that has to change to it; empty where it has to equal it, whatever it was.
    field: str = ""

    def allows(self, value: Any) -> bool:
        """Say whether a value equals one of the constants, or may."""
        if self.kind is object:
            return not is_one_value(value) or target_of(value) in self.values
        if type(value) is self.kind:
            return value in self.values
        if self.kind is int and type(value) in NUMBERS:
            return number_of(value) in self.values
        return value is not None


def keys_of(rule: CompiledRule, model: ModelClass) -> tuple[Key, ...]:
    """Return the keys of the rule's condition on objects of the model; none where it has none that are sure."""
    source = getattr(rule.condition, "source", None)
    if source is None or rule.fault or conf.condition_budget() < LEAST_BUDGET:
        return ()
    keys = tuple(key for key in leading(source, model) if key is not None)
    return keys if keys and all(is_read_safely(model, path) for path in rule.reads) else ()


def targets_of(rule: CompiledRule, model: ModelClass) -> Iterator[Key]:
    """Yield the keys of the rule's changes: what a field has to change to."""
    for change in rule.changes:
        if change.has_new and is_one_value(change.new):
            with suppress(UnknownPath):  # it is the rule's own fault, which matching records
                yield Key(field_of(model, change.field).attname, object, (target_of(change.new),), change.field)


def is_one_value(value: Any) -> bool:
    """Say whether the values of a field are told apart by this one: it is no list, no object, and nothing cut off."""
    return type(value) in PLAIN_TYPES or type(value) is Decimal


def target_of(value: Any) -> Any:
    """Return what such a value is told apart by, as ``same`` compares: ``1`` is not ``true``."""
    return (value,) if type(value) is bool else value


def leading(node: Any, model: ModelClass) -> Iterator[Key | None]:
    """Yield the keys at the beginning of a condition, None for what cannot fail, up to the first that may."""
    if not isinstance(node, Mapping) or len(node) != 1:
        return
    ((operator, given),) = node.items()
    if operator == "and" and isinstance(given, list) and given:
        for part in given:
            found = list(leading(part, model))
            yield from found
            if not found or not is_sure(part, found, model):
                return
    elif operator == "var" or operator in _TRUTHS:
        if _is_value(node if operator == "var" else given, model):
            yield None
    elif isinstance(given, list) and len(given) == 2 and (key := _key(operator, given, model)) is not None:
        yield key


def is_sure(part: Any, found: list[Key | None], model: ModelClass) -> bool:
    """Say whether a part of ``and`` cannot fail, so that one behind it decides where this one holds."""
    if isinstance(part, Mapping) and "and" in part:
        return len(found) >= len(part["and"]) and all(key is None or _is_text(key, model) for key in found)
    return all(key is None or _is_text(key, model) for key in found)


def _is_text(key: Key, model: ModelClass) -> bool:
    # A field of text tells a text or null whatever it is given; in one of numbers there may be something else.
    return key.kind is str and isinstance(steps(model)[key.name].field, models.CharField | models.TextField)


def _is_value(node: Any, model: ModelClass) -> bool:
    """Say whether a node reads a value of the object's own, as it is."""
    node = node[0] if isinstance(node, list) and len(node) == 1 else node
    return column_read_by(node, model) is not None


def _key(operator: str, given: list[Any], model: ModelClass) -> Key | None:
    if operator == "in":
        name, values = column_read_by(given[0], model), given[1]
        if not isinstance(values, list) or not 0 < len(values) <= MOST_CONSTANTS:
            return None
    elif operator in _EQUALITIES:
        here, there = (0, 1) if isinstance(given[0], Mapping) else (1, 0)
        name, values = column_read_by(given[here], model), [given[there]]
    else:
        return None
    kinds = {_kind(value) for value in values}
    kind = kinds.pop()
    return None if name is None or kind is None or kinds else Key(name, kind, tuple(dict.fromkeys(values)))


def _kind(value: Any) -> type | None:
    """Return the type that a constant is compared with; None for one that is not told apart."""
    if type(value) is str:
        return str if value and not _MAY_BE_TIME.match(value) else None
    if type(value) is bool:
        return bool if value else None
    return int if type(value) in (int, float) and value and abs(value) < EXACT else None


def column_read_by(node: Any, model: ModelClass) -> str | None:
    """Return the column's name where a node reads a field of the object that is told as it is stored."""
    if not isinstance(node, Mapping) or list(node) != ["var"]:
        return None
    path = node["var"]
    path = path[0] if isinstance(path, list) and len(path) == 1 else path
    if not isinstance(path, str) or not path.startswith("instance."):
        return None
    name = path.removeprefix("instance.")
    step = steps(model).get(name)
    if step is None or step.kind != "value" or name == "pk" or step.field.attname != name:
        return None
    return name if _is_plain_on(model, step.field) else None


@lru_cache(maxsize=4096)
def _is_plain_on(model: ModelClass, field: Any) -> bool:
    is_own = not getattr(field, "generated", False) and is_held_plainly(model, field.attname)
    return is_own and is_told_plainly(field)


@lru_cache(maxsize=4096)
def is_read_safely(model: ModelClass, path: Path) -> bool:
    """Say whether reading a path runs no code of the site's own, which might fail: then it is an error of the rule."""
    root, *rest = path
    if root in ("old", "changes", "changed"):
        names = rest[:1] if rest and root != "changed" else [EVERY_FIELD]
        return all(_is_told_safely(model, name) for name in names)
    if root == "instance":
        return _is_walked_safely(model, rest)
    return root in ("event", "created", "m2m", "signal", "request")


def _is_told_safely(model: ModelClass, name: str) -> bool:
    try:
        fields = readable_fields(model) if name == EVERY_FIELD else (field_of(model, name),)
    except UnknownPath:
        return False
    return all(is_told_plainly(field) and is_held_plainly(model, field.attname) for field in fields)


def _is_walked_safely(model: ModelClass, names: list[str]) -> bool:
    here: ModelClass | None = model
    for name in names or [EVERY_FIELD]:
        if here is None or name.isdigit() or name == EVERY_FIELD:
            return name == EVERY_FIELD and here is not None and _is_told_safely(here, name)
        step = steps(here).get(name)
        if step is None:
            return _is_added_up_safely(here, name)
        if step.kind == "value" and not (is_told_plainly(step.field) and is_held_plainly(here, step.field.attname)):
            return False
        here = step.model
    return here is None


def _is_added_up_safely(model: ModelClass, name: str) -> bool:
    try:
        return all(is_told_plainly(field) for field in aggregate_of(model, name).fields)
    except UnknownPath:
        return False


def _forget(*, setting: str, **_: object) -> None:
    if setting in (SETTING, "AUTH_USER_MODEL"):
        _is_plain_on.cache_clear()
        is_read_safely.cache_clear()


setting_changed.connect(_forget, dispatch_uid="rules_engine.constants")

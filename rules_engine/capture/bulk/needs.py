"""What a rule needs of a row's columns, whatever else is so: by that nearly all rows of a statement are passed by.

Besides the constants of ``live.constants`` these are bounds (``total > 100``) at the beginning of the condition, and
that a field changed. Values are looked at as the database gives them, with no more made than one call for each.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import models

from rules_engine import conf
from rules_engine.context.paths import ModelClass, steps
from rules_engine.context.plain_data import same
from rules_engine.context.stored_form import form_of, is_told_plainly
from rules_engine.context.subject import Field
from rules_engine.live.constants import (
    EXACT,
    LEAST_BUDGET,
    NUMBERS,
    column_read_by,
    is_read_safely,
    is_sure,
    keys_of,
    leading,
)
from rules_engine.rules.matching import CompiledRule

Test = Callable[[Any], bool]
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
#: With the sides exchanged.
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Need(NamedTuple):
    """A column, by name, and what says of its value that the rule may match; of it before or after the statement."""

    name: str
    test: Test
    is_before: bool = False


class Needs(NamedTuple):
    """What a rule needs: tests by the places of columns, of those before and those after; and columns, by their places
    before and after, that have to differ."""

    before: Sequence[tuple[int, Test]]
    after: Sequence[tuple[int, Test]]
    differ: Sequence[tuple[int, int]]

    @property
    def is_any(self) -> bool:
        """Say whether there is any."""
        return bool(self.before or self.after or self.differ)

    def may_match(self, before: Sequence[Any], after: Sequence[Any] | None) -> bool:
        """Say whether a row may match; with nothing ``after``, as far as that is known before the statement."""
        for place, test in self.before:
            if not test(before[place]):
                return False
        if after is not None:
            for place, test in self.after:
                if not test(after[place]):
                    return False
            for was, now in self.differ:
                one, other = before[was], after[now]
                if one == other and type(one) is type(other):
                    return False
        return True


def needs_of(
    rule: CompiledRule,
    model: ModelClass,
    columns: Mapping[str, Field],
    constants: Mapping[str, Any],
    opened: Sequence[str],
) -> Needs:
    """Return what the rule needs of a row of which these columns are known, the ``constants`` that are written, and
    the ``opened`` columns after the statement."""
    before: list[tuple[int, Test]] = []
    after: list[tuple[int, Test]] = []
    differ: list[tuple[int, int]] = []
    places = {name: place for place, name in enumerate(columns)}
    if rule.fault:
        return Needs((), (), ())
    for need in (*_of_keys(rule, model), *_of_bounds(rule, model)):
        if need.name in opened:
            after.append((opened.index(need.name), need.test))
        elif need.name in places and need.name not in constants:
            before.append((places[need.name], need.test))
    for change in rule.changes:
        step = steps(model).get(change.field)
        name = getattr(getattr(step, "field", None), "attname", "")
        if name not in places or not is_told_plainly(columns[name]):
            continue
        form = form_of(columns[name])
        if change.has_old:
            before.append((places[name], _equals(form, change.old)))
        if name in constants:
            before.append((places[name], _differs(form, constants[name])))
        elif name in opened:
            differ.append((places[name], opened.index(name)))
    return Needs(before, after, differ)


def _equals(form: Callable[[Any], Any], asked: Any) -> Test:
    return lambda value: same(form(value), asked)


def _differs(form: Callable[[Any], Any], written: Any) -> Test:
    return lambda value: not same(form(value), written)


def _of_keys(rule: CompiledRule, model: ModelClass) -> Iterator[Need]:
    for key in keys_of(rule, model):
        form = form_of(steps(model)[key.name].field)
        yield Need(key.name, lambda value, form=form, key=key: key.allows(form(value)))  # type: ignore[misc]


def _of_bounds(rule: CompiledRule, model: ModelClass) -> Iterator[Need]:
    source = getattr(rule.condition, "source", None)
    if source is None or conf.condition_budget() < LEAST_BUDGET:
        return
    if all(is_read_safely(model, path) for path in rule.reads):
        yield from _leading_bounds(source, model)


def _leading_bounds(node: Any, model: ModelClass) -> Iterator[Need]:
    """Yield the bounds at the beginning of a condition, up to the first part that may fail."""
    parts = node["and"] if isinstance(node, Mapping) and list(node) == ["and"] else [node]
    for part in parts if isinstance(parts, list) else ():
        if (bound := _bound(part, model)) is not None:
            yield bound
            continue
        found = list(leading(part, model))
        if not found or not is_sure(part, found, model):
            return


def _bound(node: Any, model: ModelClass) -> Need | None:
    """Return the bound that a node is: a column of numbers beside a number, which never fails."""
    if not isinstance(node, Mapping) or len(node) != 1:
        return None
    ((order, given),) = node.items()
    if order not in _ORDERS or not isinstance(given, list) or len(given) != 2:
        return None
    if isinstance(given[1], Mapping):
        order, given = _MIRRORED[order], given[::-1]
    name, number = column_read_by(given[0], model), given[1]
    if name is None or type(number) not in (int, float) or not abs(number) < EXACT:
        return None
    field = steps(model)[name].field
    if not isinstance(field, models.IntegerField | models.DecimalField | models.FloatField) or field.choices:
        return None
    return Need(name, _within(_ORDERS[order], number))


def _within(order: Callable[[Any, Any], bool], number: float) -> Test:
    def test(value: Any) -> bool:
        if value is None:
            return False
        if type(value) not in NUMBERS:
            return True
        try:
            told = float(value)
        except OverflowError:
            return True
        return order(told, number) or not math.isfinite(told)

    return test

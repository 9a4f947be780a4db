"""What a rule needs of a row's columns, whatever else is so: by that nearly all rows of a statement are passed by.

Besides the constants of ``live.constants`` these are bounds (``total > 100``) at the beginning of the condition, and
that a field changed. Rows are sifted many at a time, by values as the driver gives them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import models

from rules_engine import conf
from rules_engine.capture.bulk.driver_values import DriverValues, Row
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
#: Leaves of many rows those of which a rule may match, or fail at.
Sieve = Callable[[list[Row]], list[Row]]
_ORDERS = frozenset(("<", "<=", ">", ">="))
#: With the sides exchanged.
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
#: Values of a column of which it is remembered what was said of them.
MOST_REMEMBERED = 10_000
#: Digits that a number keeps on its way through SQLite are fifteen.
IMPRECISION = 1e-14
LARGEST = sys.float_info.max


class Need(NamedTuple):
    """A column, by name, and what says of its value that the rule may match."""

    name: str
    test: Test


class Bound(NamedTuple):
    """A column of numbers, by name, and how its value has to be to a number."""

    name: str
    order: str
    number: float


class Needs(NamedTuple):
    """What a rule needs: sieves of the rows before the statement, and of those after it; and columns, by their places
    in the rows before and after, that have to differ."""

    before: Sequence[Sieve]
    after: Sequence[Sieve]
    differ: Sequence[tuple[int, int]]
    #: Whether the rule asks for nothing else: of rows that have what it needs, hardly any does not match.
    is_all: bool = False

    @property
    def is_any(self) -> bool:
        """Say whether there is any."""
        return bool(self.before or self.after or self.differ)

    def may_match(self, rows: list[Row]) -> list[Row]:
        """Return those of the rows before that may match, as far as that is known of those."""
        for sieve in self.before:
            rows = sieve(rows)
        return rows

    def may_match_after(self, rows: list[Row], before: Mapping[Any, Row]) -> Iterator[tuple[Row, Row]]:
        """Yield those of the rows after that may match, each behind what it was before."""
        for sieve in self.after:
            rows = sieve(rows)
        for row in rows:
            was = before.get(row[0])
            if was is not None and all(_differ(was[one], row[other]) for one, other in self.differ):
                yield was, row


def _differ(one: Any, other: Any) -> bool:
    return bool(one != other) or type(one) is not type(other)


def needs_of(
    rule: CompiledRule, model: ModelClass, before: DriverValues, constants: Mapping[str, Any], after: DriverValues
) -> Needs:
    """Return what the rule needs of a row of which these columns are known, the ``constants`` that are written, and
    those ``after`` of which only the database knows what was written."""
    if rule.fault:
        return Needs((), (), ())
    sieves: dict[bool, list[Sieve]] = {False: [], True: []}
    differ: list[tuple[int, int]] = []
    needs: list[Need | Bound] = [*_of_keys(rule, model), *_of_bounds(rule, model)]
    is_all = rule.condition is None or len(needs) == _parts_of(rule.condition)
    for need in needs:
        is_after = need.name in after.columns
        values = after if is_after else before
        if need.name in values.columns and need.name not in constants:
            sieves[is_after].append(_sieve_of(need, values))
        else:
            is_all = False
    for change in rule.changes:
        step = steps(model).get(change.field)
        name = getattr(getattr(step, "field", None), "attname", "")
        if name not in before.columns or not is_told_plainly(before.columns[name]):
            is_all = False
            continue
        form = form_of(before.columns[name])
        if change.has_old:
            sieves[False].append(_sieve_of(Need(name, _equals(form, change.old)), before))
        if name in constants:
            sieves[False].append(_sieve_of(Need(name, _differs(form, constants[name])), before))
        elif name in after.columns:
            differ.append((before.place(name), after.place(name)))
            is_all = is_all and not change.has_new
    return Needs(sieves[False], sieves[True], differ, is_all)


def _parts_of(condition: Any) -> int:
    """Return how many parts a condition has that are joined by ``and``."""
    source = getattr(condition, "source", None)
    parts = source["and"] if isinstance(source, Mapping) and list(source) == ["and"] else [source]
    return len(parts) if isinstance(parts, list) else 0


def _sieve_of(need: Need | Bound, values: DriverValues) -> Sieve:
    place = values.place(need.name)
    if isinstance(need, Bound):
        return _outside(place, *_span_that_fails(need, values.columns[need.name]))
    return _remembering(place, values.telling(need.name, need.test))


def _span_that_fails(bound: Bound, field: Field) -> tuple[float, float]:
    """Return the first and the last of the numbers that surely fail, as the driver gives them: of a column of decimals
    it may be one that is rounded yet."""
    number, margin = float(bound.number), abs(bound.number) * IMPRECISION
    if isinstance(field, models.DecimalField):
        margin += 10.0 ** -(field.decimal_places or 0)
    if bound.order.startswith("<"):
        least = number + margin
        return (math.nextafter(least, math.inf) if bound.order == "<=" else least), LARGEST
    most = number - margin
    return -LARGEST, (math.nextafter(most, -math.inf) if bound.order == ">=" else most)


def _outside(place: int, low: float, high: float) -> Sieve:
    def sift(rows: list[Row]) -> list[Row]:
        try:
            return [
                row
                for row in rows
                if (value := row[place]) is not None and not (type(value) in NUMBERS and low <= float(value) <= high)
            ]
        except OverflowError:
            return rows

    return sift


class _Remembered(dict[Any, bool]):
    """What a test says of values, each asked once."""

    def __init__(self, test: Test) -> None:
        super().__init__()
        self.test = test

    def __missing__(self, value: Any) -> bool:
        says = self.test(value)
        if len(self) < MOST_REMEMBERED:
            self[value] = says
        return says


def _remembering(place: int, test: Test) -> Sieve:
    says = _Remembered(test)
    return lambda rows: [row for row in rows if says[row[place]]]


def _equals(form: Callable[[Any], Any], asked: Any) -> Test:
    return lambda value: same(form(value), asked)


def _differs(form: Callable[[Any], Any], written: Any) -> Test:
    return lambda value: not same(form(value), written)


def _of_keys(rule: CompiledRule, model: ModelClass) -> Iterator[Need]:
    for key in keys_of(rule, model):
        form = form_of(steps(model)[key.name].field)
        yield Need(key.name, lambda value, form=form, key=key: key.allows(form(value)))  # type: ignore[misc]


def _of_bounds(rule: CompiledRule, model: ModelClass) -> Iterator[Bound]:
    source = getattr(rule.condition, "source", None)
    if source is None or conf.condition_budget() < LEAST_BUDGET:
        return
    if all(is_read_safely(model, path) for path in rule.reads):
        yield from _leading_bounds(source, model)


def _leading_bounds(node: Any, model: ModelClass) -> Iterator[Bound]:
    """Yield the bounds at the beginning of a condition, up to the first part that may fail."""
    parts = node["and"] if isinstance(node, Mapping) and list(node) == ["and"] else [node]
    for part in parts if isinstance(parts, list) else ():
        if (bound := _bound(part, model)) is not None:
            yield bound
            continue
        found = list(leading(part, model))
        if not found or not is_sure(part, found, model):
            return


def _bound(node: Any, model: ModelClass) -> Bound | None:
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
    return Bound(name, order, number)

"""Which rows of a statement rules can match, found out from their columns, with no object made for a row.

As in ``capture.screens`` for a save: it may find a row that no rule matches, and never leaves out one that some rule
might match, or fail at. What it finds is told in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rules_engine.capture.bulk.driver_values import DriverValues, Row
from rules_engine.capture.bulk.needs import MOST_REMEMBERED, Needs, needs_of
from rules_engine.capture.watches import ModelWatch
from rules_engine.context.paths import ModelClass, steps
from rules_engine.context.plain_data import same
from rules_engine.context.stored_form import form_of, is_told_plainly
from rules_engine.context.subject import Field
from rules_engine.errors import ConditionError
from rules_engine.live.plan import UNSETTLED, Plan
from rules_engine.logic import jsonlogic
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import EVERY_FIELD, FieldChange, Unread, ask

Form = Callable[[Any], Any]
#: What a rule needs that may match every row.
EVERY = Needs((), (), ())


class Heard(NamedTuple):
    """The rules on one signal that a statement can match."""

    signal: str
    plan: Plan
    rules: Sequence[CompiledRule]


class Reads(NamedTuple):
    """What a condition reads of a row alone: names and columns of the object as it is, and of it as it was."""

    instance: Sequence[tuple[str, str]]
    old: Sequence[tuple[str, str]]
    changes: bool


class Screen:
    """Looks at rows of one statement: ``before`` as they were, ``constants`` and ``after`` as they are.

    ``after`` are the columns of which only the database knows what was written.
    """

    def __init__(
        self,
        watch: ModelWatch,
        heard: Sequence[Heard],
        before: DriverValues,
        constants: Mapping[str, Any],
        after: DriverValues,
        written: frozenset[str],
    ) -> None:
        self.heard, self.constants, self.before, self.after = heard, constants, before, after
        columns = before.columns
        self.names = tuple(columns)
        self.open_names = tuple(after.columns)
        self.forms = [safe_form(field) for field in columns.values()]
        self.open_forms = [safe_form(field) for field in after.columns.values()]
        self.changing = [
            (index, name, field.name)
            for index, (name, field) in enumerate(columns.items())
            if name in watch.old and field.name in written
        ]
        self._reads = {id(rule): _reads_of(watch.model, rule, columns) for one in heard for rule in one.rules}
        needs = [needs_of(rule, watch.model, before, constants, after) for one in heard for rule in one.rules]
        #: What each rule needs; nothing where one of them has no needs, for then they tell no row from another.
        self.needs = needs if all(need.is_any for need in needs) else []
        #: Whether these say all that the rules ask: then no more is looked at until a row is told.
        self.is_all = bool(self.needs) and all(need.is_all for need in needs)
        self._known: dict[Any, bool] = {}

    def of_before(self, rows: list[Row]) -> list[Row]:
        """Return those of the rows that some rule can match, or fail at, as far as that is known of those before."""
        if not self.needs:
            return rows
        if len(self.needs) == 1:
            return self.needs[0].may_match(rows)
        found = {row[0] for need in self.needs for row in need.may_match(rows)}
        return [row for row in rows if row[0] in found]

    def of_after(self, rows: list[Row], before: Mapping[Any, Row]) -> list[Row]:
        """Return what those of the rows were before, as the driver gave it, that some rule can match, or fail at."""
        found: dict[Any, tuple[Row, Row]] = {}
        for need in self.needs or [EVERY]:
            there = before
            if len(self.needs) > 1 and need.before:
                there = {was[0]: was for was in need.may_match(list(before.values()))}
            found.update((was[0], (was, row)) for was, row in need.may_match_after(rows, there))
        return [was for was, row in found.values() if self.is_all or self.may_match(was, row)]

    def may_match(self, before: Row, after: Row = ()) -> bool:
        """Say whether some rule can match the row, or fail at it."""
        key = before[1:], after[1:]
        try:
            known = self._known.get(key)
        except TypeError:  # a value that has no hash, as JSON has none
            return self._told_may_match(before, after)
        if known is None:
            known = self._told_may_match(before, after)
            if len(self._known) < MOST_REMEMBERED:
                self._known[key] = known
        return known

    def _told_may_match(self, before: Row, after: Row) -> bool:
        return self._may_match(self.before.told(before), self.after.told(after) if after else ())

    def _may_match(self, before: Sequence[Any], after: Sequence[Any]) -> bool:
        was = [form(value) for form, value in zip(self.forms, before, strict=True)]
        held = dict(zip(self.names, was, strict=True))
        held.update(self.constants)
        if after:
            held.update(zip(self.open_names, (f(v) for f, v in zip(self.open_forms, after, strict=True)), strict=True))
        changes: dict[str, FieldChange] = {}
        for index, name, field in self.changing:
            if not same(was[index], held[name]):
                changes[field] = FieldChange(field, was[index], held[name])

        def value_of(name: str) -> Any:
            value = held.get(name, UNSETTLED)
            return UNSETTLED if type(value) is Unread else value

        for signal in self.heard:
            for rule in signal.plan.matching(value_of, changes, "update"):
                if self._may_hold(rule, was, held, changes):
                    return True
        return False

    def _may_hold(
        self, rule: CompiledRule, was: Sequence[Any], held: Mapping[str, Any], changes: Mapping[str, FieldChange]
    ) -> bool:
        if rule.condition is None or rule.fault:
            return True
        if any(not change.holds(changes) and change.unread(changes) is None for change in rule.changes):
            return False
        reads = self._reads.get(id(rule))
        if reads is None:
            return True
        context: dict[str, Any] = {"instance": {name: held[column] for name, column in reads.instance}}
        if reads.old:
            before = dict(zip(self.names, was, strict=True))
            context["old"] = {name: before[column] for name, column in reads.old}
        if reads.changes:
            context["changes"] = {name: {"old": c.old, "new": c.new} for name, c in changes.items()}
            context["changed"] = list(changes)
        try:
            return rule.condition.matches(jsonlogic.data_handle(context))
        except ConditionError:
            return True


def safe_form(field: Field) -> Form:
    """Return what tells the field's values: ``Unread`` where its own code raises."""
    if is_told_plainly(field):
        return form_of(field)
    return lambda value: ask(_told, field, value)


def _told(field: Field, value: Any) -> Any:
    return form_of(field)(value)


def _reads_of(model: ModelClass, rule: CompiledRule, columns: Mapping[str, Field]) -> Reads | None:
    """Return what the rule's condition reads, where that is nothing but columns of the row; else None."""
    if rule.reads_whole:
        return None
    instance: list[tuple[str, str]] = []
    old: list[tuple[str, str]] = []
    changes = False
    for root, *rest in rule.reads:
        if root in ("changes", "changed"):
            changes = True
        elif root not in ("instance", "old") or not rest or rest[0] == EVERY_FIELD:
            return None
        else:
            step = steps(model).get(rest[0])
            if step is None or step.kind != "value" or getattr(step.field, "attname", None) not in columns:
                return None
            (instance if root == "instance" else old).append((rest[0], step.field.attname))
    return Reads(instance, old, changes)

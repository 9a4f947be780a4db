"""The plan of one signal of one model: which of its rules can match an event, found without walking them.

``Plan.of(model, rules)`` makes it, once a rule set. What it is asked, with the values that ``held`` gives:

- ``can_match`` and ``wants_old``, before anything is read: whether anybody need look at this save, and whether a rule
  that can match wants the values that are stored now. ``possible`` are those rules.
- ``matching``, once it is known what changed: the rules that can match or fail, in order. Those left out would stop at
  a gate, without an error, whatever else is so; what is given is to be tried as if it were all.

A rule stands in one place (``shelves``): under a constant that the object has to hold (``constants``), under one that a
field has to change to, under a field that has to change (and what from), or among the rest, which are given each time.
Where it has several constants, the one that fewest others name is taken, and the others are looked at when that one
holds.

A plan is never altered. ``updated(rules)`` gives that of another rule set: the plan itself where the rules are the very
same in the same order, and else one that shares what did not change. Rules are told apart by identity, so whoever
refreshes keeps the ``CompiledRule`` of a rule that did not change; its condition need have but ``source``, which is
looked at once. A rule that is added or taken out costs copies of the shelf it stands on, and of the order.
``capture.watches.build(..., known=)`` hands the plans on: a model whose rules are the same keeps all that was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import attrgetter, is_
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from django.db import models

from rules_engine.context.paths import ModelClass, field_of
from rules_engine.context.plain_data import SHORT
from rules_engine.context.stored_form import is_held_plainly, is_told_plainly, reader_of
from rules_engine.context.subject import Field, old_fields
from rules_engine.errors import UnknownPath
from rules_engine.live.constants import EXACT, Key, keys_of, targets_of
from rules_engine.live.shelves import Draft, Entry, Shelves, places
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import FieldChange, Operation, Unread

#: Stands for a value that the instance does not hold: it is in the database, or will be.
UNSETTLED: Any = object()
#: Rules of one signal up to which an event tells of each where it stopped; of more it tells of those that were tried.
FEW = 10
#: The columns of an entry's rule whose earlier value it wants.
_OLD = attrgetter("old")
#: The names of the fields that a save writes; None is all of them.
Written: TypeAlias = frozenset[str] | None
#: Gives the value of a column in its stored form, or ``UNSETTLED``.
ValueOf = Callable[[str], Any]


def nothing_settled(of: object) -> Any:
    """Return that a value is not settled, whichever it is."""
    return UNSETTLED


def _wanted_old(model: ModelClass, rule: CompiledRule) -> dict[str, Field]:
    """Return the columns of the model whose earlier value the rule wants, by column name."""
    columns: dict[str, Field] = {}
    # A change condition on a many-to-many field, or a column that a migration took away since: the first has no
    # column, and the second is the rule's own fault, which matching records.
    with suppress(UnknownPath):
        columns.update(old_fields(model, rule.reads | rule.action_reads))
        for change in rule.changes:
            changing = field_of(model, change.field)
            columns[changing.attname] = changing
    return columns


class Column(NamedTuple):
    """A column by which rules are ruled out."""

    field: str
    read: Callable[[models.Model], Any]
    #: Whether what an instance holds of it before a save is what the save writes, if nobody else alters the instance.
    is_settled_before: bool


class Plan:
    """Which rules on one signal of a model can match. See the module."""

    def __init__(
        self, model: ModelClass, rules: Sequence[CompiledRule], entries: Mapping[int, Entry], shelves: Shelves
    ) -> None:
        self.model = model
        #: All of them, in order.
        self.rules = tuple(rules)
        #: Those of which events tell where they stopped, though a constant ruled them out.
        self.told = self.rules if len(self.rules) <= FEW else ()
        self._entries, self._shelves = entries, shelves
        self._ranks = {id(rule): rank for rank, rule in enumerate(self.rules)}
        equal, target, self._changing, rest = shelves
        self._equal = [(name, kind, shelf) for (name, kind), shelf in equal.items()]
        self._target = {field: (field_of(model, field).attname, shelf) for field, shelf in target.items()}
        self._rest = tuple(rest[None].every.values()) if None in rest else ()
        self._rest_asks_old = any(entry.old for entry in self._rest)
        old = (name for rule in self.rules for name in entries[id(rule)].old)
        #: The columns whose stored value some rule wants.
        self.old = {name: field_of(model, name) for name in dict.fromkeys(old)}
        names = {key.name for entry in entries.values() for key in entry.keys}
        self._columns = {name: _column(model, name) for name in names}

    @classmethod
    def of(cls, model: ModelClass, rules: Sequence[CompiledRule]) -> Plan:
        """Make the plan of these rules, which are given in order. What is wrong with a rule is found by trying it."""
        return cls(model, (), {}, ({}, {}, {}, {})).updated(rules)

    def updated(self, rules: Sequence[CompiledRule]) -> Plan:
        """Return the plan of other rules; it is this one where they are the very same, in the same order."""
        if len(rules) == len(self.rules) and all(map(is_, rules, self.rules)):
            return self
        draft, entries = Draft(self._shelves), dict(self._entries)
        for key in entries.keys() - {id(rule) for rule in rules}:
            draft.take(entries.pop(key))
        for rule in rules:
            if id(rule) not in entries:
                entry = entries[id(rule)] = self._entry(rule, draft)
                draft.put(entry)
        return Plan(self.model, rules, entries, draft.shelves)

    def _entry(self, rule: CompiledRule, draft: Draft) -> Entry:
        keys = (*targets_of(rule, self.model), *keys_of(rule, self.model))
        place = min(places(rule, keys), key=draft.crowd)
        changing = tuple(change.field for change in rule.changes)
        return Entry(rule, keys, changing, tuple(_wanted_old(self.model, rule)), place)

    def held(
        self,
        instance: models.Model,
        written: Written = None,
        settled: Mapping[str, Any] = MappingProxyType({}),
        *,
        is_before: bool = False,
    ) -> ValueOf:
        """Return what gives the values that an instance holds. ``settled`` stand in for them; ``is_before``: none that
        may be another one when it is saved."""
        columns = self._columns

        def value_of(name: str) -> Any:
            if name in settled:
                return settled[name]
            column = columns[name]
            if (written is not None and column.field not in written) or (is_before and not column.is_settled_before):
                return UNSETTLED
            return column.read(instance)

        return value_of

    def columns(self) -> Mapping[str, Field]:
        """Return the columns by which rules are ruled out, by column name."""
        return {name: field_of(self.model, name) for name in self._columns}

    def can_match(self, value_of: ValueOf, written: Written) -> bool:
        """Say whether any rule can match or fail, before it is known what changed. ``written`` are the fields that the
        save writes: no other can have changed."""
        return bool(self._rest) or next(self._found(value_of, written), None) is not None

    def wants_old(self, value_of: ValueOf, written: Written) -> bool:
        """Say whether a rule that can match or fail wants a stored value."""
        if self._rest_asks_old or not self.old:
            return self._rest_asks_old
        return any(map(_OLD, self._found(value_of, written)))

    def possible(self, value_of: ValueOf, written: Written) -> Sequence[CompiledRule]:
        """Return the rules that can match or fail, in order, before it is known what changed."""
        return self._in_order([entry.rule for entry in (*self._rest, *self._found(value_of, written))])

    def matching(
        self, value_of: ValueOf, changes: Mapping[str, FieldChange], operation: Operation | None
    ) -> Sequence[CompiledRule]:
        """Return the rules that can match or fail, in order, now that it is known what changed."""
        # No more is made than is found: this is asked at each save, and nearly always finds nothing.
        entries: Sequence[Entry] = self._rest
        if self._equal:
            entries = [*entries, *self._equal_to(value_of)]
        if changes:
            entries = [*entries, *self._changed(changes)]
        rules: list[CompiledRule] = []
        for entry in entries:
            if entry.rule.operations and operation not in entry.rule.operations:
                continue
            for field in entry.changing:
                if field not in changes:
                    break
            else:
                # With one constant alone it stands where that one holds.
                if len(entry.keys) < 2 or _fits(entry, value_of):
                    rules.append(entry.rule)
        return rules if len(rules) < 2 else self._in_order(rules)

    def _in_order(self, rules: list[CompiledRule]) -> list[CompiledRule]:
        rules.sort(key=self._rank)
        return rules

    def _rank(self, rule: CompiledRule) -> int:
        return self._ranks[id(rule)]

    def _found(self, value_of: ValueOf, written: Written) -> Iterator[Entry]:
        """Yield those of the rules that stand under a field which can match, as far as the instance says."""
        for entry in self._equal_to(value_of) if self._equal else ():
            if _is_written(entry, written) and _fits(entry, value_of):
                yield entry
        for field, (name, shelf) in self._target.items():
            if written is None or field in written:
                value = value_of(name)
                for entry in shelf.every.values() if value is UNSETTLED else shelf.changed_to(value):
                    is_written = written is None or _is_written(entry, written)
                    if is_written and (len(entry.keys) < 2 or _fits(entry, value_of)):
                        yield entry
        for field, shelf in self._changing.items():
            if written is None or field in written:
                yield from (entry for entry in shelf.every.values() if _is_written(entry, written))

    def _equal_to(self, value_of: ValueOf) -> Iterator[Entry]:
        for name, kind, shelf in self._equal:
            value = value_of(name)
            if type(value) is kind:  # as nearly always
                yield from shelf.by_value.get(value, ())
            else:
                yield from shelf.every.values() if value is UNSETTLED else shelf.near(value, kind)

    def _changed(self, changes: Mapping[str, FieldChange]) -> list[Entry]:
        entries: list[Entry] = []
        for field, change in changes.items():
            if field in self._target:
                shelf = self._target[field][1]
                is_unread = type(change.old) is Unread or type(change.new) is Unread
                entries += shelf.every.values() if is_unread else shelf.changed_to(change.new)
            if field in self._changing:
                entries += self._changing[field].changed_from(change.old)
        return entries


def _is_written(entry: Entry, written: Written) -> bool:
    return written is None or all(field in written for field in entry.changing)


def _fits(entry: Entry, value_of: ValueOf) -> bool:
    """Say whether no constant rules it out. With one alone it stands where that one holds."""
    return len(entry.keys) < 2 or all(_allows(key, value_of(key.name)) for key in entry.keys)


def _allows(key: Key, value: Any) -> bool:
    return value is UNSETTLED or key.allows(value)


def _column(model: ModelClass, name: str) -> Column:
    field = field_of(model, name)
    is_settled_before = not field.primary_key and _is_saved_as_held(field) and _are_independent(model)
    return Column(field.name, held_reader(model, field), is_settled_before)


def held_reader(model: ModelClass, field: Field) -> Callable[[models.Model], Any]:
    """Return what reads the stored form of a field off the model's objects; ``UNSETTLED`` for what they do not hold."""
    tell, name = reader_of(model, field), field.attname
    if getattr(field, "generated", False):
        return nothing_settled
    # What nearly every object holds is its stored form as it is, and is told without a call.
    is_plain = is_held_plainly(model, name) and is_told_plainly(field)
    is_text = is_plain and isinstance(field, models.CharField | models.TextField)
    is_number = is_plain and isinstance(field, models.IntegerField)

    def read(instance: models.Model) -> Any:
        value = instance.__dict__.get(name, UNSETTLED)
        kind = type(value)
        if is_text and issubclass(kind, str):
            text = str.__str__(value)  # of an Enum, str() is the member's name
            if len(text) <= SHORT and text.isascii() and "\x00" not in text:
                return text
        if kind is int and is_number and -EXACT < value < EXACT:
            return value
        return UNSETTLED if value is UNSETTLED or hasattr(kind, "resolve_expression") else tell(instance)

    return read


def _is_saved_as_held(field: Field) -> bool:
    """Say whether a save writes what the instance holds of the field, and not what the field makes of it then."""
    is_clock = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    return not is_clock and not getattr(field, "generated", False) and _prepares_plainly(field)


def _prepares_plainly(field: Field) -> bool:
    owner = next(kind for kind in type(field).__mro__ if "pre_save" in vars(kind))
    return "pre_save" not in vars(field) and owner in (
        models.Field, models.DateField, models.DateTimeField, models.TimeField, models.ForeignKey,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _are_independent(model: ModelClass) -> bool:
    """Say whether no field of the model alters another one when it is saved, as far as Django's own go."""
    return all(
        _prepares_plainly(field) or type(field) is models.FileField or getattr(field, "generated", False)
        for field in model._meta.concrete_fields
    )

"""Where the rules of a plan stand: each under one constant, one field, or among the rest.

A rule stands in one place, under the constant that fewest others name; it is looked at where that one holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from rules_engine.live.constants import NUMBERS, Key, is_one_value, target_of
from rules_engine.logic.evaluator import number_of
from rules_engine.rules.matching import CompiledRule

#: On which shelves a rule stands, under which field there, and under which of its values.
Place: TypeAlias = tuple[int, Any, Sequence[Any]]
#: The shelves: the object has to equal a constant; a field has to change to one; a field has to change; all others.
EQUAL, TARGET, CHANGING, REST = range(4)
#: Any value that a field may have had, and the one place of the rest.
ANY: Any = object()


class Entry(NamedTuple):
    """A rule with what is known of it before it is tried."""

    rule: CompiledRule
    #: The constants that rule it out, of its condition and of its changes.
    keys: tuple[Key, ...]
    #: The fields that have to change.
    changing: tuple[str, ...]
    #: The columns whose stored value it wants.
    old: tuple[str, ...]
    place: Place


class Shelf:
    """Rules under one field, by values, and all of them by identity. Never altered once its plan is made."""

    __slots__ = ("by_value", "every")

    def __init__(self, by_value: Mapping[Any, tuple[Entry, ...]], every: Mapping[int, Entry]) -> None:
        self.by_value: dict[Any, tuple[Entry, ...]] = dict(by_value)
        self.every: dict[int, Entry] = dict(every)

    def near(self, value: Any, kind: type) -> Iterable[Entry]:
        """Return the rules of which a constant of this type equals the value, which is of another, and those of which
        that is not sure."""
        if value is None:
            return ()
        if kind is int and type(value) in NUMBERS:
            return self.by_value.get(number_of(value), ())
        return self.every.values()

    def changed_from(self, value: Any) -> Iterable[Entry]:
        """Return the rules that ask for a change, from this value if from any, and where that is not sure."""
        if not is_one_value(value):
            return self.every.values()
        return (*self.by_value.get(ANY, ()), *self.by_value.get(target_of(value), ()))

    def changed_to(self, value: Any) -> Iterable[Entry]:
        """Return the rules that ask for this value of a change, as ``same`` compares, and where that is not sure."""
        if type(value) is str:  # as nearly always, and told apart by itself
            return self.by_value.get(value, ())
        return self.by_value.get(target_of(value), ()) if is_one_value(value) else self.every.values()


Shelves: TypeAlias = tuple[Mapping[Any, Shelf], ...]


class Draft:
    """Shelves that are being filled. Those of another plan are copied when they are first touched."""

    def __init__(self, shelves: Shelves) -> None:
        self.shelves: tuple[dict[Any, Shelf], ...] = tuple(dict(kind) for kind in shelves)
        self.own: set[tuple[int, Any]] = set()

    def _shelf(self, kind: int, name: Any) -> Shelf:
        if (kind, name) not in self.own:
            self.own.add((kind, name))
            there = self.shelves[kind].get(name)
            self.shelves[kind][name] = Shelf({}, {}) if there is None else Shelf(there.by_value, there.every)
        return self.shelves[kind][name]

    def crowd(self, place: Place) -> int:
        """Return how many rules stand already where this one would."""
        kind, name, values = place
        shelf = self.shelves[kind].get(name)
        return 0 if shelf is None else max(len(shelf.by_value.get(value, ())) for value in values or (ANY,))

    def put(self, entry: Entry) -> None:
        """Add a rule at its place."""
        kind, name, values = entry.place
        shelf = self._shelf(kind, name)
        shelf.every[id(entry.rule)] = entry
        for value in values:
            shelf.by_value[value] = (*shelf.by_value.get(value, ()), entry)

    def take(self, entry: Entry) -> None:
        """Take a rule out."""
        kind, name, values = entry.place
        shelf = self._shelf(kind, name)
        del shelf.every[id(entry.rule)]
        for value in values:
            left = tuple(other for other in shelf.by_value[value] if other is not entry)
            if left:
                shelf.by_value[value] = left
            else:
                del shelf.by_value[value]
        if not shelf.every:
            del self.shelves[kind][name]
            self.own.discard((kind, name))


def places(rule: CompiledRule, keys: Iterable[Key]) -> Iterator[Place]:
    """Yield where a rule may stand: where it is ruled out without a statement, and else where it is by its changes."""
    is_told = False
    for key in keys:
        is_told = True
        yield (TARGET, key.field, key.values) if key.field else (EQUAL, (key.name, key.kind), key.values)
    for change in rule.changes if not is_told else ():
        is_from_one = change.has_old and is_one_value(change.old)
        yield CHANGING, change.field, (target_of(change.old) if is_from_one else ANY,)
    if not is_told and not rule.changes:
        # With all others, in one dictionary: there is nothing to find them by.
        yield REST, None, ()

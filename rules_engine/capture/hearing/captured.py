"""What triggers tell rules, in the place of signals."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rules_engine.capture.hearing.relations import RelationKey, RelationWatch, relations_of
from rules_engine.context.paths import ModelClass, find_model
from rules_engine.models.captures.captured import Coverage
from rules_engine.rules.matching import CompiledRule

if TYPE_CHECKING:
    from rules_engine.capture.watches import ModelWatch, Table


#: Rule sets of which that is remembered.
MOST_REMEMBERED = 16


class ByTriggers(NamedTuple):
    """What is told by triggers, and what these capture, by the labels of the tables' models."""

    models: Mapping[ModelClass, ModelWatch] = MappingProxyType({})
    relations: Mapping[ModelClass, tuple[RelationWatch, ...]] = MappingProxyType({})
    captures: Mapping[str, Coverage] = MappingProxyType({})


NOTHING = ByTriggers()


class Captured:
    """Which rules are told by triggers: of each model's own rows, and of the rows of each relation."""

    def __init__(self) -> None:
        self.by_model: dict[ModelClass, dict[str, list[CompiledRule]]] = defaultdict(lambda: defaultdict(list))
        self.relations: dict[ModelClass, dict[RelationKey, list[CompiledRule]]] = defaultdict(dict)

    def add(self, rule: CompiledRule, signals: Iterable[str]) -> None:
        """Add a rule that is told by triggers what these signals would say."""
        model = find_model(rule.model)
        if model is None:
            return
        for name in sorted(signals):
            if name != "m2m_changed":
                self.by_model[model][name].append(rule)
                continue
            for through, key in relations_of(model):
                self.relations[through].setdefault(key, []).append(rule)


class Latest:
    """The latest tables of what rules hear, while triggers tell some of it: whoever made a change left to these what
    its process knew then."""

    def __init__(self) -> None:
        self._tables: deque[Table] = deque(maxlen=MOST_REMEMBERED)

    def at(self, number: int | None) -> Table | None:
        """Return the table of that number of the rule set, where it is remembered."""
        return next((table for table in self._tables if table.number == number), None)

    def remember(self, table: Table) -> None:
        """Remember a table, and none that has its number or a higher one: a backup may have been restored."""
        before = [known for known in self._tables if (known.number or 0) < (table.number or 0)]
        self._tables.clear()
        if table.told_by_triggers.captures:
            self._tables.extend([*before, table])

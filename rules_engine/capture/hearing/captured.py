"""What triggers tell rules, in the place of signals."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rules_engine.capture.hearing.relations import RelationKey, RelationWatch, relations_of
from rules_engine.capture.origins import writers
from rules_engine.context.paths import ModelClass, find_model
from rules_engine.databases.triggers.tables import unqualified
from rules_engine.models.captures.captured import Coverage
from rules_engine.rules.matching import CompiledRule

if TYPE_CHECKING:
    from rules_engine.capture.watches import ModelWatch, Pair, Table


#: Seconds from a statement to the end of its telling that are reckoned with.
EXCHANGE_SECONDS = 600.0
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


class Exchange(NamedTuple):
    """A rule set that began, or ceased, to have triggers tell of a table: who wrote into it by an earlier one is told
    by what was heard then."""

    #: The name of the table, without its schema.
    table: str
    generation: int
    before: Table
    #: By the clock of this process.
    until: float


class Latest:
    """The latest tables of what rules hear, while triggers tell some of it: whoever made a change left to these what
    its process knew then."""

    def __init__(self) -> None:
        self._tables: deque[Table] = deque(maxlen=MOST_REMEMBERED)
        #: By whoever sends signals of such writes.
        self.exchanges: Mapping[ModelClass, tuple[Exchange, ...]] = {}

    def at(self, number: int | None) -> Table | None:
        """Return the table of that number of the rule set, where it is remembered."""
        return next((table for table in self._tables if table.number == number), None)

    def remember(self, table: Table, last: Table) -> None:
        """Remember a table, and the ``last`` one; none that has its number or a higher one: a backup may have been
        restored."""
        known = [*self._tables, *(() if last in self._tables else (last,))]
        before = [one for one in known if one.number is not None and one.number < (table.number or 0)]
        self._tables.clear()
        if table.told_by_triggers.captures:
            self._tables.extend([*before, table])
        self.exchanges = self._exchanged(table)

    def _exchanged(self, table: Table) -> Mapping[ModelClass, tuple[Exchange, ...]]:
        found: dict[ModelClass, tuple[Exchange, ...]] = {}
        for label, coverage in table.told_by_triggers.captures.items():
            model, capture = find_model(label), coverage.now or coverage.before
            before = [one for one in self._tables if (one.number or 0) < coverage.generation]
            if model is None or capture is None or not before:
                continue
            exchange = Exchange(
                unqualified(capture.table), coverage.generation, before[-1], time.monotonic() + EXCHANGE_SECONDS
            )
            for sender in {*before[-1].models, *before[-1].relations, *table.models, *table.relations}:
                if issubclass(sender, model):
                    found[sender] = (*found.get(sender, ()), exchange)
        return found

    def as_written(self, table: Table, sender: ModelClass, *, is_before: bool) -> Table:
        """Return what rules heard as this thread wrote what is told now: its statement left to triggers what was so
        then. What is told before it is written is told by what rules hear now."""
        if is_before:
            return table
        for exchange in self.exchanges.get(sender, ()):
            if time.monotonic() < exchange.until and exchange.generation > writers.number_of_last_write(
                table.alias, exchange.table
            ):
                return exchange.before
        return table

    def pairs(self) -> Iterator[Pair]:
        """Yield what the receiver stays connected to, for writes that were begun before an exchange."""
        for sender, exchanges in self.exchanges.items():
            yield from (pair for exchange in exchanges for pair in exchange.before.pairs() if pair[1] is sender)

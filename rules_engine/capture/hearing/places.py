"""What rules listen to in each surroundings, where some rules hold in theirs alone.

The receiver is connected to what any rule listens to. What it looks up then is the table of where it is called: of the
rules that hold in all and those of there, made when it is first asked for. So a thousand tenants with ten rules each
cost a save what ten do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from rules_engine.rules.matching import CompiledRule

Table = TypeVar("Table")
#: Makes a table of rules, from the one that was there before (None: none was).
Build = Callable[[Sequence[CompiledRule], Any], Any]
#: Tables that are kept by a process; whoever is asked for after so many is made anew.
MOST_TABLES = 2_000


class Places(Generic[Table]):
    """The tables of one rule set, by surroundings."""

    def __init__(self, rules: Sequence[CompiledRule], build: Build, last: Places[Table] | None = None) -> None:
        self._rules, self._build = rules, build
        self._common: list[int] = []
        self._own: dict[str, list[int]] = defaultdict(list)
        for rank, rule in enumerate(rules):
            (self._own[rule.surroundings] if rule.surroundings else self._common).append(rank)
        #: Whether what a sender sends may concern one of the rules that hold in theirs alone, as far as it was asked.
        self.concerned: dict[Any, bool] = {}
        self._tables: dict[str, Table] = {}
        #: Of the rule sets before: what is the same in them is taken over. Copied at once, since others add to them.
        before: dict[str, Table] = {} if last is None else {**last._last, **last._tables}
        self._last: dict[str, Table] = {
            place: table for place, table in before.items() if not place or place in self._own
        }

    @property
    def are_apart(self) -> bool:
        """Say whether any rule holds in its surroundings alone."""
        return bool(self._own)

    def table(self, surroundings: str) -> Table:
        """Return what rules listen to there."""
        # Where there are no own rules, all share the table of those that hold in all.
        place = surroundings if surroundings in self._own else ""
        table = self._tables.get(place)
        if table is None:
            if len(self._tables) >= MOST_TABLES:
                self._tables.clear()
            ranks = sorted([*self._common, *self._own[place]]) if place else self._common
            before = self._last.pop(place, None)
            table = self._tables[place] = self._build([self._rules[rank] for rank in ranks], before)
        return table

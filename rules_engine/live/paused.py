"""What pauses leave of the compiled rules: one that is held is matched as paused, one that is dropped is not tried.

A rule that waits by the clock still hears what it waits for, and tells nothing: it would miss that something came to be
so, or was not silent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rules_engine.models import Pause
from rules_engine.rules.matching import CompiledRule

#: By slug, the rules that some pause stops: as compiled, and as the pauses leave them, None where they are not tried.
Paused = Mapping[str, tuple[CompiledRule, CompiledRule | None]]


def paused_rules(rules: Iterable[CompiledRule], pauses: Sequence[Pause], last: Paused) -> Paused:
    """Return those of the rules that the pauses stop. What is to be as it was ``last`` is the same object."""
    if not pauses:
        return {}
    modes = _Modes(pauses)
    return {rule.slug: _left(rule, found, last) for rule in rules if (found := modes.of(rule))}


def _left(rule: CompiledRule, modes: set[str], last: Paused) -> tuple[CompiledRule, CompiledRule | None]:
    if Pause.Mode.DROP in modes:
        # One that waits by the clock goes on hearing what begins and ends that; what is due waits for the pause to end.
        return rule, rule if rule.arms is not None else None
    known = last.get(rule.slug)
    if known is not None and known[0] is rule and known[1] is not None:
        return known
    return rule, replace(rule, is_paused=True)


class _Modes:
    """The modes of pauses by what they stop (``Pause.stops``), so that a thousand pauses of rules are not asked of each
    rule."""

    def __init__(self, pauses: Iterable[Pause]) -> None:
        self._of_all: set[str] = set()
        self._by_slug: dict[str, set[str]] = defaultdict(set)
        self._by_model: dict[str, set[str]] = defaultdict(set)
        for pause in pauses:
            if pause.is_everything:
                self._of_all.add(pause.mode)
            elif pause.rule_slug:
                self._by_slug[pause.rule_slug].add(pause.mode)
            else:
                self._by_model[pause.model.lower()].add(pause.mode)

    def of(self, rule: CompiledRule) -> set[str]:
        """Return the modes of the pauses that stop the rule."""
        of_slug = self._by_slug.get(rule.slug, set())
        of_model = self._by_model.get(rule.model.lower(), set()) if self._by_model else set()
        return self._of_all | of_slug | of_model

"""What triggers tell rules, in the place of signals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rules_engine.capture.hearing.relations import RelationKey, RelationWatch, relations_of
from rules_engine.context.paths import ModelClass, find_model
from rules_engine.models.captures.captured import Coverage
from rules_engine.rules.matching import CompiledRule

if TYPE_CHECKING:
    from rules_engine.capture.watches import ModelWatch


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

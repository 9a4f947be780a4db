"""The rules that are on, and what can be told of them all together: kept until one changes, for it takes a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import Max

from rules_engine.models import Rule, RuleSetVersion
from rules_engine.rules import registry
from rules_engine.rules.cascades import Cascades, analyse
from rules_engine.rules.validation import rule_problems
from rules_engine.surroundings.own_rules import seen_from_here
from rules_engine.types import RuleSpec


@dataclass(frozen=True)
class Enabled:
    """The enabled rules, and what is found out of them when somebody asks."""

    #: The rule set version that they were read at, the time of its latest change, and whose of them are seen.
    number: tuple[int, datetime | None, Mapping[str, str]]
    specs: Sequence[RuleSpec]
    #: Key and name of every rule, by slug.
    names: Mapping[str, tuple[Any, str]]

    @cached_property
    def cascades(self) -> Cascades:
        """Which of them can set off which."""
        return analyse(self.specs)

    @cached_property
    def faulty(self) -> Sequence[RuleSpec]:
        """Those that cannot run as they are stored. Why is said in the language of whoever asks: by ``fault_of``."""
        return [spec for spec in self.specs if fault_of(spec)]


def fault_of(spec: RuleSpec) -> str:
    """The first of what keeps a rule from working, whoever its author is; empty where nothing does."""
    for problem in rule_problems(replace(spec, actions=())):
        return str(problem)
    kinds = (action.kind for action in spec.actions if action.enabled)
    return next((registry.unknown(kind) for kind in kinds if registry.find(kind) is None), "")


_known: Enabled | None = None


def enabled_rules() -> Enabled:
    """Two queries where no rule has changed since the last time."""
    global _known
    # Read before the rules: a change in between is seen the next time. A number alone may come again after a rollback.
    latest = Rule.objects.aggregate(latest=Max("updated_at"))["latest"]
    number = RuleSetVersion.current(), latest, seen_from_here()
    known = _known
    if known is None or known.number != number:
        specs = Rule.objects.seen_here().filter(enabled=True).specs()
        rows = Rule.objects.seen_here().values_list("slug", "pk", "name")
        names = {slug: (pk, name or slug) for slug, pk, name in rows}
        _known = known = Enabled(number, specs, names)
    return known

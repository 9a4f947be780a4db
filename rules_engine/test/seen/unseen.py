"""What the database does by itself, and no trigger sees either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connections

from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.databases.triggers.tables import TableCapture
from rules_engine.live import cache
from rules_engine.live.compiler import compile_rule
from rules_engine.live.triggers.needs import served
from rules_engine.models.captures.captured import InstalledTrigger
from rules_engine.test.seen.writes import WRITES, is_seen
from rules_engine.test.unsent import unsent_changes
from rules_engine.types import RuleSpec, Unread, ask

CASCADE = next(write for write in WRITES if write.name == "cascade")


def unseen_changes(rule: RuleSpec) -> Sequence[str]:
    """Return a sentence for each relation by which the rule's model is changed such that neither a signal nor a trigger
    tells it. One query where there is one that no signal tells."""
    said = list(unsent_changes(rule))
    return [] if said and _is_told_by_triggers(rule) else said


def _is_told_by_triggers(rule: RuleSpec) -> bool:
    using = cache.alias()
    if not is_seen(CASCADE, "triggers", connections[using].vendor):
        return False
    coverages = ask(InstalledTrigger.coverages, using)
    if isinstance(coverages, Unread) or not coverages:
        return False
    captures: Mapping[str, TableCapture | None] = {label: known.now for label, known in coverages.items()}
    return served(compile_rule(rule, 0), captures) >= set(rule.signals) & MODEL_SIGNALS.keys()

"""What ``manage.py check`` says of the writes that rules do not see."""

from __future__ import annotations

from collections.abc import Iterable

from django.core import checks
from django.db import transaction

from rules_engine.live import cache
from rules_engine.live.compiler import compile_rule
from rules_engine.test.seen.models import Seen, seen_of_models
from rules_engine.types import RuleSpec


def unseen_writes(
    rules: Iterable[RuleSpec], cannot_look: tuple[type[Exception], ...] = ()
) -> list[checks.CheckMessage]:
    """Return a message for each model whose rules miss some writes, with what mends it. Triggers that are gone are said
    elsewhere; nothing is said where the database answers with one of these errors."""
    compiled = [compile_rule(spec, 0) for spec in rules]
    try:
        with transaction.atomic(using=cache.alias()):
            found = seen_of_models(compiled) if compiled else []
    except cannot_look:
        return []
    return [_unseen(seen) for seen in found if seen.unseen and not seen.trouble]


def _unseen(seen: Seen) -> checks.CheckMessage:
    mends = [mend for mend in (seen.command, seen.code and f"in the model: {seen.code}") if mend]
    hint = ". Or, for bulk operations, ".join(mends) or " ".join(seen.reasons)
    return checks.Info(f"Rules on {seen.label}: {seen.sentence}", hint=hint, id="rules_engine.I034")

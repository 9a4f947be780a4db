"""What happened and could not be read: an error of every rule that hears of it, as a row that the rule shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import models
from django.utils import timezone

from rules_engine.capture.watches import Reading, Table
from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.context.subject import Subject
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import Unread

_NAMES = {signal: name for name, signal in MODEL_SIGNALS.items()}


def unread(table: Table, sender: Any, signal: Any, sent: Mapping[str, Any], error: Exception) -> Iterator[Reading]:
    """Yield subjects of which nothing is known but the object, where that is known, each with the rules that hear."""
    for name, instance, rules in _hearing(table, sender, signal, sent):
        if rules:
            subject = Subject(name, instance=instance, knows_changes=False, unread=Unread(error))
            subject.occurred_at = timezone.now()
            yield subject, rules


def _hearing(
    table: Table, sender: Any, signal: Any, sent: Mapping[str, Any]
) -> Iterator[tuple[str, models.Model | None, Sequence[CompiledRule]]]:
    name = _NAMES.get(signal)
    if name is None:
        yield from ((name, None, rules) for name, rules in table.told(signal).items())
    elif signal is models.signals.m2m_changed:
        for watch in table.relations.get(sender, ()):
            # At the other end it is not known which objects these were.
            is_own = watch.is_target == sent["reverse"] and isinstance(sent["instance"], watch.model)
            yield name, sent["instance"] if is_own else None, watch.rules
    elif (of_model := table.models.get(sender)) is not None:
        yield name, sent["instance"], of_model.rules.get(name, ())

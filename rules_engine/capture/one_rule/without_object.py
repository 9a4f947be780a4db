"""Tells one rule of a time that came: of no object, or of many in one list."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rules_engine.capture.decision import decide, write
from rules_engine.capture.one_rule.telling import Occasion, ask_of
from rules_engine.capture.outcome import Outcome
from rules_engine.context import actor
from rules_engine.context.subject import Subject
from rules_engine.databases.uncached import reading_current
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import CutRows


def tell_of_none(rule: CompiledRule, occasion: Occasion, *, using: str, rule_set: int | None) -> uuid.UUID | None:
    """Tell the rule that a time has come, and record what that leads to; to be called in a transaction.

    Returns the event; None where the rule's condition says no. Raises ``DatabaseError``.
    """
    with actor.again(occasion.origin), reading_current(using):
        subject = Subject(occasion.signal, knows_changes=False, due=occasion.due, occurred_at=occasion.occurred_at)
        return _told(rule, subject, using, rule_set)


def tell_of_rows(
    rule: CompiledRule,
    label: str,
    rows: Sequence[Mapping[str, Any]],
    occasion: Occasion,
    *,
    using: str,
    rule_set: int | None,
) -> uuid.UUID | None:
    """Tell the rule of objects of that model in one list, which its condition has selected. Returns the event."""
    due = occasion.due or {}
    told = list(rows) if len(rows) >= due.get("count", 0) else CutRows(rows)
    with actor.again(occasion.origin), reading_current(using):
        subject = Subject(
            occasion.signal, knows_changes=False, due=due, rows=told, label=label, occurred_at=occasion.occurred_at
        )
        return _told(replace(rule, condition=None), subject, using, rule_set)


def _told(rule: CompiledRule, subject: Subject, using: str, rule_set: int | None) -> uuid.UUID | None:
    evaluation = ask_of(rule, subject)
    if evaluation is None or evaluation.outcome == "not_matched":
        return None
    matched = [rule] if evaluation.outcome == "matched" else []
    decision = decide(Outcome(subject, matched, recorders=[], evaluations=[evaluation]), using)
    if decision is None:
        return None
    write(decision, using, rule_set)
    return decision.event.id

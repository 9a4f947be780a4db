"""What a rule on time would say of an object as it is, were it due. Nothing comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import models

from rules_engine.capture.one_rule.telling import Occasion, subject_of
from rules_engine.context import actor
from rules_engine.rules.gates import CONDITION, GateSeen
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kinds import DUE
from rules_engine.test.gates_seen import all_seen
from rules_engine.test.rule_test import without_consequence
from rules_engine.types import MatchSubject, Unread


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer, and the condition's gate with what it saw; None where the rule has no condition."""

    answer: Literal["acts", "stops", "error"]
    stop: GateSeen | None = None
    detail: str = ""


def asked(rule: CompiledRule, instance: models.Model, at: datetime, due: Any = None) -> Asked:
    """Ask the rule's condition of the object, with its data as they are, were it due at that time."""
    if rule.condition is None:
        return Asked("acts")
    with without_consequence():
        subject = subject_of(instance, Occasion(DUE, at, actor.NOWHERE, due))
        context = subject.read(rule.reads)
        if isinstance(context, Unread):
            return Asked("error", detail=context.message)
        seen = all_seen(rule, MatchSubject(signal=DUE, operation=None, changes={}, now=at, context=context))
    gate = next((seen_gate for seen_gate in seen if seen_gate.gate is CONDITION), None)
    if gate is None or gate.state == "open":
        return Asked("acts", gate)
    return Asked("error" if gate.state == "error" else "stops", gate, gate.detail)

"""Tells one rule of objects as they are: because a time has come, or because somebody asks for it.

The way is that of a signal (``capture.receiver``) from reading to writing, with the gates, limits, held matches and
permissions of any event. What only a signal can tell is left out: what happened, which fields changed, and chance.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from django.db import models

from rules_engine.capture.decision import Decision, decide, write
from rules_engine.capture.outcome import Outcome, evaluate
from rules_engine.capture.parts import OF_ALL, rest_of, write_together
from rules_engine.context import actor
from rules_engine.context.subject import Subject
from rules_engine.databases.uncached import reading_current
from rules_engine.errors import said_by
from rules_engine.rules import registry
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.types import Evaluation, Unread, ask

logger = logging.getLogger("rules_engine")

#: Objects of one call whose errors are recorded, each with an event; of the others it is counted that they failed.
ERRORS_RECORDED = 20


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a rule is told of objects: what stands for a signal, when that was, who is behind it, and what was due."""

    signal: str
    occurred_at: datetime
    origin: actor.Origin = actor.NOWHERE
    due: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule said of one object. ``event_id`` is the event that records it; None where nothing does."""

    instance: models.Model
    outcome: Literal["matched", "not_matched", "error"]
    event_id: uuid.UUID | None = None
    detail: str = ""


def as_told(rule: CompiledRule) -> CompiledRule:
    """Return the rule as it is told of what is there: without what only a signal can tell, and with those of its
    actions that a worker can carry out."""
    actions = tuple(_of_worker(action) for action in rule.actions if acts_later(action))
    return replace(rule, operations=frozenset(), changes=(), sample=1.0, actions=actions)


def acts_later(action: CompiledAction) -> bool:
    """Say whether the action can be carried out by a worker, and not in a save alone."""
    known = registry.find(action.kind)
    return action.timing == "after_commit" or (known is not None and "after_commit" in known.timings)


def _of_worker(action: CompiledAction) -> CompiledAction:
    return action if action.timing == "after_commit" else replace(action, timing="after_commit")


def subject_of(instance: models.Model, occasion: Occasion) -> Subject:
    """Return what is told of the object. To be called as whoever is behind it (``actor.again``)."""
    return Subject(
        occasion.signal, instance=instance, knows_changes=False, due=occasion.due, occurred_at=occasion.occurred_at
    )


def ask_of(rule: CompiledRule, subject: Subject) -> Evaluation | None:
    """Return what the rule (``as_told``) says of it; None where it says no."""
    for _rule, evaluation in evaluate(subject, [rule]):
        return evaluation
    return None


def tell(
    rule: CompiledRule,
    objects: Iterable[models.Model],
    occasion: Occasion,
    *,
    using: str,
    rule_set: int | None,
    errors_recorded: int = ERRORS_RECORDED,
    dues: Sequence[Mapping[str, Any]] = (),
) -> list[Answer]:
    """Tell the rule (``as_told``) of each object, and record what that leads to; to be called in a transaction.

    ``dues`` says of each object what was due, where that is not the same of all.

    An object that cannot be read or tried, or whose event cannot be stored, is an "error" by itself. Raises
    ``DatabaseError`` where nothing can be recorded just now.
    """
    answers: list[Answer] = []
    decisions: dict[int, Decision] = {}
    with actor.again(occasion.origin), reading_current(using):
        for index, instance in enumerate(objects):
            own = replace(occasion, due=dues[index]) if dues else occasion
            decided = ask(_decided, rule, instance, own, using)
            if isinstance(decided, Unread):
                if isinstance(decided.error, OF_ALL):
                    raise decided.error
                logger.error("%s could not be told to %s.", instance._meta.label, rule.slug, exc_info=decided.error)
                answers.append(Answer(instance, "error", detail=said_by(decided.error)))
                continue
            answer, decision = decided
            if answer.outcome == "error":
                errors_recorded -= 1
                decision = decision if errors_recorded >= 0 else None
            if decision is not None:
                decisions[len(answers)] = decision
            answers.append(answer if decision is not None else replace(answer, event_id=None))
        unstored = dict(_written(decisions, using, rule_set))
    return [
        replace(answer, outcome="error", event_id=None, detail=unstored[index]) if index in unstored else answer
        for index, answer in enumerate(answers)
    ]


def _decided(
    rule: CompiledRule, instance: models.Model, occasion: Occasion, using: str
) -> tuple[Answer, Decision | None]:
    subject = subject_of(instance, occasion)
    evaluation = ask_of(rule, subject)
    if evaluation is None or evaluation.outcome == "not_matched":
        return Answer(instance, "not_matched"), None
    matched: Sequence[CompiledRule] = [rule] if evaluation.outcome == "matched" else []
    decision = decide(Outcome(subject, matched, recorders=[], evaluations=[evaluation]), using)
    if decision is not None and not decision.matched:
        return Answer(instance, "error", decision.event.id, decision.evaluations[-1].detail), decision
    return Answer(instance, "matched", subject.id), decision


def _written(decisions: Mapping[int, Decision], using: str, rule_set: int | None) -> Iterator[tuple[int, str]]:
    """Write them; yield the indexes of those that could not be stored, with the reason."""
    if not decisions or write_together(list(decisions.values()), using, rule_set):
        return
    for index, decision in decisions.items():
        written = ask(write, decision, using, rule_set)
        if not isinstance(written, Unread):
            continue
        if isinstance(written.error, OF_ALL):
            raise written.error
        yield index, said_by(written.error)
        write(rest_of(decision, {rule.slug: written.error for rule in decision.matched}), using, rule_set)

"""From the rules that matched to what is done about it: vetoes, actions at once, and rows for the workers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.db import DatabaseError, transaction
from django.utils.translation import gettext, gettext_lazy

from rules_engine.capture import in_process, saves
from rules_engine.capture.matches import reads_of
from rules_engine.context import snapshot
from rules_engine.context.subject import Subject
from rules_engine.errors import ChangeUndone, ConditionError, UnknownPath
from rules_engine.outbox import chains, writing
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.repetition import MOST_ROWS
from rules_engine.types import Evaluation, Event

logger = logging.getLogger("rules_engine")

BEFORE = ("pre_save", "pre_delete")
SAVED_BEFORE = gettext_lazy("The change itself was committed before, since no transaction was open around it.")


def prepare(
    subject: Subject, evaluations: Sequence[Evaluation], rules: Sequence[CompiledRule], using: str
) -> saves.Write:
    """Do what has to be done before the change, and return what writes the rest once it is made.

    Raises ``Rejected`` where a rule does not allow the change. The function returned raises ``ChangeUndone`` where an
    action in the transaction failed whose rule wants that, and ``DatabaseError``.
    """
    slugs = {evaluation.rule_slug for evaluation in evaluations if evaluation.outcome == "matched"}
    matched = [rule for rule in rules if rule.slug in slugs and rule.slug]
    recorders = [rule for rule in rules if not rule.slug]
    evaluations = [evaluation for evaluation in evaluations if evaluation.rule_slug]
    # Read now, not when it is written: for a pre-signal that is the state the rule matched.
    event = subject.event(_context(subject, matched, recorders))
    done: list[writing.Ended] = []
    if subject.signal in BEFORE and subject.instance is not None:
        done = _before(subject, event, evaluations, matched, using)
    rows = _rows(subject, matched)
    # What acts before a save belongs to that save; what would go on from here may have to stop.
    over = chains.reason_to_stop(event, _count(matched, rows), using) if matched else ""
    if over:
        if not chains.is_news(matched) and not done and not recorders:
            return _nothing
        logger.error("Event %s: %s", event.id, over)
        evaluations, matched = [*evaluations, *(writing.cut(rule, over) for rule in matched)], []
    return partial(_write, event, evaluations, matched, using, done, rows)


def _context(subject: Subject, matched: Sequence[CompiledRule], recorders: Sequence[CompiledRule]) -> Mapping[str, Any]:
    wanted = reads_of(matched, lambda rule: rule.action_reads | rule.reads)
    if recorders:
        try:
            return subject.context(wanted | reads_of(recorders, lambda rule: rule.reads), whole=True)
        except (DatabaseError, UnknownPath):
            # What is recorded besides must not keep from acting what matched.
            logger.exception("Of an event of %s, less was recorded than rules read.", subject.model)
    return subject.context(wanted, whole=True)


def _nothing() -> None:
    """What is written of an event that a stopped chain has told often enough."""


def _count(matched: Sequence[CompiledRule], rows: writing.Rows) -> int:
    """The executions that these rules come to, besides those that have acted already."""
    found = 0
    for rule in matched:
        for action in rule.actions if not rule.shadow else ():
            each = rows.get((rule.slug, action.position))
            if action.timing != "before_save":
                found += 1 if each is None or isinstance(each, str) else len(each)
    return found


def _write(
    event: Event,
    evaluations: Sequence[Evaluation],
    matched: Sequence[CompiledRule],
    using: str,
    done: Sequence[writing.Ended],
    rows: writing.Rows,
) -> None:
    if not any(action.timing == "in_transaction" for rule in matched for action in rule.actions):
        writing.record(event, evaluations, matched, using, done, rows)
        return
    try:
        # What they do and the record of it stand or fall together, also where the caller has no transaction.
        with transaction.atomic(using=using):
            done = [*done, *in_process.act_in_transaction(event, matched, rows, using, writing.stops(done))]
            writing.record(event, evaluations, matched, using, done, rows)
    except ChangeUndone as undone:
        if not transaction.get_connection(using).in_atomic_block:
            raise ChangeUndone(f"{undone} {SAVED_BEFORE}") from undone
        # As Django does where a save itself fails: who catches this cannot commit the change all the same.
        transaction.set_rollback(True, using=using)
        raise


def _before(
    subject: Subject, event: Event, evaluations: Sequence[Evaluation], matched: Sequence[CompiledRule], using: str
) -> list[writing.Ended]:
    def context_for(rule: CompiledRule) -> Mapping[str, Any]:
        return subject.context(rule.action_reads, whole=True)

    done, rejected = in_process.veto(subject.instance, event, matched, context_for)  # type: ignore[arg-type]
    if rejected is not None:
        logger.info("The rule %s rejected %s of %s %s.", rejected.rule_slug, subject.signal, event.model, event.pk)
        _record_rejection(event, evaluations, done, using)
        raise rejected
    if subject.signal == "pre_save":
        done += in_process.act_before_save(
            subject.instance,  # type: ignore[arg-type]
            event,
            matched,
            subject.written,
            context_for,
            writing.stops(done),
        )
    return done


def _record_rejection(
    event: Event, evaluations: Sequence[Evaluation], done: Sequence[writing.Ended], using: str
) -> None:
    """It is lost with the caller's transaction where that one is undone; the caller was told in any case."""
    try:
        writing.record(event, evaluations, (), using, done)
    except DatabaseError:
        logger.exception("That %s was rejected could not be recorded.", event.model)


def _rows(subject: Subject, matched: Sequence[CompiledRule]) -> writing.Rows:
    """The rows of each action that is carried out for each of some, or why they cannot be told."""
    found: dict[tuple[str, int], Sequence[Any] | str] = {}
    for rule in matched:
        for action in rule.actions:
            if action.each is None or rule.shadow:
                continue
            try:
                with snapshot.up_to(MOST_ROWS + 1):
                    data = subject.context(action.each.reads)
                found[rule.slug, action.position] = action.each.rows(data)
            except (ConditionError, DatabaseError, UnknownPath) as error:
                found[rule.slug, action.position] = gettext("for_each could not be worked out: %s") % error
    return found

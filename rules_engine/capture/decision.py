"""What is to be done about an event that rules matched, and doing it: vetoes, actions at once, rows for the workers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from django.db import DatabaseError, transaction
from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_lazy

from rules_engine.capture import in_process
from rules_engine.capture.outcome import Outcome
from rules_engine.context import snapshot
from rules_engine.context.paths import label_of
from rules_engine.context.subject import BEFORE, Subject
from rules_engine.errors import ChangeUndone, ConditionError, Rejected, not_read, said_by
from rules_engine.outbox import chains, fitting, writing
from rules_engine.outbox.batch import Batch, cut
from rules_engine.outbox.outcomes import ActionOutcome, stops
from rules_engine.outbox.rows import EachRows, RowsLater
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.repetition import AT_ONCE, MOST_ROWS, Each, is_too_long_for_save, with_rows
from rules_engine.troubles import failures
from rules_engine.types import Evaluation, Event, Timing, Unread, ask

logger = logging.getLogger("rules_engine")

SAVED_BEFORE = gettext_lazy("The change itself was committed before, since no transaction was open around it.")


_ACTS_IN_TRANSACTION = attrgetter("acts_in_transaction")


@dataclass(slots=True)
class Decision:
    """What is to be done about one event. Nobody alters it; not frozen, for one is made at each match."""

    event: Event
    #: One for each rule that was tried.
    evaluations: Sequence[Evaluation]
    #: The rules whose actions are to be carried out.
    matched: Sequence[CompiledRule] = ()
    #: The actions that have acted already, before the save.
    ended: Sequence[ActionOutcome] = ()
    #: The rows of those actions that are carried out for each of some.
    rows: EachRows | None = None
    #: What a rule says that does not allow the change; None where all allow it.
    rejection: Rejected | None = None
    #: Why the chain that it belongs to was stopped with it, as a sentence; empty where it was not.
    stop: str = ""
    #: Whether it waits for the change to be in the database: a save that fails must leave nothing behind.
    is_deferred: bool = False

    @property
    def acts_in_transaction(self) -> bool:
        """Say whether some of it is carried out in the transaction of the change."""
        return any(map(_ACTS_IN_TRANSACTION, self.matched))

    @property
    def is_record_alone(self) -> bool:
        """Say whether nothing is left to do but to record it, which can be done for many at once."""
        is_more = self.is_deferred or self.rejection is not None or bool(self.stop)
        return not is_more and not any(map(_ACTS_IN_TRANSACTION, self.matched))


def decide(outcome: Outcome, using: str) -> Decision | None:
    """Say what is to be done. Vetoes are asked here, and what acts before a save acts, for it changes what is saved.

    None where nothing is, for a chain that was stopped and has told so. May raise ``DatabaseError``.
    """
    subject = outcome.subject
    # Read now, not when it is written: for a pre-signal that is the state the rule matched.
    context, unread = _context(outcome)
    event = subject.event(context)
    context, cut_paths = fitting.fitted(context)
    if cut_paths:
        event = event._replace(context=context)
        unread = {**fitting.blind(outcome.matched, cut_paths), **unread}
    matched = [rule for rule in outcome.matched if rule.slug not in unread] if unread else outcome.matched
    evaluations = [*outcome.evaluations, *unread.values()] if unread else outcome.evaluations
    decision = Decision(event, evaluations, matched, is_deferred=subject.signal in BEFORE)
    if decision.is_deferred and subject.instance is not None:
        decision = _with_what_acts_before(decision, subject, outcome.matched)
        if decision.rejection is not None:
            return decision
    rows: EachRows = {}
    for rule in matched:
        if rule.has_each:
            rows = {**rows, **_rows(subject, rule)}
    cause = subject.origin.cause
    if rows:
        decision = replace(decision, rows=rows)
    if cause is None or not matched:
        return decision
    # What acts before a save belongs to that save; what would go on from here may have to stop.
    stop = chains.reason_to_stop(decision.event, _count(matched, rows), cause, using)
    if not stop:
        return decision
    if not chains.is_news(matched, cause) and not decision.ended and not outcome.recorders:
        return None
    logger.error("Event %s: %s", decision.event.id, stop)
    told = [*evaluations, *(cut(rule, stop) for rule in matched)]
    return replace(decision, evaluations=told, matched=(), stop=stop)


def _context(outcome: Outcome) -> tuple[Mapping[str, Any], Mapping[str, Evaluation]]:
    """Read what the rules and their actions read, and what recorders want besides.

    Where that cannot be read together, each rule is read for by itself; the errors of those for which it fails come by
    their slugs.
    """
    subject, rules = outcome.subject, (*outcome.matched, *outcome.recorders)
    paths = rules[0].all_reads if len(rules) == 1 else frozenset(path for rule in rules for path in rule.all_reads)
    context = subject.read(paths, whole=True)
    if not isinstance(context, Unread):
        return context, {}
    contexts: list[Mapping[str, Any]] = [subject.context((), whole=True)]
    unread: dict[str, Evaluation] = {}
    for rule in rules:
        own = subject.read(rule.all_reads)
        if not isinstance(own, Unread):
            contexts.append(own)
            continue
        logger.error("What the actions of %s read could not be read.", rule.slug or "a recording", exc_info=own.error)
        if rule.slug:
            unread[rule.slug] = cut(rule, not_read(own.error))
            if not rule.is_paused:
                failures.note(rule.slug, rule.version, unread[rule.slug].detail, is_after_all=True)
    return _merged(contexts), unread


def _merged(contexts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several rules read of one subject, each by itself, as one context.

    Where two read different things of one value, the first is kept; of objects, and of rows by their keys, all that was
    read.
    """
    whole: dict[str, Any] = {}
    for context in contexts:
        _merge(whole, context)
    return whole


def _merge(whole: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        whole[name] = _both(whole[name], value) if name in whole else value


def _both(first: Any, second: Any) -> Any:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        both = dict(first)
        _merge(both, second)
        return both
    if isinstance(first, list) and isinstance(second, list) and _are_rows(first) and _are_rows(second):
        known = {str(row["pk"]): row for row in second}
        return [_both(row, known[str(row["pk"])]) if str(row["pk"]) in known else row for row in first]
    return second if first is None else first


def _are_rows(values: list[Any]) -> bool:
    return all(isinstance(value, Mapping) and "pk" in value for value in values)


def _with_what_acts_before(decision: Decision, subject: Subject, vetoing: Sequence[CompiledRule]) -> Decision:
    """Ask the vetoes, those of rules that cannot act in full among them, then let the rules act that can."""
    ended, rejection = in_process.ask_vetoes(subject, decision.event, vetoing)
    if rejection is not None:
        return replace(decision, matched=(), ended=ended, rejection=rejection, is_deferred=False)
    if subject.signal == "pre_save":
        ended += in_process.act_before_save(subject, decision.event, decision.matched, stops(ended))
    return replace(decision, ended=ended) if ended else decision


def _rows(subject: Subject, rule: CompiledRule) -> EachRows:
    """Return the rows of each action of the rule that is carried out for each of some, or why they cannot be told."""
    rows: dict[tuple[str, int], Sequence[Any] | RowsLater | str] = {}
    for action in rule.actions:
        if action.each is None or rule.shadow:
            continue
        told = ask(_rows_of, subject, action.each, action.timing)
        if isinstance(told, Unread):
            rows[rule.slug, action.position] = gettext("for_each could not be worked out: %s") % said_by(told.error)
        else:
            rows[rule.slug, action.position] = told
    return rows


def _rows_of(subject: Subject, each: Each, timing: Timing) -> Sequence[Any] | RowsLater:
    """Return the rows, read as far as a save can wait for that; of more their keys, for a worker to read them.

    Rows of what is deleted go with it, so they are read now.
    """
    if each.source[:1] != ("instance",) or subject.operation == "delete":
        with snapshot.up_to(MOST_ROWS + 1):
            return each.rows(subject.context(each.reads))
    with snapshot.up_to(min(AT_ONCE, MOST_ROWS) + 1):
        data = subject.context(each.reads)
    if not is_too_long_for_save(data, each):
        return each.rows(data)
    if timing != "after_commit":
        message = gettext(
            "for_each came to more than %s rows, which is as many as an action takes while somebody waits for the "
            "save; have it act after the commit."
        )
        raise ConditionError(message % number_format(AT_ONCE, force_grouping=True))
    return _rows_later(subject, each, data)


def _rows_later(subject: Subject, each: Each, data: Mapping[str, Any]) -> RowsLater:
    rest = with_rows(data, each.source, None)
    found = subject.keys(each.source[1:], MOST_ROWS + 1)
    if is_too_long_for_save(rest, each) or found is None:
        message = gettext(
            "for_each reads more than one list of more than %s rows; have it read one, or write the other as a count."
        )
        raise ConditionError(message % number_format(AT_ONCE, force_grouping=True))
    model, keys = found
    if len(keys) > MOST_ROWS:
        message = gettext("for_each came to more than %s rows, which is as many as one rule may take.")
        raise ConditionError(message % number_format(MOST_ROWS, force_grouping=True))
    depth, decimals = len(each.source), list[str]()
    return RowsLater(
        label_of(model),
        keys if all(type(key) is int for key in keys) else snapshot.plain(keys),
        each.source,
        [path[depth:] for path in each.reads if path[:depth] == each.source and path[depth:]],
        snapshot.plain(rest, found=decimals),
        decimals,
    )


def _count(matched: Sequence[CompiledRule], rows: EachRows) -> int:
    """Return how many executions these rules come to, besides those that have acted already."""
    count = 0
    for rule in matched:
        for action in rule.actions if not rule.shadow else ():
            each = rows.get((rule.slug, action.position))
            if action.timing != "before_save":
                count += 1 if each is None or isinstance(each, str) else len(each)
    return count


def write(decision: Decision, using: str, rule_set: int | None = None) -> None:
    """Carry out what belongs to the change's own transaction, and write all that is to be recorded, with the number of
    the rule set that decided.

    Raises ``Rejected`` where a rule does not allow the change, ``ChangeUndone`` where an action in the transaction
    failed whose rule wants that, and ``DatabaseError``.
    """
    if decision.rejection is not None:
        _record_rejection(decision, using, rule_set)
        raise decision.rejection
    if decision.stop:
        with transaction.atomic(using=using):
            _record(decision, using, rule_set)
            chains.tell(decision.event, _not_carried_out(decision), decision.stop, using)
        return
    if not decision.acts_in_transaction:
        _record(decision, using, rule_set)
        return
    try:
        # What they do and the record of it stand or fall together, also where the caller has no transaction.
        with transaction.atomic(using=using):
            stopped = stops(decision.ended)
            ended = in_process.act_in_transaction(
                decision.event, decision.matched, decision.rows or {}, stopped=stopped, using=using
            )
            _record(replace(decision, ended=[*decision.ended, *ended]), using, rule_set)
    except ChangeUndone as undone:
        if not transaction.get_connection(using).in_atomic_block:
            raise ChangeUndone(f"{undone} {SAVED_BEFORE}") from undone
        # As Django does where a save itself fails: who catches this cannot commit the change all the same.
        transaction.set_rollback(True, using=using)
        raise


def _not_carried_out(decision: Decision) -> list[str]:
    return [said.rule_slug for said in decision.evaluations if said.detail == decision.stop]


def write_together(decisions: Sequence[Decision], using: str, rule_set: int | None) -> None:
    """Record several decisions by one statement for many rows. Raises ``DatabaseError``, with nothing written."""
    batches = []
    for decision in decisions:
        batches.append(_batch(decision, using, rule_set))
    writing.write(batches, using)


def _batch(decision: Decision, using: str, rule_set: int | None) -> Batch:
    return writing.batch_of(
        decision.event,
        decision.matched,
        using,
        evaluations=decision.evaluations,
        ended=decision.ended,
        each_rows=decision.rows,
        rule_set=rule_set,
    )


def _record(decision: Decision, using: str, rule_set: int | None) -> None:
    writing.record(
        decision.event,
        decision.matched,
        using,
        evaluations=decision.evaluations,
        ended=decision.ended,
        each_rows=decision.rows,
        rule_set=rule_set,
    )


def _record_rejection(decision: Decision, using: str, rule_set: int | None) -> None:
    """Record it; that is lost with the caller's transaction where it is undone, but the caller is told in any case."""
    event, rejection = decision.event, decision.rejection
    slug = rejection.rule_slug if rejection is not None else ""
    logger.info("The rule %s rejected %s of %s %s.", slug, event.signal, event.model, event.pk)
    try:
        _record(decision, using, rule_set)
    except DatabaseError:
        logger.exception("That %s was rejected could not be recorded.", event.model)

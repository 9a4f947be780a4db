"""Telling the rules of what a statement did: many events by few statements, in the statement's own transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from django.db import models, transaction
from django.utils import timezone

from rules_engine.capture import in_process, receiver
from rules_engine.capture.bulk.hearing import Hearing
from rules_engine.capture.bulk.locking import raise_rivalry
from rules_engine.capture.bulk.related import read_together
from rules_engine.capture.decision import Decision, decide, write
from rules_engine.capture.earlier.waiting import Before
from rules_engine.capture.outcome import match
from rules_engine.capture.watches import ModelWatch, Reading
from rules_engine.context import snapshot
from rules_engine.context.columns import stored_values
from rules_engine.context.paths import ModelClass
from rules_engine.context.related import held
from rules_engine.context.subject import Subject
from rules_engine.databases import database_of
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import UncachedQuerySet, reading_current
from rules_engine.outbox import chains
from rules_engine.rules.matching import CompiledRule
from rules_engine.texts import SAVE
from rules_engine.types import FieldChange, Operation, Unread, ask

Item = TypeVar("Item")
#: Carries out what Django would have done.
Own = Callable[..., Any]
#: Rules by the signal that they hear.
Heard = Sequence[tuple[str, Sequence[CompiledRule]]]
#: Rows that are read, and events that are written, together.
PART = 500


class Vetoed(Exception):
    """A rule does not allow what the statement did."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision)
        self.decision = decision


@contextmanager
def as_one(hearing: Hearing, rules: Iterable[CompiledRule]) -> Iterator[None]:
    """Carry out a statement and tell of it, both or neither.

    Raises ``Rejected`` where a rule does not allow it, and ``ChangeUndone``; then nothing of it is left.
    """
    using = hearing.using
    is_outermost = not transaction.get_connection(using).in_atomic_block
    # In a transaction of the caller's a savepoint is worth its trips where rules may undo what the caller goes on from.
    has_own = is_outermost or any(_can_undo(rule) for rule in rules)
    try:
        with transaction.atomic(using=using) if has_own else nullcontext(), reading_current(using):
            if is_outermost:
                database_of(using).begin_as_writer(hearing.watch.model, using)
            yield
    except Vetoed as vetoed:
        write(vetoed.decision, hearing.table.alias, hearing.table.number)  # raises what the rule says
        raise


def _can_undo(rule: CompiledRule) -> bool:
    return any(in_process.is_veto(action) or action.on_failure == "stop" for action in rule.actions)


def tell(hearing: Hearing, readings: Iterable[Reading], heard: Heard, operation: Operation) -> None:
    """Try the rules on what was read, and do or write what comes of it. Raises ``Vetoed`` and ``ChangeUndone``.

    Where reading fails, it is an error of the rules that hear of it, ``heard`` by signal, as at a save.
    """
    table, waiting = hearing.table, list[Decision]()
    for subject, rules in _read_or_unread(hearing, readings, heard, operation):
        cause = subject.origin.cause
        if waiting and cause is not None and chains.may_count_next(cause):
            receiver.write_all(waiting, table)
            waiting.clear()
        decision = _decided(hearing, subject, rules)
        if decision is None:
            continue
        if decision.rejection is not None:
            raise Vetoed(decision)
        if decision.is_deferred:
            decision = replace(decision, is_deferred=False)
        if decision.is_record_alone:
            waiting.append(decision)
        else:
            receiver.write_all([decision], table)
            if subject.instance is not None:
                held.forget(subject.instance)  # for what acted may have changed related rows of others
        if len(waiting) >= PART:
            receiver.write_all(waiting, table)
            waiting.clear()
    if waiting:
        receiver.write_all(waiting, table)


def _read_or_unread(
    hearing: Hearing, readings: Iterable[Reading], heard: Heard, operation: Operation
) -> Iterator[Reading]:
    remaining = iter(readings)
    # One by one, for they are as many as the rows.
    while (reading := ask(next, remaining, None)) is not None:
        if isinstance(reading, Unread):
            raise_rivalry(reading.error, hearing.using)
            yield from ((_unread(signal, operation, reading.error), rules) for signal, rules in heard)
            return
        yield reading


def _decided(hearing: Hearing, subject: Subject, rules: Sequence[CompiledRule]) -> Decision | None:
    # What goes wrong with one row is not to silence the others.
    token = SAVE.set(Before("save"))
    try:
        with receiver.KeptFromCaller(receiver.NOT_TRIED, hearing.watch.model):
            outcome = match(subject, rules)
            return None if outcome is None else decide(outcome, hearing.table.alias)
    finally:
        SAVE.reset(token)
    return None


def tell_unread(hearing: Hearing, heard: Heard, operation: Operation, error: Exception) -> None:
    """Tell each of the rules, by signal, that it cannot be said which rows a statement concerned, or how."""
    tell(hearing, [(_unread(signal, operation, error), rules) for signal, rules in heard], heard, operation)


def _unread(signal: str, operation: Operation, error: Exception) -> Subject:
    return Subject(signal, operation, knows_changes=False, occurred_at=timezone.now(), unread=Unread(error))


def in_parts(items: Iterable[Item], size: int = PART) -> Iterator[list[Item]]:
    """Yield the items, so many at a time."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


def reading_of_copy(
    watch: ModelWatch,
    signal: str,
    row: models.Model,
    old: Mapping[str, Any] | None,
    *,
    now: datetime,
    created: bool = False,
    written: frozenset[str] | None = None,
) -> Iterator[Reading]:
    """Yield a row as it is stored by now, with the rules on the signal that can match; nothing where none can.

    ``old`` are the values of the watch's ``old`` columns before, None where no rule asks for them.
    """
    operation: Operation = "create" if created else "update"
    plan, changes, knows_changes = watch.plans[signal], dict[str, FieldChange](), bool(watch.old)
    if old is not None or (created and knows_changes):
        for change in snapshot.diff(watch.old.values(), old, stored_values(row, watch.old)):
            if written is None or change.field in written:
                changes[change.field] = change
    if rules := plan.matching(plan.held(row), changes, operation):
        subject = Subject(signal, operation, row, old, changes=changes, created=created, occurred_at=now)
        subject.knows_changes = old is not None or (created and knows_changes)
        subject.written, subject.heard, subject.is_copy = written, plan.told, True
        yield subject, rules


def stored(
    model: ModelClass, keys: Sequence[Any], using: str, rules: Iterable[CompiledRule]
) -> dict[Any, models.Model]:
    """Return the objects of these keys as they are stored, with the objects that the rules read beside them: one query.
    Of related rows that rules read it is one for each relation, or a few where there are very many.

    Raises ``DatabaseError``, with the caller's transaction as it was.
    """
    reads = {path for rule in rules for path in (*rule.match_reads, *rule.reads, *rule.action_reads)}
    tree = snapshot.tree_of(frozenset(reads)).get("instance", {})
    rows: models.QuerySet[Any] = UncachedQuerySet(model, using=using).filter(pk__in=keys).order_by()
    if related := list(snapshot.to_one(model, tree)):
        rows = rows.select_related(*related)
    with confined(using):
        found = {row.pk: row for row in rows}
        if database_of(using).shows_older_rows(using):
            _as_written(found, model, keys, using)
    # In the order in which they are told, for their rows are read as many as are held at a time.
    in_order = {key: found[key] for key in keys if key in found}
    read_together(list(in_order.values()), tree, using)
    return in_order


def _as_written(found: dict[Any, models.Model], model: ModelClass, keys: Sequence[Any], using: str) -> None:
    """Have the objects hold what a locking read says. A plain one shows a row in which the statement changed nothing as
    it was when the transaction began, and none that another has added since."""
    rows: models.QuerySet[Any] = UncachedQuerySet(model, using=using).filter(pk__in=keys).order_by()
    for row in rows.select_for_update():
        known = found.setdefault(row.pk, row)
        for field in model._meta.concrete_fields:
            setattr(known, field.attname, row.__dict__[field.attname])

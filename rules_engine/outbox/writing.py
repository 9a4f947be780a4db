"""The only creator of executions: writes an event and what is to be done about it, in the caller's own transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.db.models import Model
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from rules_engine import conf, models, types
from rules_engine.databases.generic import seconds_from_now
from rules_engine.databases.insertion import insert
from rules_engine.models.transactions import transaction_id
from rules_engine.outbox import hints
from rules_engine.outbox.batch import Batch, make_batch
from rules_engine.outbox.held import released_rows
from rules_engine.outbox.outcomes import ActionOutcome
from rules_engine.outbox.rows import EachRows, ExecutionRow, HeldRow, Row
from rules_engine.rules.matching import CompiledRule

logger = logging.getLogger("rules_engine")


def record(
    event: types.Event,
    matched: Sequence[CompiledRule],
    using: str,
    *,
    evaluations: Sequence[types.Evaluation] = (),
    ended: Sequence[ActionOutcome] = (),
    each_rows: EachRows | None = None,
    rule_set: int | None = None,
) -> int:
    """Write the event, its executions and its evaluation errors, and announce the work once it is committed.

    All in a savepoint, or in a transaction of our own where the caller has none: what fails here is undone here, and
    the ``DatabaseError`` goes to the receiver, which keeps it from the caller. A match of a rule that holds back, or
    that acts for each of some rows, is written as one held match instead. ``ended`` are actions that acted in the
    process; they are written as they ended. ``rule_set`` is the number of the one that matched: no worker acts by an
    older one. Returns the number of rows that wait for a worker.
    """
    batch = batch_of(
        event, matched, using, evaluations=evaluations, ended=ended, each_rows=each_rows, rule_set=rule_set
    )
    return write([batch], using)


def batch_of(
    event: types.Event,
    matched: Sequence[CompiledRule],
    using: str,
    *,
    evaluations: Sequence[types.Evaluation] = (),
    ended: Sequence[ActionOutcome] = (),
    each_rows: EachRows | None = None,
    rule_set: int | None = None,
) -> Batch:
    """Make all rows that ``record`` would write."""
    return make_batch(
        event,
        matched,
        evaluations=evaluations,
        ended=ended,
        each_rows=each_rows or {},
        transaction=_transaction_of(matched, using),
        rule_set=rule_set,
    )


def write(batches: Sequence[Batch], using: str) -> int:
    """Write the rows of several events together, all of them or none: one statement for many rows of a kind. Raises
    ``DatabaseError``, and returns what ``record`` does."""
    executions = [row for batch in batches for row in batch.executions]
    held = [row for batch in batches for row in batch.held]
    with transaction.atomic(using=using):
        _insert(models.Event, [batch.event for batch in batches], using)
        _insert_executions(executions, using)
        _insert(models.Execution, [row for batch in batches for row in batch.ended], using)
        _insert_held(held, using)
        _insert(models.RuleError, [row for batch in batches for row in batch.errors], using)
    announce({row.queue for row in executions} | ({conf.queue()} if held else set()), using)
    return len(executions) + len(held)


def release(matches: Iterable[tuple[models.HeldMatch, Mapping[str, int]]], using: str) -> int:
    """Write the executions of held matches, in the caller's transaction. With each comes what they read as ``held``:
    how many it stands for besides itself. Returns their number, and announces them once they are committed."""
    now = timezone.now()
    executions = [row for match, held in matches for row in released_rows(match, held, now)]
    waiting = [row for row in executions if row.finished_at is None]
    _insert_executions(waiting, using)
    _insert(models.Execution, [row for row in executions if row.finished_at is not None], using)
    announce({row.queue for row in waiting}, using)
    return len(waiting)


def _transaction_of(matched: Sequence[CompiledRule], using: str) -> str:
    """Return the name of the transaction, where a rule takes together what happens in one; else nothing."""
    wants_it = any(rule.hold is not None and rule.hold.coalesce == 0 for rule in matched)
    return transaction_id(using) if wants_it else ""


def _insert(model: type[Model], new: Sequence[Row], using: str) -> None:
    if new:
        names = type(new[0]).__slots__
        insert(model, [{name: getattr(row, name) for name in names} for row in new], using)


def _insert_executions(executions: Sequence[ExecutionRow], using: str) -> None:
    if not executions:
        return
    _insert(models.Execution, executions, using)
    written = models.Execution.objects.using(using)
    # By the database's clock, so one statement more where there is a delay; there rarely is.
    for seconds in {row.delay for row in executions if row.delay}:
        ids = [row.id for row in executions if row.delay == seconds]
        written.filter(pk__in=ids).update(next_attempt_at=seconds_from_now(seconds))
    if waiting := _waiting(executions):
        written.filter(pk__in=[row.id for row in waiting]).update(next_attempt_at=None)


def _waiting(executions: Sequence[ExecutionRow]) -> list[ExecutionRow]:
    """Return those that come after an action which stops its rule when it fails: they wait for it."""
    first_stop: dict[tuple[object, str], int] = {}
    for row in executions:
        if row.on_failure == "stop":
            key = row.event_id, row.rule_slug
            first_stop[key] = min(row.position, first_stop.get(key, row.position))
    return [row for row in executions if row.position > first_stop.get((row.event_id, row.rule_slug), row.position)]


def _insert_held(held: Sequence[HeldRow], using: str) -> None:
    _insert(models.HeldMatch, held, using)
    for row in held:
        if seconds := row.terms["coalesce"]:
            waiting = models.HeldMatch.objects.using(using).filter(pk=row.id)
            waiting.update(due_at=seconds_from_now(seconds))


def announce(queues: set[str], using: str) -> None:
    """Tell the workers, once the transaction is committed, that there is work in these queues."""
    for queue in queues:
        try:
            # A new function for each queue, and robust: another's failing callback must not silence ours.
            transaction.on_commit(lambda queue=queue: hints.notify(queue), using=using, robust=True)  # type: ignore[misc]
        except TransactionManagementError:
            # The caller manages its transaction by hand (set_autocommit(False)); the sweep finds the work.
            logger.debug("No hint for queue %s: the transaction is managed by hand.", queue)

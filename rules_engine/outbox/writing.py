"""The only creator of executions: writes an event and what is to be done about it, in the caller's own transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from operator import attrgetter
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Model
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from rules_engine import conf, models, types
from rules_engine.databases.generic import seconds_from_now
from rules_engine.databases.prepared.inserts import Rows, insert_together
from rules_engine.logs import outcomes
from rules_engine.models.tallies import counting
from rules_engine.models.transactions import transaction_id
from rules_engine.outbox import hints
from rules_engine.outbox.batch import Batch, make_batch
from rules_engine.outbox.held import released_rows
from rules_engine.outbox.later import wait_for_seconds, wait_for_time
from rules_engine.outbox.outcomes import ActionOutcome
from rules_engine.outbox.rows import EachRows, ErrorRow, EventRow, ExecutionRow, HeldRow, Row
from rules_engine.rules.matching import CompiledRule
from rules_engine.tracing import spans

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
    if not spans.is_on() or not spans.is_heard():
        return _write(batches, using)
    begun = [_begin(batch) for batch in batches]
    with spans.Ending(begun), spans.current(begun[0] if len(begun) == 1 else None):
        return _write([_in_trace(batch, span) for batch, span in zip(batches, begun, strict=True)], using)


def _begin(batch: Batch) -> spans.Span:
    event, queues = batch.event, {row.queue for row in batch.executions} | ({conf.queue()} if batch.held else set())
    return spans.begin_event(event.id, signal=event.signal, model=event.model, rules=_matched(event), queues=queues)


def _in_trace(batch: Batch, span: spans.Span) -> Batch:
    return replace(batch, event=replace(batch.event, trace=spans.kept_of(span)))


def _matched(event: EventRow) -> list[str]:
    return [evaluation["rule"] for evaluation in event.evaluations if evaluation["outcome"] == "matched"]


def _write(batches: Sequence[Batch], using: str) -> int:
    events: list[EventRow] = []
    executions, ended = list[ExecutionRow](), list[ExecutionRow]()
    held, errors = list[HeldRow](), list[ErrorRow]()
    for batch in batches:
        events.append(batch.event)
        executions += batch.executions
        ended += batch.ended
        held += batch.held
        errors += batch.errors
    tables = _tables(
        (models.Event, events),
        (models.Execution, executions),
        (models.Execution, ended),
        (models.HeldMatch, held),
        (models.RuleError, errors),
    )
    if _are_due_at_once(executions, held):
        insert_together(tables, using)
    else:
        with transaction.atomic(using=using):
            insert_together(tables, using)
            _set_due(executions, held, using)
    if ended:
        count_ended(ended, using)
    is_told = outcomes.logger.isEnabledFor(logging.INFO)
    told = [(each.event, _matched(each.event), len(each.executions), len(each.held)) for each in batches if is_told]
    announce({row.queue for row in executions} | ({conf.queue()} if held else set()), using)
    if told:
        outcomes.events_matched(told, using)
    return len(executions) + len(held)


def release(matches: Iterable[tuple[models.HeldMatch, Mapping[str, int]]], using: str) -> int:
    """Write the executions of held matches, in the caller's transaction. With each comes what they read as ``held``:
    how many it stands for besides itself. Returns their number, and announces them once they are committed."""
    now = timezone.now()
    executions = [row for match, held in matches for row in released_rows(match, held, now)]
    waiting = [row for row in executions if row.finished_at is None]
    ended = [row for row in executions if row.finished_at is not None]
    insert_together(_tables((models.Execution, waiting), (models.Execution, ended)), using)
    _set_due(waiting, (), using)
    count_ended(ended, using)
    announce({row.queue for row in waiting}, using)
    return len(waiting)


def _transaction_of(matched: Sequence[CompiledRule], using: str) -> str:
    """Return the name of the transaction, where a rule takes together what happens in one; else nothing."""
    for rule in matched:
        if rule.hold is not None and rule.hold.coalesce == 0:
            return transaction_id(using)
    return ""


def _tables(*made: tuple[type[Model], Sequence[Row]]) -> list[Rows]:
    """Return the rows by their tables, but for those that get none. What is usual in all of them is not named."""
    tables = []
    for model, new in made:
        if new:
            columns = _COLUMNS[type(new[0])]
            usual = list(map(columns.usual, new))
            names, values = columns.short if usual.count(columns.defaults) == len(usual) else columns.whole
            tables.append(Rows(model, names, list(map(values, new))))
    return tables


class _Columns(NamedTuple):
    """The names of a kind of row's columns, and what takes their values from one: of all, and of those that have no
    default; ``usual`` takes the values of the others, which are ``defaults`` as a rule."""

    whole: tuple[tuple[str, ...], Callable[[Row], Any]]
    short: tuple[tuple[str, ...], Callable[[Row], Any]]
    usual: Callable[[Row], Any]
    defaults: Any


#: Columns that have a default as well, and nearly always another value.
_NEARLY_ALWAYS_SAID = frozenset({"order_key", "rule_set"})


def _columns(kind: type[Any]) -> _Columns:
    names = tuple(column.name for column in fields(kind))
    usual = {c.name: c.default for c in fields(kind) if c.default is not MISSING and c.name not in _NEARLY_ALWAYS_SAID}
    short = tuple(name for name in names if name not in usual)
    if not usual:
        return _Columns((names, attrgetter(*names)), (names, attrgetter(*names)), _nothing, ())
    defaults = tuple(usual.values())
    # Of one name ``attrgetter`` takes the value alone.
    one_or_all = defaults[0] if len(defaults) == 1 else defaults
    return _Columns((names, attrgetter(*names)), (short, attrgetter(*short)), attrgetter(*usual), one_or_all)


def _nothing(_row: Row) -> tuple[()]:
    return ()


_COLUMNS: Mapping[type, _Columns] = {kind: _columns(kind) for kind in (EventRow, ExecutionRow, HeldRow, ErrorRow)}


def _is_timed(row: ExecutionRow) -> bool:
    """Say whether it waits for a time of day."""
    return row.given is not None and "at" in row.given


def _are_due_at_once(executions: Sequence[ExecutionRow], held: Sequence[HeldRow]) -> bool:
    """Say whether the rows say themselves when they are due: the database's clock, as they are inserted."""
    for row in executions:
        if row.delay or row.on_failure == "stop" or (row.given is not None and _is_timed(row)):
            return False
    return not held or not any(row.terms["coalesce"] for row in held)


def _set_due(executions: Sequence[ExecutionRow], held: Sequence[HeldRow], using: str) -> None:
    """Say when these are due that were just inserted and wait: by the database's clock, so one statement more for each
    delay; there rarely is one."""
    written = models.Execution.objects.using(using)
    for seconds in {row.delay for row in executions if row.delay}:
        wait_for_seconds([row.id for row in executions if row.delay == seconds], seconds, using)
    if timed := [row.id for row in executions if _is_timed(row)]:
        wait_for_time(timed, using)
    if waiting := _waiting(executions):
        written.filter(pk__in=[row.id for row in waiting]).update(next_attempt_at=None)
    for match in held:
        if seconds := match.terms["coalesce"]:
            matches = models.HeldMatch.objects.using(using).filter(pk=match.id)
            matches.update(due_at=seconds_from_now(seconds))


def _waiting(executions: Sequence[ExecutionRow]) -> list[ExecutionRow]:
    """Return those that come after an action which stops its rule when it fails: they wait for it."""
    first_stop: dict[tuple[object, str], int] = {}
    for row in executions:
        if row.on_failure == "stop":
            key = row.event_id, row.rule_slug
            first_stop[key] = min(row.position, first_stop.get(key, row.position))
    return [row for row in executions if row.position > first_stop.get((row.event_id, row.rule_slug), row.position)]


def count_ended(rows: Iterable[ExecutionRow], using: str) -> None:
    """Count those that ended in the process of the save, once the transaction is committed."""
    if conf.metrics() is not None:
        kinds = Counter((row.kind, row.state) for row in rows)
        counting.count_after_commit({(counting.EXECUTIONS, kind): number for kind, number in kinds.items()}, using)


def announce(queues: set[str], using: str) -> None:
    """Tell the workers, once the transaction is committed, that there is work in these queues."""
    for queue in queues:
        try:
            # A new function for each queue, and robust: another's failing callback must not silence ours.
            transaction.on_commit(lambda queue=queue: hints.notify(queue), using=using, robust=True)  # type: ignore[misc]
        except TransactionManagementError:
            # The caller manages its transaction by hand (set_autocommit(False)); the sweep finds the work.
            logger.debug("No hint for queue %s: the transaction is managed by hand.", queue)

"""Attempts: charged before the effect begins, and ended with what it came to. Each verb takes a list; one is a list.

``start`` charges durably, in a write of its own. Every write is fenced by the claim: what another worker has taken
over meanwhile is left to that one, and the verb says so by what it returns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, NotSupportedError, router, transaction
from django.db.models import F
from django.db.models.functions import Now

from rules_engine import conf, retry
from rules_engine.context.exceptions import text_of
from rules_engine.context.snapshot import clean_text, plain, safe
from rules_engine.databases import database_of
from rules_engine.databases.protocol import AttemptEnd
from rules_engine.errors import PutOff, Refused
from rules_engine.hidden.texts import masked
from rules_engine.logs import outcomes
from rules_engine.models import Attempt, Execution
from rules_engine.models.execution import State
from rules_engine.rules import registry
from rules_engine.tracing import spans
from rules_engine.troubles import failures
from rules_engine.types import ActionResult, Unread, ask
from rules_engine.work.leases.leasing import rows
from rules_engine.work.repeating import until_written
from rules_engine.work.sequence import settle_after
from rules_engine.work.troubles import given_up
from rules_engine.work.troubles.given_up import GIVEN_UP
from rules_engine.work.workers.counted import count_attempts, count_end, count_lost

logger = logging.getLogger("rules_engine")

#: Characters kept of an error; a traceback belongs in the worker's log.
ERROR_LIMIT = 2_000
#: What a database says of a value that it will not take the next time either.
UNFIT = (DataError, IntegrityError, NotSupportedError)


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What an attempt came to: the execution, the claim it was started under, and its result or what it failed of."""

    execution: Execution
    worker: str
    result: ActionResult | Exception


@contextmanager
def as_recorded(executions: Sequence[Execution]) -> Iterator[None]:
    """Undo in memory what the block says of the executions, where an error undoes it in the database."""
    before = [(each, (each.state, each.error, each.attempts, each.crashes)) for each in executions]
    is_done = False
    try:
        yield
        is_done = True
    finally:
        for execution, values in before:
            if not is_done:
                execution.state, execution.error, execution.attempts, execution.crashes = values


def start(executions: Sequence[Execution], worker: str) -> list[Execution]:
    """Charge an attempt of each, durably, before the effects begin. Returns those that may begin.

    The others are another worker's by now, or have taken ``MAX_CRASHES`` processes down and are given up.
    """
    waiting = Execution.objects.of_claim(worker).waiting()
    started: list[Execution] = []
    fresh: dict[Any, Execution] = {}
    numbers: dict[Any, int] = {}
    for execution in executions:
        if not execution.may_have_crashed:
            fresh[execution.pk], numbers[execution.pk] = execution, execution.attempts + 1
        elif _start_suspect(execution, worker):
            started.append(execution)
    charged = set(database_of(waiting.db).charge(waiting, Attempt, numbers, worker=worker)) if fresh else ()
    if len(charged) != len(fresh):
        logger.warning("%d executions passed to other workers before they were begun.", len(fresh) - len(charged))
    for key, execution in fresh.items():
        if key in charged:
            execution.state, execution.attempts, execution.began = State.RUNNING, numbers[key], time.monotonic()
            started.append(execution)
    if spans.is_on():
        spans.begin_attempts(started)
    return started


def _start_suspect(execution: Execution, worker: str) -> bool:
    """Charge an attempt of one that somebody had before: if a process died in an attempt, that is on record first."""
    crashed = execution.state == State.RUNNING
    with as_recorded([execution]), transaction.atomic(using=router.db_for_write(Execution)):
        if crashed:
            _record_crash(execution)
        own = Execution.objects.of_claim(worker).filter(pk=execution.pk, state=execution.state)
        if execution.crashes >= conf.max_crashes():
            reason = f"Given up: {execution.crashes} attempts ended with the process that made them."
            if own.update(**_ended(State.DISCARDED, reason), crashes=execution.crashes):
                count_end(execution.kind, State.DISCARDED, rows().db)
                told = partial(outcomes.execution_ended, attempt=execution.attempts, error=reason)
                outcomes.after_commit(partial(told, execution, State.DISCARDED), own.db)
                _now_is([execution], State.DISCARDED, reason)
                given_up.note([execution])
            return False
        if not own.update(state=State.RUNNING, attempts=F("attempts") + 1, crashes=execution.crashes):
            logger.warning("The lease on %s passed to another worker before it was started.", execution)
            return False
        execution.state, execution.attempts, execution.began = State.RUNNING, execution.attempts + 1, time.monotonic()
        attempts = Attempt.objects.using(router.db_for_write(Attempt))
        attempts.create(execution=execution, number=execution.attempts, worker=worker)
    return True


def _record_crash(execution: Execution) -> None:
    execution.crashes += 1
    attempts = Attempt.objects.using(router.db_for_write(Attempt))
    count_lost(execution.kind, rows().db)
    attempts.filter(execution=execution, finished_at__isnull=True).update(
        outcome=Attempt.Outcome.LOST, finished_at=Now(), error="The process ended, or lost its lease, in this attempt."
    )


def _ended(state: State, reason: str) -> dict[str, Any]:
    """The columns of an execution that has ended without an attempt of its own."""
    return {"state": state, "error": reason, "finished_at": Now(), "leased_by": "", "lease_until": None}


def _now_is(executions: Sequence[Execution], state: State, error: str) -> None:
    """Say in memory what the rows say, and let go on what waited for them."""
    for execution in executions:
        execution.state, execution.error = state, error
    settle_after(executions)


def end(execution: Execution, worker: str, state: State, reason: str) -> bool:
    """End a claimed execution without an attempt, such as one whose rule is gone; ``reason`` is a sentence.

    Returns whether the claim still held it.
    """
    with as_recorded([execution]), transaction.atomic(using=router.db_for_write(Execution)):
        if not Execution.objects.of_claim(worker).filter(pk=execution.pk).update(**_ended(state, reason)):
            logger.warning("The lease on %s passed to another worker.", execution)
            return False
        count_end(execution.kind, state, rows().db)
        _now_is([execution], state, reason)
        given_up.note([execution])
    outcomes.execution_ended(execution, state.value, attempt=0, error=reason)
    return True


def record(outcomes: Sequence[AttemptOutcome]) -> list[Execution]:
    """``finish``, again and again while the lease lasts: what was done outside is not done again for want of a record.

    Details that the database does not take are left out. Raises ``DatabaseError`` where it takes nothing until then.
    """
    seconds = conf.lease_seconds()
    try:
        return until_written(partial(finish, outcomes), seconds)
    except UNFIT as error:
        if len(outcomes) > 1:
            return [execution for outcome in outcomes for execution in record([outcome])]
        logger.error("What %s did is recorded without its details.", outcomes[0].execution, exc_info=error)
        return until_written(partial(finish, outcomes, with_details=False), seconds)


def finish(
    attempt_outcomes: Sequence[AttemptOutcome], *, with_details: bool = True, is_charged: bool = True
) -> list[Execution]:
    """Record what attempts came to, and when the next one is, if there is one. Returns the executions recorded.

    What another worker has taken over since is left to that one. Raises ``DatabaseError`` as the database does; nothing
    is recorded then, and giving all again does no harm. Attempts that are not charged yet, all of one claim, are
    charged by the same write, and were counted by ``count``.
    """
    if not attempt_outcomes:
        return []
    using = router.db_for_write(Execution)
    executions = {(outcome.execution.pk, outcome.worker): outcome.execution for outcome in attempt_outcomes}
    # What waits for another action is let go on together with that one's end, and what was given up is told with it.
    is_waited_for = any(execution.on_failure == "stop" for execution in executions.values())
    ends = _ends(attempt_outcomes)
    if not with_details:
        ends = [_without_details(each) for each in ends]
    is_any_given_up = not GIVEN_UP.isdisjoint(end.state for end in ends)
    is_told = is_any_given_up and given_up.is_told()
    together = transaction.atomic(using=using) if is_waited_for or is_told else nullcontext()
    with as_recorded(list(executions.values())), together:
        kept = _write(ends, executions, is_charged, using)
        for written in ends:
            execution = executions[written.execution_id, written.worker]
            if (written.execution_id, written.worker) in kept:
                execution.state, execution.error = State(written.state), written.error
            else:
                logger.warning(
                    "The lease on %s passed to another worker; what this one did is not recorded.", execution
                )
                spans.end_attempt(execution, "lost")
        recorded = [executions[key] for key in executions if key in kept]
        if is_waited_for:
            settle_after(recorded)
        told = [(executions[key], o.result) for o in attempt_outcomes if (key := (o.execution.pk, o.worker)) in kept]
        outcomes.attempts_ended(told, using)
        if spans.is_on():
            outcomes.after_commit(partial(_end_spans, told), using)
        if conf.metrics() is not None:
            counted = [(executions[key], end) for end in ends if (key := (end.execution_id, end.worker)) in kept]
            count_attempts(counted, using)
        if is_any_given_up or failures.watched:  # of a rule that fails, successes count too
            given_up.note(recorded)
    return recorded


def _end_spans(ended: Sequence[tuple[Execution, ActionResult | Exception]]) -> None:
    """Say by the end of its span what each attempt came to."""
    for execution, result in ended:
        is_failure = isinstance(result, Exception) and not isinstance(result, PutOff)
        outcome = "put_off" if isinstance(result, PutOff) else execution.state
        spans.end_attempt(execution, outcome, type(result).__qualname__ if is_failure else "")


def count(executions: Sequence[Execution]) -> None:
    """Count in memory an attempt of each that is charged when it ends."""
    for execution in executions:
        execution.state, execution.attempts, execution.began = State.RUNNING, execution.attempts + 1, time.monotonic()
    if spans.is_on():
        spans.begin_attempts(executions)


def _write(
    ends: Sequence[AttemptEnd], executions: Mapping[tuple[Any, str], Execution], is_charged: bool, using: str
) -> set[tuple[Any, str]]:
    if is_charged:
        running = Execution.objects.using(using).filter(state=State.RUNNING)
        return database_of(using).end(running, Attempt, ends)
    waiting = Execution.objects.of_claim(ends[0].worker).waiting()
    numbers = {key: execution.attempts for (key, _worker), execution in executions.items()}
    return database_of(waiting.db).charge_and_end(waiting, Attempt, numbers, ends)


def _ends(outcomes: Sequence[AttemptOutcome]) -> list[AttemptEnd]:
    # Asked once for each action of a rule: hundreds of deliveries to one endpoint may fail together.
    schedules: dict[Any, Sequence[float]] = {}
    ends = []
    for outcome in outcomes:
        execution, worker, result = outcome.execution, outcome.worker, outcome.result
        if isinstance(result, ActionResult):
            ends.append(_success(execution, worker, result))
            continue
        if isinstance(result, PutOff):
            ends.append(_put_off(execution, worker, result))
            continue
        action = (execution.kind, execution.rule_slug, execution.rule_version, execution.position)
        if action not in schedules:
            schedules[action] = retry_schedule(execution)
        ends.append(_failure(execution, worker, result, schedules[action]))
    return ends


def _without_details(end: AttemptEnd) -> AttemptEnd:
    summary = None if end.summary is None else ""
    return end._replace(summary=summary, error=clean_text(end.error_type, 200), error_type="", detail={})


def _success(execution: Execution, worker: str, result: ActionResult) -> AttemptEnd:
    return AttemptEnd(
        execution.pk,
        worker,
        State.SUCCEEDED.value,
        Attempt.Outcome.SUCCEEDED.value,
        summary=clean_text(str(result.summary or "")),
        error="",
        error_type="",
        detail=plain(safe(dict(result.detail))),
        wait=None,
    )


def _put_off(execution: Execution, worker: str, error: PutOff) -> AttemptEnd:
    """It failed of nothing: it is pending as before, its page says why, and its schedule begins where it stood."""
    return AttemptEnd(
        execution.pk,
        worker,
        State.PENDING.value,
        Attempt.Outcome.PUT_OFF.value,
        summary=execution.summary,
        error=clean_text(text_of(error), ERROR_LIMIT),
        error_type="",
        detail=plain(safe(error.detail)),
        wait=retry.until_its_turn(error.retry_after),
    )


def _detail_of(error: Exception) -> Any:
    detail = ask(getattr, error, "detail", {})
    return {} if isinstance(detail, Unread) else detail


def _failure(execution: Execution, worker: str, error: Exception, schedule: Sequence[float]) -> AttemptEnd:
    """What an error means for the execution it happened to, by the seconds between its attempts."""
    wait = retry.delay(error, execution.failures + 1, schedule, jitter=conf.retry_jitter())
    state = State.RETRYABLE
    if wait is None:
        state = State.REFUSED if isinstance(error, Refused) else State.DISCARDED
    return AttemptEnd(
        execution.pk,
        worker,
        state.value,
        Attempt.Outcome.FAILED.value,
        summary=None,
        error=clean_text(masked(text_of(error)), ERROR_LIMIT),
        error_type=type(error).__name__,
        detail=plain(safe(_detail_of(error))),
        wait=wait,
    )


def retry_schedule(execution: Execution) -> Sequence[float]:
    """Return the seconds between its attempts: what its action says, else, or where it cannot say, the site's."""
    action = registry.find(execution.kind)
    own = None if action is None else ask(action.retry_schedule, execution.config)
    if isinstance(own, Unread):
        if isinstance(own.error, DatabaseError | InterfaceError):
            raise own.error
        # What the action did has to be recorded all the same.
        logger.error('The action "%s" does not say when to try again.', execution.kind, exc_info=own.error)
    elif own is not None:
        waits = ask(list, own)
        if isinstance(waits, list) and all(map(retry.is_wait, waits)):
            return waits
        logger.error('The action "%s" waits %s seconds between attempts, which are no waits.', execution.kind, own)
    return conf.retry_schedule()

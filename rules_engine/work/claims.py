"""Claiming work and saying what came of it: the verbs that ``execution.py`` and batch senders share.

Claiming only leases. ``start`` charges the attempt, in a write of its own, just before the effect. ``succeed`` and
``fail`` are fenced: they raise ``LeaseLost`` when another worker owns the execution by then.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, router, transaction
from django.db.models import Exists, F, Min, OuterRef, Q
from django.db.models.functions import Now

from rules_engine import conf, retry
from rules_engine.context.snapshot import clean_text, plain, safe
from rules_engine.errors import LeaseLost, PermanentError, Refused
from rules_engine.models import Attempt, Execution, Pause, Rule
from rules_engine.models.execution import FAILED, LIVE, NOT_AFTER_THAT, ExecutionQuerySet, State, seconds_from_now
from rules_engine.outbox import hints
from rules_engine.rules import registry
from rules_engine.types import ActionResult

logger = logging.getLogger("rules_engine")

#: Characters kept of an error; a traceback belongs in the worker's log.
ERROR_LIMIT = 2_000
#: Groups looked at by one sweep.
FORGOTTEN = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """Executions leased together. ``worker`` names the claim and is the fence of every later write."""

    worker: str
    executions: tuple[Execution, ...]

    def __bool__(self) -> bool:
        return bool(self.executions)


def worker_name() -> str:
    """A name that no claim has had."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def _rows() -> ExecutionQuerySet:
    return Execution.objects.using(router.db_for_write(Execution))


def claim(*queues: str, lane: str | None = None, limit: int | None = None, lease: float | None = None) -> Claim:
    """Lease what is due in these queues (all, when none is named), oldest first.

    ``limit`` and ``lease`` (seconds) default to the settings BATCH_SIZE and LEASE_SECONDS. An execution that took its
    process down comes alone.
    """
    rows = unpaused(_rows().of_queues(queues) if queues else _rows())
    if lane is not None:
        rows = rows.filter(lane=lane)
    worker = worker_name()
    found = rows.claim(limit or conf.batch_size(), worker=worker, lease=lease or conf.lease_seconds())
    return Claim(worker, tuple(found))


def unpaused(rows: ExecutionQuerySet) -> ExecutionQuerySet:
    """Those of the rows that no pause stops. One small query, and a second one while a model is paused."""
    pauses = list(Pause.objects.using(rows.db).current())
    if not pauses:
        return rows
    if any(pause.is_everything for pause in pauses):
        return rows.none()
    slugs = {pause.rule_slug for pause in pauses if pause.rule_slug}
    of_models = [pause for pause in pauses if pause.model]
    if of_models:
        rules = Rule.objects.using(rows.db).values_list("slug", "model")
        slugs |= {slug for slug, model in rules if any(pause.watches(model) for pause in of_models)}
    return rows.exclude(rule_slug__in=slugs)


def settle(event_id: Any, rule_slug: str) -> None:
    """Let go on what waited for another action of its rule, or end it, now that more is known of that one.

    The first waiting row is locked: of two workers that finish the last two at once, the second sees both ends.
    """
    using = router.db_for_write(Execution)
    with transaction.atomic(using=using):
        of_rule = _rows().filter(event_id=event_id, rule_slug=rule_slug)
        waiting = of_rule.waiting().filter(next_attempt_at__isnull=True).order_by()
        if waiting.order_by("pk").select_for_update().values_list("pk").first() is None:
            return
        stops = of_rule.filter(on_failure="stop").order_by()
        failed = stops.filter(state__in=FAILED).aggregate(first=Min("position"))["first"]
        if failed is not None:
            waiting.filter(position__gt=failed).cancel(NOT_AFTER_THAT)
        live = stops.live().aggregate(first=Min("position"))["first"]
        ready = waiting if live is None else waiting.filter(position__lte=live)
        for queue, delay in list(ready.values_list("queue", "delay").distinct()):
            ready.filter(queue=queue, delay=delay).update(next_attempt_at=seconds_from_now(delay))
            transaction.on_commit(partial(hints.notify, queue), using=using, robust=True)


def settle_forgotten() -> int:
    """``settle`` for whatever waits for nothing any more: what it waited for was cancelled by hand, say. Returns the
    groups."""
    before = _rows().filter(
        event_id=OuterRef("event_id"),
        rule_slug=OuterRef("rule_slug"),
        position__lt=OuterRef("position"),
        on_failure="stop",
    )
    waits_on = ~Exists(before.filter(state__in=FAILED)) & Exists(before.live())
    rows = _rows().waiting().filter(~Q(waits_on), next_attempt_at__isnull=True)
    groups = list(rows.order_by().values_list("event_id", "rule_slug").distinct()[:FORGOTTEN])
    for event_id, rule_slug in groups:
        settle(event_id, rule_slug)
    return len(groups)


def renew(*workers: str, lease: float | None = None) -> int:
    """Keep claims for another ``lease`` seconds; returns how many executions they still hold."""
    return _rows().renew(workers, lease or conf.lease_seconds())


def release(worker: str) -> int:
    """Give back what the claim did not start, at no charge."""
    return _rows().release(worker)


def cancel(reason: str, *, queue: str, lane: str) -> int:
    """Cancel what waits in a lane, such as a disabled endpoint's; ``reason`` is a sentence. Returns how many."""
    return _rows().filter(queue=queue, lane=lane).cancel(reason)


def start(execution: Execution, worker: str) -> None:
    """Charge an attempt, durably, before its effect begins.

    Raises ``LeaseLost`` when the claim no longer holds it, and ``PermanentError``, after recording it, when it has
    already taken ``MAX_CRASHES`` processes down.
    """
    crashed = execution.state == State.RUNNING
    with transaction.atomic(using=router.db_for_write(Execution)):
        if crashed:
            _record_crash(execution, worker)
        changed = _rows().held_by(worker).filter(pk=execution.pk, state=execution.state)
        if execution.crashes >= conf.max_crashes():
            changed = changed.filter(state=State.RUNNING)
            _end(changed, execution, State.DISCARDED, error=_crash_sentence(execution))
        elif not changed.update(state=State.RUNNING, attempts=F("attempts") + 1, crashes=execution.crashes):
            raise LeaseLost(f"The lease on {execution} passed to another worker before it was started.")
        else:
            execution.state, execution.attempts = State.RUNNING, execution.attempts + 1
            Attempt.objects.using(router.db_for_write(Attempt)).create(
                execution=execution, number=execution.attempts, worker=worker
            )
    if execution.state == State.DISCARDED:
        raise PermanentError(execution.error)


def _crash_sentence(execution: Execution) -> str:
    return f"Given up: {execution.crashes} attempts ended with the process that made them."


def _record_crash(execution: Execution, worker: str) -> None:
    execution.crashes += 1
    open_attempts = Attempt.objects.using(router.db_for_write(Attempt)).open_of([execution])
    open_attempts.update(
        outcome=Attempt.Outcome.LOST, finished_at=Now(), error="The process ended, or lost its lease, in this attempt."
    )


def _end(rows: ExecutionQuerySet, execution: Execution, state: State, *, error: str = "", **columns: Any) -> None:
    values: dict[str, Any] = {
        "state": state,
        "error": error,
        "finished_at": Now(),
        "leased_by": "",
        "lease_until": None,
        "crashes": execution.crashes,
        **columns,
    }
    if not rows.update(**values):
        raise LeaseLost(f"The lease on {execution} passed to another worker; what this one did is not recorded.")
    execution.state, execution.error = state, error
    settle_after(execution)


def settle_after(execution: Execution) -> None:
    """Let go on, or end, what waited for this execution, once it has ended."""
    if execution.on_failure == "stop" and execution.state not in LIVE:
        settle(execution.event_id, execution.rule_slug)


def _own(execution: Execution, worker: str) -> ExecutionQuerySet:
    return _rows().held_by(worker).filter(pk=execution.pk, state=State.RUNNING)


def succeed(execution: Execution, worker: str, result: ActionResult) -> None:
    """Record that the attempt did its work. Raises ``LeaseLost``."""
    summary = clean_text(str(result.summary or ""))
    with transaction.atomic(using=router.db_for_write(Execution)):
        _end(_own(execution, worker), execution, State.SUCCEEDED, summary=summary)
        _close_attempt(execution, Attempt.Outcome.SUCCEEDED, detail=plain(safe(dict(result.detail))))


@dataclass(frozen=True, slots=True)
class Failure:
    """What an attempt failed of, and the seconds until the next one: None where there is none."""

    error: BaseException
    message: str
    detail: dict[str, Any]
    wait: float | None

    @property
    def error_type(self) -> str:
        """The error's class."""
        return type(self.error).__name__


def failure(
    execution: Execution,
    error: BaseException,
    *,
    detail: dict[str, Any] | None = None,
    schedule: Sequence[float] | None = None,
) -> Failure:
    """What an error means for the execution it happened to, by ``schedule``: that of its action if None is given."""
    waits = retry_schedule(execution) if schedule is None else schedule
    wait = retry.delay(error, execution.failures + 1, waits, jitter=conf.retry_jitter())
    message = clean_text(str(error) or type(error).__name__, ERROR_LIMIT)
    return Failure(error, message, plain(safe(detail or getattr(error, "detail", {}))), wait)


def fail(execution: Execution, worker: str, error: BaseException, *, detail: dict[str, Any] | None = None) -> None:
    """Record that the attempt failed, and when the next one is, if there is one. Raises ``LeaseLost``."""
    record(execution, worker, failure(execution, error, detail=detail))


def record(execution: Execution, worker: str, failed: Failure) -> None:
    """``fail`` for what is known of the error already. Raises ``LeaseLost``."""
    with transaction.atomic(using=router.db_for_write(Execution)):
        rows = _own(execution, worker)
        if failed.wait is None:
            state = State.REFUSED if isinstance(failed.error, Refused) else State.DISCARDED
            _end(rows, execution, state, error=failed.message, failures=F("failures") + 1)
        else:
            again = {"next_attempt_at": seconds_from_now(failed.wait), "finished_at": None}
            _end(rows, execution, State.RETRYABLE, error=failed.message, failures=F("failures") + 1, **again)
        _close_attempt(
            execution,
            Attempt.Outcome.FAILED,
            error=failed.message,
            error_type=failed.error_type,
            detail=failed.detail,
        )


def finish(execution: Execution, worker: str, outcome: ActionResult | BaseException) -> None:
    """Record what came of an attempt: a result is success, an error decides by its type. Raises ``LeaseLost``."""
    if isinstance(outcome, ActionResult):
        succeed(execution, worker, outcome)
    else:
        fail(execution, worker, outcome)


def retry_schedule(execution: Execution) -> Sequence[float]:
    """Seconds between its attempts: what its action says, or the site's schedule, also where the action cannot say."""
    action = registry.find(execution.kind)
    try:
        own = action.retry_schedule(execution.config) if action else None
        if own is None or all(map(retry.is_wait, own)):
            return conf.retry_schedule() if own is None else own
        logger.error('The action "%s" waits %s seconds between attempts, which are no waits.', execution.kind, own)
    except (DatabaseError, InterfaceError):
        raise
    except Exception:  # the execution boundary: what the action did has to be recorded all the same
        logger.exception('The action "%s" does not say when to try again.', execution.kind)
    return conf.retry_schedule()


def _close_attempt(execution: Execution, outcome: Attempt.Outcome, **columns: Any) -> None:
    attempts = Attempt.objects.using(router.db_for_write(Attempt)).open_of([execution])
    attempts.update(outcome=outcome, finished_at=Now(), **columns)


def end_unstarted(execution: Execution, worker: str, state: State, reason: str) -> None:
    """End a claimed execution without an attempt: its rule is gone, or its author may not. Raises ``LeaseLost``."""
    rows = _rows().held_by(worker).filter(pk=execution.pk)
    _end(rows, execution, state, error=reason)

"""Recording what came of many attempts at once, for senders that have hundreds in flight."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, router, transaction

from rules_engine.context.snapshot import clean_text, plain, safe
from rules_engine.errors import LeaseLost
from rules_engine.models import Attempt, Execution
from rules_engine.models.execution import State
from rules_engine.types import ActionResult
from rules_engine.work import claims
from rules_engine.work.claims import Failure

logger = logging.getLogger("rules_engine")


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt that is over: the execution, the claim it was begun under, and what came of it."""

    execution: Execution
    worker: str
    outcome: ActionResult | Exception


@dataclass(frozen=True, slots=True)
class _Ending:
    """A ``Finished`` as it is written; ``failure`` is None where it succeeded."""

    execution: Execution
    worker: str
    outcome: ActionResult | Exception
    failure: Failure | None

    @property
    def state(self) -> str:
        return (State.SUCCEEDED if self.failure is None else State.RETRYABLE).value

    @property
    def attempt_outcome(self) -> str:
        return (Attempt.Outcome.SUCCEEDED if self.failure is None else Attempt.Outcome.FAILED).value

    @property
    def summary(self) -> str:
        return clean_text(str(self.outcome.summary or "")) if isinstance(self.outcome, ActionResult) else ""

    @property
    def detail(self) -> Any:
        if isinstance(self.outcome, ActionResult):
            return plain(safe(dict(self.outcome.detail)))
        return self.failure.detail if self.failure else {}


def finish_many(finished: Sequence[Finished]) -> None:
    """Record what came of attempts: together those that succeeded or are tried again, the others by themselves.

    What another worker has taken over since is left to that one. Raises ``DatabaseError`` as the database does; what
    was recorded before is then recorded, and giving all again does no harm.
    """
    together = []
    # Asked once for each action of a rule: hundreds of deliveries to one endpoint may fail together.
    schedules: dict[Any, Sequence[float]] = {}
    for one in finished:
        failure = None
        if isinstance(one.outcome, Exception):
            key = (one.execution.rule_slug, one.execution.rule_version, one.execution.position)
            if key not in schedules:
                schedules[key] = claims.retry_schedule(one.execution)
            failure = claims.failure(one.execution, one.outcome, schedule=schedules[key])
            logger.warning("%s failed at attempt %d: %s", one.execution, one.execution.attempts, one.outcome)
        ending = _Ending(one.execution, one.worker, one.outcome, failure)
        if failure is not None and failure.wait is None:
            _write_alone(ending)
        else:
            together.append(ending)
    if not together:
        return
    using = router.db_for_write(Execution)
    with transaction.atomic(using=using):
        if connections[using].vendor == "postgresql":
            _write_together(together, using)
        else:
            for ending in together:
                _write_alone(ending)


def _write_alone(ending: _Ending) -> None:
    try:
        if ending.failure is not None:
            claims.record(ending.execution, ending.worker, ending.failure)
        elif isinstance(ending.outcome, ActionResult):
            claims.succeed(ending.execution, ending.worker, ending.outcome)
    except LeaseLost as lost:
        logger.warning("%s", lost)


def _write_together(endings: Sequence[_Ending], using: str) -> None:
    """Two statements, however many there are: while deliveries are in flight each statement waits for the interpreter,
    and failures written one by one kept the answers of other endpoints waiting for 4 ms each."""
    kept = _end_executions(endings, using)
    if len(kept) != len(endings):
        logger.warning("%d executions passed to other workers meanwhile.", len(endings) - len(kept))
    if kept:
        _close_attempts(kept, using)
    for one in kept:
        one.execution.state = State(one.state)
        one.execution.error = one.failure.message if one.failure else ""
        claims.settle_after(one.execution)


def _end_executions(endings: Sequence[_Ending], using: str) -> list[_Ending]:
    """Returns those that their claims still held."""
    table = connections[using].ops.quote_name(Execution._meta.db_table)
    sql = (
        f"UPDATE {table} AS e SET state = v.state, error = v.error, leased_by = '', lease_until = NULL, "  # noqa: S608
        "summary = CASE WHEN v.wait IS NULL THEN v.summary ELSE e.summary END, "
        "failures = e.failures + CASE WHEN v.wait IS NULL THEN 0 ELSE 1 END, "
        "finished_at = CASE WHEN v.wait IS NULL THEN STATEMENT_TIMESTAMP() END, next_attempt_at = "
        "CASE WHEN v.wait IS NULL THEN e.next_attempt_at ELSE STATEMENT_TIMESTAMP() + v.wait * INTERVAL '1 second' END "
        "FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::float8[]) "
        "AS v(id, worker, state, summary, error, wait) "
        "WHERE e.id = v.id AND e.leased_by = v.worker AND e.state = %s RETURNING e.id, v.worker"
    )
    columns: list[list[Any]] = [
        [one.execution.pk for one in endings],
        [one.worker for one in endings],
        [one.state for one in endings],
        [one.summary for one in endings],
        [one.failure.message if one.failure else "" for one in endings],
        [one.failure.wait if one.failure else None for one in endings],
    ]
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [*columns, State.RUNNING.value])
        # By the claim too: a slow delivery may be claimed again, and both of them end together.
        held = set(cursor.fetchall())
    return [one for one in endings if (one.execution.pk, one.worker) in held]


def _close_attempts(endings: Sequence[_Ending], using: str) -> None:
    table = connections[using].ops.quote_name(Attempt._meta.db_table)
    sql = (
        f"UPDATE {table} AS a SET outcome = v.outcome, finished_at = STATEMENT_TIMESTAMP(), "  # noqa: S608 - no input
        "error = v.error, error_type = v.type, detail = v.detail::jsonb "
        "FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[]) "
        "AS v(id, outcome, error, type, detail) "
        "WHERE a.execution_id = v.id AND a.finished_at IS NULL"
    )
    columns: list[list[Any]] = [
        [one.execution.pk for one in endings],
        [one.attempt_outcome for one in endings],
        [one.failure.message if one.failure else "" for one in endings],
        [one.failure.error_type if one.failure else "" for one in endings],
        [json.dumps(one.detail, cls=DjangoJSONEncoder) for one in endings],
    ]
    with connections[using].cursor() as cursor:
        cursor.execute(sql, columns)

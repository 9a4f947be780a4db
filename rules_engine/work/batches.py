"""Many executions at once, for senders that have hundreds in flight: the verbs of ``claims`` by the batch.

The same guarantees hold: claiming only leases, an attempt is on record before its effect, and what a claim lost to
another worker is not recorded by it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F

from rules_engine.errors import LeaseLost, PermanentError
from rules_engine.models import Attempt, Execution
from rules_engine.models.execution import WAITING, ExecutionQuerySet, State
from rules_engine.models.insertion import insert
from rules_engine.rules.permissions import Authors
from rules_engine.work import claims
from rules_engine.work.claims import Claim
from rules_engine.work.endings import Finished, finish_many
from rules_engine.work.run import Reads, live_rules, reads_of, refusal_of

logger = logging.getLogger("rules_engine")


def _rows() -> ExecutionQuerySet:
    return Execution.objects.using(router.db_for_write(Execution))


def screen(claim: Claim) -> list[Execution]:
    """Those of a claim that may be carried out. The others end here: their rule is gone, or its author may not."""
    authors, live, reads = Authors(), live_rules(claim.executions), reads_of(claim.executions)
    refusals: dict[Any, str | Exception | None] = {}
    passed = []
    for one in claim.executions:
        if one.rule_slug not in live:
            _end_unstarted(one, claim.worker, State.CANCELLED, f'The rule "{one.rule_slug}" was disabled or deleted.')
            continue
        # The same for each event of one kind, and worth asking once.
        key = (one.rule_slug, one.rule_version, one.position, one.author_id, one.event.model, one.event.signal)
        if key not in refusals:
            refusals[key] = _refusal(authors, one, reads)
        refusal = refusals[key]
        if refusal is None:
            one.author_sees = authors.sight(one.author_id)
            passed.append(one)
        elif isinstance(refusal, str):
            _end_unstarted(one, claim.worker, State.REFUSED, refusal)
        else:
            finish_many([Finished(each, claim.worker, refusal) for each in start_many([one], claim.worker)])
    return passed


def _refusal(authors: Authors, execution: Execution, reads: Reads) -> str | Exception | None:
    try:
        return refusal_of(execution, authors, reads)
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:  # the execution boundary: the action's or an auth backend's own code
        return error


def _end_unstarted(execution: Execution, worker: str, state: State, reason: str) -> None:
    logger.warning("%s was not begun: %s", execution, reason)
    try:
        claims.end_unstarted(execution, worker, state, reason)
    except LeaseLost as lost:
        logger.warning("%s", lost)


def start_many(executions: Sequence[Execution], worker: str) -> list[Execution]:
    """Charge an attempt of each, durably, before the effects begin. Returns those that may begin."""
    suspects = [one for one in executions if one.is_suspect]
    fresh = {one.pk: one for one in executions if not one.is_suspect}
    started = [one for one in suspects if _started(one, worker)]
    if not fresh:
        return started
    begun = _begin(list(fresh), worker)
    if len(begun) != len(fresh):
        logger.warning("%d executions passed to other workers before they were begun.", len(fresh) - len(begun))
    for pk in begun:
        fresh[pk].state, fresh[pk].attempts = State.RUNNING, fresh[pk].attempts + 1
    return [*started, *(one for pk, one in fresh.items() if pk in begun)]


def _begin(ids: Sequence[Any], worker: str) -> set[Any]:
    """Charge an attempt of each that waits and that the claim still holds; returns their ids."""
    connection = connections[router.db_for_write(Execution)]
    if connection.vendor == "postgresql":
        return _begin_together(ids, worker, connection)
    with transaction.atomic(using=connection.alias):
        held = _rows().held_by(worker).filter(pk__in=ids)
        held.filter(state__in=WAITING).update(state=State.RUNNING, attempts=F("attempts") + 1)
        numbers = dict(held.filter(state=State.RUNNING).values_list("pk", "attempts"))
        rows = [{"execution_id": pk, "number": number, "worker": worker} for pk, number in numbers.items()]
        if rows:
            insert(Attempt, rows, connection.alias)
    return set(numbers)


def _begin_together(ids: Sequence[Any], worker: str, connection: BaseDatabaseWrapper) -> set[Any]:
    """One statement: two, with the transaction around them and 50 rows at a time, took three times as long."""
    executions, attempts = (connection.ops.quote_name(model._meta.db_table) for model in (Execution, Attempt))
    sql = (
        f"WITH begun AS (UPDATE {executions} SET state = %s, attempts = attempts + 1 "  # noqa: S608 - no input
        "WHERE id = ANY(%s::uuid[]) AND leased_by = %s AND state = ANY(%s) RETURNING id, attempts) "
        f"INSERT INTO {attempts} (execution_id, number, worker, outcome, error_type, error, detail) "
        "SELECT id, attempts, %s, %s, '', '', '{}' FROM begun RETURNING execution_id"
    )
    waiting = [state.value for state in WAITING]
    values: list[Any] = [State.RUNNING.value, list(ids), worker, waiting, worker, Attempt.Outcome.STARTED.value]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return {pk for (pk,) in cursor.fetchall()}


def _started(execution: Execution, worker: str) -> bool:
    try:
        claims.start(execution, worker)
    except (LeaseLost, PermanentError) as error:
        logger.warning("%s: %s", execution, error)
        return False
    return True

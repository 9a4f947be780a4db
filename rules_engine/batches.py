"""Many executions at once, for senders that have hundreds in flight: the verbs of ``claims`` by lane and by the batch.

The same guarantees hold: claiming only leases, an attempt is on record before its effect, and what a claim lost to
another worker is not recorded by it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError, connections, router, transaction
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from rules_engine import claims, conf
from rules_engine.claims import Claim
from rules_engine.errors import LeaseLost, PermanentError
from rules_engine.events.snapshot import clean_text, plain, safe
from rules_engine.execution import as_written, live_rules
from rules_engine.models import Attempt, Execution
from rules_engine.models.execution import LIVE, WAITING, ExecutionQuerySet, State
from rules_engine.models.insertion import insert
from rules_engine.rules.permissions import Authors
from rules_engine.types import ActionResult

logger = logging.getLogger("rules_engine")


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt that is over: the execution, the claim it was begun under, and what came of it."""

    execution: Execution
    worker: str
    outcome: ActionResult | Exception


def _rows() -> ExecutionQuerySet:
    return Execution.objects.using(router.db_for_write(Execution))


def due_lanes(queue: str) -> list[str]:
    """The lanes of a queue in which something is due that no pause stops, by name.

    One probe of the index a lane, however much waits in each: a plain DISTINCT reads every waiting row, 20,000 of
    them behind two dead endpoints, ten times a second. With LIMIT 1 instead of MIN and EXISTS, PostgreSQL keeps to
    that also where a burst has made its statistics wrong: 0.2 ms, and 20 without.
    """
    connection = connections[router.db_for_write(Execution)]
    table, states = connection.ops.quote_name(Execution._meta.db_table), ", ".join(f"'{state}'" for state in LIVE)
    live = f"e.queue = %s AND NOT (e.lane = '') AND e.state IN ({states})"
    waiting = claims.unpaused(_rows().due()).filter(queue=queue, lane=RawSQL("lanes.lane", ())).exclude(lane="")
    try:
        due, params = waiting.values("pk").query.sql_with_params()
    except EmptyResultSet:  # everything is paused
        return []
    sql = (
        f"WITH RECURSIVE lanes(lane) AS ("  # noqa: S608 - no input
        f"SELECT (SELECT e.lane FROM {table} e WHERE {live} ORDER BY e.lane LIMIT 1) "
        f"UNION ALL SELECT (SELECT e.lane FROM {table} e WHERE {live} AND e.lane > lanes.lane ORDER BY e.lane LIMIT 1) "
        f"FROM lanes WHERE lanes.lane IS NOT NULL) "
        f"SELECT lane FROM lanes WHERE lane IS NOT NULL AND ({due} LIMIT 1) IS NOT NULL"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [queue, queue, *params])
        return [lane for (lane,) in cursor.fetchall()]


def claim_lanes(queue: str, lanes: Sequence[str], limit: int, *, in_order: bool = False) -> Claim:
    """Lease what is due in these lanes, oldest first, what was in flight when a process died before the rest.

    ``in_order`` leaves out what has to wait for an earlier execution with the same order key. An execution that has
    taken a process down twice is left to ``claim_crashed``.
    """
    of_lanes = _rows().filter(queue=queue, lane__in=lanes)
    rows = claims.unpaused(of_lanes)
    if in_order:
        rows = rows.filter(Q(order_key="") | Q(pk__in=of_lanes.firsts().values("pk")))
    worker, lease = claims.worker_name(), conf.lease_seconds()
    found = rows.filter(crashes=0).lease(limit, worker=worker, lease=lease, suspects=True)
    if len(found) < limit:
        found += rows.lease(limit - len(found), worker=worker, lease=lease)
    return Claim(worker, tuple(found))


def claim_crashed(queue: str, lanes: Sequence[str]) -> Claim:
    """Lease one execution that was in flight when a process died for the second time. Carry it out alone."""
    rows = claims.unpaused(_rows().filter(queue=queue, lane__in=lanes, crashes__gt=0))
    worker = claims.worker_name()
    return Claim(worker, tuple(rows.lease(1, worker=worker, lease=conf.lease_seconds(), suspects=True)))


def in_flight(queue: str, *lanes: str) -> int:
    """How many executions of these lanes workers have leased now."""
    return _rows().live().filter(queue=queue, lane__in=lanes, lease_until__gt=Now()).count()


def screen(claim: Claim) -> list[Execution]:
    """Those of a claim that may be carried out. The others end here: their rule is gone, or its author may not."""
    authors, live = Authors(), live_rules(claim.executions)
    refusals: dict[Any, str | Exception | None] = {}
    passed = []
    for one in claim.executions:
        if one.rule_slug not in live:
            _end_unstarted(one, claim.worker, State.CANCELLED, f'The rule "{one.rule_slug}" was disabled or deleted.')
            continue
        # The same for each event of one kind, and worth asking once.
        key = (one.rule_slug, one.rule_version, one.position, one.author_id, one.event.model, one.event.signal)
        if key not in refusals:
            refusals[key] = _refusal(authors, one)
        refusal = refusals[key]
        if refusal is None:
            passed.append(one)
        elif isinstance(refusal, str):
            _end_unstarted(one, claim.worker, State.REFUSED, refusal)
        else:
            finish_many([Finished(each, claim.worker, refusal) for each in start_many([one], claim.worker)])
    return passed


def _refusal(authors: Authors, execution: Execution) -> str | Exception | None:
    try:
        return authors.refusal(execution.author_id, *as_written(execution))
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
    using = router.db_for_write(Execution)
    with transaction.atomic(using=using):
        held = _rows().held_by(worker).filter(pk__in=list(fresh))
        changed = held.filter(state__in=WAITING).update(state=State.RUNNING, attempts=F("attempts") + 1)
        if changed != len(fresh):
            kept = set(held.filter(state=State.RUNNING).values_list("pk", flat=True))
            logger.warning("%d executions passed to other workers before they were begun.", len(fresh) - changed)
            fresh = {pk: one for pk, one in fresh.items() if pk in kept}
        for one in fresh.values():
            one.state, one.attempts = State.RUNNING, one.attempts + 1
        if fresh:
            rows = [{"execution_id": one.pk, "number": one.attempts, "worker": worker} for one in fresh.values()]
            insert(Attempt, rows, using)
    return [*started, *fresh.values()]


def _started(execution: Execution, worker: str) -> bool:
    try:
        claims.start(execution, worker)
    except (LeaseLost, PermanentError) as error:
        logger.warning("%s: %s", execution, error)
        return False
    return True


def finish_many(finished: Sequence[Finished]) -> None:
    """Record what came of attempts: the successes together, each failure by itself.

    What another worker has taken over since is left to that one. Raises ``DatabaseError`` as the database does; what
    was recorded before is then recorded, and giving all again does no harm.
    """
    succeeded = [one for one in finished if isinstance(one.outcome, ActionResult)]
    if succeeded:
        _succeed(succeeded)
    for one in finished:
        if isinstance(one.outcome, ActionResult):
            continue
        logger.warning("%s failed at attempt %d: %s", one.execution, one.execution.attempts, one.outcome)
        try:
            claims.fail(one.execution, one.worker, one.outcome)
        except LeaseLost as lost:
            logger.warning("%s", lost)


def _succeed(finished: Sequence[Finished]) -> None:
    using = router.db_for_write(Execution)
    with transaction.atomic(using=using):
        kept = _still_held(finished)
        for summary, ids in _by_summary(kept).items():
            _rows().filter(pk__in=ids).update(
                state=State.SUCCEEDED,
                summary=summary,
                error="",
                finished_at=Now(),
                leased_by="",
                lease_until=None,
            )
        _close_attempts({one.execution.pk: _detail(one.outcome) for one in kept}, using)
        for one in kept:
            one.execution.state = State.SUCCEEDED
            claims.settle_after(one.execution)


def _still_held(finished: Sequence[Finished]) -> list[Finished]:
    rows = _rows().filter(pk__in=[one.execution.pk for one in finished], state=State.RUNNING).select_for_update()
    holders = dict(rows.order_by("pk").values_list("pk", "leased_by"))
    kept = [one for one in finished if holders.get(one.execution.pk) == one.worker]
    if len(kept) != len(finished):
        logger.warning("%d executions passed to other workers meanwhile.", len(finished) - len(kept))
    return kept


def _by_summary(finished: Iterable[Finished]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in finished:
        summary = one.outcome.summary if isinstance(one.outcome, ActionResult) else ""
        found.setdefault(clean_text(str(summary or "")), []).append(one.execution.pk)
    return found


def _detail(outcome: ActionResult | Exception) -> Any:
    return plain(safe(dict(outcome.detail))) if isinstance(outcome, ActionResult) else {}


def _close_attempts(details: Mapping[Any, Any], using: str) -> None:
    connection = connections[using]
    if connection.vendor != "postgresql":
        for pk, detail in details.items():
            open_ones = Attempt.objects.using(using).filter(execution=pk, finished_at__isnull=True)
            open_ones.update(outcome=Attempt.Outcome.SUCCEEDED, finished_at=Now(), detail=detail)
        return
    # One statement for all: with one for each, a third of a sender's time went into this.
    sql = (
        f"UPDATE {connection.ops.quote_name(Attempt._meta.db_table)} AS a "  # noqa: S608 - no input
        "SET outcome = %s, finished_at = STATEMENT_TIMESTAMP(), detail = v.detail::jsonb "
        "FROM unnest(%s::uuid[], %s::text[]) AS v(id, detail) WHERE a.execution_id = v.id AND a.finished_at IS NULL"
    )
    texts = [json.dumps(detail, cls=DjangoJSONEncoder) for detail in details.values()]
    with connection.cursor() as cursor:
        cursor.execute(sql, [Attempt.Outcome.SUCCEEDED.value, list(details), texts])

"""The only creator of executions: writes an event and what is to be done about it, in the caller's own transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from django.db import transaction
from django.db.transaction import TransactionManagementError

from rules_engine import conf, hints, models, types
from rules_engine.events import snapshot
from rules_engine.events.confined import confined
from rules_engine.models.execution import State
from rules_engine.models.insertion import insert
from rules_engine.rules.matching import CompiledAction, CompiledRule

logger = logging.getLogger("rules_engine")

#: A row's values by column name.
Row = dict[str, Any]
#: Evaluations kept of the rules that did not match; those that matched or failed are always kept.
MISSES_KEPT = 200


class Ended(Protocol):
    """What an action did that acted in the process of the save; ``error`` is empty where it worked."""

    @property
    def rule(self) -> CompiledRule:
        """Whose action it was."""

    @property
    def action(self) -> CompiledAction:
        """The action."""

    @property
    def summary(self) -> str:
        """What it did, in a line."""

    @property
    def error(self) -> str:
        """Why it did not."""


def record(
    event: types.Event,
    evaluations: Sequence[types.Evaluation],
    matched: Sequence[CompiledRule],
    using: str,
    ended: Sequence[Ended] = (),
) -> int:
    """Write the event, its executions and its evaluation errors, and announce the work once it is committed.

    All in a savepoint, or in a transaction of our own where the caller has none: what fails here is undone here, and
    the ``DatabaseError`` goes to the receiver, which keeps it from the caller. ``ended`` are actions that acted before
    the save; they are written as they ended. Returns the number of executions that wait for a worker.
    """
    over = _over_limit(event, matched, using)
    if over:
        logger.error("Event %s: %s", event.id, over)
        evaluations = [*evaluations, *(_cut(rule, over) for rule in matched)]
        matched = ()
    executions = [
        _execution(event, rule, action)
        for rule in matched
        for action in rule.actions
        if not rule.shadow and action.timing == "after_commit"
    ]
    failed = [evaluation for evaluation in evaluations if evaluation.outcome == "error"]
    with transaction.atomic(using=using):
        insert(models.Event, [_row(event, evaluations)], using)
        if executions:
            insert(models.Execution, executions, using)
        if ended:
            insert(models.Execution, [_ended(event, one) for one in ended], using)
        if failed:
            insert(models.RuleError, [_error(event, one) for one in failed], using)
    _announce({execution["queue"] for execution in executions}, using)
    return len(executions)


def _row(event: types.Event, evaluations: Sequence[types.Evaluation]) -> Row:
    decimals: list[str] = []
    context = snapshot.plain(event.context, found=decimals)
    actor: Mapping[str, Any] = event.context.get("actor") or {}
    request: Mapping[str, Any] = event.context.get("request") or {}
    return {
        "id": event.id,
        "signal": event.signal,
        "operation": event.operation or "",
        "model": event.model,
        "object_pk": "" if event.pk is None else str(event.pk)[:255],
        "occurred_at": event.occurred_at,
        "root_id": event.root_id,
        "depth": event.depth,
        "actor_id": str(actor.get("id", ""))[:64],
        "actor_name": snapshot.clean_text(str(actor.get("username", "")), 250),
        "request_id": request.get("id", ""),
        "context": context,
        "decimals": decimals,
        "evaluations": [snapshot.safe(evaluation.as_json()) for evaluation in _kept(evaluations)],
    }


def _kept(evaluations: Sequence[types.Evaluation]) -> Iterable[types.Evaluation]:
    misses = 0
    for evaluation in evaluations:
        misses += evaluation.outcome == "not_matched"
        if evaluation.outcome != "not_matched" or misses <= MISSES_KEPT:
            yield evaluation


def _execution(event: types.Event, rule: CompiledRule, action: CompiledAction) -> Row:
    return {
        "id": types.new_id(),
        "state": State.PENDING.value,
        "event_id": event.id,
        "rule_slug": rule.slug,
        "rule_version": rule.version,
        "kind": action.kind,
        "config": action.config,
        "position": action.position,
        "author_id": "" if rule.author_id is None else str(rule.author_id),
        "queue": action.queue,
        "lane": action.lane,
        # What belongs to one object can be kept in order by a sender that wants to.
        "order_key": action.order_key or f"{event.model}:{event.pk}"[:255],
    }


def _ended(event: types.Event, one: Ended) -> Row:
    return {
        **_execution(event, one.rule, one.action),
        "state": (State.DISCARDED if one.error else State.SUCCEEDED).value,
        "attempts": 1,
        "summary": snapshot.clean_text(one.summary),
        "error": snapshot.clean_text(one.error),
        "finished_at": event.occurred_at,
    }


def _error(event: types.Event, evaluation: types.Evaluation) -> Row:
    return {
        "rule_slug": evaluation.rule_slug,
        "rule_version": evaluation.rule_version,
        "event_id": event.id,
        "gate": evaluation.gate or "",
        "message": snapshot.clean_text(evaluation.detail),
    }


def _over_limit(event: types.Event, matched: Sequence[CompiledRule], using: str) -> str:
    """Why a cascade must stop here, or an empty string. Events from outside are never limited."""
    if event.depth == 0 or not matched:
        return ""
    if event.depth > conf.max_depth():
        return f"Rules set off rules {event.depth} levels deep; RULES_ENGINE['MAX_DEPTH'] is {conf.max_depth()}."
    chain = models.Execution.objects.using(using).filter(event__root_id=event.root_id)
    with confined(using):
        count = chain.count()
    if count >= conf.root_budget():
        return f"One event led to {conf.root_budget()} executions, all that RULES_ENGINE['ROOT_BUDGET'] allows."
    return ""


def _cut(rule: CompiledRule, why: str) -> types.Evaluation:
    return types.Evaluation(rule.slug, rule.version, "error", None, why)


def _announce(queues: set[str], using: str) -> None:
    for queue in queues:
        try:
            # A new function for each queue, and robust: another's failing callback must not silence ours.
            transaction.on_commit(lambda queue=queue: hints.notify(queue), using=using, robust=True)  # type: ignore[misc]
        except TransactionManagementError:
            # The caller manages its transaction by hand (set_autocommit(False)); the sweep finds the work.
            logger.debug("No hint for queue %s: the transaction is managed by hand.", queue)

"""The only creator of executions: writes an event and what is to be done about it, in the caller's own transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone
from django.utils.translation import gettext

from rules_engine import conf, models, types
from rules_engine.context import actor, snapshot
from rules_engine.errors import TemplateError
from rules_engine.models.execution import NOT_AFTER_THAT, State, seconds_from_now
from rules_engine.models.insertion import insert
from rules_engine.models.transactions import transaction_id
from rules_engine.outbox import hints
from rules_engine.rules.holding import Hold
from rules_engine.rules.matching import CompiledAction, CompiledRule

logger = logging.getLogger("rules_engine")

#: A row's values by column name.
Row = dict[str, Any]
#: Evaluations kept of the rules that did not match; those that matched or failed are always kept.
MISSES_KEPT = 200


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of an action in the process of the save: the state its execution ends in, and a line about it."""

    rule: CompiledRule
    action: CompiledAction
    state: State
    text: str = ""
    id: UUID = field(default_factory=types.new_id)


#: The rows of actions that are carried out for each of some, by rule and position; a text says why there are none.
Rows = Mapping[tuple[str, int], Sequence[Any] | str]


def record(
    event: types.Event,
    evaluations: Sequence[types.Evaluation],
    matched: Sequence[CompiledRule],
    using: str,
    ended: Sequence[Ended] = (),
    rows: Rows | None = None,
) -> int:
    """Write the event, its executions and its evaluation errors, and announce the work once it is committed.

    All in a savepoint, or in a transaction of our own where the caller has none: what fails here is undone here, and
    the ``DatabaseError`` goes to the receiver, which keeps it from the caller. A match of a rule that holds back, or
    that acts for each of some rows, is written as one held match instead. ``ended`` are actions that acted in the
    process; they are written as they ended. Returns the number of rows that wait for a worker.
    """
    stopped = stops(ended)
    ended = [*ended, *_cut_off(matched, stopped)]
    executions: list[Row] = []
    held: list[Row] = []
    for rule in matched:
        found = [_execution(event, rule, action) for action in _later_actions(rule, stopped)]
        if found and _is_decided_later(rule):
            try:
                held.append(_held(event, rule, found, rows or {}, using))
            except TemplateError as error:
                message = gettext("It cannot be said what it is held back by: %s") % error
                evaluations = [*evaluations, cut(rule, message)]
        else:
            executions += found
    failed = [one for one in evaluations if one.outcome == "error" and not one.is_known]
    with transaction.atomic(using=using):
        count = len(executions) + len(ended) + sum(_count(one) for one in held)
        insert(models.Event, [_row(event, evaluations, count)], using)
        _insert_executions(executions, using)
        if held:
            _insert_held(held, using)
        if ended:
            insert(models.Execution, [_ended(event, one) for one in ended], using)
        if failed:
            insert(models.RuleError, [_error(event, one) for one in failed], using)
    _announce({execution["queue"] for execution in executions} | ({conf.queue()} if held else set()), using)
    return len(executions) + len(held)


def release(matches: Iterable[tuple[models.HeldMatch, Mapping[str, int]]], using: str) -> int:
    """Write the executions of held matches, in the caller's transaction. With each comes what they read as ``held``:
    how many it stands for besides itself. Returns their number, and announces them once they are committed."""
    waiting: dict[tuple[str, ...], list[Row]] = {}
    ended: dict[tuple[str, ...], list[Row]] = {}
    for match, held in matches:
        for one in _executions_of(match, held):
            # One statement takes rows of the same columns; what is held since an older version may have others.
            (ended if "error" in one else waiting).setdefault(tuple(one), []).append(one)
    for rows in waiting.values():
        _insert_executions(rows, using)
    for rows in ended.values():
        insert(models.Execution, rows, using)
    written = [one for rows in waiting.values() for one in rows]
    _announce({one["queue"] for one in written}, using)
    return len(written)


def _executions_of(match: models.HeldMatch, held: Mapping[str, int]) -> list[Row]:
    executions = []
    for action in match.actions:
        each = action.get("rows")
        if isinstance(each, str):
            executions.append({**_released(match, action, None, held), **_ended_as(State.DISCARDED, each)})
        else:
            executions += [_released(match, action, row, held) for row in ([None] if each is None else each)]
    failed = [one["position"] for one in executions if "error" in one and one["on_failure"] == "stop"]
    if failed:
        executions = [
            {**one, **_ended_as(State.CANCELLED, NOT_AFTER_THAT)} if one["position"] > min(failed) else one
            for one in executions
        ]
    return executions


def _released(match: models.HeldMatch, action: Row, row: Any, held: Mapping[str, int]) -> Row:
    columns = {name: value for name, value in action.items() if name not in ("rows", "for_each")}
    return {
        **columns,
        "id": types.new_id(),
        "event_id": match.event_id,
        "rule_slug": match.rule_slug,
        "rule_version": match.rule_version,
        "author_id": match.author_id,
        "given": match.given(row, held, action.get("for_each")),
    }


def _ended_as(state: State, why: str) -> Row:
    return {"state": state.value, "error": snapshot.clean_text(why), "finished_at": timezone.now()}


def stops(ended: Sequence[Ended]) -> dict[str, int]:
    """Where the rules of these actions stop, by slug: after the first that did not succeed and says so."""
    found: dict[str, int] = {}
    for one in ended:
        if one.state != State.SUCCEEDED and one.action.on_failure == "stop":
            found[one.rule.slug] = min(one.action.position, found.get(one.rule.slug, one.action.position))
    return found


def cut_off(rule: CompiledRule, action: CompiledAction) -> Ended:
    """The record of an action that is not carried out after one that failed."""
    return Ended(rule, action, State.CANCELLED, NOT_AFTER_THAT)


def _cut_off(matched: Sequence[CompiledRule], stopped: Mapping[str, int]) -> list[Ended]:
    rules = [rule for rule in matched if rule.slug in stopped]
    return [cut_off(rule, one) for rule in rules for one in _later(rule) if one.position > stopped[rule.slug]]


def _later(rule: CompiledRule) -> list[CompiledAction]:
    """The actions of a rule that workers carry out."""
    return [] if rule.shadow else [action for action in rule.actions if action.timing == "after_commit"]


def _later_actions(rule: CompiledRule, stopped: Mapping[str, int]) -> list[CompiledAction]:
    """Those of them that are to be: one that failed at once may have stopped those after it."""
    last = stopped.get(rule.slug)
    return _later(rule) if last is None else [action for action in _later(rule) if action.position < last]


def _is_decided_later(rule: CompiledRule) -> bool:
    return rule.hold is not None or any(action.each is not None for action in rule.actions)


def _insert_executions(executions: Sequence[Row], using: str) -> None:
    if not executions:
        return
    insert(models.Execution, executions, using)
    written = models.Execution.objects.using(using)
    # By the database's clock, so one statement more where there is a delay; there rarely is.
    delays = {one["delay"] for one in executions if one["delay"]}
    for seconds in delays:
        ids = [one["id"] for one in executions if one["delay"] == seconds]
        written.filter(pk__in=ids).update(next_attempt_at=seconds_from_now(seconds))
    if waiting := _waiting(executions):
        written.filter(pk__in=waiting).update(next_attempt_at=None)


def _waiting(executions: Sequence[Row]) -> list[Any]:
    """Those that come after an action which stops its rule when it fails: they wait for it."""
    first_stop: dict[tuple[Any, str], int] = {}
    for one in executions:
        if one["on_failure"] == "stop":
            key = one["event_id"], one["rule_slug"]
            first_stop[key] = min(one["position"], first_stop.get(key, one["position"]))
    if not first_stop:
        return []
    nowhere = max(one["position"] for one in executions)
    return [
        one["id"]
        for one in executions
        if one["position"] > first_stop.get((one["event_id"], one["rule_slug"]), nowhere)
    ]


def _held(event: types.Event, rule: CompiledRule, executions: Sequence[Row], rows: Rows, using: str) -> Row:
    hold = rule.hold or Hold()
    kept = ("kind", "config", "position", "state", "queue", "lane", "order_key", "delay", "on_failure")
    actions = []
    for one in executions:
        action = {name: one[name] for name in kept}
        if (found := rows.get((rule.slug, one["position"]))) is not None:
            action["rows"] = found if isinstance(found, str) else [_stored_row(row) for row in found]
            action["for_each"] = _for_each(rule, one["position"])
        actions.append(action)
    return {
        "id": types.new_id(),
        "event_id": event.id,
        "rule_slug": rule.slug,
        "rule_version": rule.version,
        "author_id": "" if rule.author_id is None else str(rule.author_id),
        "terms": hold.terms(),
        "actions": actions,
        **hold.keys(rule.model, event, partial(transaction_id, using)),
    }


def _for_each(rule: CompiledRule, position: int) -> Any:
    each = next(action.each for action in rule.actions if action.position == position)
    return each.written if each else None


def _stored_row(row: Any) -> dict[str, Any]:
    """A row as JSON, with the places of its exact decimals."""
    decimals: list[str] = []
    return {"row": snapshot.plain(row, found=decimals), "decimals": decimals}


def _insert_held(held: Sequence[Row], using: str) -> None:
    insert(models.HeldMatch, held, using)
    for one in held:
        if seconds := one["terms"]["coalesce"]:
            rows = models.HeldMatch.objects.using(using).filter(pk=one["id"])
            rows.update(due_at=seconds_from_now(seconds))


def _count(held: Row) -> int:
    """The executions that a held match may come to."""
    rows = [action.get("rows") for action in held["actions"]]
    return sum(len(one) if isinstance(one, list) else 1 for one in rows)


def _row(event: types.Event, evaluations: Sequence[types.Evaluation], executions: int) -> Row:
    cause = actor.origin().cause
    decimals: list[str] = []
    context = snapshot.plain(event.context, found=decimals)
    who: Mapping[str, Any] = event.context.get("actor") or {}
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
        "cause_id": cause.execution_id if cause else None,
        "execution_count": executions,
        "actor_id": str(who.get("id", ""))[:64],
        "actor_name": snapshot.clean_text(str(who.get("username", "")), 250),
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
        "order_key": action.order_key or _order_key(event),
        "delay": action.delay,
        "on_failure": action.on_failure,
    }


def _order_key(event: types.Event) -> str:
    """What belongs to one object can be kept in order by a sender that wants to; what concerns none has no order."""
    return "" if event.pk is None else f"{event.model}:{event.pk}"[:255]


def _ended(event: types.Event, one: Ended) -> Row:
    return {
        **_execution(event, one.rule, one.action),
        "id": one.id,
        "state": one.state.value,
        "attempts": int(one.state != State.CANCELLED),
        "summary": snapshot.clean_text(one.text if one.state == State.SUCCEEDED else ""),
        "error": snapshot.clean_text("" if one.state == State.SUCCEEDED else one.text),
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


def cut(rule: CompiledRule, why: str) -> types.Evaluation:
    """The error of a rule that matched and whose actions are not carried out."""
    return types.Evaluation(rule.slug, rule.version, "error", None, why)


def _announce(queues: set[str], using: str) -> None:
    for queue in queues:
        try:
            # A new function for each queue, and robust: another's failing callback must not silence ours.
            transaction.on_commit(lambda queue=queue: hints.notify(queue), using=using, robust=True)  # type: ignore[misc]
        except TransactionManagementError:
            # The caller manages its transaction by hand (set_autocommit(False)); the sweep finds the work.
            logger.debug("No hint for queue %s: the transaction is managed by hand.", queue)

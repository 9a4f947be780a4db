"""The rows of what is recorded and to be done, one dataclass a table, and how each is made. No database in here.

What a dataclass leaves out, the column's default fills in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext

from rules_engine import models, types
from rules_engine.context import snapshot
from rules_engine.errors import TemplateError
from rules_engine.models.execution import NOT_AFTER_THAT, State
from rules_engine.outbox.ended import Ended, cut_off_later, later_actions, stops
from rules_engine.rules.holding import Hold
from rules_engine.rules.matching import CompiledAction, CompiledRule

#: Evaluations kept of the rules that did not match; those that matched or failed are always kept.
MISSES_KEPT = 200

#: The rows of actions that are carried out for each of some, by rule and position; a text says why there are none.
EachRows = Mapping[tuple[str, int], Sequence[Any] | str]


@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of ``models.Event``."""

    id: UUID
    signal: str
    operation: str
    model: str
    object_pk: str
    occurred_at: datetime
    root_id: UUID
    depth: int
    cause_id: UUID | None
    execution_count: int
    actor_id: str
    actor_name: str
    request_id: str
    context: Mapping[str, Any]
    decimals: Sequence[str]
    evaluations: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """A row of ``models.Execution``: one that waits for a worker, or one that has ended already."""

    id: UUID
    event_id: UUID
    rule_slug: str
    rule_version: int
    author_id: str
    kind: str
    config: Mapping[str, Any]
    position: int
    queue: str
    lane: str = ""
    order_key: str = ""
    delay: int = 0
    on_failure: types.OnFailure = "go_on"
    given: Mapping[str, Any] | None = None
    state: str = State.PENDING.value
    attempts: int = 0
    summary: str = ""
    error: str = ""
    finished_at: datetime | None = None


#: What a held match keeps of each execution that it may become. Stored, so rows of an older release may have fewer.
HELD_COLUMNS = ("kind", "config", "position", "state", "queue", "lane", "order_key", "delay", "on_failure")


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row of ``models.HeldMatch``; ``actions`` are its executions as far as ``HELD_COLUMNS``, and their rows."""

    id: UUID
    event_id: UUID
    rule_slug: str
    rule_version: int
    author_id: str
    terms: Mapping[str, Any]
    actions: Sequence[Mapping[str, Any]]
    throttle_key: str
    coalesce_key: str
    once_key: str

    @property
    def executions(self) -> int:
        """How many executions it may come to."""
        rows = [action.get("rows") for action in self.actions]
        return sum(len(each) if isinstance(each, list) else 1 for each in rows)


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A row of ``models.RuleError``."""

    rule_slug: str
    rule_version: int
    event_id: UUID
    gate: str
    message: str


Row = EventRow | ExecutionRow | HeldRow | ErrorRow


@dataclass(frozen=True, slots=True)
class Batch:
    """All rows of one event. They are written together or not at all."""

    event: EventRow
    #: What waits for a worker.
    executions: Sequence[ExecutionRow]
    #: What has ended in the process of the save.
    ended: Sequence[ExecutionRow]
    held: Sequence[HeldRow]
    errors: Sequence[ErrorRow]


def batch(
    event: types.Event,
    matched: Sequence[CompiledRule],
    *,
    evaluations: Sequence[types.Evaluation],
    ended: Sequence[Ended],
    each_rows: EachRows,
    transaction: str,
) -> Batch:
    """Make all rows of an event: what these rules want done, what has ended already, and what went wrong.

    ``transaction`` names the one it is written in, for rules that take together what happens in one.
    """
    stopped: Mapping[str, int] = {}
    if ended:
        stopped = stops(ended)
        ended = [*ended, *cut_off_later(matched, stopped)]
    executions: list[ExecutionRow] = []
    held: list[HeldRow] = []
    for rule in matched:
        actions = later_actions(rule, stopped)
        if not actions or not is_decided_later(rule):
            executions += [_execution_row(event, rule, action) for action in actions]
            continue
        try:
            held.append(_held_row(event, rule, actions, each_rows, transaction))
        except TemplateError as error:
            message = gettext("It cannot be said what it is held back by: %s") % error
            evaluations = [*evaluations, cut(rule, message)]
    count = len(executions) + len(ended) + sum(row.executions for row in held)
    return Batch(
        _event_row(event, evaluations, count),
        executions,
        ended=[_ended_row(event, end) for end in ended],
        held=held,
        errors=[
            _error_row(event, failed) for failed in evaluations if failed.outcome == "error" and not failed.is_known
        ],
    )


def is_decided_later(rule: CompiledRule) -> bool:
    """Say whether a worker decides how often the rule's actions are carried out, and whether at all."""
    return rule.hold is not None or any(action.each is not None for action in rule.actions)


def cut(rule: CompiledRule, reason: str) -> types.Evaluation:
    """Return the error of a rule that matched and whose actions are not carried out."""
    return types.Evaluation(rule.slug, rule.version, "error", None, reason)


def _event_row(event: types.Event, evaluations: Iterable[types.Evaluation], executions: int) -> EventRow:
    decimals: list[str] = []
    context = snapshot.plain(event.context, found=decimals)
    actor: Mapping[str, Any] = event.context.get("actor") or {}
    request: Mapping[str, Any] = event.context.get("request") or {}
    return EventRow(
        id=event.id,
        signal=event.signal,
        operation=event.operation or "",
        model=event.model,
        object_pk="" if event.pk is None else str(event.pk)[:255],
        occurred_at=event.occurred_at,
        root_id=event.root_id,
        depth=event.depth,
        cause_id=event.cause_id,
        execution_count=executions,
        actor_id=str(actor.get("id", ""))[:64],
        actor_name=snapshot.clean_text(str(actor.get("username", "")), 250),
        request_id=request.get("id", ""),
        context=context,
        decimals=decimals,
        evaluations=[_stored_evaluation(evaluation) for evaluation in _kept(evaluations)],
    )


def _kept(evaluations: Iterable[types.Evaluation]) -> Iterable[types.Evaluation]:
    misses = 0
    for evaluation in evaluations:
        misses += evaluation.outcome == "not_matched"
        if evaluation.outcome != "not_matched" or misses <= MISSES_KEPT:
            yield evaluation


def _stored_evaluation(evaluation: types.Evaluation) -> dict[str, Any]:
    return {
        "rule": evaluation.rule_slug,
        "version": evaluation.rule_version,
        "outcome": evaluation.outcome,
        "gate": evaluation.gate,
        "detail": snapshot.clean_text(evaluation.detail) if evaluation.detail else "",
    }


def _execution_row(event: types.Event, rule: CompiledRule, action: CompiledAction) -> ExecutionRow:
    return ExecutionRow(
        id=types.new_id(),
        event_id=event.id,
        rule_slug=rule.slug,
        rule_version=rule.version,
        author_id=_author_of(rule),
        kind=action.kind,
        config=action.config,
        position=action.position,
        queue=action.queue,
        lane=action.lane,
        order_key=action.order_key or _order_key(event),
        delay=action.delay,
        on_failure=action.on_failure,
    )


def _author_of(rule: CompiledRule) -> str:
    return "" if rule.author_id is None else str(rule.author_id)


def _order_key(event: types.Event) -> str:
    """Return the object as a text, by which a sender may keep order; what concerns no object has none."""
    return "" if event.pk is None else f"{event.model}:{event.pk}"[:255]


def _ended_row(event: types.Event, ended: Ended) -> ExecutionRow:
    succeeded = ended.state == State.SUCCEEDED
    text = snapshot.clean_text(ended.text)
    return replace(
        _execution_row(event, ended.rule, ended.action),
        id=ended.id,
        state=ended.state.value,
        attempts=0 if ended.state == State.CANCELLED else 1,
        summary=text if succeeded else "",
        error="" if succeeded else text,
        finished_at=event.occurred_at,
    )


def _error_row(event: types.Event, evaluation: types.Evaluation) -> ErrorRow:
    return ErrorRow(
        rule_slug=evaluation.rule_slug,
        rule_version=evaluation.rule_version,
        event_id=event.id,
        gate=evaluation.gate or "",
        message=snapshot.clean_text(evaluation.detail),
    )


def _held_row(
    event: types.Event, rule: CompiledRule, actions: Sequence[CompiledAction], rows: EachRows, transaction: str
) -> HeldRow:
    """Make the row of a match that a worker decides on. Raises ``TemplateError`` where its keys cannot be told."""
    hold = rule.hold or Hold()
    return HeldRow(
        id=types.new_id(),
        event_id=event.id,
        rule_slug=rule.slug,
        rule_version=rule.version,
        author_id=_author_of(rule),
        terms=hold.terms(),
        actions=[_held_action(event, rule, action, rows.get((rule.slug, action.position))) for action in actions],
        **hold.keys(rule.model, event, transaction),
    )


def _held_action(
    event: types.Event, rule: CompiledRule, action: CompiledAction, rows: Sequence[Any] | str | None
) -> dict[str, Any]:
    execution = _execution_row(event, rule, action)
    held = {name: getattr(execution, name) for name in HELD_COLUMNS}
    if rows is None:
        return held
    stored = rows if isinstance(rows, str) else [_stored_row(row) for row in rows]
    return {**held, "rows": stored, "for_each": action.each.written if action.each else None}


def _stored_row(row: Any) -> dict[str, Any]:
    """Return a row as JSON, with the places of its exact decimals."""
    decimals: list[str] = []
    return {"row": snapshot.plain(row, found=decimals), "decimals": decimals}


def released_rows(match: models.HeldMatch, held: Mapping[str, int], now: datetime) -> list[ExecutionRow]:
    """Make the executions of a held match that acts. ``held`` is what they read as that: for how many it stands."""
    executions: list[ExecutionRow] = []
    for action in match.actions:
        rows = action.get("rows")
        if isinstance(rows, str):
            executions.append(_without_effect(_released(match, action, None, held), State.DISCARDED, rows, now))
        else:
            executions += [_released(match, action, row, held) for row in ([None] if rows is None else rows)]
    failed = [row.position for row in executions if row.finished_at is not None and row.on_failure == "stop"]
    if not failed:
        return executions
    return [
        _without_effect(row, State.CANCELLED, NOT_AFTER_THAT, now) if row.position > min(failed) else row
        for row in executions
    ]


def _released(match: models.HeldMatch, action: Mapping[str, Any], row: Any, held: Mapping[str, int]) -> ExecutionRow:
    kept = {name: value for name, value in action.items() if name in _EXECUTION_COLUMNS}
    return ExecutionRow(
        **kept,
        id=types.new_id(),
        event_id=match.event_id,
        rule_slug=match.rule_slug,
        rule_version=match.rule_version,
        author_id=match.author_id,
        given=match.given(row, held, action.get("for_each")),
    )


_EXECUTION_COLUMNS = frozenset(column.name for column in fields(ExecutionRow))


def _without_effect(row: ExecutionRow, state: State, reason: str, now: datetime) -> ExecutionRow:
    return replace(row, state=state.value, error=snapshot.clean_text(reason), finished_at=now)

"""The rows of what is recorded and to be done, one dataclass a table, and how each is made. No database in here.

What a dataclass leaves out, the column's default fills in. Nobody alters a row; those that each match makes are not
frozen all the same, for that takes Python three times as long to make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from rules_engine import conf, types
from rules_engine.context import snapshot
from rules_engine.context.kept.short_form import Columns, Kept, shorten
from rules_engine.models.execution import State
from rules_engine.outbox.outcomes import ActionOutcome
from rules_engine.rules.matching import CompiledAction, CompiledRule

#: Evaluations kept of the rules that did not match; those that matched or failed are always kept.
MISSES_KEPT = 200


@dataclass(frozen=True, slots=True)
class RowsLater:
    """Rows that are too many to be read while a save waits: a worker reads those of these keys."""

    #: The label of their model.
    model: str
    keys: Sequence[Any]
    #: Where they stand in the context, and what is read of them, each a list of names.
    source: Sequence[str]
    reads: Sequence[Sequence[str]]
    #: What else the ``for_each`` reads of the context, as stored, with the places of its decimals.
    rest: Mapping[str, Any]
    decimals: Sequence[str]

    def __len__(self) -> int:
        return len(self.keys)


#: The rows of actions that are carried out for each of some, by rule and position; a text says why there are none.
EachRows = Mapping[tuple[str, int], Sequence[Any] | RowsLater | str]


@dataclass(slots=True)
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
    rule_set: int | None = None
    surroundings: str = ""
    trace: str | None = None


@dataclass(slots=True)
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
        return sum(_length(each) for each in rows)


def _length(rows: Any) -> int:
    if isinstance(rows, Mapping):
        return len(rows["keys"])
    return len(rows) if isinstance(rows, list) else 1


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A row of ``models.RuleError``."""

    rule_slug: str
    rule_version: int
    event_id: UUID
    gate: str
    message: str


Row = EventRow | ExecutionRow | HeldRow | ErrorRow


def event_row(
    event: types.Event, evaluations: Iterable[types.Evaluation], executions: int, rule_set: int | None = None
) -> EventRow:
    """Make the row of an event that leads to so many executions, as the rule set of that number has it."""
    decimals: list[str] = []
    cut: list[str] = []
    context = snapshot.plain(event.context, found=decimals, cut=cut)
    if cut:
        context["event"] = {**context.get("event", {}), "cut": cut}
    actor: Mapping[str, Any] | None = event.context.get("actor")
    request: Mapping[str, Any] | None = event.context.get("request")
    columns = Columns(
        id=event.id,
        signal=event.signal,
        operation=event.operation or "",
        model=event.model,
        occurred_at=event.occurred_at,
        root_id=event.root_id,
        depth=event.depth,
        actor_name=snapshot.clean_text(str(actor.get("username", "")), 250) if actor else "",
        request_id=request.get("id", "") if request else "",
        surroundings=event.surroundings,
    )
    kept = Kept(context, decimals)
    if not conf.keep_events_whole():
        kept = shorten(kept, columns)
    return EventRow(
        id=columns.id,
        signal=columns.signal,
        operation=columns.operation,
        model=columns.model,
        occurred_at=columns.occurred_at,
        root_id=columns.root_id,
        depth=columns.depth,
        actor_name=columns.actor_name,
        request_id=columns.request_id,
        context=kept.context,
        decimals=kept.decimals,
        object_pk="" if event.pk is None else str(event.pk)[:255],
        cause_id=event.cause_id,
        execution_count=executions,
        actor_id=str(actor.get("id", ""))[:64] if actor else "",
        evaluations=_stored_evaluations(tuple(evaluations)),
        rule_set=rule_set,
        surroundings=columns.surroundings,
    )


@lru_cache(maxsize=256)
def _stored_evaluations(evaluations: tuple[types.Evaluation, ...]) -> Sequence[Mapping[str, Any]]:
    """Return them as rows have them, of the misses as many as are kept. Most events say what another said before."""
    misses, stored = 0, []
    for evaluation in evaluations:
        misses += evaluation.outcome == "not_matched"
        if evaluation.outcome != "not_matched" or misses <= MISSES_KEPT:
            stored.append(_stored_evaluation(evaluation))
    return stored


def _stored_evaluation(evaluation: types.Evaluation) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "rule": evaluation.rule_slug,
        "version": evaluation.rule_version,
        "outcome": evaluation.outcome,
    }
    if evaluation.gate:
        stored["gate"] = evaluation.gate
    if evaluation.detail:
        stored["detail"] = snapshot.clean_text(evaluation.detail)
    return stored


def execution_rows(
    keys: Iterable[UUID], event: types.Event, rule: CompiledRule, actions: Iterable[CompiledAction]
) -> list[ExecutionRow]:
    """Make the rows of a rule's actions that wait for a worker, each under one of these keys."""
    author, order_key = author_of(rule), _order_key(event)
    rows: list[ExecutionRow] = []
    for key, action in zip(keys, actions, strict=True):
        row = ExecutionRow(
            id=key,
            event_id=event.id,
            rule_slug=rule.slug,
            rule_version=rule.version,
            author_id=author,
            kind=action.kind,
            config=action.config,
            position=action.position,
            queue=action.queue,
            lane=action.lane,
            order_key=action.order_key or order_key,
            delay=action.delay,
            on_failure=action.on_failure,
            given=action.later,
        )
        rows.append(row)
    return rows


def author_of(rule: CompiledRule) -> str:
    """Return the key of the rule's author as rows have it; empty for the operator's rules."""
    return "" if rule.author_id is None else str(rule.author_id)


def _order_key(event: types.Event) -> str:
    """Return the object as a text, by which a sender may keep order; what concerns no object has none."""
    if event.pk is None:
        return ""
    key = f"{event.model}:{event.pk}"
    return (f"{event.surroundings} {key}" if event.surroundings else key)[:255]


def ended_row(event: types.Event, ended: ActionOutcome) -> ExecutionRow:
    """Make the row of an action that has acted in the process of the save."""
    succeeded = ended.state == State.SUCCEEDED
    text = snapshot.clean_text(ended.text)
    [row] = execution_rows([ended.id], event, ended.rule, [ended.action])
    return replace(
        row,
        state=ended.state.value,
        attempts=0 if ended.state == State.CANCELLED else 1,
        summary=text if succeeded else "",
        error="" if succeeded else text,
        finished_at=event.occurred_at,
    )


def error_row(event: types.Event, evaluation: types.Evaluation) -> ErrorRow:
    """Make the row of a rule that could not be evaluated."""
    return ErrorRow(
        rule_slug=evaluation.rule_slug,
        rule_version=evaluation.rule_version,
        event_id=event.id,
        gate=evaluation.gate or "",
        message=snapshot.clean_text(evaluation.detail),
    )

"""Held matches: a match that waits for a worker's decision, and the executions that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from rules_engine import models, types
from rules_engine.context import snapshot
from rules_engine.models.execution import NOT_AFTER_THAT, State
from rules_engine.outbox.rows import HELD_COLUMNS, EachRows, ExecutionRow, HeldRow, author_of, execution_row
from rules_engine.rules.holding import Hold
from rules_engine.rules.matching import CompiledAction, CompiledRule


def held_row(
    event: types.Event, rule: CompiledRule, actions: Sequence[CompiledAction], rows: EachRows, transaction: str
) -> HeldRow:
    """Make the row of a match that a worker decides on. Raises ``TemplateError`` where its keys cannot be told."""
    hold = rule.hold or Hold()
    return HeldRow(
        id=types.new_id(),
        event_id=event.id,
        rule_slug=rule.slug,
        rule_version=rule.version,
        author_id=author_of(rule),
        terms=hold.terms(),
        actions=[_held_action(event, rule, action, rows.get((rule.slug, action.position))) for action in actions],
        **hold.keys(rule.model, event, transaction),
    )


def _held_action(
    event: types.Event, rule: CompiledRule, action: CompiledAction, rows: Sequence[Any] | str | None
) -> dict[str, Any]:
    execution = execution_row(event, rule, action)
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

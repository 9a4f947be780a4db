"""Held matches: a match that waits for a worker's decision, and the executions that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from django.db import router
from django.utils.translation import gettext

from rules_engine import models, types
from rules_engine.context import snapshot
from rules_engine.context.paths import find_model
from rules_engine.context.stored_form import key_of
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.errors import ConditionError, said_by
from rules_engine.models.execution import NOT_AFTER_THAT, State
from rules_engine.outbox.rows import HELD_COLUMNS, EachRows, ExecutionRow, HeldRow, RowsLater, author_of, execution_rows
from rules_engine.rules.holding import Hold
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.rules.repetition import compile_each, with_rows
from rules_engine.surroundings.state import within
from rules_engine.types import ask

#: Rows that a worker reads by one statement.
PART = 500


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
    event: types.Event, rule: CompiledRule, action: CompiledAction, rows: Sequence[Any] | RowsLater | str | None
) -> dict[str, Any]:
    [execution] = execution_rows(types.new_ids(1), event, rule, [action])
    held = {name: getattr(execution, name) for name in HELD_COLUMNS}
    if execution.given is not None:
        held["later"] = execution.given
    if rows is None:
        return held
    if isinstance(rows, RowsLater):
        stored: Any = {name: getattr(rows, name) for name in RowsLater.__slots__}
    else:
        stored = rows if isinstance(rows, str) else [stored_row(row) for row in rows]
    return {**held, "rows": stored, "for_each": action.each.written if action.each else None}


def stored_row(row: Any) -> dict[str, Any]:
    """Return a row as JSON, with the places of its exact decimals."""
    decimals: list[str] = []
    return {"row": snapshot.plain(row, found=decimals), "decimals": decimals}


def released_rows(match: models.HeldMatch, held: Mapping[str, int], now: datetime) -> list[ExecutionRow]:
    """Make the executions of a held match that acts. ``held`` is what they read as that: for how many it stands."""
    executions: list[ExecutionRow] = []
    for action in match.actions:
        rows = action.get("rows")
        if isinstance(rows, Mapping):
            rows = _read_later(rows, action.get("for_each"), match.event.surroundings)
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


def _read_later(stored: Mapping[str, Any], for_each: Any, surroundings: str) -> list[dict[str, Any]] | str:
    """Read the rows that a save left to the worker, as they are now, where the save was; or say why they cannot be
    told."""
    told = ask(_read_within, surroundings, stored, for_each)
    if isinstance(told, types.Unread):
        return gettext("for_each could not be worked out: %s") % said_by(told.error)
    return [stored_row(row) for row in told]


def _read_within(surroundings: str, stored: Mapping[str, Any], for_each: Any) -> list[Any]:
    with within(surroundings):
        return _rows_of_keys(stored, for_each)


def _rows_of_keys(stored: Mapping[str, Any], for_each: Any) -> list[Any]:
    model, source = find_model(stored["model"]), tuple(stored["source"])
    if model is None:
        raise ConditionError(gettext("There is no model %s any more.") % stored["model"])
    tree = snapshot.tree_of(frozenset(tuple(path) for path in stored["reads"]))
    by_key: dict[str, Any] = {}
    using = router.db_for_write(models.HeldMatch)
    keys = [key_of(model, key) for key in stored["keys"]]
    for start in range(0, len(keys), PART):
        rows: Any = UncachedQuerySet(model, using=using)
        with confined(using), snapshot.up_to(PART):
            told = snapshot.rows_of(rows.filter(pk__in=keys[start : start + PART]), tree)
        by_key.update((str(row["pk"]), row) for row in told)
    in_order = [by_key[str(key)] for key in stored["keys"] if str(key) in by_key]
    rest = snapshot.restore(stored["rest"], stored["decimals"])
    return compile_each(for_each, ()).rows(with_rows(rest, source, in_order))


def _released(match: models.HeldMatch, action: Mapping[str, Any], row: Any, held: Mapping[str, int]) -> ExecutionRow:
    kept = {name: value for name, value in action.items() if name in _EXECUTION_COLUMNS}
    return ExecutionRow(
        **kept,
        id=types.new_id(),
        event_id=match.event_id,
        rule_slug=match.rule_slug,
        rule_version=match.rule_version,
        author_id=match.author_id,
        given={**(action.get("later") or {}), **match.given(row, held, action.get("for_each"))},
    )


_EXECUTION_COLUMNS = frozenset(column.name for column in fields(ExecutionRow))


def _without_effect(row: ExecutionRow, state: State, reason: str, now: datetime) -> ExecutionRow:
    return replace(row, state=state.value, error=snapshot.clean_text(reason), finished_at=now)

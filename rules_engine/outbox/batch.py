"""All rows of one event: which of its rules' actions wait for a worker, which are held, which have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext

from rules_engine import types
from rules_engine.errors import said_by
from rules_engine.outbox.held import held_row
from rules_engine.outbox.outcomes import ActionOutcome, cut_off, stops
from rules_engine.outbox.rows import (
    EachRows,
    ErrorRow,
    EventRow,
    ExecutionRow,
    HeldRow,
    ended_row,
    error_row,
    event_row,
    execution_rows,
)
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.troubles import failures
from rules_engine.types import Unread, ask, new_ids


@dataclass(slots=True)
class Batch:
    """All rows of one event. They are written together or not at all, and altered by nobody, as rows are not."""

    event: EventRow
    #: What waits for a worker.
    executions: Sequence[ExecutionRow]
    #: What has ended in the process of the save.
    ended: Sequence[ExecutionRow]
    held: Sequence[HeldRow]
    errors: Sequence[ErrorRow]


def make_batch(
    event: types.Event,
    matched: Sequence[CompiledRule],
    *,
    evaluations: Sequence[types.Evaluation],
    ended: Sequence[ActionOutcome],
    each_rows: EachRows,
    transaction: str,
    rule_set: int | None = None,
) -> Batch:
    """Make all rows of an event: what these rules want done, what has ended already, and what went wrong.

    ``transaction`` names the one it is written in, for rules that take together what happens in one.
    """
    stopped: Mapping[str, int] = {}
    if ended:
        stopped = stops(ended)
        ended = [*ended, *_cut_off_later(matched, stopped)]
    executions: list[ExecutionRow] = []
    held: list[HeldRow] = []
    for rule in matched:
        actions = _left_of(rule, stopped) if stopped else rule.later_actions
        if not actions:
            continue
        if rule.hold is None and not rule.has_each:
            executions += execution_rows(new_ids(len(actions)), event, rule, actions)
            continue
        # A key is rendered over a site's data.
        row = ask(held_row, event, rule, actions, each_rows, transaction)
        if isinstance(row, Unread):
            message = gettext("It cannot be said what it is held back by: %s") % said_by(row.error)
            evaluations = [*evaluations, cut(rule, message)]
            if not rule.is_paused:
                failures.note(rule.slug, rule.version, message, is_after_all=True)
        else:
            held.append(row)
    count = len(executions) + len(ended)
    if held:
        count += sum(row.executions for row in held)
    errors: list[ErrorRow] = []
    for said in evaluations:
        if said.outcome == "error" and not said.is_known:
            errors.append(error_row(event, said))
    return Batch(
        event_row(event, evaluations, count, rule_set),
        executions,
        ended=[ended_row(event, end) for end in ended] if ended else (),
        held=held,
        errors=errors,
    )


def cut(rule: CompiledRule, reason: str) -> types.Evaluation:
    """Return the error of a rule that matched and whose actions are not carried out."""
    return types.Evaluation(rule.slug, rule.version, "error", None, reason)


def _left_of(rule: CompiledRule, stopped: Mapping[str, int]) -> Sequence[CompiledAction]:
    """Return the actions that workers are to carry out: one that failed at once may have stopped those after it."""
    last = stopped.get(rule.slug)
    return [action for action in rule.later_actions if last is None or action.position < last]


def _cut_off_later(rules: Sequence[CompiledRule], stopped: Mapping[str, int]) -> list[ActionOutcome]:
    """Return the records of those that workers would have carried out, and are not to."""
    return [
        cut_off(rule, action)
        for rule in rules
        if rule.slug in stopped
        for action in rule.later_actions
        if action.position > stopped[rule.slug]
    ]

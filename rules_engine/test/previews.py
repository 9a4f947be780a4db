"""Each action of a rule as it would be, with nothing sent, saved or queued."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from rules_engine.errors import ConditionError, RulesEngineError
from rules_engine.rules import registry
from rules_engine.rules.contract import Action, Preview
from rules_engine.rules.matching import CompiledAction
from rules_engine.rules.permissions import lacking, needed_by_action
from rules_engine.rules.repetition import Each
from rules_engine.rules.schedules import kinds as schedules
from rules_engine.rules.schedules.listed import EVENTS
from rules_engine.types import ActionContext, ActionSpec, Event, RuleSpec, Unread, ask, new_id

logger = logging.getLogger("rules_engine")

#: Of an action for each of many rows, so many are shown.
ROWS_SHOWN = 3
#: A rule that is tested may never have been stored.
NO_VERSION = 0
HELD = {"count": 0, "together": 0, "throttled": 0}


@dataclass(frozen=True, slots=True)
class Planned:
    """An action, and what it would do: once, or for the first rows of ``count``. ``trouble`` is why it would not.

    ``contexts`` are what the previews were made with.
    """

    action: ActionSpec
    label: str
    previews: Sequence[Preview] = ()
    count: int | None = None
    trouble: str = ""
    contexts: Sequence[ActionContext] = ()


def as_if_alone(spec: RuleSpec, event: Event) -> Event:
    """Return the event with what actions read of other matches that they act for, as if there were none."""
    if not schedules.holds_several(spec):
        return event
    others: dict[str, Any] = {"held": HELD}
    if not schedules.root_problem(spec, EVENTS):
        others = {"held": {**HELD, "more": 0}, EVENTS: [event.context]}
    return event._replace(context={**event.context, **others})


class Planner:
    """Makes the previews of one rule on one event, for one user: who lacks what an action takes is not shown it."""

    def __init__(self, spec: RuleSpec, event: Event, user: Any, instance: Any = None) -> None:
        self.spec, self.user, self.instance = spec, user, instance
        self.event = as_if_alone(spec, event)

    def plan(self, rows_of: Mapping[int, Sequence[Any] | str]) -> list[Planned]:
        """Return each of the rule's actions that is switched on. ``rows_of`` has the rows of a ``for_each`` by
        position."""
        enabled = [action for action in self.spec.actions if action.enabled]
        written = sorted(enabled, key=lambda action: action.position)
        return [self._planned(action, rows_of.get(action.position)) for action in written]

    def _planned(self, action: ActionSpec, rows: Sequence[Any] | str | None) -> Planned:
        known = registry.find(action.kind)
        if known is None:
            return Planned(action, action.kind, trouble=registry.unknown(action.kind))
        label = str(known.label)
        if missing := lacking(self.user, needed_by_action(action, self.spec)):
            text = gettext("It is not shown to you: you lack the permission %s.") % ", ".join(missing)
            return Planned(action, label, trouble=text)
        if isinstance(rows, str):
            return Planned(action, label, trouble=rows)
        shown = [None] if rows is None else list(rows[:ROWS_SHOWN])
        count = None if rows is None else len(rows)
        contexts = [self._context(row, rows is not None) for row in shown]
        previews = ask(_previews, known, contexts, action.config)
        if not isinstance(previews, Unread):
            return Planned(action, label, previews, count, contexts=contexts)
        if not isinstance(previews.error, RulesEngineError):
            logger.error("%s could not be previewed.", action.kind, exc_info=previews.error)
        return Planned(action, label, count=count, trouble=previews.message)

    def _context(self, row: Any, is_row: bool) -> ActionContext:
        event = self.event._replace(context={**self.event.context, "each": row}) if is_row else self.event
        author = self.spec.author_id
        return ActionContext(new_id(), 1, event, self.spec.slug, NO_VERSION, author, self.instance)


def _previews(kind: Action, contexts: Sequence[ActionContext], config: Mapping[str, Any]) -> list[Preview]:
    return [kind.preview(context, config) for context in contexts]


def rows_of(actions: Sequence[CompiledAction], data: Any) -> Iterator[tuple[int, Sequence[Any] | str]]:
    """Yield the rows of each action that is carried out for each of some, by position, or why they cannot be told.

    ``data`` gives the context for an ``Each``.
    """
    for action in actions:
        if action.each is not None:
            yield action.position, _rows(action.each, data)


def _rows(each: Each, data: Any) -> Sequence[Any] | str:
    try:
        return each.rows(data(each))
    except ConditionError as error:
        return gettext("What it is to be done for cannot be worked out: %s") % error

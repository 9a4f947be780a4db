"""Work that no rule asked for: an execution of an action, ordered by code or by a button in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import router
from django.utils import timezone

from rules_engine import models, types
from rules_engine.context import actor
from rules_engine.outbox import writing
from rules_engine.rules import registry
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.surroundings.state import here


def order(kind: str, config: Mapping[str, Any], *, signal: str, context: Mapping[str, Any]) -> UUID:
    """Order an action to be carried out after the commit, with retries and on record like any other.

    Returns the event's id. ``signal`` names what it is about, such as ``"webhooks.test"``; ``context`` is what the
    action's texts may read, JSON-safe. It has no rule and no author: the caller answers for it. Raises ``LookupError``
    for a kind that does not exist.
    """
    action = registry.find(kind)
    if action is None:
        raise LookupError(registry.unknown(kind))
    event_id, route, cause = types.new_id(), action.route(config), actor.origin().cause
    event = types.Event(
        id=event_id,
        signal=signal,
        operation=None,
        model="",
        pk=None,
        occurred_at=timezone.now(),
        root_id=event_id,
        depth=0,
        context=context,
        cause_id=None if cause is None else cause.execution_id,
        surroundings=here(),
    )
    ordered = CompiledAction(0, kind, config, "after_commit", route.queue, route.lane, route.order_key)
    rule = CompiledRule(slug="", version=0, model="", signals=frozenset({signal}), actions=(ordered,))
    writing.record(event, [rule], router.db_for_write(models.Event))
    return event_id

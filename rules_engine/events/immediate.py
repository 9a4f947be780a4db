"""Actions that act in the process of the save, before it: on the object itself, or not at all.

What fails here is recorded and the save goes on. Nothing here queries, but for the permissions of a rule's author,
which are looked up at most every ``TRUST_SECONDS``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models

from rules_engine.actions import registry
from rules_engine.errors import PermanentError
from rules_engine.events.confined import confined
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.rules.permissions import Authors
from rules_engine.types import ActionContext, ActionResult, ActionSpec, Event, RuleSpec, new_id

logger = logging.getLogger("rules_engine")

#: How long an author's permissions are trusted in this process.
TRUST_SECONDS = 30.0

ContextFor = Callable[[CompiledRule], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an action that acted at once."""

    rule: CompiledRule
    action: CompiledAction
    summary: str = ""
    error: str = ""


class _TrustedAuthors:
    def __init__(self) -> None:
        self.authors, self.since = Authors(), -TRUST_SECONDS

    def refusal(self, author_id: str, action: ActionSpec, rule: RuleSpec) -> str | None:
        if not author_id:
            return None
        if time.monotonic() - self.since > TRUST_SECONDS:
            self.authors, self.since = Authors(), time.monotonic()
        with confined(DEFAULT_DB_ALIAS):
            return self.authors.refusal(author_id, action, rule)


_trusted = _TrustedAuthors()


def act_before_save(
    instance: models.Model,
    event: Event,
    matched: Sequence[CompiledRule],
    written: frozenset[str] | None,
    context_for: ContextFor,
) -> list[Done]:
    """Run the ``before_save`` actions of the rules that matched, in order.

    Each rule's values are worked out from the object as the rules before it left it. Fields that the save does not
    write (``update_fields``) keep their values: what is not stored must not look as if it were.
    """
    before = dict(instance.__dict__)
    done = list(_act(instance, event, matched, context_for))
    for field in instance._meta.concrete_fields if written is not None else ():
        if written is not None and field.name not in written and field.attname in before:
            instance.__dict__[field.attname] = before[field.attname]
    return done


def _act(
    instance: models.Model, event: Event, matched: Sequence[CompiledRule], context_for: ContextFor
) -> Iterator[Done]:
    for rule in matched:
        for action in rule.actions:
            if action.timing == "before_save" and not rule.shadow:
                yield _act_one(instance, event, rule, action, context_for)


def _act_one(
    instance: models.Model, event: Event, rule: CompiledRule, action: CompiledAction, context_for: ContextFor
) -> Done:
    try:
        result = _run(instance, event, rule, action, context_for)
    except Exception as error:  # the execution boundary: a rule never breaks a save
        logger.exception("%s of the rule %s failed; the save goes on.", action.kind, rule.slug)
        return Done(rule, action, error=str(error) or type(error).__name__)
    return Done(rule, action, summary=result.summary)


def _run(
    instance: models.Model, event: Event, rule: CompiledRule, action: CompiledAction, context_for: ContextFor
) -> ActionResult:
    known = registry.find(action.kind)
    if known is None:
        raise PermanentError(registry.unknown(action.kind))
    author_id = "" if rule.author_id is None else str(rule.author_id)
    written = ActionSpec(action.kind, action.config, action.position)
    refusal = _trusted.refusal(author_id, written, RuleSpec(slug=rule.slug, model=event.model, signals=(event.signal,)))
    if refusal is not None:
        raise PermanentError(refusal)
    seen = replace(event, context=context_for(rule))
    context = ActionContext(new_id(), 1, seen, rule.slug, rule.version, rule.author_id, instance)
    return known.run(context, action.config) or ActionResult()

"""Actions that act in the process of the change: before a save, against it, or in the same transaction.

What fails here is recorded and the change goes on, but for two things that a rule asks for: ``reject``, and an action
in the transaction whose failure is to undo the change. Before a save nothing queries, but for the permissions of a
rule's author, which are looked up at most every ``TRUST_SECONDS``, and what an action needs to find a free value.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, models, transaction
from django.utils.translation import gettext

from rules_engine.context.actor import Cause, caused_by
from rules_engine.context.savepoints import confined
from rules_engine.context.visible import visible
from rules_engine.errors import ChangeUndone, PermanentError, Refused, Rejected
from rules_engine.models.execution import State
from rules_engine.outbox.writing import Ended, Rows, cut_off, stops
from rules_engine.rules import registry, running
from rules_engine.rules.contract import Action
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.rules.permissions import Authors
from rules_engine.types import ActionContext, ActionResult, ActionSpec, Event, Path, RuleSpec, new_id

logger = logging.getLogger("rules_engine")

#: How long an author's permissions are trusted in this process.
TRUST_SECONDS = 30.0

ContextFor = Callable[[CompiledRule], Mapping[str, Any]]


class _TrustedAuthors:
    def __init__(self) -> None:
        self.authors, self.since = Authors(), -TRUST_SECONDS

    def refusal(self, author_id: str, action: ActionSpec, rule: RuleSpec, reads: Collection[Path]) -> str | None:
        if not author_id:
            return None
        if time.monotonic() - self.since > TRUST_SECONDS:
            self.authors, self.since = Authors(), time.monotonic()
        with confined(DEFAULT_DB_ALIAS):
            return self.authors.refusal(author_id, action, rule, reads)

    def sees(self, author_id: str, event: Event, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of an event's data what the author may view; the event holds what other rules read as well."""
        sight = self.authors.sight(author_id)
        if sight is None:
            return data
        with confined(DEFAULT_DB_ALIAS):
            return visible(data, event.model, sight)[0]


_trusted = _TrustedAuthors()


def veto(
    instance: models.Model, event: Event, matched: Sequence[CompiledRule], context_for: ContextFor
) -> tuple[list[Ended], Rejected | None]:
    """What the first rule that does not allow the change says, None where all allow it; and what is to be recorded.

    A veto that itself fails is no veto.
    """
    done: list[Ended] = []
    for rule in matched:
        for action in _acting(rule, "before_save"):
            if rule.is_paused or not is_veto(action):
                continue
            execution_id = new_id()
            try:
                _run(execution_id, instance, event, rule, action, context_for(rule))
            except Rejected as rejected:
                rejected.rule_slug = rule.slug
                text = f"Rejected: {rejected.text}"
                return [*done, Ended(rule, action, State.SUCCEEDED, text, execution_id)], rejected
            except Exception as error:  # the execution boundary: a rule that fails does not stand in the way
                done.append(_failed(rule, action, error, execution_id))
    return done, None


def is_veto(action: CompiledAction) -> bool:
    """Whether the action exists to stop a change."""
    known = registry.find(action.kind)
    return known is not None and known.vetoes


def act_before_save(
    instance: models.Model,
    event: Event,
    matched: Sequence[CompiledRule],
    written: frozenset[str] | None,
    context_for: ContextFor,
    stopped: Mapping[str, int],
) -> list[Ended]:
    """Run the ``before_save`` actions of the rules that matched, in order; vetoes have had their say by then.

    ``stopped`` is where a veto that failed has stopped its rule. Each rule's values are worked out from the object as
    the rules before it left it. Fields that the save does not
    write (``update_fields``) keep their values: what is not stored must not look as if it were.
    """
    before = dict(instance.__dict__)
    done = list(_act(instance, event, matched, written, context_for, stopped))
    for one in instance._meta.concrete_fields if written is not None else ():
        if written is not None and one.name not in written and one.attname in before:
            instance.__dict__[one.attname] = before[one.attname]
    return done


def _act(
    instance: models.Model,
    event: Event,
    matched: Sequence[CompiledRule],
    written: frozenset[str] | None,
    context_for: ContextFor,
    stopped: Mapping[str, int],
) -> Iterator[Ended]:
    for rule in matched:
        last = stopped.get(rule.slug)
        for action in _acting(rule, "before_save"):
            if rule.is_paused:
                yield Ended(rule, action, State.CANCELLED, "The rule is paused, and this cannot be done afterwards.")
            elif is_veto(action):
                continue
            elif last is not None and action.position > last:
                yield cut_off(rule, action)
            else:
                one = _act_one(instance, event, rule, action, written, context_for)
                yield one
                last = stops([one]).get(rule.slug, last)


def _acting(rule: CompiledRule, timing: str) -> Iterator[CompiledAction]:
    return (action for action in rule.actions if action.timing == timing and not rule.shadow)


def _act_one(
    instance: models.Model,
    event: Event,
    rule: CompiledRule,
    action: CompiledAction,
    written: frozenset[str] | None,
    context_for: ContextFor,
) -> Ended:
    execution_id = new_id()
    try:
        result = _run(execution_id, instance, event, rule, action, context_for(rule), written)
    except Exception as error:  # the execution boundary: a rule never breaks a save
        return _failed(rule, action, error, execution_id)
    return Ended(rule, action, State.SUCCEEDED, result.summary, execution_id)


def _failed(rule: CompiledRule, action: CompiledAction, error: Exception, execution_id: UUID) -> Ended:
    logger.exception("%s of the rule %s failed; the change goes on.", action.kind, rule.slug)
    state = State.REFUSED if isinstance(error, Refused) else State.DISCARDED
    return Ended(rule, action, state, str(error) or type(error).__name__, execution_id)


def act_in_transaction(
    event: Event, matched: Sequence[CompiledRule], rows: Rows, using: str, stopped: Mapping[str, int]
) -> list[Ended]:
    """Run the ``in_transaction`` actions of the rules that matched, each in a savepoint of its own.

    ``stopped`` is where an action before the save has stopped its rule. Raises ``ChangeUndone`` for one that fails
    and whose rule asks that nothing be done without it.
    """
    found = []
    for rule in matched:
        for action in _acting(rule, "in_transaction"):
            if rule.is_paused:
                text = "The rule is paused, and this cannot be done afterwards."
                found.append(Ended(rule, action, State.CANCELLED, text))
            elif action.position > stopped.get(rule.slug, action.position):
                found.append(cut_off(rule, action))
            else:
                found += _in_savepoints(event, rule, action, rows.get((rule.slug, action.position)), using)
    return found


def _in_savepoints(
    event: Event, rule: CompiledRule, action: CompiledAction, rows: Sequence[Any] | str | None, using: str
) -> Iterator[Ended]:
    if isinstance(rows, str):
        yield _undo_or_tell(rule, action, PermanentError(rows), new_id())
        return
    for row in [None] if rows is None else rows:
        context = event.context if rows is None else {**event.context, "each": row}
        execution_id = new_id()
        try:
            with transaction.atomic(using=using), caused_by(_cause(event, rule, execution_id)):
                result = _run(execution_id, None, event, rule, action, context)
        except Exception as error:  # the execution boundary
            yield _undo_or_tell(rule, action, error, execution_id)
        else:
            yield Ended(rule, action, State.SUCCEEDED, result.summary, execution_id)


def _undo_or_tell(rule: CompiledRule, action: CompiledAction, error: Exception, execution_id: UUID) -> Ended:
    if action.on_failure == "stop":
        message = gettext(
            '"%(kind)s" of the rule "%(rule)s" failed, and the rule says that nothing is to be done without it: '
            "%(error)s"
        )
        raise ChangeUndone(message % {"kind": action.kind, "rule": rule.slug, "error": error}) from error
    return _failed(rule, action, error, execution_id)


def _cause(event: Event, rule: CompiledRule, execution_id: UUID) -> Cause:
    author_id = None if rule.author_id is None else str(rule.author_id)
    return Cause(event.root_id, event.depth, rule.slug, author_id, execution_id)


def _run(
    execution_id: UUID,
    instance: models.Model | None,
    event: Event,
    rule: CompiledRule,
    action: CompiledAction,
    data: Mapping[str, Any],
    written: frozenset[str] | None = None,
) -> ActionResult:
    known = _permitted(event, rule, action)
    seen = replace(event, context=_trusted.sees(_author_of(rule), event, data))
    context = ActionContext(execution_id, 1, seen, rule.slug, rule.version, rule.author_id, instance, written)
    return running.run(known, context, action.config)


def _author_of(rule: CompiledRule) -> str:
    return "" if rule.author_id is None else str(rule.author_id)


def _permitted(event: Event, rule: CompiledRule, action: CompiledAction) -> Action:
    """The action, if it exists here and the rule's author may do that. Raises ``PermanentError`` or ``Refused``."""
    known = registry.find(action.kind)
    if known is None:
        raise PermanentError(registry.unknown(action.kind))
    for_each = action.each.written if action.each else None
    written = ActionSpec(action.kind, action.config, action.position, for_each=for_each)
    of_rule = running.rule_as_written(rule.slug, model=event.model, signal=event.signal, context=event.context)
    if (refusal := _trusted.refusal(_author_of(rule), written, of_rule, rule.reads)) is not None:
        raise Refused(refusal)
    return known

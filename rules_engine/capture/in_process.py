"""Actions that act in the process of the change: before a save, against it, or in the same transaction.

What fails here is recorded and the change goes on, but for two things that a rule asks for: ``reject``, and an action
in the transaction whose failure is to undo the change. Before a save nothing queries, but for the permissions of a
rule's author, of which one statement says whether they are still those, and what an action needs to find a free value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.utils.translation import gettext, gettext_lazy

from rules_engine.context.actor import Cause, caused_by
from rules_engine.context.exceptions import text_of
from rules_engine.context.subject import Subject
from rules_engine.databases.savepoints import undid_all
from rules_engine.errors import ChangeUndone, PermanentError, Refused, Rejected, Unreadable, not_read
from rules_engine.live.authors import trusted
from rules_engine.logs import outcomes
from rules_engine.models.execution import State
from rules_engine.outbox.outcomes import ActionOutcome, cut_off, stops
from rules_engine.outbox.rows import EachRows, RowsLater
from rules_engine.rules import registry, running
from rules_engine.rules.contract import Action
from rules_engine.rules.matching import CompiledAction, CompiledRule
from rules_engine.tracing import spans
from rules_engine.troubles import failures
from rules_engine.types import ActionContext, ActionResult, ActionSpec, Event, Path, Timing, Unread, ask, new_id

TOO_LATE = gettext_lazy(
    "A bulk write changes rows without their objects, so nothing can be done to an object before. Save the objects one "
    "by one where this is to act."
)
PAUSED = "The rule is paused, and this cannot be done afterwards."


def ask_vetoes(
    subject: Subject, event: Event, rules: Sequence[CompiledRule]
) -> tuple[list[ActionOutcome], Rejected | None]:
    """Return what the first rule that does not allow the change says, None where all allow it; and what is recorded.

    A veto that itself fails is no veto: it does not stand in the way. One whose message cannot be read for is: it says
    less.
    """
    ended: list[ActionOutcome] = []
    for rule in rules:
        for action in _acting(rule, "before_save"):
            if rule.is_paused or not is_veto(action):
                continue
            execution_id = new_id()
            answer = _run(execution_id, event, rule, action, subject=subject)
            if isinstance(answer, Unreadable):
                # The condition held; only the words are missing.
                answer = Rejected(gettext("This is not allowed."))
            if isinstance(answer, Rejected):
                answer.rule_slug = rule.slug
                failures.note_success(rule.slug, rule.version, part="actions")
                text = f"Rejected: {answer.text}"
                return [*ended, ActionOutcome(rule, action, State.SUCCEEDED, text, execution_id)], answer
            if isinstance(answer, Exception):
                ended.append(_failed(rule, action, answer, execution_id))
    return ended, None


def is_veto(action: CompiledAction) -> bool:
    """Say whether the action exists to stop a change."""
    known = registry.find(action.kind)
    return known is not None and known.vetoes


def act_before_save(
    subject: Subject, event: Event, rules: Sequence[CompiledRule], stopped: Mapping[str, int]
) -> list[ActionOutcome]:
    """Run the ``before_save`` actions of the rules that matched, in order; vetoes have had their say by then.

    ``stopped`` is where a veto that failed has stopped its rule. Each rule's values are worked out from the object as
    the rules before it left it. Fields that the save does not write (``update_fields``) keep their values: what is not
    stored must not look as if it were.
    """
    instance = subject.instance
    if instance is None:
        return []
    earlier = dict(instance.__dict__)
    ended = [action for rule in rules for action in _act_on_instance(subject, event, rule, stopped.get(rule.slug))]
    if subject.written is not None:
        _restore(instance, earlier, subject.written)
    return ended


def _restore(instance: models.Model, earlier: Mapping[str, Any], written: Collection[str]) -> None:
    for field in instance._meta.concrete_fields:
        if field.name not in written and field.attname in earlier:
            instance.__dict__[field.attname] = earlier[field.attname]


def _act_on_instance(subject: Subject, event: Event, rule: CompiledRule, last: int | None) -> Iterator[ActionOutcome]:
    """Run the rule's actions up to the position at which it is stopped already; None is nowhere."""
    for action in _acting(rule, "before_save"):
        if rule.is_paused:
            yield ActionOutcome(rule, action, State.CANCELLED, PAUSED)
        elif is_veto(action):
            continue
        elif last is not None and action.position > last:
            yield cut_off(rule, action)
        else:
            execution_id = new_id()
            if subject.is_copy:
                answer: ActionResult | Exception = PermanentError(str(TOO_LATE))
            else:
                answer = _run(execution_id, event, rule, action, subject=subject)
            ended = _ended(rule, action, answer, execution_id)
            yield ended
            last = stops([ended]).get(rule.slug, last)


def act_in_transaction(
    event: Event, rules: Sequence[CompiledRule], rows: EachRows, *, stopped: Mapping[str, int], using: str
) -> list[ActionOutcome]:
    """Run the ``in_transaction`` actions of the rules that matched, each in a savepoint of its own.

    ``stopped`` is where an action before the save has stopped its rule. Raises ``ChangeUndone`` for one that fails
    and whose rule asks that nothing be done without it.
    """
    ended: list[ActionOutcome] = []
    for rule in rules:
        for action in _acting(rule, "in_transaction"):
            if rule.is_paused:
                ended.append(ActionOutcome(rule, action, State.CANCELLED, PAUSED))
            elif action.position > stopped.get(rule.slug, action.position):
                ended.append(cut_off(rule, action))
            else:
                ended += _in_savepoints(event, rule, action, rows.get((rule.slug, action.position)), using)
    return ended


def _in_savepoints(
    event: Event, rule: CompiledRule, action: CompiledAction, rows: Sequence[Any] | RowsLater | str | None, using: str
) -> Iterator[ActionOutcome]:
    if isinstance(rows, RowsLater):  # not in a transaction: ``decision`` says so by a text
        return
    if isinstance(rows, str):
        yield _ended_or_undone(rule, action, PermanentError(rows), new_id())
        return
    for row in [None] if rows is None else rows:
        about = event if rows is None else event._replace(context={**event.context, "each": row})
        execution_id = new_id()
        with caused_by(_cause(event, rule, execution_id)):
            answer = _run(execution_id, about, rule, action, savepoint_in=using)
        yield _ended_or_undone(rule, action, answer, execution_id)


def _cause(event: Event, rule: CompiledRule, execution_id: UUID) -> Cause:
    author_id = None if rule.author_id is None else str(rule.author_id)
    return Cause(event.root_id, event.depth, rule.slug, author_id, execution_id)


def _acting(rule: CompiledRule, timing: Timing) -> Iterator[CompiledAction]:
    return (action for action in rule.actions if action.timing == timing and not rule.shadow)


def _ended_or_undone(
    rule: CompiledRule, action: CompiledAction, answer: ActionResult | Exception, execution_id: UUID
) -> ActionOutcome:
    """Return how the action ended. Raises ``ChangeUndone`` where it failed and its rule wants nothing without it."""
    if action.on_failure != "stop" or not isinstance(answer, Exception):
        return _ended(rule, action, answer, execution_id)
    message = gettext(
        '"%(kind)s" of the rule "%(rule)s" failed, and the rule says that nothing is to be done without it: %(error)s'
    )
    raise ChangeUndone(message % {"kind": action.kind, "rule": rule.slug, "error": text_of(answer)}) from answer


def _ended(
    rule: CompiledRule, action: CompiledAction, answer: ActionResult | Exception, execution_id: UUID
) -> ActionOutcome:
    if isinstance(answer, Exception):
        return _failed(rule, action, answer, execution_id)
    failures.note_success(rule.slug, rule.version, part="actions")
    return ActionOutcome(rule, action, State.SUCCEEDED, answer.summary, execution_id)


def _failed(rule: CompiledRule, action: CompiledAction, error: Exception, execution_id: UUID) -> ActionOutcome:
    outcomes.failed_at_once(execution_id, rule.slug, action.kind, error)
    state = State.REFUSED if isinstance(error, Refused) else State.DISCARDED
    failures.note(rule.slug, rule.version, text_of(error), part="actions")
    return ActionOutcome(rule, action, state, text_of(error), execution_id)


def _run(
    execution_id: UUID,
    event: Event,
    rule: CompiledRule,
    action: CompiledAction,
    *,
    subject: Subject | None = None,
    savepoint_in: str = "",
) -> ActionResult | Exception:
    """Run the action and return what came of it, its error among that.

    Before a save it reads the ``subject`` as it is by now, and may change its instance; without one it reads the event.
    What it writes is undone where it fails in a savepoint. Raises an error at which the database undid all that the
    caller has done.
    """
    span = spans.begin_action(event.id, execution_id, rule.slug, action.kind)
    with spans.current(span):
        result = ask(_carry_out, execution_id, event, rule, action, subject=subject, savepoint_in=savepoint_in)
    answer = result.error if isinstance(result, Unread) else result
    if savepoint_in and isinstance(answer, Exception) and undid_all(answer, savepoint_in, within=1):
        raise answer
    # A veto that says no has done what it is there for.
    error = answer if isinstance(answer, Exception) and not isinstance(answer, Rejected) else None
    spans.end(span, error)
    return answer


def _carry_out(
    execution_id: UUID,
    event: Event,
    rule: CompiledRule,
    action: CompiledAction,
    *,
    subject: Subject | None,
    savepoint_in: str,
) -> ActionResult:
    with transaction.atomic(using=savepoint_in) if savepoint_in else nullcontext():
        known = _permitted(event, rule, action)
        data = event.context if subject is None else subject.read(_reads(rule, action), whole=True)
        if isinstance(data, Unread):
            raise Unreadable(not_read(data.error)) from data.error
        context = ActionContext(
            execution_id,
            attempt=1,
            event=event._replace(context=trusted.sees(_author_of(rule), event, data, rule.surroundings)),
            rule_slug=rule.slug,
            rule_version=rule.version,
            author_id=rule.author_id,
            instance=None if subject is None else subject.instance,
            written=None if subject is None else subject.written,
            traceparent=spans.current_traceparent(),
        )
        return running.run(known, context, action.config)


def _reads(rule: CompiledRule, action: CompiledAction) -> frozenset[Path]:
    return rule.action_reads if action.reads is None else action.reads


def _author_of(rule: CompiledRule) -> str:
    return "" if rule.author_id is None else str(rule.author_id)


def _permitted(event: Event, rule: CompiledRule, action: CompiledAction) -> Action:
    """Return the action, where it exists here and the rule's author may do that. Raises ``PermanentError`` or
    ``Refused``."""
    known = registry.find(action.kind)
    if known is None:
        raise PermanentError(registry.unknown(action.kind))
    for_each = action.each.written if action.each else None
    written = ActionSpec(action.kind, action.config, action.position, for_each=for_each)
    of_rule = running.rule_as_written(rule.slug, model=event.model, signal=event.signal, context=event.context)
    refusal = trusted.refusal(_author_of(rule), event, written, of_rule, rule.reads, rule.surroundings)
    if refusal is not None:
        raise Refused(refusal)
    return known

"""A rule tested without effect: one event, real or made up, all its gates, and what each action would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import models, router, transaction
from django.utils import timezone

from rules_engine.context import snapshot
from rules_engine.context.actor import acting_as, paused
from rules_engine.context.subject import PARTS, Subject
from rules_engine.context.visible import visible
from rules_engine.errors import Unreadable, not_read
from rules_engine.live.compiler import compile_rule
from rules_engine.models import Rule
from rules_engine.rules.gates import GateSeen, State
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.permissions import may_view
from rules_engine.rules.repetition import MOST_ROWS, Each
from rules_engine.test.gates_seen import all_seen, state_of
from rules_engine.test.limits import LimitUse, would_hold_back
from rules_engine.test.previews import Planned, Planner, rows_of
from rules_engine.test.recorded import recorded_subject
from rules_engine.test.subjects import Happening, subject_of
from rules_engine.types import Event, MatchSubject, Path, RuleSpec, Unread, ask, new_id


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of a test. ``state`` is "open" where the rule would act; the actions are told in any case."""

    state: State
    gates: Sequence[GateSeen]
    actions: Sequence[Planned]
    context: Mapping[str, Any]
    #: The limit that would hold it back now, by what is on record; that is not counted as a use of it.
    limit: LimitUse | None = None
    #: Whether there was no time to look at all objects that its list may be of.
    is_cut: bool = False


@contextmanager
def without_consequence() -> Iterator[None]:
    """Keep nothing that is written inside, and let no rule hear of it."""
    using = router.db_for_write(Rule)
    with paused(), transaction.atomic(using=using):
        yield
        transaction.set_rollback(True, using=using)


def tested_on_object(spec: RuleSpec, instance: models.Model, happening: Happening, user: Any) -> Tested:
    """Test the rule on that happening to that object. Raises ``UnknownPath``, and ``Unreadable``."""
    rule = compile_rule(spec, 0)
    with without_consequence(), acting_as(user):
        return tested_on_subject(spec, rule, subject_of(instance, happening), user, instance)


def tested_on_subject(
    spec: RuleSpec, rule: CompiledRule, subject: Subject, user: Any, instance: models.Model
) -> Tested:
    """Test the rule on what was read or made up, for that user. To be called ``without_consequence``. Raises
    ``Unreadable``."""
    context = _read(subject, _reads(rule), whole=True)
    shown = MatchSubject(
        signal=subject.signal,
        operation=subject.operation,
        changes=subject.changes,
        now=timezone.now(),
        context=_read(subject, rule.reads),
    )
    gates = all_seen(rule, shown)
    rows = dict(rows_of(rule.actions, lambda each: _all_rows(subject, each)))
    event = subject.event(context)
    planner = Planner(spec, event, user, instance)
    return Tested(state_of(gates), gates, planner.plan(rows), context, _limit_now(rule, event))


def _reads(rule: CompiledRule) -> set[Any]:
    repeated = (path for action in rule.actions if action.each is not None for path in action.each.reads)
    return {*rule.reads, *rule.action_reads, *repeated}


def _read(subject: Subject, paths: Iterable[Path], *, whole: bool = False) -> Mapping[str, Any]:
    context = subject.read(paths, whole=whole)
    if isinstance(context, Unread):
        raise Unreadable(not_read(context.error)) from context.error
    return context


def _all_rows(subject: Subject, each: Each) -> Mapping[str, Any]:
    with snapshot.up_to(MOST_ROWS + 1):
        return _read(subject, each.reads)


def tested_on_event(spec: RuleSpec, event: Event, user: Any) -> Tested:
    """Test the rule on an event as it was recorded."""
    rule = compile_rule(spec, 0)
    # It was recorded with what other rules read as well.
    event = event._replace(context=visible(event.context, event.model, may_view(user))[0])
    with without_consequence():
        gates = all_seen(rule, recorded_subject(rule, event))
        rows = dict(rows_of(rule.actions, lambda each: event.context))
        actions = Planner(spec, event, user).plan(rows)
        return Tested(state_of(gates), gates, actions, event.context, _limit_now(rule, event))


def _limit_now(rule: CompiledRule, event: Event) -> LimitUse | None:
    """Return the limit that is used up for this event; None where none is, and where its key cannot be told."""
    if rule.hold is None:
        return None
    keys = ask(rule.hold.keys, rule.model, event, "")
    return None if isinstance(keys, Unread) else would_hold_back(rule.hold, rule.slug, keys, timezone.now())


def event_of(spec: RuleSpec, signal: str, operation: Any, context: Mapping[str, Any]) -> Event:
    """Return a context that somebody wrote, as an event; what it leaves out is null."""
    event_id, now = new_id(), timezone.now()
    whole = {**dict.fromkeys(PARTS), **context}
    pk = (context.get("instance") or {}).get("pk")
    header = {"id": str(event_id), "signal": signal, "operation": operation, "model": spec.model, "pk": pk}
    header |= {"occurred_at": now.isoformat(), "root_id": str(event_id), "depth": 0}
    whole["event"] = {**header, **(whole["event"] or {})}
    return Event(event_id, signal, operation, spec.model, pk, now, event_id, 0, whole)

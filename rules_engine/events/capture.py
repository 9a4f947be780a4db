"""The one receiver. It snapshots, matches, and hands what matched to the outbox; it never raises into the caller."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, models
from django.utils import timezone

from rules_engine import outbox
from rules_engine.errors import ConditionError, UnknownPath
from rules_engine.events import actor, immediate, relations, saves
from rules_engine.events.arguments import arguments as json_arguments
from rules_engine.events.context import Subject
from rules_engine.events.names import MODEL_SIGNALS, find_signal
from rules_engine.events.sources import Pair, Table, build
from rules_engine.rules import cache, jsonlogic
from rules_engine.rules.matching import CompiledRule, match
from rules_engine.types import Evaluation, Path

logger = logging.getLogger("rules_engine")

_table = Table()
_OF_MODELS = tuple(MODEL_SIGNALS.values())
_connected: set[Pair] = set()
#: Where rules and outbox live; asked of the router once a rule set, not once a save.
_alias = DEFAULT_DB_ALIAS
_lock = threading.RLock()

#: A rule that cannot be tried at all says so once a minute and process, not with two rows at each save.
TROUBLE_SECONDS = 60.0
_told_at: dict[tuple[str, int], float] = {}

#: Faults inside the receiver since the process began, for monitoring; each is also in the log.
faults = 0


def connect(rule_set: cache.RuleSet) -> None:
    """Connect the receiver to what these rules need, and disconnect it from what none needs any more."""
    global _table, _alias
    with _lock:
        _alias = cache.alias()
        table = build(rule_set.rules)
        wanted = set(table.pairs())
        for pair in _connected - wanted:
            _signal(pair).disconnect(sender=pair[1], dispatch_uid=_uid(pair))
        # The table first: the receiver may be called the moment it is connected.
        _table = table
        _told_at.clear()
        for pair in wanted - _connected:
            _signal(pair).connect(receive, sender=pair[1], weak=False, dispatch_uid=_uid(pair))
        _connected.clear()
        _connected.update(wanted)


def _uid(pair: Pair) -> str:
    return f"rules_engine.{pair[0]}"


def _signal(pair: Pair) -> Any:
    name = pair[0]
    if name in MODEL_SIGNALS:
        return MODEL_SIGNALS[name]
    named = find_signal(name)
    if named is None:
        raise LookupError(f"No signal is registered as {name!r}.")
    return named.signal


def receive(sender: Any, signal: Any, **sent: Any) -> None:
    """The receiver of every signal that some rule listens to.

    Whatever goes wrong in here is logged and counted, and the caller's save goes on as if we were not there.
    """
    if actor.is_paused() or (sent.get("raw") and signal in _OF_MODELS):
        return
    try:
        _handle(sender, signal, sent)
    except Exception:  # the evaluation boundary (DESIGN §5.1)
        _count_fault()
        logger.exception("The rules on %r could not be tried; the change itself is not affected.", sender)


def _count_fault() -> None:
    global faults
    faults += 1


def _handle(sender: Any, signal: Any, sent: Mapping[str, Any]) -> None:
    table = _table
    using = sent.get("using")
    if using is not None and using != _alias and signal in _OF_MODELS:
        raise LookupError(
            f'{sender!r} is stored in the database "{using}", and the outbox in "{_alias}": nothing that is '
            "done there can be handed over safely. Keep watched models beside the rules."
        )
    if signal is models.signals.m2m_changed:
        for subject, rules in relations.changed(table.relations.get(sender, ()), sent):
            evaluate(subject, rules)
        return
    watch = table.models.get(sender)
    if watch is not None and (steps := saves.STEPS.get(id(signal))) is not None:
        steps(watch, sent, evaluate)
    elif (name := _name_of(signal, table.named)) is not None:
        arguments = json_arguments(sent)
        evaluate(Subject(name, arguments=arguments), table.named[name])


def _name_of(signal: Any, names: Iterable[str]) -> str | None:
    return next((name for name in names if _signal((name, None)) is signal), None)


def evaluate(
    subject: Subject, rules: Sequence[CompiledRule], write: Callable[[saves.Write], None] | None = None
) -> None:
    """Try the rules on the subject. What matched is written to the outbox, or handed to ``write`` to be written when
    the change itself is in the database; where nothing matched, nothing is written and no statement is made."""
    if (cause := actor.cause()) is not None:
        # A rule does not set off itself: what its own actions change, it does not see.
        rules = [rule for rule in rules if rule.slug != cause.rule_slug]
    if not rules:
        return
    subject.occurred_at = timezone.now()
    evaluations = match(rules, subject.operation, subject.changes, lambda left: _data(subject, left))
    if not evaluations or _is_known_trouble(evaluations, rules):
        return
    for evaluation in evaluations:
        if evaluation.outcome == "error":
            logger.error("The rule %s could not be evaluated: %s", evaluation.rule_slug, evaluation.detail)
    finish = _writer(subject, evaluations, rules)
    if write is None:
        finish()
    else:
        write(partial(_write_later, finish, subject.signal))


def _is_known_trouble(evaluations: Sequence[Evaluation], rules: Sequence[CompiledRule]) -> bool:
    """Whether there is nothing to tell but that rules which cannot be tried still cannot."""
    told = [one for one in evaluations if one.outcome != "not_matched"]
    faulty = {rule.slug for rule in rules if rule.fault}
    if any(one.rule_slug not in faulty for one in told):
        return False
    now = time.monotonic()
    new = [one for one in told if now - _told_at.get((one.rule_slug, one.rule_version), -math.inf) >= TROUBLE_SECONDS]
    _told_at.update({(one.rule_slug, one.rule_version): now for one in new})
    return not new


def _write_later(finish: saves.Write, signal: str) -> None:
    """One deferred write that fails must not silence the others, nor the post-signal's rules."""
    try:
        finish()
    except Exception:  # the evaluation boundary
        _count_fault()
        logger.exception("What %s matched could not be written.", signal)


def _data(subject: Subject, rules: Sequence[CompiledRule]) -> Any:
    try:
        return jsonlogic.data_handle(subject.context(_reads(rules, lambda rule: rule.reads)))
    except (DatabaseError, UnknownPath) as error:
        raise ConditionError(f"What it reads could not be read ({type(error).__name__}).") from error


def _reads(rules: Iterable[CompiledRule], of: Callable[[CompiledRule], Iterable[Path]]) -> set[Path]:
    return {path for rule in rules for path in of(rule)}


def _writer(subject: Subject, evaluations: Sequence[Evaluation], rules: Sequence[CompiledRule]) -> saves.Write:
    slugs = {evaluation.rule_slug for evaluation in evaluations if evaluation.outcome == "matched"}
    matched = [rule for rule in rules if rule.slug in slugs]
    # Read now, not when it is written: for a pre-signal that is the state the rule matched.
    context = subject.context(_reads(matched, lambda rule: rule.action_reads | rule.reads), whole=True)
    event = subject.event(context)
    done: Sequence[immediate.Done] = ()
    if subject.signal == "pre_save" and subject.instance is not None:
        done = immediate.act_before_save(
            subject.instance,
            event,
            matched,
            subject.written,
            lambda rule: subject.context(rule.action_reads, whole=True),
        )

    def write() -> None:
        outbox.record(event, evaluations, matched, _alias, done)

    return write

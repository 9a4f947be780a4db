"""The one receiver. It snapshots, matches, and hands what matched to the outbox; it never raises into the caller."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, models
from django.utils import timezone

from rules_engine.capture import other_signals, relations, saves, vetoes
from rules_engine.capture.decisions import prepare
from rules_engine.capture.matches import data_of, tried
from rules_engine.capture.sources import Pair, Table, build
from rules_engine.context import actor, requests
from rules_engine.context.signals import MODEL_SIGNALS, find_signal
from rules_engine.context.subject import Subject
from rules_engine.errors import ChangeUndone, Rejected
from rules_engine.live import cache
from rules_engine.rules.matching import CompiledRule, match
from rules_engine.types import Evaluation

logger = logging.getLogger("rules_engine")

_table = Table()
_OF_MODELS = tuple(MODEL_SIGNALS.values())
_connected: dict[Pair, Any] = {}
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
        table = build((*rule_set.recorders, *rule_set.rules))
        wanted = set(table.pairs())
        for pair in _connected.keys() - wanted:
            _connected.pop(pair).disconnect(sender=pair[1], dispatch_uid=_uid(pair))
        # The table first: the receiver may be called the moment it is connected.
        _table = table
        _told_at.clear()
        requests.listen(table.named)
        for pair in wanted - _connected.keys():
            _connected[pair] = _signal(pair)
            _connected[pair].connect(receive, sender=pair[1], weak=False, dispatch_uid=_uid(pair))
        vetoes.attach(table)


def _uid(pair: Pair) -> str:
    return f"rules_engine.{pair[0]}"


def _signal(pair: Pair) -> Any:
    name = pair[0]
    if name in MODEL_SIGNALS:
        return MODEL_SIGNALS[name]
    found = find_signal(name)
    if found is None:
        raise LookupError(f"No signal is registered as {name!r}.")
    return found.signal


def receive(sender: Any, signal: Any, **sent: Any) -> None:
    """The receiver of every signal that some rule listens to.

    Whatever goes wrong in here is logged and counted, and the caller's save goes on as if we were not there; unless a
    rule asks that it does not, by a veto or by an action that nothing is to be done without.
    """
    # A signal of a site's own may send something called raw.
    is_raw = bool(sent.get("raw")) and signal in _OF_MODELS
    if actor.is_paused() or (is_raw and not _table.hears_raw):
        return
    try:
        if is_raw:
            with actor.loading():
                _handle(sender, signal, sent)
        else:
            _handle(sender, signal, sent)
    except (Rejected, ChangeUndone):
        raise
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
    elif told := table.told(signal):
        other_signals.heard(told, signal, sender, sent, evaluate, _alias)


def evaluate(
    subject: Subject, rules: Sequence[CompiledRule], write: Callable[[saves.Write], None] | None = None
) -> None:
    """Try the rules on the subject. What matched is written to the outbox, or handed to ``write`` to be written when
    the change itself is in the database; where nothing matched, nothing is written and no statement is made."""
    subject.occurred_at = timezone.now()
    rules = tried(rules, subject.occurred_at)
    if not rules:
        return
    matched = match(rules, subject.operation, subject.changes, lambda left: data_of(subject, left))
    if not matched:  # as nearly always: every save comes along here
        return
    evaluations = _marked(matched, rules)
    if all(one.outcome == "not_matched" or one.is_known for one in evaluations):
        return
    for evaluation in evaluations:
        if evaluation.outcome == "error" and not evaluation.is_known:
            logger.error("The rule %s could not be evaluated: %s", evaluation.rule_slug, evaluation.detail)
    finish = prepare(subject, evaluations, rules, _alias)
    if write is None:
        finish()
    else:
        write(partial(_write_later, finish, subject.signal))


def _marked(evaluations: Sequence[Evaluation], rules: Sequence[CompiledRule]) -> Sequence[Evaluation]:
    """The evaluations, with those marked as known of which it was told a moment ago that the rule cannot be tried."""
    faulty = {rule.slug for rule in rules if rule.fault}
    if not faulty:
        return evaluations
    now = time.monotonic()
    return [_mark(one, now) if one.outcome == "error" and one.rule_slug in faulty else one for one in evaluations]


def _mark(evaluation: Evaluation, now: float) -> Evaluation:
    key = evaluation.rule_slug, evaluation.rule_version
    if now - _told_at.get(key, -math.inf) < TROUBLE_SECONDS:
        return replace(evaluation, is_known=True)
    _told_at[key] = now
    return evaluation


def _write_later(finish: saves.Write, signal: str) -> None:
    """One deferred write that fails must not silence the others, nor the post-signal's rules."""
    try:
        finish()
    except ChangeUndone:
        raise
    except Exception:  # the evaluation boundary
        _count_fault()
        logger.exception("What %s matched could not be written.", signal)

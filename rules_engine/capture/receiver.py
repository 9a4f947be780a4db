"""The one receiver: from a signal to what is done about it. It never raises into the caller.

``_tell`` goes the whole way: what happened is read as plain data (``saves``, ``relations``, ``other_signals``), rules
are tried on it (``outcome``), it is decided what is to be done (``decision``), and that is written: now, or when the
change itself is in the database.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from rules_engine.capture import large_changes, other_signals, relations, saves, screens
from rules_engine.capture.decision import Decision, decide, write
from rules_engine.capture.earlier import at_load
from rules_engine.capture.hearing.captured import Latest
from rules_engine.capture.hearing.places import Places
from rules_engine.capture.inserts import callers
from rules_engine.capture.origins import writers
from rules_engine.capture.origins.as_json import origin_from
from rules_engine.capture.outcome import forget_troubles, match
from rules_engine.capture.parts import OF_ALL, write_apart, write_together
from rules_engine.capture.saves import Before
from rules_engine.capture.watches import NOBODY, Found, ModelWatch, Pair, Reading, Table, build, unread
from rules_engine.context import actor, requests
from rules_engine.context.paths import ModelClass
from rules_engine.context.signals import MODEL_SIGNALS, find_signal
from rules_engine.databases.savepoints import undid_all
from rules_engine.databases.uncached import reading_current
from rules_engine.errors import ChangeUndone, Rejected, StoredElsewhere
from rules_engine.live import cache, faults
from rules_engine.models import LargeChange
from rules_engine.rules.matching import CompiledRule
from rules_engine.texts import SAVE

_table = Table()
_latest = Latest()
_connected: dict[Pair, Any] = {}
_lock = threading.RLock()
NOT_TRIED = "The rules on %r could not be tried; the change itself is not affected."
_OF_MODELS = frozenset(MODEL_SIGNALS.values())
_BEFORE = frozenset((models.signals.pre_save, models.signals.pre_delete))
_was_connected = False
#: By thread, the round of receivers that ``first_signal`` has told already. Empty but while a process starts.
_told_in: dict[int, FrameType] = {}


def connect(rule_set: cache.RuleSet) -> None:
    """Connect the receiver to what these rules need, and disconnect it from what none needs any more."""
    global _table, _was_connected
    with _lock:
        _was_connected = True
        endings = (rule.ending for rule in rule_set.rules if rule.ending is not None)
        rules = (*rule_set.recorders, *rule_set.rules, *endings)
        table = _table_of(rules, rule_set)
        _latest.remember(table, _table)
        wanted = {*table.pairs(), *_latest.pairs()}
        for pair in _connected.keys() - wanted:
            _connected.pop(pair).disconnect(sender=pair[1], dispatch_uid=_uid(pair))
        # The table first: the receiver may be called the moment it is connected.
        _table = table
        at_load.attach({model: watch.readers for model, watch in table.models.items() if watch.is_at_load})
        forget_troubles()
        requests.listen(table.named)
        for pair in wanted - _connected.keys():
            _connected[pair] = _signal(pair)
            _connected[pair].connect(receive, sender=pair[1], weak=False, dispatch_uid=_uid(pair))
        # Last: who says this number is told by this table.
        writers.listen(table.alias, table.number, table.told_by_triggers.captures)


def _table_of(rules: Sequence[CompiledRule], rule_set: cache.RuleSet) -> Table:
    alias, number, captures = cache.alias(), rule_set.number, rule_set.captures
    table = build(rules, alias, number, _table.models, captures)

    def build_there(own: Sequence[CompiledRule], last: Table | None) -> Table:
        return build(own, alias, number, {} if last is None else last.models, captures)

    places = Places(rules, build_there, _table.places)
    return replace(table, places=places) if places.are_apart else table


def was_connected() -> bool:
    """Say whether the receiver was connected to anything in this process."""
    return _was_connected


def hears(signal: Any, sender: Any) -> bool:
    """Say whether the receiver is connected to this signal of this sender."""
    return any(pair[1] in (None, sender) and known is signal for pair, known in _connected.items())


def was_told_in(frame: FrameType) -> None:
    """Have the receiver pass by the signal that this frame sends, if it is called there at all."""
    _told_in[threading.get_ident()] = frame


def watched() -> Mapping[ModelClass, ModelWatch]:
    """Return the models whose saves and deletes are watched in this process."""
    return _table.models


def table(sender: Any) -> Table:
    """Return what the rules of this process listen to, of which those on this sender hold here."""
    return _of_here(_table, sender) if _table.concerns_places(sender) else _table


def table_at(number: int | None) -> Table:
    """Return what rules listened to at that number of the rule set, as far as this process remembers it: whoever made
    a change left to triggers what it was then. Else what they listen to now."""
    return (_latest.at(number) or _table).here()


def _uid(pair: Pair) -> str:
    return f"rules_engine.{pair[0]}"


def _signal(pair: Pair) -> Any:
    name = pair[0]
    if name in MODEL_SIGNALS:
        return MODEL_SIGNALS[name]
    registered = find_signal(name)
    if registered is None:
        raise LookupError(f"No signal is registered as {name!r}.")
    return registered.signal


def receive(sender: Any, signal: Any, **sent: Any) -> None:
    """Receive a signal that some rule listens to, and tell the rules.

    Whatever goes wrong in here is logged and counted, and the caller's save goes on as if we were not there; unless a
    rule asks that it does not, by a veto or by an action that nothing is to be done without: that raises ``Rejected``
    or ``ChangeUndone``.
    """
    if _told_in and _told_in.pop(threading.get_ident(), None) is sys._getframe(1):
        return
    table = _table
    is_of_models = signal in _OF_MODELS
    if _latest.exchanges and sender in _latest.exchanges:
        is_before = signal in _BEFORE or sent.get("action", "").startswith("pre_")
        table = _latest.as_written(table, sender, is_before=is_before)
        if sender not in table.models and sender not in table.relations:
            return
    # A signal of a site's own may send something called raw; and before Django 6.1 the rows of a loaded object's
    # relations come without a word of it.
    is_raw = is_of_models and (bool(sent.get("raw")) or (signal is models.signals.m2m_changed and callers.is_loading()))
    if signal is models.signals.post_save and type(sent["instance"]) in at_load.attached:
        at_load.was_saved(sent["instance"], sent.get("update_fields"))
    if actor.origin().is_paused or (is_raw and not table.hears_raw):
        return
    if table.places is not None and table.concerns_places(sender if is_of_models else None):
        table = _of_here(table, sender)
    found = _found(table, sender, signal, sent) if is_of_models and not is_raw else None
    if found is NOBODY:
        return
    with KeptFromCaller(NOT_TRIED, sender), reading_current(table.alias):
        if not is_of_models:
            other_signals.carry_out(partial(_tell, table, sender, signal, sent), signal, sent, table.alias)
        elif is_raw:
            with actor.loading():
                _tell(table, sender, signal, sent)
        else:
            _tell(table, sender, signal, sent, found)


def _of_here(table: Table, sender: Any) -> Table:
    """Return what rules listen to here: nothing, where the site cannot say where that is."""
    with KeptFromCaller(NOT_TRIED, sender):
        return table.here()
    return Table(table.alias, number=table.number)


def _found(table: Table, sender: Any, signal: Any, sent: Mapping[str, Any]) -> Found | None:
    """Return which rules can match or fail, where that is plain; all that is not is read in full."""
    watch = table.models.get(sender)
    if watch is None or sent.get("using") != table.alias:
        return None
    try:
        screen = screens.SCREENS.get(signal)
        return None if screen is None else screen(watch, sent["instance"], sent)
    except Exception:  # noqa: BLE001 - a site's own code may raise anything; it is met again, and told, in reading
        return None


def _tell(table: Table, sender: Any, signal: Any, sent: Mapping[str, Any], found: Found | None = None) -> None:
    """Go the whole way of one signal: read what happened, match, decide, write."""
    before = saves.begin(signal, sent)
    token = SAVE.set(before)
    try:
        for deferred in before.decisions:
            # One deferred write that fails must not silence the others, nor the post-signal's rules.
            with KeptFromCaller("What %s matched could not be written.", deferred.event.signal):
                _write(deferred, table)
        decisions: list[Decision] = []
        for subject, rules in _read_or_unread(table, sender, signal, sent, before, found):
            # What goes wrong with one object of a relation is not to silence the others.
            with KeptFromCaller(NOT_TRIED, sender):
                outcome = match(subject, rules)
                decision = None if outcome is None else decide(outcome, table.alias)
                if decision is not None and decision.is_record_alone:
                    decisions.append(decision)
                elif decision is not None:
                    _carry_out(decision, table, sent, before)
        if decisions:
            write_all(decisions, table)
    finally:
        SAVE.reset(token)


def _carry_out(decision: Decision, table: Table, sent: Mapping[str, Any], before: Before) -> None:
    """Do what is to be done now; what waits for the change to be in the database is left for its post-signal."""
    if decision.is_deferred:
        before.decisions.append(decision)
        return
    if decision.rejection is not None:
        saves.give_up(before, sent)
    _write(decision, table)


def _write(decision: Decision, table: Table) -> None:
    """Write the decision; where that fails, each rule's part, and which could not be written.

    Raises what ``decision.write`` raises where nothing can be stored just now, whosever it is.
    """
    try:
        write(decision, table.alias, table.number)
    except (Rejected, ChangeUndone, *OF_ALL):
        raise
    except Exception as error:  # the evaluation boundary: what cannot be stored together is stored rule by rule
        if not decision.matched:
            raise
        write_apart(decision, error, table.alias, table.number)


def tell_large_change(change: LargeChange) -> None:
    """Tell the rules of a part of a large change, as if it had just been made by whoever made it.

    What cannot be read or tried is told by the rules; raises what keeps from recording what they want done.
    """
    table = _table.here()
    part = large_changes.part_of(change, table)
    if part is None:
        return
    with actor.again(origin_from(change.origin)):
        tell(
            relations.at_other_end(
                part.watch, part.other, part.operation, part.pks, change.occurred_at, using=table.alias
            ),
            change.model,
        )


def tell(readings: Iterable[Reading], name: str) -> None:
    """Tell rules, outside of the change itself, of what was read of it; ``name`` is for the log.

    What cannot be read or tried is told by the rules; raises what keeps from recording what they want done.
    """
    table = _table
    decisions: list[Decision] = []
    with reading_current(table.alias):
        for subject, rules in readings:
            with KeptFromCaller(NOT_TRIED, name):
                outcome = match(subject, rules)
                decision = None if outcome is None else decide(outcome, table.alias)
                decisions += [] if decision is None else [decision]
            # What a chain leads to is counted in the database, by whoever asks whether the next may still be.
            if decisions and subject.origin.cause is not None:
                _write(decisions.pop(), table)
        if len(decisions) > 1 and write_together(decisions, table.alias, table.number):
            return
        for decision in decisions:
            _write(decision, table)


def write_all(decisions: Sequence[Decision], table: Table) -> None:
    """Write many decisions by few statements, each by itself where that cannot be done. Raises ``Rejected`` and
    ``ChangeUndone``; all else is logged."""
    if len(decisions) > 1 and write_together(decisions, table.alias, table.number):
        return
    for decision in decisions:
        with KeptFromCaller("What %s matched could not be written.", decision.event.signal):
            _write(decision, table)


def _read_or_unread(
    table: Table, sender: Any, signal: Any, sent: Mapping[str, Any], before: Before, found: Found | None
) -> Iterator[Reading]:
    """Read what happened. Where that cannot be done at all, it is an error of each rule that hears of it."""
    try:
        yield from read(table, sender, signal, sent, before, found)
    except Exception as error:  # noqa: BLE001 - reading runs the site's own code; the rules show it
        yield from unread(table, sender, signal, sent, error)


def read(
    table: Table, sender: Any, signal: Any, sent: Mapping[str, Any], before: Before, found: Found | None = None
) -> Iterable[Reading]:
    """Read what happened: subjects, each with the rules that may match it. A save has one, a relation may have many.
    ``found`` is what is known of these rules already.

    Raises ``StoredElsewhere`` for a change in another database than the rules are in, and whatever reading raises.
    """
    now = timezone.now()
    if signal not in _OF_MODELS:
        return other_signals.sent_to(table.told(signal), signal, sender, sent, now)
    using = sent.get("using")
    if using is not None and using != table.alias:
        raise stored_elsewhere(sender, using, table.alias)
    if signal is models.signals.m2m_changed:
        return relations.changed(table.relations.get(sender, ()), sent, now)
    watch = table.models.get(sender)
    return saves.READERS[signal](watch, sent, before, now, found) if watch is not None else ()


def stored_elsewhere(model: ModelClass, using: str, alias: str) -> StoredElsewhere:
    """Return the error of a change in another database than the rules are in."""
    message = gettext(
        '%(model)s is stored in the database "%(using)s", and the outbox in "%(alias)s": nothing that is done there '
        "can be handed over safely. Keep watched models beside the rules."
    )
    return StoredElsewhere(message % {"model": model._meta.label, "using": using, "alias": alias})


class KeptFromCaller:
    """Logs and counts whatever goes wrong inside, for a rule never breaks a save. Lets pass what a rule asks for, and
    an error at which the database undid all that the caller had done: else they took it for done."""

    __slots__ = ("message", "values")

    def __init__(self, message: str, *values: Any) -> None:
        self.message, self.values = message, values

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> bool:
        if not isinstance(error, Exception) or isinstance(error, (Rejected, ChangeUndone)):
            return False
        if undid_all(error, _table.alias):
            return False
        faults.of_process.note(error, self.message, *self.values)
        return True

"""The first signal of a process, heard with the rules loaded.

A process reads its rules when it opens its first connection, and Django sends ``pre_save`` before it opens one: outside
of a transaction the first save of a process would pass all rules by, vetoes among them. So until then one receiver
hears whatever a process may begin with. It has the rules loaded, and hands on the signal that it was called for: Django
has settled on whom to call before the rules' own receiver was connected.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from django.db import connections, models
from django.dispatch import Signal

from rules_engine.capture import other_signals, receiver, watches
from rules_engine.context import signals
from rules_engine.live import cache, watcher

_UID = "rules_engine.first"
#: What Django may send before a statement; the others follow one.
_OF_MODELS = (models.signals.pre_save, models.signals.pre_delete, models.signals.m2m_changed)
_listening: list[Signal] = []


def listen() -> None:
    """Wait for the first signal: of a model, or of the site's own that are registered, now or later."""
    signals.on_registration(_listen_to)
    for signal in (*_OF_MODELS, *_of_the_site()):
        _listen_to(signal)


def _of_the_site() -> Iterator[Signal]:
    """Yield the site's own signals. Django's others are sent by requests and commands that need no rules to be right:
    a process that only answers a health check opens no connection for them."""
    for name, named in {**signals.configured(), **signals.registered()}.items():
        if not signals.is_djangos(name) and not named.trouble:
            yield named.signal


def _listen_to(signal: Signal) -> None:
    if not watcher.has_loaded():
        _listening.append(signal)
        signal.connect(first, weak=False, dispatch_uid=_UID)


def first(sender: Any, signal: Any, **sent: Any) -> None:
    """Receive a signal that comes before the rules are loaded, and tell them of it."""
    if watcher.is_loading_here():
        return
    if watcher.is_test_environment():
        _stop()
        return
    # Before the rules' receiver was connected, this signal's round cannot have it.
    is_alone = not receiver.was_connected()
    _load()
    if watcher.has_loaded():  # else the next signal tries again
        _stop()
    if not receiver.hears(signal, sender):
        return
    watches.told_early.add(threading.get_ident())
    try:
        receiver.receive(sender, signal=signal, **sent)
    finally:
        watches.told_early.discard(threading.get_ident())
        if not is_alone:
            # The rules were loaded meanwhile, by another thread or by a worker that caught up. This round may have both
            # or not: the second is told which it was. Not before, or the call above would take it for its own.
            receiver.was_told_in(sys._getframe(1))


def installed(rule_set: cache.RuleSet) -> None:
    """Receive new rules. Tests say themselves when rules are read, and then nothing is waited for."""
    if watcher.is_test_environment():
        _stop()


def _stop() -> None:
    while _listening:
        _listening.pop().disconnect(dispatch_uid=_UID)


def _load() -> None:
    if not other_signals.is_in_event_loop():
        watcher.ensure_loaded()
        return
    with ThreadPoolExecutor(1, "rules-engine-loading") as thread:
        loaded = thread.submit(copy_context().run, watcher.ensure_loaded)
        thread.submit(connections.close_all)
        loaded.result()

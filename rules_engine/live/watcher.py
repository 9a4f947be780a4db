"""Keeps the rule set of a process fresh: a daemon thread that looks at one row every second, on its own connection.

It is started by the first database connection of a process, never in ``ready()``: whatever can save, has connected.
That first connection also loads the rules, before the statement it was opened for. In a forked child the thread is
gone; the child starts its own.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from django.db import DatabaseError, InterfaceError, ProgrammingError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from rules_engine import conf
from rules_engine.context.actor import paused
from rules_engine.databases import database_of
from rules_engine.databases.pools import give_back
from rules_engine.live import cache, faults
from rules_engine.live.breakers import adding
from rules_engine.live.breakers.opening import close_of
from rules_engine.live.migrated import is_migrated, is_under_way
from rules_engine.models import Execution, Rule, RuleAction
from rules_engine.models.tallies import counting
from rules_engine.types import Unread, ask

logger = logging.getLogger("rules_engine")

#: Said by a process that has no rules yet.
TABLES_ARE_OLDER = (
    "their tables are those of an older release: no rule acts in this process and no veto is asked until "
    '"manage.py migrate" has run, which comes before the processes of a new release; then the rules are read.'
)
SHARED_BY_FORK = (
    "This process forks with open connections to databases (%s): its child writes to the same ones, and each reads the "
    "other's answers. Close them before the fork, as by pre_fork of gunicorn: django.db.connections.close_all()."
)

_unread: ContextVar[bool] = ContextVar("rules_engine_unread", default=False)

_lock = threading.RLock()
#: The process that has loaded, and the thread that is loading, which must not wait for itself.
_loaded_in: int | None = None
_loading_by: int | None = None
_thread: threading.Thread | None = None
#: When the rules were last asked after, by ``time.monotonic``.
_looked_at: float | None = None


#: What else is looked after by the thread.
_on_look: list[Callable[[], None]] = []


def on_look(listener: Callable[[], None]) -> None:
    """Call ``listener`` at each look of the thread, on its connection; it may raise ``DatabaseError``."""
    _on_look.append(listener)


_has_told_of_fork = False


def _before_fork() -> None:
    """Say once what a child goes on with that is its parent's."""
    global _has_told_of_fork
    if _thread is None or _has_told_of_fork or is_test_environment():
        return
    if shared := [one.alias for one in connections.all(initialized_only=True) if one.connection is not None]:
        _has_told_of_fork = True
        logger.warning(SHARED_BY_FORK, ", ".join(shared))


def _after_fork() -> None:
    global _lock, _loaded_in, _loading_by, _thread
    _lock = threading.RLock()
    was_watching, _thread, _loaded_in, _loading_by = _thread is not None, None, None, None
    # A child that goes on with a connection opened before the fork sees no ``connection_created``.
    if was_watching:
        _start_thread()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def is_test_environment() -> bool:
    """Say whether Django's test runner is at work: tests say themselves when rules are read
    (``rules_engine.testing``)."""
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")


def connected(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Receive ``connection_created``: the first connection of a process loads the rules."""
    if connection.alias != cache.alias() or threading.current_thread() is _thread or is_test_environment():
        return
    ensure_loaded()


def has_loaded() -> bool:
    """Say whether this process has loaded its rules."""
    return _loaded_in == os.getpid()


def is_loading_here() -> bool:
    """Say whether it is this very thread that loads them."""
    return _loading_by == threading.get_ident()


def ensure_loaded() -> None:
    """Load the rules unless this process has, and start watching. Threads that connect meanwhile wait for it.

    A database that went away in between is asked again by whoever comes next: nobody is to save without any rules.
    """
    global _loaded_in, _loading_by
    if has_loaded() or is_loading_here():
        return
    with _lock:
        if has_loaded():
            return
        _loading_by, is_away = threading.get_ident(), False
        try:
            is_away = _is_outage(look())
            watching = ask(_watch_if_asked)
            if isinstance(watching, Unread):
                logger.error("The rules are loaded, and will not be refreshed.", exc_info=watching.error)
        finally:
            _loading_by, _loaded_in = None, None if is_away else os.getpid()


def _watch_if_asked() -> None:
    if conf.refresh() == "watch" and _can_watch():
        _start_thread()


def _can_watch() -> bool:
    return database_of(cache.alias()).is_shared(cache.alias())


def look() -> Exception | None:
    """Refresh once; a database that cannot be read leaves the rules as they are, and says so in the log. Returns why
    it could not be read."""
    refreshed = ask(cache.refresh)
    if not isinstance(refreshed, Unread):
        _note_look()
        return None
    _tell(refreshed.error, "this process goes on with those it has")
    return refreshed.error


def _is_outage(error: Exception | None) -> bool:
    """Say whether the database did not answer; tables that are missing stay so for longer than a save can wait."""
    return isinstance(error, DatabaseError | InterfaceError) and not _is_about_tables(error)


def _start_thread() -> None:
    global _thread
    if _thread is not None and _thread.is_alive():
        return
    _thread = threading.Thread(target=_watch, name="rules-engine-watcher", daemon=True)
    _thread.start()


def _watch() -> None:
    pause = threading.Event()
    has_failed, level = False, logging.WARNING
    while not pause.wait(conf.refresh_seconds()):
        with paused():  # opening this thread's connection is no event
            looked = ask(_look_from_afar)
        if isinstance(looked, Unread):
            # Said once, not every second; the connection may be dead, the next look opens another.
            if not has_failed:
                level = min(_tell(looked.error, "trying again every second"), logging.WARNING)
            connections[cache.alias()].close()
        elif has_failed:
            logger.log(level, "The rules are read again; changes of the last minutes are in them.")
        has_failed = isinstance(looked, Unread)


def _look_from_afar() -> None:
    """Refresh from a thread that nobody waits for: requests may need the connection until the next look."""
    cache.refresh()
    _note_look()
    _report()
    for listener in _on_look:
        listener()
    give_back(cache.alias())


def _report() -> None:
    """Write down what went wrong while rules were told, which rules failed, what was counted; what cannot be written
    yet is, at a later look."""
    with suppress(DatabaseError, InterfaceError):
        faults.of_process.report()
        adding.add_up()
        counting.write_if_due()


def _note_look() -> None:
    global _looked_at
    _looked_at = time.monotonic()


def seconds_since_look() -> float | None:
    """Say how long ago this process last read whether the rules have changed; None before it has."""
    return None if _looked_at is None or not has_loaded() else time.monotonic() - _looked_at


def _tell(error: Exception, what_now: str) -> int:
    """Say it in the log; returns the level at which it was said."""
    if not isinstance(error, DatabaseError | InterfaceError):
        logger.error("The rules could not be read; %s.", what_now, exc_info=error)
        return logging.ERROR
    level, text = logging.WARNING, f"{what_now}. {_explained(error)}"
    if cache.current() is cache.EMPTY and _is_about_tables(error) and not is_migrated(cache.alias()):
        level, text = logging.ERROR, f"{TABLES_ARE_OLDER} ({str(error).strip()})"
    if is_under_way():
        level = logging.DEBUG
    logger.log(level, "The rules cannot be read; %s", text)
    return level


def _is_about_tables(error: Exception) -> bool:
    # SQLite has one error for a table that is missing and for a file that cannot be opened, MariaDB one for a column.
    return isinstance(error, ProgrammingError) or any(words in str(error) for words in ("no such", "Unknown column"))


def _explained(error: Exception) -> str:
    # A traceback would tell no more, and would be what people see first who migrate a new site.
    said = str(error).strip()
    if _is_about_tables(error):
        return f"If migrations are under way, that passes with them: {said}"
    return f"The database does not answer: {said}"


def rules_changed(using: str, instance: Rule | RuleAction | None = None, deleted: bool = False, **_: Any) -> None:
    """Receive ``models.rule_set.rules_changed``: cancel what waits for a rule that went, and read the rules anew."""
    if isinstance(instance, Rule | RuleAction):
        close_of(instance, using)
    if isinstance(instance, Rule) and (deleted or not instance.enabled):
        waiting = Execution.objects.using(using).filter(rule_slug=instance.slug)
        waiting.cancel(f'The rule "{instance.slug}" was {"deleted" if deleted else "disabled"}.')
    if _in_test_case(using):
        _refresh_in_test_case()
    else:
        transaction.on_commit(_look_after_commit, using=using, robust=True)


def _look_after_commit() -> None:
    if not _unread.get():
        look()


def _in_test_case(using: str) -> bool:
    """Say whether the transaction is one of Django's ``TestCase``, which is never committed."""
    return any(getattr(block, "_from_testcase", False) for block in connections[using].atomic_blocks)


def _refresh_in_test_case() -> None:
    if not _unread.get():
        cache.refresh(force=True)


@contextmanager
def without_reading() -> Iterator[None]:
    """Keep what changes rules inside, or is committed there, from having them read.

    Whoever makes a rule in several steps reads them once, at the end.
    """
    token = _unread.set(True)
    try:
        yield
    finally:
        _unread.reset(token)


def started(**_: Any) -> None:
    """Receive the start of a request or task, where RULES_ENGINE["REFRESH"] is "request"."""
    if not is_test_environment():
        ensure_loaded()  # first, so that the two locks are always taken in one order
        look()
        _report()

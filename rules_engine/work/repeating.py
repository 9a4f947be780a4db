"""Statements of a worker's that are tried again: another's transaction, or a lost connection, passes.

What an action did outside cannot be undone. A record of it that fails once must not have it done again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, InternalError, OperationalError, connections, router

from rules_engine.databases import database_of
from rules_engine.models import Execution

logger = logging.getLogger("rules_engine")

T = TypeVar("T")

#: What may be well a moment later; a value that does not fit, or a column that is missing, stays as it is.
PASSING = (OperationalError, InterfaceError, InternalError)
#: Seconds between two tries, at first and later: a rival's transaction ends in milliseconds, a server comes back in
#: seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
#: Seconds in which a rival must have ended, where nothing is lost by giving up.
RIVALS = 5.0


def until_written(write: Callable[[], T], seconds: float) -> T:
    """Write, and again for so many seconds whatever passes: a serialization failure, a deadlock, a locked database, a
    lost connection. ``write`` may be done twice, where the connection was lost in its commit, and must not mind.

    Raises the error of the last try.
    """
    return _again(write, _is_passing, seconds)


def against_rivals(work: Callable[[], T], seconds: float = RIVALS) -> T:
    """Do it, and again where another transaction was in its way, so that it is known not to be done.

    Raises the error of the last try.
    """
    return _again(work, is_rivalry, seconds)


def _is_passing(error: Exception) -> bool:
    return isinstance(error, PASSING)


def is_rivalry(error: Exception) -> bool:
    """Say whether another transaction was in the way of a statement of ours, which is undone with its transaction."""
    return database_of(router.db_for_write(Execution)).is_rivalry(error)


def _again(work: Callable[[], T], may_pass: Callable[[Exception], bool], seconds: float) -> T:
    give_up, pause, is_said = time.monotonic() + seconds, FIRST_PAUSE, False
    while True:
        try:
            return work()
        except PASSING as error:
            if not may_pass(error) or time.monotonic() + pause > give_up or not _can_go_on():
                raise
            if not is_said:  # once, however often it is tried while a server is restarted
                logger.warning("The database did not take what a worker wrote, which is tried again: %s", error)
            is_said = True
        # By chance, so that two rivals do not meet again.
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
        pause = min(2 * pause, LONGEST_PAUSE)


def _can_go_on() -> bool:
    """Say whether another try can succeed, on another connection if this one is lost."""
    connection = connections[router.db_for_write(Execution)]
    if connection.in_atomic_block:  # the caller's, as in a test: only its savepoints are ours
        return not connection.needs_rollback and not connection.closed_in_transaction
    connection.close_if_unusable_or_obsolete()
    return True

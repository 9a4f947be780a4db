"""When a failed attempt is tried again. Pure: an error and a number in, a delay or None out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeGuard

from rules_engine.errors import PermanentError, Rejected, TransientError

#: However long another server asks us to wait, a day is the most we keep an execution open for one answer.
LONGEST_RETRY_AFTER = 86_400.0
#: Seconds that a schedule may wait at most: a year. A database cannot add every number of seconds to a time.
LONGEST_SCHEDULED_WAIT = 366 * 86_400.0
#: Seconds that what was put off waits where it does not say how long, or says what is no wait.
UNASKED = 60.0


def is_wait(value: object) -> TypeGuard[float]:
    """Say whether this is a number of seconds that a schedule may hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_SCHEDULED_WAIT


def delay(
    error: BaseException,
    attempt: int,
    schedule: Sequence[float],
    *,
    jitter: float = 0.2,
    chance: float | None = None,
) -> float | None:
    """Seconds until the next attempt, or None when there is none.

    ``attempt`` counts the attempts made so far, from 1. An error that is not ours (a bug in an action, say) is
    treated as one that may pass: an administrator sees it on the execution, and a deploy may mend it meanwhile.
    ``chance`` is a number from 0 to 1 that stands in for the random one.
    """
    # What another rule does not allow, it will not allow in a minute.
    if isinstance(error, PermanentError | Rejected) or attempt > len(schedule):
        return None
    asked = error.retry_after if isinstance(error, TransientError) else None
    if is_wait(asked) and asked <= LONGEST_RETRY_AFTER:
        return asked
    roll = random.random() if chance is None else chance  # noqa: S311 - spreads load, guards nothing
    return schedule[attempt - 1] * (1 + jitter * (2 * roll - 1))


def until_its_turn(asked: object) -> float:
    """Seconds until what was put off comes again: as it asked, from a second to a day, else a minute."""
    return max(asked, 1.0) if is_wait(asked) and asked <= LONGEST_RETRY_AFTER else UNASKED

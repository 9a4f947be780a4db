"""What attempts come to, counted for monitors: once it is committed, and in memory first."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rules_engine.databases.protocol import AttemptEnd
from rules_engine.models import Attempt, Execution
from rules_engine.models.execution import ENDED, State
from rules_engine.models.tallies import counting

ATTEMPTS, SECONDS = "rules_engine_attempts", "rules_engine_attempt_seconds"


def count_attempts(ends: Sequence[tuple[Execution, AttemptEnd]], using: str) -> None:
    """Count what these attempts came to, how long they took, and the executions that ended by them. Asked where metrics
    are on."""
    counts = counting.Counted()
    now = time.monotonic()
    for execution, end in ends:
        counts[ATTEMPTS, (execution.kind, end.outcome)] += 1
        if end.outcome != Attempt.Outcome.PUT_OFF:
            counts.observe(SECONDS, (execution.kind,), _seconds(execution, end, now))
        if end.state in ENDED:
            counts[counting.EXECUTIONS, (execution.kind, end.state)] += 1
    counting.count_after_commit(counts, using)


def _seconds(execution: Execution, end: AttemptEnd, now: float) -> float:
    # Hundreds may be in flight together, each with a time of its own; the others are begun and ended one by one.
    own = end.detail.get("duration_ms") if isinstance(end.detail, dict) else None
    return own / 1000 if isinstance(own, int | float) else max(now - execution.began, 0.0)


def count_end(kind: str, state: State, using: str) -> None:
    """Count an execution that ended without an attempt of its own."""
    counting.count_after_commit({(counting.EXECUTIONS, (kind, state.value)): 1}, using)


def count_lost(kind: str, using: str) -> None:
    """Count an attempt that was lost with its process."""
    counting.count_after_commit({(ATTEMPTS, (kind, Attempt.Outcome.LOST.value)): 1}, using)

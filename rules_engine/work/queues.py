"""Who empties which queue: an app that works in batches registers for its own, ``run`` has all others."""

from __future__ import annotations

from collections.abc import Callable

from rules_engine.work.run import drain as run_one_by_one

#: ``drain(seconds, limit)`` runs what is due and returns how many executions it began. It takes on nothing new after
#: so many seconds, or executions; None is no limit.
Drain = Callable[[float, int | None], int]

_registered: dict[str, Drain] = {}


def register_drain(queue: str, drain: Drain) -> None:
    """Have a queue emptied by this function, in whatever process drains it."""
    _registered[queue] = drain


def has_drain(queue: str) -> bool:
    """Say whether an app has taken the queue over."""
    return queue in _registered


def drain(queue: str, *, seconds: float, limit: int | None = None) -> int:
    """Run what is due in a queue until nothing is, or the time is up. Returns how many executions it ran."""
    registered = _registered.get(queue)
    if registered is None:
        return run_one_by_one(queue, seconds=seconds, limit=limit)
    return registered(seconds, limit)

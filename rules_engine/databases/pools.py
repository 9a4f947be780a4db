"""A pool of connections, as psycopg's in ``OPTIONS["pool"]``: what a thread of the engine's may take of it.

Who looks at one row every second keeps no connection that a request waits for. Who must not come late, such as the
thread that renews leases, does not ask the pool at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

#: What psycopg's pool has where nothing is said.
USUAL_SIZE = 4


def is_pooled(using: str) -> bool:
    """Say whether connections come from a pool: Django's, or that of a database engine whose name says so."""
    settings = connections[using].settings_dict
    return bool(settings["OPTIONS"].get("pool")) or "pool" in settings["ENGINE"]


def pool_size(using: str) -> int | None:
    """Return how many connections the pool of a process has at most; None where there is none, or none is known."""
    pool = connections[using].settings_dict["OPTIONS"].get("pool")
    if not pool:
        return None
    options = pool if isinstance(pool, dict) else {}
    return int(options.get("max_size") or options.get("min_size", USUAL_SIZE))


def give_back(using: str) -> None:
    """Give this thread's connection back to the pool; without a pool, keep it for the next look."""
    connection = connections[using]
    if is_pooled(using) and not connection.in_atomic_block:
        connection.close()


@contextmanager
def outside_pool(using: str) -> Iterator[None]:
    """Have this thread connect by itself in the block, also while all connections of the pool are in use.

    It connects at its first statement, and closes its connection at the end.
    """
    pooled = connections[using]
    options = {key: value for key, value in pooled.settings_dict["OPTIONS"].items() if key != "pool"}
    if options == pooled.settings_dict["OPTIONS"]:
        yield
        return
    own = type(pooled)({**pooled.settings_dict, "OPTIONS": options}, using)
    connections[using] = own
    try:
        yield
    finally:
        own.close()
        connections[using] = pooled

"""Reading from the database that is written, where a site's routers send reads elsewhere: a replica lags behind.

What an event tells, what is decided and what an action does must rest on what was written. That is read by Django, by
managers, properties and permission backends of the site, and by the engine; a router of ours, before the site's, sends
all of it where the site's own routers send writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import router

_is_on: ContextVar[bool] = ContextVar("rules_engine_reads_are_written", default=False)


class ReadsWhereWritten:
    """Sends reads where writes go: of the engine's own tables, and all of them in ``reading_where_written``."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return the alias; None leaves it to the site's routers."""
        rows = getattr(model._default_manager, "_queryset_class", None)
        is_own = getattr(rows, "is_read_where_written", False)
        return router.db_for_write(model, **hints) if is_own or _is_on.get() else None


_OURS = ReadsWhereWritten()


@contextmanager
def reading_where_written() -> Iterator[None]:
    """Have all that is read in the block come from the database that is written, whoever reads it."""
    stand_first()
    token = _is_on.set(True)
    try:
        yield
    finally:
        _is_on.reset(token)


def stand_first() -> None:
    """Stand before the site's routers, where it has any. Tests have Django make its list anew."""
    if router.routers and _OURS not in router.routers:
        router.routers.insert(0, _OURS)

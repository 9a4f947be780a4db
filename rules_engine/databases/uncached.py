"""Reading what the database says, past whatever an ORM cache remembers of it.

Such a package (django-cachalot, django-cacheops) puts its own in the place of a few methods of ``QuerySet`` and
``SQLCompiler`` as it becomes ready. Models are loaded before, and so is this module: what it found there is what the
engine reads with. A rule that another process switched off, a lease, a pause or a permission is no matter for a cache,
least of all for one that each process keeps by itself. Writing is left to the packages, which learn from it what to
forget. Without such a package the engine's querysets are Django's as soon as all apps are ready: a worker asks a dozen
times for one mail.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache, partial, wraps
from typing import Any, TypeVar

from django.apps import apps
from django.db import connections, router
from django.db.models import Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from rules_engine.databases import routing

Row = TypeVar("Row", bound=Model)

EXECUTE_SQL = inspect.unwrap(SQLCompiler.execute_sql)
#: The methods of a queryset that ask the database, apart from iterating without remembering.
ASKING = {
    name: inspect.unwrap(getattr(QuerySet, name))
    for name in ("_fetch_all", "aggregate", "count", "exists", "first", "get", "last")
}
#: What is done about caches where there are none.
NO_CACHE = nullcontext()


def reading_current(using: str) -> AbstractContextManager[None]:
    """Have all that is read in the block be what the database says now, whoever reads it: past caches, and from the
    database that is written.

    Past caches that stand before ``SQLCompiler``, that is; those that stand before ``QuerySet`` want ``uncached``.
    """
    past = NO_CACHE if SQLCompiler.execute_sql is EXECUTE_SQL else _past_caches_of(using)
    return _where_written(past) if router.routers else past


def _past_caches_of(using: str) -> AbstractContextManager[None]:
    operations: Any = connections[using].ops
    return NO_CACHE if "compiler" in vars(operations) else _past_caches(operations)


@contextmanager
def _where_written(past: AbstractContextManager[None]) -> Iterator[None]:
    with routing.reading_where_written(), past:
        yield


@contextmanager
def _past_caches(operations: Any) -> Iterator[None]:
    operations.compiler = partial(_compiler, operations.compiler)
    try:
        yield
    finally:
        del operations.compiler


def _compiler(usual: Callable[[str], Any], name: str) -> Any:
    return _reading(usual(name))


@lru_cache(maxsize=64)
def _reading(usual: Any) -> Any:
    """Make of a compiler one that asks the database; of one that has a way of its own, as all that write have, none."""
    if usual.execute_sql is not SQLCompiler.execute_sql:
        return usual
    return type(usual.__name__, (usual,), {"execute_sql": EXECUTE_SQL})


def _asking(ask: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(ask)
    def asked(self: QuerySet[Any], *args: Any, **options: Any) -> Any:
        if apps.ready and _is_usual():
            _step_aside()
        with reading_current(self.db):
            return ask(self, *args, **options)

    return asked


def _is_usual() -> bool:
    """Say whether nobody has put anything in the place of what Django reads with."""
    is_usual = all(getattr(QuerySet, name) is ask for name, ask in ASKING.items())
    return is_usual and SQLCompiler.execute_sql is EXECUTE_SQL


class UncachedQuerySet(QuerySet[Row]):
    """A queryset of the engine's own tables, which says what is in them now: no cache and no replica does."""

    #: What ``routing`` knows such tables by.
    is_read_where_written = True


def stand_before_caches() -> None:
    """Have the engine's querysets ask the database by the methods that were Django's when this module was imported."""
    for name, ask in ASKING.items():
        setattr(UncachedQuerySet, name, _asking(ask))


def _step_aside() -> None:
    for name in ASKING:
        # Another thread may be at it.
        with suppress(AttributeError):
            delattr(UncachedQuerySet, name)


stand_before_caches()


def uncached(rows: QuerySet[Row]) -> QuerySet[Row]:
    """Return the same rows of a site's model, to be read from the database."""
    if _is_usual():
        return rows
    found = rows.all()
    found.__class__ = _uncached_class(type(found))
    return found


@lru_cache(maxsize=256)
def _uncached_class(usual: type[QuerySet[Any]]) -> type[QuerySet[Any]]:
    """Make of a queryset one that asks the database, where it has no way of its own to do so."""
    own = {name: _asking(ask) for name, ask in ASKING.items() if getattr(usual, name) is getattr(QuerySet, name)}
    return type(usual.__name__, (usual,), own)

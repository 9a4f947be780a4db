"""How a site has its bulk writes told: a queryset and a manager for its models, and a block for code of others.

A site's models import this while they are made, so it imports what it calls as it calls it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models

if TYPE_CHECKING:
    _QuerySet = models.QuerySet[Any]
    _Manager = models.Manager[Any]
else:
    _QuerySet, _Manager = models.QuerySet, models.Manager

#: What Django takes after the objects, by place.
CREATING = ("batch_size", "ignore_conflicts", "update_conflicts", "update_fields", "unique_fields")
UPDATING = ("batch_size",)
Called = TypeVar("Called", bound=Callable[..., Any])

_is_watching: ContextVar[bool] = ContextVar("rules_engine_watching_bulk", default=False)
_lock = threading.Lock()


class RulesQuerySet(_QuerySet):
    """A queryset whose ``update``, ``bulk_create`` and ``bulk_update`` rules see as they see saves."""

    def update(self, **kwargs: Any) -> int:
        """Update all rows, and tell the rules of each."""
        return _update(self, super().update, **kwargs)

    def bulk_create(self, objs: Any, *args: Any, **options: Any) -> Any:
        """Insert the objects, and tell the rules of each that was inserted, or updated in its place."""
        return _create(self, super().bulk_create, objs, *args, **options)

    def bulk_update(self, objs: Any, fields: Any, *args: Any, **options: Any) -> Any:
        """Update these fields of the objects, and tell the rules of each."""
        return _bulk_update(self, super().bulk_update, objs, fields, *args, **options)

    update.alters_data = bulk_create.alters_data = bulk_update.alters_data = True  # type: ignore[attr-defined]


def _named(names: Sequence[str], args: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given by place by its name. Raises ``TypeError`` for more than there are places."""
    if len(args) > len(names):
        raise TypeError(f"At most {len(names)} arguments were expected after the objects, and {len(args)} were given.")
    return {**dict(zip(names, args, strict=False)), **options}


class RulesManager(_Manager.from_queryset(RulesQuerySet)):  # type: ignore[misc]
    """A manager whose querysets are ``RulesQuerySet``."""


def watched(model: type[models.Model]) -> bool:
    """Say whether bulk writes through the model's default manager are told to rules, by its own queryset."""
    queryset = getattr(model._default_manager, "_queryset_class", None)
    return isinstance(queryset, type) and issubclass(queryset, RulesQuerySet)


class watching_bulk:  # noqa: N801 - a block, as ``paused``
    """Tell rules of the bulk writes inside the block, whichever manager they go through, in this thread or task alone.

    ``with watching_bulk():``, or as a decorator, of coroutines too.
    """

    def __init__(self) -> None:
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        _stand_before_django()
        self._tokens.append(_is_watching.set(True))

    def __exit__(self, *error: object) -> None:
        _is_watching.reset(self._tokens.pop())

    def __call__(self, work: Called) -> Called:
        """Return the function with a block of this kind around each call."""
        if iscoroutinefunction(work):

            @wraps(work)
            async def watching_async(*args: Any, **options: Any) -> Any:
                with watching_bulk():
                    return await work(*args, **options)

            return watching_async  # type: ignore[return-value]

        @wraps(work)
        def watching(*args: Any, **options: Any) -> Any:
            with watching_bulk():
                return work(*args, **options)

        return watching  # type: ignore[return-value]


def _stand_before_django() -> None:
    """Put ours before the bulk writes of all querysets, once a process; outside of a block they are as they were."""
    with _lock:
        if not hasattr(models.QuerySet.update, "rules_engine"):
            for usual, told in _WRITES.items():
                setattr(models.QuerySet, usual, _watching(getattr(models.QuerySet, usual), told))


def _watching(usual: Callable[..., Any], told: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(usual)
    def write(self: models.QuerySet[Any], *args: Any, **options: Any) -> Any:
        if not _is_watching.get():
            return usual(self, *args, **options)
        return told(self, usual.__get__(self), *args, **options)

    write.rules_engine = True  # type: ignore[attr-defined]
    return write


def _update(rows: models.QuerySet[Any], own: Callable[..., Any], **values: Any) -> int:
    from rules_engine.capture.bulk.updates import update

    return update(rows, own, values)


def _create(rows: models.QuerySet[Any], own: Callable[..., Any], objs: Any, *args: Any, **options: Any) -> Any:
    from rules_engine.capture.bulk.creations import create

    return create(rows, own, objs, _named(CREATING, args, options))


def _bulk_update(
    rows: models.QuerySet[Any], own: Callable[..., Any], objs: Any, fields: Any, *args: Any, **options: Any
) -> Any:
    from rules_engine.capture.bulk.bulk_updates import bulk_update

    return bulk_update(rows, own, objs, fields, _named(UPDATING, args, options))


_WRITES: Mapping[str, Callable[..., Any]] = {"update": _update, "bulk_create": _create, "bulk_update": _bulk_update}

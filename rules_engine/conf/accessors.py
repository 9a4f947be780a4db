"""The accessors of settings, by their names: each is asked once, until Django says that the setting changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from django.core.signals import setting_changed

from rules_engine.setting_values import SETTING

Value = TypeVar("Value")

#: By the settings' names, which are the accessors' in capitals.
ACCESSORS: dict[str, Any] = {}


def setting(accessor: Callable[[], Value]) -> Callable[[], Value]:
    """Keep what the accessor returns until the setting changes, and know it by its name in capitals."""
    kept = cache(accessor)
    ACCESSORS[accessor.__name__.upper()] = kept
    return kept


def _read_anew(*, setting: str, **_sent: Any) -> None:
    if setting == SETTING:
        for accessor in ACCESSORS.values():
            accessor.cache_clear()


setting_changed.connect(_read_anew, dispatch_uid="rules_engine.conf")

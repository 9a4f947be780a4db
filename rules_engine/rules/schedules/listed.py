"""``events``: the events of several matches as one list, for an action that is carried out once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rules_engine.types import EVERY_FIELD, Path

EVENTS = "events"
#: Events that an action is handed at most, the first ones; ``held.more`` is how many there are besides.
MOST_LISTED = 100


def of_each(path: Path) -> Path | None:
    """Return what a path below ``events`` reads of each of them; None for one that is not below, or reads them as
    wholes."""
    if path[:1] != (EVENTS,):
        return None
    rest = path[2:] if path[1:2] and path[1].isdecimal() else path[1:]
    return rest if rest and rest != (EVERY_FIELD,) else None


def with_each(paths: Iterable[Path]) -> set[Path]:
    """Return the paths, and what they read of each of ``events``: it has to be read when each of them happens."""
    known = set(paths)
    return known | {rest for path in known if (rest := of_each(path)) is not None}


def lists(paths: Iterable[Path]) -> bool:
    """Say whether these read the list, or how much longer it would be."""
    return any(path[:1] == (EVENTS,) or path[:2] == ("held", "more") for path in paths)


def joined(parts: Iterable[Sequence[Any]]) -> list[Any]:
    """Return the ids of events of several matches in one list, each once, as many as are handed on."""
    return list(dict.fromkeys(str(key) for part in parts for key in part))[:MOST_LISTED]

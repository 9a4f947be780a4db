"""What a rule that waits by the clock makes of a match: a row that says since when something holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rules_engine.types import Path


@dataclass(frozen=True, slots=True)
class Arms:
    """What a match of the rule begins, or, where it ``holds`` no more, ends: ``kind`` is ``stays`` or ``silent``."""

    kind: str
    seconds: int
    holds: bool = True
    #: What is waited for by itself, and what that reads; empty: the object, or all alike.
    by: str = ""
    by_reads: frozenset[Path] = frozenset()
    #: What has to hold when it is due, and what that reads; None: nothing.
    condition: Any = None
    reads: frozenset[Path] = frozenset()
    #: That as it is written (``said_of``): another one is armed anew.
    said: str = ""


def said_of(condition: Any, changes: Sequence[Any]) -> str:
    """Return what has to hold, a condition and change conditions, as a text: equal where these are."""
    return json.dumps([condition, list(changes)], sort_keys=True, default=str)

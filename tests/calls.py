"""The calls of functions that a piece of code makes: what it costs a process, whatever else the machine does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls_of(work: Callable[[], Any]) -> int:
    """Return how many calls of the engine's own functions the work makes in this thread."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call" and str(frame.f_globals.get("__name__", "")).startswith("rules_engine.")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls

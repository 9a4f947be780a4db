"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: For anything to happen; most of it takes a fraction of this, but for a machine that has much else to do.
SECONDS = 60.0


def eventually(is_met: Callable[[], Any], said: Callable[[], str] = str, seconds: float = SECONDS) -> None:
    """Wait until that is so. Raises ``AssertionError`` with what was ``said`` when it does not come to be."""
    end = time.monotonic() + seconds
    while not is_met():
        if time.monotonic() > end:
            raise AssertionError(f"It did not happen within {seconds:g} s.\n{said()}")
        time.sleep(0.02)

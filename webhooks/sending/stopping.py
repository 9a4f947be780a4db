"""SIGTERM while a process sends: systemd sends it to the processes of a pool too, which by default end at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Stop:
    """Whether this process was told to stop."""

    is_asked: bool = False


@contextmanager
def put_off() -> Iterator[Stop]:
    """Let SIGTERM take effect when the block is left; the block can see that it waits."""
    stop = Stop()
    usual = signal.getsignal(signal.SIGTERM)
    # Only the main thread may set handlers; one that was not set by Python could not be set again.
    if threading.current_thread() is not threading.main_thread() or usual is None:
        yield stop
        return

    def note(*_: object) -> None:
        stop.is_asked = True

    signal.signal(signal.SIGTERM, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, usual)
        if stop.is_asked:
            os.kill(os.getpid(), signal.SIGTERM)

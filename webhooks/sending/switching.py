"""How long the sender's two threads have each other wait for the interpreter."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

#: Seconds for which a thread may go on while another waits. Each statement and each write to a socket lets the other
#: thread in, and then waits for it to stop: with Python's own 0.005 a drain of 2,000 deliveries to a receiver that
#: answers after 50 ms reached 0.60 of bare aiohttp's rate, with 0.001 0.69 and with this 0.76 (P9, SQLite, on a busy
#: machine), on the same time on the processor.
SECONDS = 0.0002
#: What Python has where nobody said otherwise.
USUAL = 0.005


class Switching:
    """Threads are switched more often until the ``with`` block is left, unless the site has arranged it itself."""

    def __init__(self) -> None:
        self._is_ours = False

    def __enter__(self) -> Self:
        if sys.getswitchinterval() == USUAL:
            sys.setswitchinterval(SECONDS)
            self._is_ours = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_ours:
            sys.setswitchinterval(USUAL)
            self._is_ours = False

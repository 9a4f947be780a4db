"""How a process of ``rules_worker`` is told to end: by a signal, or because the process that began it is gone."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from rules_engine.work.workers import stopping


def hangup() -> tuple[signal.Signals, ...]:
    """Return what a terminal sends that is closed, where there is such a signal and nobody (``nohup``) has said to let
    it pass."""
    number: signal.Signals | None = getattr(signal, "SIGHUP", None)
    return () if number is None or signal.getsignal(number) == signal.SIG_IGN else (number,)


class Stop:
    """Told once, everything under way is ended in order; told again, the process ends at once.

    ``file`` can be read from then on, so that whoever waits for something else can wait for that, too.
    """

    def __init__(self) -> None:
        self.file, self._told = os.pipe()

    @property
    def is_asked(self) -> bool:
        """Whether the process was told to end."""
        return stopping.asked.is_set()

    def ask(self) -> None:
        """Tell the process to end."""
        if not stopping.asked.is_set():
            stopping.asked.set()
            os.write(self._told, b"!")

    def listen_to_signals(self, *numbers: signal.Signals) -> None:
        """Have these signals tell it; a second one takes its usual effect."""
        for number in numbers:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self.ask()

    def listen_to_parent(self, lifeline: int) -> None:
        """Have it told when the other end of this pipe is closed, as it is by a parent that was killed."""

        def wait() -> None:
            os.read(lifeline, 1)
            self.ask()

        threading.Thread(target=wait, name="rules-engine-lifeline", daemon=True).start()

"""What texts may take that are worked out while a save waits: they share some milliseconds, a worker's take a second.

Each takes at most half of what those before it have left, so that the sum is bounded; and each is given a few steps
that no clock counts, so that a short text is never an error because of a long one. Time is the thread's own: that the
machine is busy with something else is no text's fault.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from rules_engine.texts.limits import SAVE_SECONDS


class Allowance:
    """The seconds that the texts of one save have left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = SAVE_SECONDS

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Take from it what the block takes."""
        began = time.thread_time()
        try:
            yield
        finally:
            self.left = max(0.0, self.left - (time.thread_time() - began))


class WaitingSave(Protocol):
    """A save for which somebody waits."""

    @property
    def allowance(self) -> Allowance:
        """What its texts have left; most saves have no text, so it is made where there is one."""


#: The save for which texts are worked out here; None where nobody waits for one. It is set at every save that a rule
#: may match, which a call would lengthen.
SAVE: ContextVar[WaitingSave | None] = ContextVar("rules_engine_texts_save", default=None)


def of_save() -> Allowance | None:
    """Return what the texts of this save have left; None where no save waits."""
    save = SAVE.get()
    return None if save is None else save.allowance

"""Python's garbage collector while much is sent: it need not look again and again at all that the site has loaded."""

from __future__ import annotations

import gc
from types import TracebackType
from typing import Self


class Collector:
    """What is there when much begins to be sent is passed by, until the ``with`` block is left.

    Thousands of deliveries make enough objects for a full collection, which goes through all that Django and the site
    have loaded: two in 2,000 deliveries took a fifth of the processor's time, and kept every answer waiting for 100 ms.
    """

    def __init__(self) -> None:
        self._is_frozen = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_frozen:
            gc.unfreeze()
            self._is_frozen = False

    def pass_by(self) -> None:
        """Pass by what is there now; does nothing the second time, nor where the site has arranged it itself."""
        if self._is_frozen or gc.get_freeze_count():
            return
        # What is young is looked at once more, or what of it is garbage would never count towards a full collection.
        gc.collect(1)
        gc.freeze()
        self._is_frozen = True

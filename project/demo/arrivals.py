"""What has arrived: mails, webhooks, log lines, audit entries, cache keys that went. Kept in memory, for the page."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

KEPT = 200


@dataclass(frozen=True, slots=True)
class Arrival:
    """One effect, as seen by whoever it was meant for. ``kind``: mail, webhook, cache, audit or log."""

    number: int
    at: str
    kind: str
    title: str
    text: str = ""
    good: bool = True


class Arrivals:
    """The latest arrivals, oldest first, for any thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.latest: deque[Arrival] = deque(maxlen=KEPT)
        self.count = 0

    def add(self, kind: str, title: str, text: str = "", *, good: bool = True) -> None:
        """Something arrived now; ``good`` is False where it is not as it should be."""
        with self.changed:
            self.count += 1
            self.latest.append(Arrival(self.count, datetime.now(UTC).isoformat(), kind, title, text, good))
            self.changed.notify_all()

    def after(self, number: int) -> list[Arrival]:
        """Those that came after the arrival of that number; 0 gives all that are kept."""
        with self.changed:
            return [arrival for arrival in self.latest if arrival.number > number]

    def wait_until(self, is_met: Callable[[], bool], seconds: float) -> bool:
        """Wait until ``is_met()``, asked at each arrival and every half second, for at most so long."""
        end = time.monotonic() + seconds
        while not is_met():
            left = end - time.monotonic()
            if left <= 0:
                return False
            with self.changed:
                self.changed.wait(min(left, 0.5))
        return True


#: Those of this process.
arrivals = Arrivals()

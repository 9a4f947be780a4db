"""How many hints may wait in a queue. While no worker takes them, each further one only fills the broker's memory.

Asked of the broker, or of the backend of Django's tasks, by the thread that sends hints, and rarely: before the first,
and then once in EVERY of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from celery import current_app
from kombu.exceptions import ChannelError

from rules_engine.types import Unread, ask

logger = logging.getLogger("rules_engine")

#: Hints that may wait in a queue. One is enough for a worker; each process of a site may come to it by EVERY too many.
MOST = 100
#: Hints that a process sends before it asks again how many wait.
EVERY = 50
#: Seconds until it is asked again of a queue that was full. What is not announced meanwhile is found all the same: by
#: the workers that take the hints which wait, and by their sweep.
AGAIN_SECONDS = 1.0

#: A broker's answer; Kombu has it as a number and as a text.
NO_SUCH_QUEUE = "404"


#: Given a queue, how many hints wait in it. May raise anything.
Count = Callable[[str], int]


@dataclass
class Room:
    """What one process may still send to one queue, and when it asks again (monotonic) where that is nothing."""

    left: int = 0
    ask_at: float = 0.0

    def take(self, queue: str, count: Count | None = None) -> bool:
        """Say whether one more hint is worth sending."""
        if self.left <= 0 and time.monotonic() >= self.ask_at:
            self.left = min(EVERY, MOST - _waiting(queue, count or _asked))
            self.ask_at = 0.0 if self.left > 0 else time.monotonic() + AGAIN_SECONDS
        self.left -= 1
        return self.left >= 0


_rooms: dict[str, Room] = {}
#: Why it could not be asked at last how many wait, and whether that was said.
_unasked: Exception | None = None
_has_said = False


def has_room(queue: str, count: Count | None = None) -> bool:
    """Say whether one more hint is worth sending to this queue: of Celery's, whose broker is asked, unless another
    counts. Raises nothing."""
    return _rooms.setdefault(queue, Room()).take(queue, count)


def say_if_unbounded(queue: str) -> None:
    """Say once a process that hints are sent although it cannot be asked how many wait. To be called when one was
    sent: where that fails as well, all is said by whoever sends."""
    global _has_said
    if _unasked is not None and not _has_said:
        _has_said = True
        said = (
            "It cannot be asked how many hints wait in %s (%s): while no worker takes them, they pile up without bound."
        )
        logger.warning(said, queue, f"{type(_unasked).__name__}: {_unasked}")


def _waiting(queue: str, count: Count) -> int:
    """Return how many hints wait in a queue, 0 where that cannot be asked."""
    global _unasked
    waiting = ask(count, queue)
    if isinstance(waiting, Unread):
        _unasked = waiting.error
        return 0
    _unasked = None
    return waiting


def _asked(queue: str) -> int:
    with current_app.connection_or_acquire() as connection, closing(connection.channel()) as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except ChannelError as error:
            if str(error.reply_code) != NO_SUCH_QUEUE:
                raise
            return 0  # none yet, or on Redis one that holds nothing

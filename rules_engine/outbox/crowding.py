"""How many hints may wait in a queue. While no worker takes them, each further one only fills the broker's memory.

Asked of the broker by the thread that sends hints, and rarely: before the first, and then once in EVERY of them.
"""

from __future__ import annotations

import logging
import time
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


@dataclass
class Room:
    """What one process may still send to one queue, and when it asks again (monotonic) where that is nothing."""

    left: int = 0
    ask_at: float = 0.0

    def take(self, queue: str) -> bool:
        """Say whether one more hint is worth sending."""
        if self.left <= 0 and time.monotonic() >= self.ask_at:
            self.left = min(EVERY, MOST - _waiting(queue))
            self.ask_at = 0.0 if self.left > 0 else time.monotonic() + AGAIN_SECONDS
        self.left -= 1
        return self.left >= 0


_rooms: dict[str, Room] = {}


def has_room(queue: str) -> bool:
    """Say whether one more hint is worth sending to this queue of Celery's. May ask the broker, and raises nothing."""
    return _rooms.setdefault(queue, Room()).take(queue)


def _waiting(queue: str) -> int:
    """Return how many messages wait in a queue, 0 where that cannot be asked: then sending says what is wrong."""
    waiting = ask(_asked, queue)
    if isinstance(waiting, Unread):
        logger.debug("It cannot be asked how many hints wait in %s (%s).", queue, waiting.error)
        return 0
    return waiting


def _asked(queue: str) -> int:
    with current_app.connection_or_acquire() as connection, closing(connection.channel()) as channel:
        try:
            return int(channel.queue_declare(queue, passive=True).message_count)
        except ChannelError as error:
            if str(error.reply_code) != NO_SUCH_QUEUE:
                raise
            return 0  # none yet, or on Redis one that holds nothing

"""Threads in which an event loop may run, also where gevent or eventlet have made greenlets of threads.

asyncio knows one running loop for each thread of the operating system. In a greenlet, all others of its thread would
take the loop for theirs, and Django's ORM refuses to work in one. So the thread has to be a real one; what waits for
it asks again and again, for what these libraries made of locks and queues wakes nobody across real threads.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

#: Seconds between two questions whether something has come.
TURN = 0.005


class Started(Protocol):
    """A thread as far as we use it."""

    def is_alive(self) -> bool:
        """Say whether it still runs."""

    def join(self) -> None:
        """Wait for its end."""


class Event(Protocol):
    """An event as far as we use it."""

    def set(self) -> None:
        """Say that it has come."""

    def wait(self) -> Any:
        """Wait for it."""


class Queue(Protocol):
    """A queue as far as we use it."""

    def put(self, item: Any) -> None:
        """Put something in."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the first out, or wait for it so many seconds; raises ``queue.Empty``."""

    def empty(self) -> bool:
        """Say whether nothing is in."""


def is_needed() -> bool:
    """Say whether the threads of this process are greenlets, where an event loop would be everybody's."""
    return _real_start() is not None


def start(work: Callable[[], None], name: str) -> Started:
    """Do it in a thread of the operating system."""
    begin = _real_start()
    if begin is not None:
        return _Polled(work, begin)
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def event() -> Event:
    """Make an event for such a thread and who started it."""
    return threading.Event() if _real_start() is None else _PolledEvent()


def answers() -> Queue:
    """Make a queue from such a thread to who started it."""
    return queue.SimpleQueue() if _real_start() is None else _PolledQueue()


def _real_start() -> Callable[..., Any] | None:
    """Return what starts a real thread, where ``threading`` starts none."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        from_gevent: Callable[..., Any] = gevent.get_original("_thread", "start_new_thread")
        return from_gevent
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        from_eventlet: Callable[..., Any] = eventlet.original("_thread").start_new_thread
        return from_eventlet
    return None


class _Polled:
    def __init__(self, work: Callable[[], None], begin: Callable[..., Any]) -> None:
        self._work = work
        self._over = _PolledEvent()
        begin(self._run, ())

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._over.set()

    def is_alive(self) -> bool:
        return not self._over.is_set

    def join(self) -> None:
        self._over.wait()


class _PolledEvent:
    is_set = False

    def set(self) -> None:
        self.is_set = True

    def wait(self) -> None:
        while not self.is_set:
            time.sleep(TURN)  # lets other greenlets run


class _PolledQueue:
    def __init__(self) -> None:
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        end = time.monotonic() + (timeout or 0)
        while not self._items:
            if time.monotonic() >= end:
                raise queue.Empty
            time.sleep(TURN)
        return self._items.popleft()

    def empty(self) -> bool:
        return not self._items

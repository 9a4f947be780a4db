"""Deliveries in flight: one event loop in a thread of its own, over kept-alive connections."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from webhooks.deliveries.delivery import Message
from webhooks.errors import DeliveryError, Unforeseen
from webhooks.http.client import Client, Response

logger = logging.getLogger("webhooks")

#: Seconds to wait for more answers once there is one: recording them together costs a fraction of one by one.
GATHER_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Departure:
    """A delivery about to be sent, of an execution that was started under the claim of ``worker``."""

    execution_id: object
    worker: str
    message: Message

    @property
    def key(self) -> tuple[object, str]:
        """Of its own among all in flight: where a lease ran out, an execution may be there twice."""
        return self.execution_id, self.worker


@dataclass(frozen=True, slots=True)
class Landing:
    """What came back for a departure."""

    departure: Departure
    answer: Response | DeliveryError
    seconds: float


class Flights:
    """The deliveries in flight. ``with Flights(limit) as flights``; leaving cuts off what has not landed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._landings: queue.SimpleQueue[Landing] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._over: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._client: Client
        self._tasks: set[asyncio.Task[None]] = set()
        self._began: dict[object, tuple[Departure, float]] = {}
        self._lanes: Counter[str] = Counter()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run_loop, name="webhooks-sender", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def __len__(self) -> int:
        return len(self._began)

    @property
    def is_open(self) -> bool:
        """Whether more can be launched. Once it is False it stays so, and what was in flight has landed."""
        return self._thread.is_alive()

    def lanes(self) -> set[str]:
        """The endpoints that have something in flight."""
        return {slug for slug, count in self._lanes.items() if count}

    def by_endpoint(self) -> Mapping[str, int]:
        """How many are in flight, by the endpoint's slug."""
        return self._lanes

    def of(self, slug: str) -> int:
        """How many of one endpoint's are in flight."""
        return self._lanes[slug]

    def longer_than(self, seconds: float) -> set[str]:
        """The endpoints that have kept a delivery waiting for so long."""
        before = time.monotonic() - seconds
        return {one.message.endpoint.slug for one, began in self._began.values() if began < before}

    def launch(self, departures: Iterable[Departure]) -> None:
        """Send these, all at once."""
        now = time.monotonic()
        batch = list(departures)
        for one in batch:
            self._began[one.key] = one, now
            self._lanes[one.message.endpoint.slug] += 1
        if batch:
            with suppress(RuntimeError):  # the loop has ended: ``landed`` says so
                self._loop.call_soon_threadsafe(self._begin, batch)

    def landed(self, timeout: float) -> list[Landing]:
        """What has come back since the last call; waits so many seconds for the first."""
        is_open, found = self.is_open, list[Landing]()
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0 or not found:
            try:
                found.append(self._landings.get(timeout=max(left, 0)))
            except queue.Empty:
                break
            if len(found) == 1:
                end = min(end, time.monotonic() + GATHER_SECONDS)
        while not self._landings.empty():
            found.append(self._landings.get())
        if not is_open:
            back = {one.departure.key for one in found}
            found += [_never_landed(one, began) for key, (one, began) in self._began.items() if key not in back]
        for one in found:
            del self._began[one.departure.key]
            self._lanes[one.departure.message.endpoint.slug] -= 1
        return found

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception as error:  # the execution boundary: whoever waits for the loop must hear of its end
            logger.exception("The event loop of the sender has failed.")
            self._failure = error
        finally:
            self._ready.set()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with Client(limit=self._limit) as self._client:
            self._ready.set()
            await self._over.wait()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, departures: list[Departure]) -> None:
        for one in departures:
            task = self._loop.create_task(self._fly(one))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _fly(self, departure: Departure) -> None:
        sent, began = departure.message, time.monotonic()
        answer: Response | DeliveryError = Unforeseen("The delivery was broken off.")
        try:
            answer = await self._client.deliver(sent.endpoint.url, sent.body, sent.headers, context=sent.tls)
        except DeliveryError as error:
            answer = error
        except Exception as error:  # the execution boundary: a delivery must land, whatever became of it
            answer = Unforeseen(f"The delivery failed in a way nobody foresaw: {type(error).__name__}: {error}")
        finally:
            self._landings.put(Landing(departure, answer, time.monotonic() - began))


def _never_landed(departure: Departure, began: float) -> Landing:
    answer = Unforeseen("The sender's event loop ended while the delivery was in flight.")
    return Landing(departure, answer, time.monotonic() - began)

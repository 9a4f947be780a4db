"""Deliveries in flight: one event loop in a thread of its own, over kept-alive connections."""

from __future__ import annotations

import asyncio
import logging
import queue
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from webhooks.deliveries.delivery import Message
from webhooks.errors import DeliveryError, Unforeseen
from webhooks.http import native
from webhooks.http.client import Client, Response

logger = logging.getLogger("webhooks")

#: Answers that are worth being recorded without waiting for more.
MANY = 30
#: Seconds to wait for more answers where there are fewer: recording them together costs a fraction of one by one. The
#: second, as long as a look for work waits, where the last wait brought many: more are on their way.
GATHER_SECONDS, GATHER_MANY_SECONDS = 0.01, 0.025


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery that is sent, of an execution that was started under the claim of ``worker``."""

    execution_id: object
    worker: str
    message: Message

    @property
    def key(self) -> tuple[object, str]:
        """Name it among all in flight: where a lease ran out, an execution may be there twice."""
        return self.execution_id, self.worker


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back for a delivery, after so many seconds."""

    sent: Sent
    answer: Response | DeliveryError
    seconds: float


class InFlight:
    """The deliveries in flight. ``with InFlight(limit) as in_flight``; leaving cuts off what has no answer yet."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers = native.answers()
        self._ready = native.event()
        self._over: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._client: Client
        self._tasks: set[asyncio.Task[Response]] = set()
        self._began: dict[object, tuple[Sent, float]] = {}
        self._by_endpoint: Counter[str] = Counter()
        #: How many answers the last wait brought.
        self._gathered = 0
        self._failure: Exception | None = None
        self._thread: native.Started

    def __enter__(self) -> Self:
        self._thread = native.start(self._run_loop, "webhooks-sender")
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
        """Whether more can be sent. Once it is False it stays so, and what was in flight has come back."""
        return self._thread.is_alive()

    def endpoints(self) -> set[str]:
        """Give the endpoints that have something in flight, by slug."""
        return {slug for slug, count in self._by_endpoint.items() if count}

    def by_endpoint(self) -> Mapping[str, int]:
        """Count what is in flight by the endpoint's slug."""
        return self._by_endpoint

    def of(self, slug: str) -> int:
        """Count what is in flight to one endpoint."""
        return self._by_endpoint[slug]

    def longer_than(self, seconds: float) -> set[str]:
        """Give the endpoints that have kept a delivery waiting for so long."""
        before = time.monotonic() - seconds
        return {sent.message.endpoint.slug for sent, began in self._began.values() if began < before}

    def send(self, batch: Sequence[Sent]) -> None:
        """Send these, all at once."""
        now = time.monotonic()
        for sent in batch:
            self._began[sent.key] = sent, now
            self._by_endpoint[sent.message.endpoint.slug] += 1
        if batch:
            with suppress(RuntimeError):  # the loop has ended: ``answered`` says so
                self._loop.call_soon_threadsafe(self._begin, batch)

    def answered(self, timeout: float) -> list[Answered]:
        """Give what has come back since the last call; waits so many seconds for the first."""
        is_open = self.is_open
        answers = self._gather(timeout)
        if not is_open:
            back = {answered.sent.key for answered in answers}
            lost = [(sent, began) for key, (sent, began) in self._began.items() if key not in back]
            answers += [_never_answered(sent, began) for sent, began in lost]
        for answered in answers:
            del self._began[answered.sent.key]
            self._by_endpoint[answered.sent.message.endpoint.slug] -= 1
        return answers

    def _gather(self, timeout: float) -> list[Answered]:
        answers = self._come()
        if not answers:
            try:
                answers.append(self._answers.get(timeout=timeout))
            except queue.Empty:
                return answers
        if timeout and len(answers) < min(MANY, len(self._began)):
            # Asleep: to be woken by each answer takes the interpreter from the loop as often.
            time.sleep(GATHER_MANY_SECONDS if self._gathered >= MANY else GATHER_SECONDS)
            answers += self._come()
        self._gathered = len(answers)
        return answers

    def _come(self) -> list[Answered]:
        come = []
        while not self._answers.empty():
            come.append(self._answers.get())
        return come

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

    def _begin(self, batch: Sequence[Sent]) -> None:
        for sent in batch:
            message = sent.message
            posting = self._client.deliver(message.endpoint.url, message.body, message.headers, context=message.tls)
            task = self._loop.create_task(posting)
            self._tasks.add(task)
            task.add_done_callback(partial(self._end, sent, time.monotonic()))

    def _end(self, sent: Sent, began: float, task: asyncio.Task[Response]) -> None:
        self._tasks.discard(task)
        self._answers.put(Answered(sent, _answer(task), time.monotonic() - began))


def _answer(task: asyncio.Task[Response]) -> Response | DeliveryError:
    """Read what a delivery came to: there is an answer for each, whatever became of it."""
    if task.cancelled():
        return Unforeseen("The delivery was broken off.")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, DeliveryError):
        return error
    return Unforeseen(f"The delivery failed in a way nobody foresaw: {type(error).__name__}: {error}")


def _never_answered(sent: Sent, began: float) -> Answered:
    answer = Unforeseen("The sender's event loop ended while the delivery was in flight.")
    return Answered(sent, answer, time.monotonic() - began)

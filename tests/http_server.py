"""A real HTTP server on loopback that misbehaves on request.

It runs an event loop in a thread of its own and speaks raw TCP, so that it can say what no decent library would let
it say. Use it as a context manager::

    with MisbehavingServer() as server:
        server.on("/slow", drip_body(every=0.01))
        server.script(answer(503), answer(200))     # for whatever path comes, before the paths are asked
        post(server.url("/slow"))
        assert server.requests[0].header("webhook-id")

A behaviour is a coroutine function of a ``Conversation``. Without any, requests are answered with 200 and "ok".
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self

LARGEST_HEAD = 1 << 20


@dataclass(frozen=True)
class Recorded:
    """A request as it came over the wire. ``connection`` counts the server's connections from 1."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    def header(self, name: str, default: str = "") -> str:
        """The value of the first header of that name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)


@dataclass
class Conversation:
    """What a behaviour has to work with."""

    request: Recorded
    writer: asyncio.StreamWriter
    keep: bool = True

    async def send(self, data: bytes) -> None:
        """Put bytes on the wire; raises ``ConnectionError`` when nobody is there, which TLS would keep quiet about."""
        if self.writer.is_closing():
            raise ConnectionResetError("The client has gone.")
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Put a status line and headers on the wire."""
        lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        await self.send("\r\n".join(lines).encode("latin-1"))


Behaviour = Callable[[Conversation], Awaitable[None]]


def answer(status: int = 200, body: bytes = b"ok", headers: Mapping[str, str] | None = None) -> Behaviour:
    """An ordinary answer; the connection stays open."""

    async def behave(conversation: Conversation) -> None:
        await conversation.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        await conversation.send(body)

    return behave


def redirect(location: str, status: int = 301) -> Behaviour:
    """A redirect to anywhere."""
    return answer(status, b"", {"Location": location})


def too_many_requests(retry_after: str) -> Behaviour:
    """429 with a ``Retry-After``."""
    return answer(429, b"", {"Retry-After": retry_after})


def drip_headers(every: float = 0.05) -> Behaviour:
    """A status line, then one more header every so many seconds, without end."""

    async def behave(conversation: Conversation) -> None:
        await conversation.send(b"HTTP/1.1 200 OK\r\n")
        number = 0
        while True:
            await conversation.send(f"X-{number}: y\r\n".encode())
            number += 1
            await asyncio.sleep(every)

    return behave


def drip_body(every: float = 0.05, length: int = 100_000) -> Behaviour:
    """All headers, then one byte of the body every so many seconds."""

    async def behave(conversation: Conversation) -> None:
        await conversation.head(200, {"Content-Length": str(length)})
        for _ in range(length):
            await conversation.send(b"x")
            await asyncio.sleep(every)

    return behave


def late(seconds: float) -> Behaviour:
    """An ordinary answer, after so many seconds without a word."""

    async def behave(conversation: Conversation) -> None:
        await asyncio.sleep(seconds)
        await answer()(conversation)

    return behave


def hang() -> Behaviour:
    """Takes the request and never says a word."""

    async def behave(conversation: Conversation) -> None:
        await asyncio.Event().wait()

    return behave


def once(condition: Callable[[], bool]) -> Behaviour:
    """An ordinary answer, as soon as a condition holds; not a word before."""

    async def behave(conversation: Conversation) -> None:
        while not condition():
            await asyncio.sleep(0.01)
        await answer()(conversation)

    return behave


def hang_mid_body() -> Behaviour:
    """Half a body, then silence."""

    async def behave(conversation: Conversation) -> None:
        await conversation.head(200, {"Content-Length": "10"})
        await conversation.send(b"01234")
        await asyncio.Event().wait()

    return behave


def endless_informational(every: float = 0.02, at_once: int = 1) -> Behaviour:
    """103 after 103, so many at a time, and never an answer."""

    async def behave(conversation: Conversation) -> None:
        while True:
            await conversation.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * at_once)
            await asyncio.sleep(every)

    return behave


def huge_body(size: int = 100 * 1024 * 1024) -> Behaviour:
    """A body of that many bytes, as fast as they are taken."""

    async def behave(conversation: Conversation) -> None:
        await conversation.head(200, {"Content-Length": str(size)})
        block = b"x" * 65_536
        for _ in range(size // len(block)):
            await conversation.send(block)
        await conversation.send(b"x" * (size % len(block)))

    return behave


def gzip_bomb(size: int = 64 * 1024 * 1024) -> Behaviour:
    """A small compressed body that unpacks to that many bytes, whatever the client accepts."""
    return answer(200, gzip.compress(bytes(size)), {"Content-Encoding": "gzip"})


def header_bomb(headers: int = 100_000) -> Behaviour:
    """More headers than anybody should read."""

    async def behave(conversation: Conversation) -> None:
        await conversation.head(200, {f"X-{number}": "y" * 100 for number in range(headers)})

    return behave


def long_header(length: int = 1_000_000) -> Behaviour:
    """One header that is far too long."""
    return answer(200, b"ok", {"X-Long": "y" * length})


def truncated_body(status: int = 200) -> Behaviour:
    """Announces ten bytes, sends five, closes."""

    async def behave(conversation: Conversation) -> None:
        await conversation.head(status, {"Content-Length": "10"})
        await conversation.send(b"01234")
        conversation.keep = False

    return behave


def drop() -> Behaviour:
    """Takes the request and closes without an answer."""

    async def behave(conversation: Conversation) -> None:
        conversation.keep = False

    return behave


def garbage(data: bytes = b"SSH-2.0-surprise\r\n") -> Behaviour:
    """Something that is not HTTP."""

    async def behave(conversation: Conversation) -> None:
        await conversation.send(data)
        conversation.keep = False

    return behave


def answer_then_close_idle(status: int = 200) -> Behaviour:
    """An answer that promises to keep the connection, then closes it without a word."""

    async def behave(conversation: Conversation) -> None:
        await answer(status)(conversation)
        conversation.keep = False

    return behave


class MisbehavingServer:
    """See the module. ``tls`` makes it speak HTTPS with that context."""

    def __init__(self, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.requests: list[Recorded] = []
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._paths: dict[str, Behaviour] = {}
        self._script: deque[Behaviour] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="misbehaving-server", daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, path: str = "/", host: str | None = None) -> str:
        """The address of ``path``, at ``host`` or the address the server listens on."""
        return f"{'https' if self._tls else 'http'}://{host or self.host}:{self.port}{path}"

    def on(self, path: str, behaviour: Behaviour) -> None:
        """Behave like this whenever ``path`` (without its query) is asked for."""
        self._paths[path] = behaviour

    def script(self, *behaviours: Behaviour) -> None:
        """Behave like these for the next requests, one each, whatever their path."""
        self._script.extend(behaviours)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)
        return self

    def __exit__(self, *exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._connected, self.host, 0, ssl=self._tls, limit=LARGEST_HEAD)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Closing a transport takes one more turn of the loop.
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._converse(reader, writer, number):
                    pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        request = await _request(reader, number)
        self.requests.append(request)
        behaviour = self._script.popleft() if self._script else self._paths.get(request.target.partition("?")[0])
        conversation = Conversation(request, writer)
        await (behaviour or answer())(conversation)
        return conversation.keep


async def _request(reader: asyncio.StreamReader, number: int) -> Recorded:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _version = first.split(" ", 2)
    pairs = [line.partition(":")[::2] for line in lines]
    headers = tuple((name, value.strip()) for name, value in pairs)
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Recorded(method, target, headers, await reader.readexactly(length), number)

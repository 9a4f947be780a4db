"""One HTTP POST that a hostile server cannot hold, swell, or send elsewhere.

Each address is checked where the socket is made, after the one lookup there is, so what was checked is what is
dialled. Nothing is taken from the environment, no redirect is followed, nothing is decompressed, and one deadline
runs from the lookup to the last byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

from webhooks import conf
from webhooks.errors import (
    ConnectFailed,
    DeadlinePassed,
    DeliveryError,
    DestinationRefused,
    MissingExtra,
    ProxyFailed,
)
from webhooks.http import addresses, native, tls
from webhooks.http.destination import checked_url

try:
    import aiohttp
except ImportError as error:
    raise MissingExtra("aiohttp") from error

from yarl import URL

from webhooks.http import connections
from webhooks.http.causes import delivery_error
from webhooks.http.resolver import Resolver

#: Turns of the event loop that closing sockets may take; two or three do in practice.
TURNS_TO_CLOSE = 20
#: By its meaning a proxy's answer, also where it comes in the place of the receiver's.
PROXY_SAYS_NO = 407


@dataclass(frozen=True, slots=True)
class Response:
    """What the other side answered, whatever its status.

    ``excerpt`` is the body up to the cap, as text that any database takes; ``duration`` is in seconds;
    ``truncated`` is True when there was more body than was read.
    """

    status: int
    excerpt: str
    duration: float
    truncated: bool = False
    retry_after: str | None = None


@dataclass(slots=True)
class _Dialling:
    """What became of one delivery's addresses; the socket factory writes, ``deliver`` reads."""

    refused: int = 0
    dialled: int = 0
    made: list[socket.socket] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Post:
    """What is sent, to whom. ``context`` None: connections are made as the site's settings say."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    context: ssl.SSLContext | None
    proxy: str | None = field(repr=False)


_dialling: ContextVar[_Dialling] = ContextVar("webhooks_dialling")


@dataclass(slots=True)
class Client:
    """An open client; keeps connections alive between deliveries. Use as ``async with Client() as client``.

    ``resolver`` stands in for the system's own, and needs aiohttp's resolver interface.
    """

    resolver: Any = None
    limit: int = 100
    _session: aiohttp.ClientSession | None = field(default=None, init=False)
    _sockets: WeakSet[socket.socket] = field(default_factory=WeakSet, init=False)

    async def __aenter__(self) -> Self:
        self._session = self._new_session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
            await self._sockets_closed()

    async def _sockets_closed(self) -> None:
        # A transport closes its socket some turns of the loop after it was told to; a loop that ends before leaks it.
        _cut(self._sockets)
        for _ in range(TURNS_TO_CLOSE):
            if all(opened.fileno() == -1 for opened in list(self._sockets)):
                return
            await asyncio.sleep(0)

    def _new_session(self) -> aiohttp.ClientSession:
        connector = connections.connector(
            resolver=self.resolver or Resolver(),
            use_dns_cache=False,
            socket_factory=self._checked_socket,
            ssl=tls.site_context(conf.ca_file()),
            limit=self.limit,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        )

    def _checked_socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _name, sockaddr = info
        dialling = _dialling.get()
        # To the operator's proxy leads every connection; the destination has been looked at before.
        if conf.proxy() is None and not _is_allowed(str(sockaddr[0])):
            dialling.refused += 1
            # An OSError, so that the next address is tried.
            raise OSError("not allowed")
        dialling.dialled += 1
        made = socket.socket(family=family, type=kind, proto=protocol)
        self._sockets.add(made)
        dialling.made.append(made)
        return made

    async def deliver(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        deadline: float | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Response:
        """POST ``body``, exactly these bytes, and return the answer, also one that says no.

        ``deadline`` is in seconds, ``WEBHOOKS["DEADLINE_SECONDS"]`` by default. Raises a ``DeliveryError`` when there
        was no complete answer; ``DestinationRefused`` before anything is sent.
        """
        if self._session is None:
            raise RuntimeError("The client is not open: use it as `async with Client() as client`.")
        target = checked_url(url)
        seconds, proxy = conf.deadline_seconds() if deadline is None else deadline, conf.proxy()
        dialling = _Dialling()
        token, complete = _dialling.set(dialling), False
        try:
            async with asyncio.timeout(seconds):
                if proxy is not None:
                    await self._check_beforehand(target)
                response = await self._deliver(_Post(target, body, headers, context, proxy), dialling)
            complete = not response.truncated
            return response
        except TimeoutError:
            raise DeadlinePassed(f"There was no complete answer within {seconds:g} seconds.") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not "from error": aiohttp's texts hold the whole URL, with its query, and end up in logs.
            raise delivery_error(error, is_refused=bool(dialling.refused and not dialling.dialled)) from None
        finally:
            _dialling.reset(token)
            if not complete:
                _cut(dialling.made)

    async def _check_beforehand(self, url: str) -> None:
        """Refuse a name of which any address is refused: with a proxy nothing is dialled here.

        Raises ``DestinationRefused``.
        """
        parts = URL(url, encoded=True)
        try:
            results = await (self.resolver or Resolver()).resolve(parts.host or "", parts.port or 0)
        except OSError:
            return  # names that only the proxy can look up are left to its policy
        if not all(_is_allowed(str(result["host"])) for result in results):
            raise DestinationRefused("The endpoint's host has an address that webhooks may not go to.")

    async def _deliver(self, post: _Post, dialling: _Dialling) -> Response:
        assert self._session is not None  # noqa: S101 - deliver() has looked
        started = time.monotonic()
        try:
            return await _send(self._session, post, started)
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.ClientConnectionError:
            # A kept connection that the server closed while it idled says nothing about the server. It was kept where
            # no socket was made: aiohttp's traces would tell too, for a twentieth of what a delivery costs.
            if dialling.dialled:
                raise
        async with self._new_session() as fresh:
            return await _send(fresh, post, started)


async def _send(session: aiohttp.ClientSession, post: _Post, started: float) -> Response:
    async with session.post(
        URL(post.url, encoded=True),
        data=post.body,
        ssl=post.context or True,
        proxy=post.proxy,
        headers={**post.headers, "Accept-Encoding": "identity"},
        allow_redirects=False,
    ) as response:
        if post.proxy is not None and response.status == PROXY_SAYS_NO:
            raise ProxyFailed("The proxy does not let the delivery through. It answered 407.")
        content, truncated = await _read(response, conf.response_bytes())
        return Response(
            status=response.status,
            excerpt=_text(content),
            duration=time.monotonic() - started,
            truncated=truncated,
            retry_after=response.headers.get("Retry-After"),
        )


async def _read(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    content, body = bytearray(), response.content
    # As a rule all is there with the head.
    while not body.at_eof() and (chunk := await body.read(most + 1 - len(content))):
        content += chunk
        if len(content) > most:
            # Closed, not released: releasing would read what is left in order to use the connection again.
            response.close()
            return bytes(content[:most]), True
    return bytes(content), False


def _is_allowed(text: str) -> bool:
    address = addresses.parse(text)
    return address is not None and addresses.refusal(address, conf.allowed_networks()) is None


def _text(content: bytes) -> str:
    text = content.decode("utf-8", errors="replace")
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or character in "\n\t" else "\ufffd" for character in text)


def _cut(sockets: Iterable[socket.socket]) -> None:
    # asyncio closes TLS politely: it waits half a minute for the other side to say goodbye, which may never come.
    for opened in list(sockets):
        with contextlib.suppress(OSError):  # it is closed already
            opened.shutdown(socket.SHUT_RDWR)


async def deliver(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    deadline: float | None = None,
    context: ssl.SSLContext | None = None,
) -> Response:
    """Make one delivery with a client of its own; see ``Client.deliver``. Raises ``DeliveryError``."""
    async with Client() as client:
        return await client.deliver(url, body, headers, deadline=deadline, context=context)


def deliver_now(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    deadline: float | None = None,
    context: ssl.SSLContext | None = None,
) -> Response:
    """Deliver for code that is not asynchronous, from any thread, also one whose event loop is running.

    Raises ``DeliveryError``.
    """
    delivery = partial(deliver, url, body, headers, deadline=deadline, context=context)
    if native.is_needed() or _has_loop():
        return _in_a_thread(delivery)
    return asyncio.run(delivery())


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_a_thread(delivery: Callable[[], Coroutine[Any, Any, Response]]) -> Response:
    outcome: list[Response | DeliveryError] = []

    def work() -> None:
        try:
            outcome.append(asyncio.run(delivery()))
        except DeliveryError as error:
            outcome.append(error)

    native.start(work, "webhooks-delivery").join()
    if not outcome:
        raise ConnectFailed("The delivery's thread ended without a result.")
    if isinstance(outcome[0], DeliveryError):
        raise outcome[0]
    return outcome[0]

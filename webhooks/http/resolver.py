"""Name lookups that a deadline can really end.

``getaddrinfo`` cannot be interrupted. In asyncio's own thread pool a name server that does not answer would hold up
the end of the event loop long after the deadline; here each lookup has a daemon thread, which nobody waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from webhooks.errors import MissingExtra

try:
    from aiohttp.abc import AbstractResolver, ResolveResult
except ImportError as error:
    raise MissingExtra("aiohttp") from error


class Resolver(AbstractResolver):
    """The system's resolver, one thread a lookup. Raises ``OSError`` for a name without addresses."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()
        name = {"host": host, "port": port, "family": family}
        threading.Thread(target=_look_up, args=(loop, answer), kwargs=name, name="webhooks-dns", daemon=True).start()
        return [_result(host, info) for info in await answer]

    async def close(self) -> None:
        """Do nothing: nothing is kept open."""


def _look_up(
    loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[Any]], *, host: str, port: int, family: int
) -> None:
    outcome: Any
    try:
        outcome = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    except OSError as error:
        outcome = error
    except UnicodeError as error:
        outcome = OSError(str(error))
    with contextlib.suppress(RuntimeError):  # the loop is closed: the deadline has passed
        loop.call_soon_threadsafe(_settle, answer, outcome)


def _settle(answer: asyncio.Future[list[Any]], outcome: Any) -> None:
    if answer.done():
        return
    if isinstance(outcome, OSError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _result(host: str, info: Any) -> ResolveResult:
    family, _type, protocol, _name, address = info
    numeric = str(address[0])
    if family == socket.AF_INET6 and len(address) > 3 and address[3] and "%" not in numeric:
        numeric = f"{numeric}%{address[3]}"
    return ResolveResult(
        hostname=host,
        host=numeric,
        port=int(address[1]),
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )

"""Connections on which an answer is one to the request that was sent, and to no other.

A server may put more on the wire than it was asked for: a body behind a 204, more bytes than it announced, or an
answer to nothing while a kept connection idles. aiohttp makes an error of the first two, so that what the receiver
took would be sent again, and takes the third for the answer to the next request, so that a delivery nobody read would
count as taken. The first may also come in a packet of its own, when the connection is in use again: it stands before
the next answer then, and is no part of it. aiohttp also reads 1xx without end, as fast as they come: three such servers
kept the answers of all others waiting until the deadline.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

logger = logging.getLogger("webhooks")

END_OF_HEAD = b"\r\n\r\n"
BEGIN_OF_HEAD = b"HTTP/"
#: Statuses of answers that have no body, whatever their headers say.
NO_BODY = (204, 304)
#: Bytes left over from an answer that are passed over, before the next.
MOST_LEFT_OVER = 65_536
#: Answers before the answer, 100 and 103, say; honest servers send one or two.
MOST_INTERIM = 100
#: What is read here of aiohttp's own, which no version has to keep.
READ = frozenset(["_payload", "_upgraded", "_exception"])


class Answers(ResponseHandler):
    """Reads one answer a request; whatever comes beyond it ends the connection, and the answer stands."""

    _is_answered = False
    _interim = 0
    #: Whether another request went over this connection before, so that bytes of its answer may still come.
    _is_used = False
    #: What came since the request was sent, until its answer begins; None from then on.
    _before: bytes | None = None

    def set_response_params(self, **params: Any) -> None:
        # What aiohttp does for each request, before it is sent.
        self._is_answered, self._interim = False, 0
        self._before = b"" if self._is_used else None
        self._is_used = True
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if self._before is not None:
            data = self._without_left_over(self._before + data)
        # The head by itself: an error in what comes behind it would otherwise take it along.
        head, end, rest = data.partition(END_OF_HEAD)
        for part in (head + end, rest):
            if part and self._is_over():
                self._end()
            elif part:
                super().data_received(part)

    def _without_left_over(self, data: bytes) -> bytes:
        """Give what belongs to this answer: nothing yet, where none has begun."""
        begin = data.find(BEGIN_OF_HEAD)
        if begin < 0 and len(data) <= MOST_LEFT_OVER:
            self._before = data
            return b""
        self._before = None
        if begin > 0:
            self.force_close()
        return data[max(begin, 0) :]

    def feed_data(self, data: Any, size: int = 0) -> None:
        message, _payload = data
        if message.code in NO_BODY and _announces_body(message.headers):
            self.force_close()
        if self._is_answered:
            self._end()
        elif message.code >= 200 or message.code == 101:
            self._is_answered = True
            super().feed_data(data, size)
        elif self._interim < MOST_INTERIM:
            self._interim += 1
            super().feed_data(data, size)
        elif self._exception is None:
            self.set_exception(HttpProcessingError(message="Too many answers before the answer."))
            self._end()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        # aiohttp tells whoever waits for a head, and leaves whoever reads a body to wait for the deadline.
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("The body cannot be read."))

    def _is_over(self) -> bool:
        """Tell whether the answer is complete, so that nothing more was asked for."""
        return self._is_answered and not self._upgraded and (self._payload is None or self._payload.is_eof())

    def _end(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.close()


def _announces_body(headers: Mapping[str, str]) -> bool:
    return "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"


def connector(**options: Any) -> aiohttp.TCPConnector:
    """Make aiohttp's connector with connections of this kind. Call it in the event loop."""
    made = aiohttp.TCPConnector(**options)
    # There is no public way to name another protocol; tests/integration/webhooks/test_odd_answers.py holds this.
    factory = partial(Answers, loop=made._loop)
    probe = factory()
    if all(hasattr(probe, name) for name in READ):
        made._factory = cast("partial[ResponseHandler]", factory)
    else:
        # Deliveries go out as aiohttp itself would send them.
        logger.warning(
            "Webhooks do not know this aiohttp (%s) well enough: odd answers are not told apart.", aiohttp.__version__
        )
    return made

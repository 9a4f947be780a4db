"""Connections on which an answer is one to the request that was sent, and to no other.

A server may put more on the wire than it was asked for: a body behind a 204, more bytes than it announced, or an
answer to nothing while a kept connection idles. aiohttp makes an error of the first two, so that what the receiver
took would be sent again, and takes the third for the answer to the next request, so that a delivery nobody read would
count as taken.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

END_OF_HEAD = b"\r\n\r\n"


class Answers(ResponseHandler):
    """Reads one answer a request; whatever comes beyond it ends the connection, and the answer stands."""

    _is_answered = False

    def set_response_params(self, **params: Any) -> None:
        # What aiohttp does for each request, before it is sent.
        self._is_answered = False
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        # The head by itself: an error in what comes behind it would otherwise take it along.
        head, end, rest = data.partition(END_OF_HEAD)
        for part in (head + end, rest):
            if part and self._is_over():
                self._end()
            elif part:
                super().data_received(part)

    def feed_data(self, data: Any, size: int = 0) -> None:
        if self._is_answered:
            self._end()
            return
        message, _payload = data
        self._is_answered = message.code >= 200 or message.code == 101
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        # aiohttp tells whoever waits for a head, and leaves whoever reads a body to wait for the deadline.
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("The body cannot be read."))

    def _is_over(self) -> bool:
        """Whether the answer is complete, so that nothing more was asked for."""
        return self._is_answered and not self._upgraded and (self._payload is None or self._payload.is_eof())

    def _end(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.close()


def connector(**options: Any) -> aiohttp.TCPConnector:
    """aiohttp's, with connections of this kind. Call it in the event loop."""
    made = aiohttp.TCPConnector(**options)
    # There is no public way to name another protocol; tests/integration/webhooks/test_odd_answers.py holds this.
    made._factory = cast("partial[ResponseHandler]", partial(Answers, loop=made._loop))
    return made

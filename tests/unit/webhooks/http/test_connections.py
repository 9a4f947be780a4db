"""What a connection makes of the bytes that come in: one answer a request, and nothing beyond it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp.http_exceptions import HttpProcessingError

from webhooks.http.connections import MOST_INTERIM, Answers

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
FIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Wire(asyncio.Transport):
    """The other end of a connection, of which only its closing is of interest."""

    def __init__(self) -> None:
        super().__init__()
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def opened() -> tuple[Answers, Wire]:
    answers, wire = Answers(asyncio.get_running_loop()), Wire()
    answers.connection_made(wire)
    ask(answers)
    return answers, wire


def ask(answers: Answers) -> None:
    """What happens before a request is sent."""
    answers.set_response_params(timer=None, read_until_eof=True, auto_decompress=False)


async def read(answers: Answers) -> tuple[int, bytes]:
    message, payload = await answers.read()
    return message.code, await payload.read()


def received(*pieces: bytes) -> tuple[tuple[int, bytes], bool]:
    """The answer that these pieces make, and whether the connection was closed after it."""

    async def receive() -> tuple[tuple[int, bytes], bool]:
        answers, wire = await opened()
        for piece in pieces:
            answers.data_received(piece)
        return await read(answers), wire.is_closed

    return asyncio.run(receive())


def test_an_answer_is_read_and_its_connection_kept() -> None:
    assert received(FIVE) == ((200, b"hello"), False)
    assert received(EMPTY) == ((200, b""), False)


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_an_answer_in_pieces_is_the_same_answer(size: int) -> None:
    pieces = [FIVE[start : start + size] for start in range(0, len(FIVE), size)]
    assert received(*pieces) == ((200, b"hello"), False)


@pytest.mark.parametrize("code", [204, 304])
def test_an_answer_that_has_no_body_is_over_with_its_head(code: int) -> None:
    assert received(b"HTTP/1.1 %d X\r\n\r\n" % code) == ((code, b""), False)


@pytest.mark.parametrize(
    "beyond",
    [b"a body behind a head that has none", EMPTY, b"{}"],
    ids=["a body", "another answer", "JSON"],
)
def test_what_comes_behind_an_answer_ends_the_connection_alone(beyond: bytes) -> None:
    head = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert received(head + beyond) == ((204, b""), True)
    assert received(head, beyond) == ((204, b""), True)


def test_more_bytes_than_were_announced_end_the_connection_alone() -> None:
    assert received(FIVE, b"more") == ((200, b"hello"), True)


def test_answers_before_the_answer_are_passed_over() -> None:
    code, is_closed = asyncio.run(interim(MOST_INTERIM))
    assert (code, is_closed) == (200, False)


async def interim(number: int) -> tuple[int, bool]:
    """The status of the answer after so many before it, and whether the connection was closed."""
    answers, wire = await opened()
    for _ in range(number):
        answers.data_received(CONTINUE)
    answers.data_received(EMPTY)
    while True:
        message, _payload = await answers.read()
        if message.code >= 200:
            return message.code, wire.is_closed


def test_answers_before_the_answer_without_end_are_an_error() -> None:
    async def receive() -> bool:
        answers, wire = await opened()
        for _ in range(MOST_INTERIM + 1):
            answers.data_received(CONTINUE)
        for _ in range(MOST_INTERIM):
            await answers.read()
        with pytest.raises(HttpProcessingError):
            await answers.read()
        return wire.is_closed

    assert asyncio.run(receive())


def test_a_second_request_on_a_kept_connection_has_an_answer_of_its_own() -> None:
    async def twice() -> list[tuple[int, bytes]]:
        answers, wire = await opened()
        found = []
        for body in (b"one", b"three"):
            ask(answers)
            answers.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            found.append(await read(answers))
        assert not wire.is_closed
        return found

    assert asyncio.run(twice()) == [(200, b"one"), (200, b"three")]


def test_a_body_that_cannot_be_read_is_an_error_for_whoever_reads_it() -> None:
    async def receive() -> Any:
        answers, _wire = await opened()
        answers.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        message, payload = await answers.read()
        answers.set_exception(OSError("the connection broke"))
        assert message.code == 200
        return await payload.read()

    with pytest.raises((aiohttp.ClientPayloadError, OSError)):
        asyncio.run(receive())

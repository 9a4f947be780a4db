"""Answers that no decent server gives: what the receiver took counts as taken, and nothing else does."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from typing import Any

import pytest

from tests import http_server as behave
from tests.http_server import Behaviour, Conversation, MisbehavingServer
from webhooks.errors import ConnectFailed, DeliveryError, ProtocolFailed, ProxyFailed
from webhooks.http import connections
from webhooks.http.client import Client, deliver_now

EMPTY_201 = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
EMPTY_200 = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def raw(data: bytes, *, keep: bool = True, later: bytes = b"") -> Behaviour:
    """These bytes; ``later`` are sent a moment after them, and the connection stays open or not."""

    async def behave(conversation: Conversation) -> None:
        await conversation.send(data)
        if later:
            await asyncio.sleep(0.05)
            await conversation.send(later)
        conversation.keep = keep

    return behave


def test_a_flood_of_answers_before_the_answer_holds_up_no_other_delivery(server: MisbehavingServer) -> None:
    server.on("/flood", behave.endless_informational(every=0.0, at_once=3000))

    async def deliver() -> float:
        async with Client() as client:
            floods = [asyncio.create_task(client.deliver(server.url("/flood"), b"{}", {}, deadline=20)) for _ in "123"]
            await asyncio.sleep(0.1)
            began = time.monotonic()
            await client.deliver(server.url("/"), b"{}", {}, deadline=20)
            seconds = time.monotonic() - began
            ends = await asyncio.gather(*floods, return_exceptions=True)
            assert [type(error) for error in ends] == [ProtocolFailed] * 3
            return seconds

    assert asyncio.run(deliver()) < 10, "It waited until the floods had reached their deadline."


def test_an_aiohttp_of_another_make_is_taken_as_it_is(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "READ", connections.READ | {"_of_another_version"})
    assert deliver_now(server.url("/"), b"{}", {}).status == 200
    assert "odd answers are not told apart" in caplog.text


def test_what_this_machine_runs_out_of_is_not_the_receivers_fault(server: MisbehavingServer) -> None:
    async def deliver() -> None:
        async with Client() as client:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                await client.deliver(server.url("/"), b"{}", {})
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with pytest.raises(DeliveryError, match="this machine") as raised:
        asyncio.run(deliver())
    assert raised.value.ours


def test_a_proxy_that_says_no_is_not_the_receivers_fault(server: MisbehavingServer, settings: Any) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "PROXY": server.url("").rstrip("/")}
    server.script(behave.answer(407))

    with pytest.raises(ProxyFailed, match="407"):
        deliver_now(server.url("/"), b"{}", {})


def outcomes(server: MisbehavingServer, count: int, pause: float = 0.0, path: str = "/") -> list[int | str]:
    """What came of so many deliveries, one after the other, over connections that are kept."""

    async def deliver() -> list[int | str]:
        outcomes: list[int | str] = []
        async with Client() as client:
            for number in range(count):
                try:
                    answer = await client.deliver(server.url(path), b"%d" % number, {}, deadline=2)
                    outcomes.append(answer.status)
                except DeliveryError as error:
                    outcomes.append(error.kind)
                await asyncio.sleep(pause)
        return outcomes

    return asyncio.run(deliver())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\nok", 204, id="204 with a body"),
        pytest.param(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204, id="204 with a length and a body"),
        pytest.param(
            b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 204, id="204 in chunks"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", 200, id="more than announced"),
        pytest.param(EMPTY_200 + b"HTTP/1.1 500 No\r\n\r\n", 200, id="two answers at once"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc", 304, id="304 with a body"),
    ],
)
def test_what_follows_an_answer_does_not_undo_it_nor_reach_the_next(
    server: MisbehavingServer, data: bytes, status: int
) -> None:
    server.script(raw(data), behave.answer(201), behave.answer(202))

    assert outcomes(server, 3) == [status, 201, 202]
    assert [request.body for request in server.requests] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("later", [EMPTY_200, EMPTY_200[:20], b"ok", b"HTTP/1.1 408 Request Time-out\r\n\r\n"])
def test_an_answer_to_nothing_is_not_taken_for_the_next_ones(server: MisbehavingServer, later: bytes) -> None:
    server.script(raw(EMPTY_200, later=later), behave.answer(503))

    assert outcomes(server, 2, pause=0.2) == [200, 503]
    assert [request.body for request in server.requests] == [b"0", b"1"]


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status", "later"),
    [
        pytest.param(NO_CONTENT, 204, b"ok", id="204 and a body"),
        pytest.param(NO_CONTENT, 204, b'{"head": "a\r\n\r\nb"}', id="204 and a body that has a head's end in it"),
        pytest.param(NO_CONTENT, 204, b"x" * 40_000, id="204 and a large body"),
        pytest.param(NO_CONTENT, 204, b"2\r\nok\r\n0\r\n\r\n", id="204 and chunks"),
        pytest.param(NO_CONTENT[:-2] + b"Content-Length: 2\r\n\r\n", 204, b"ok", id="204 that announces a body"),
        pytest.param(NO_CONTENT[:-2] + b"Transfer-Encoding: chunked\r\n\r\n", 204, b"0\r\n\r\n", id="204 in chunks"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", 304, b"abc", id="304 and a body"),
        pytest.param(EMPTY_200, 200, b"ok", id="200 and more than announced"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"\n", id="200 and a line's end"),
    ],
)
def test_a_body_that_comes_late_reaches_no_other_delivery(
    server: MisbehavingServer, data: bytes, status: int, later: bytes
) -> None:
    """The connection is in use again when the rest of the answer before comes."""
    server.on("/", raw(data, later=later))

    assert outcomes(server, 6) == [status] * 6
    assert [request.body for request in server.requests] == [b"%d" % number for number in range(6)], "sent again"
    # Known to be of no more use once it has been seen.
    assert server.connections >= 3


def test_what_announces_a_body_and_has_none_leaves_its_connection(server: MisbehavingServer) -> None:
    server.on("/", raw(NO_CONTENT[:-2] + b"Content-Length: 2\r\n\r\n"))
    server.on("/good", raw(NO_CONTENT[:-2] + b"Content-Length: 0\r\n\r\n"))

    assert outcomes(server, 3) == [204] * 3
    assert server.connections == 3
    assert outcomes(server, 3, path="/good") == [204] * 3
    assert server.connections == 4


@pytest.mark.parametrize("pieces", [(b"o", b"kHT", EMPTY_201[2:]), (b"HT", EMPTY_201[2:])])
def test_an_answer_begins_where_it_begins_in_whatever_pieces_it_comes(
    server: MisbehavingServer, pieces: tuple[bytes, ...]
) -> None:
    async def in_pieces(conversation: Conversation) -> None:
        for piece in pieces:
            await conversation.send(piece)
            await asyncio.sleep(0.02)

    server.script(behave.answer(200), in_pieces, behave.answer(202))

    assert outcomes(server, 3) == [200, 201, 202]
    assert [request.body for request in server.requests] == [b"0", b"1", b"2"]


def test_what_is_no_answer_at_all_is_an_error_on_a_kept_connection_too(server: MisbehavingServer) -> None:
    server.script(behave.answer(200), raw(b"SSH" * 30_000))
    server.on("/", behave.garbage())

    assert outcomes(server, 2) == [200, "protocol"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, id="no length"),
        pytest.param(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, id="no reason"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + EMPTY_200, 200, id="100 first"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + EMPTY_200, 200, id="103 first"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n?", 101, id="101"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n", 302, id="no URL"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: a; charset=no\r\nContent-Length: 1\r\n\r\n\xff", 200, id="bytes"
        ),
    ],
)
def test_an_answer_in_an_old_or_unusual_form_is_an_answer(server: MisbehavingServer, data: bytes, status: int) -> None:
    server.script(raw(data, keep=False))

    assert outcomes(server, 2) == [status, 200]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_head_or_a_length_that_is_none_is_no_answer(server: MisbehavingServer, data: bytes) -> None:
    server.script(raw(data, keep=False))

    with pytest.raises(ProtocolFailed):
        deliver_now(server.url("/"), b"{}", {}, deadline=2)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-"])
def test_a_connection_that_ends_within_the_head_gave_no_answer(server: MisbehavingServer, data: bytes) -> None:
    server.script(raw(data, keep=False))

    with pytest.raises(ConnectFailed):
        deliver_now(server.url("/"), b"{}", {}, deadline=2)

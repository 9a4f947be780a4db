"""The client against servers that misbehave; what becomes of their deliveries is in docs/explanation/failures.md."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver

from tests import http_server as behave
from tests.http_server import MisbehavingServer
from tests.threads import run_together
from webhooks.errors import (
    ConnectFailed,
    DeadlinePassed,
    DestinationRefused,
    NameNotResolved,
    ProtocolFailed,
)
from webhooks.http.client import Client, Response, deliver_now

BODY = b'{"a":1}'


def post(server: MisbehavingServer, path: str = "/", deadline: float = 5, **headers: str) -> Response:
    return deliver_now(server.url(path), BODY, headers, deadline=deadline)


class Names(AbstractResolver):
    """Gives scripted addresses for any name, one list a lookup, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.lookups = 0

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> Any:
        answer = self.answers[min(self.lookups, len(self.answers) - 1)]
        self.lookups += 1
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in answer
        ]

    async def close(self) -> None:
        pass


def post_by_name(server: MisbehavingServer, names: Names) -> Response:
    async def deliver() -> Response:
        async with Client(resolver=names) as client:
            return await client.deliver(server.url("/", host="receiver.example"), BODY, {})

    return asyncio.run(deliver())


def test_the_bytes_and_headers_given_are_the_bytes_and_headers_sent(server: MisbehavingServer) -> None:
    response = deliver_now(server.url("/hook?x=1"), BODY, {"webhook-id": "1", "Content-Type": "application/json"})

    [request] = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/hook?x=1", BODY)
    assert request.header("webhook-id") == "1"
    assert request.header("accept-encoding") == "identity"
    assert request.header("content-type") == "application/json"
    assert (response.status, response.excerpt, response.truncated) == (200, "ok", False)
    assert response.duration >= 0


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(behave.drip_headers(every=0.02), id="1 headers drip"),
        pytest.param(behave.drip_body(every=0.02), id="2 body drips"),
        pytest.param(behave.hang_mid_body(), id="3 hang mid-body"),
        pytest.param(behave.endless_informational(), id="4 endless 1xx"),
        pytest.param(behave.hang(), id="no answer at all"),
    ],
)
def test_one_deadline_ends_whatever_takes_too_long(server: MisbehavingServer, behaviour: behave.Behaviour) -> None:
    server.script(behaviour)

    with pytest.raises(DeadlinePassed, match=r"within 0\.4 seconds"):
        post(server, deadline=0.4)


def test_a_name_server_that_never_answers_is_under_the_deadline_too(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: release.wait(30) and [])
    try:
        with pytest.raises(DeadlinePassed):
            deliver_now(server.url("/", host="receiver.example"), BODY, {}, deadline=0.2)
        assert not release.is_set()
    finally:
        release.set()


def test_row_5_of_a_huge_answer_only_the_cap_is_read(server: MisbehavingServer) -> None:
    server.script(behave.huge_body())

    response = post(server)

    assert (response.status, response.truncated) == (200, True)
    assert response.excerpt == "x" * 16_384


def test_row_6_a_compressed_answer_is_never_unpacked(server: MisbehavingServer) -> None:
    packed = gzip.compress(b"unpacked " * 1000)
    server.script(behave.gzip_bomb(), behave.answer(200, packed, {"Content-Encoding": "gzip"}))

    bomb, small = post(server), post(server)

    assert (bomb.status, small.status) == (200, 200)
    assert len(bomb.excerpt) <= 16_384
    assert len(small.excerpt) <= len(packed)
    assert "unpacked unpacked" not in small.excerpt


@pytest.mark.parametrize("behaviour", [behave.header_bomb(), behave.long_header()], ids=["many", "long"])
def test_row_7_a_header_bomb_is_not_an_answer(server: MisbehavingServer, behaviour: behave.Behaviour) -> None:
    server.script(behaviour)

    with pytest.raises(ProtocolFailed):
        post(server)


def test_row_8_an_answer_that_breaks_off_is_not_an_answer(server: MisbehavingServer) -> None:
    server.script(behave.truncated_body(status=200))

    with pytest.raises(ProtocolFailed, match="not a complete HTTP response"):
        post(server)


def test_row_9_a_redirect_is_not_followed(server: MisbehavingServer) -> None:
    server.script(behave.redirect("http://169.254.169.254/latest/meta-data"), behave.answer())

    assert post(server).status == 301
    assert len(server.requests) == 1


def test_row_10_what_was_looked_up_and_checked_is_what_is_dialled(server: MisbehavingServer) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])

    assert post_by_name(server, names).status == 200
    assert names.lookups == 1
    assert server.requests[0].header("host").startswith("receiver.example:")


def test_row_11_a_refused_address_among_allowed_ones_is_passed_over(server: MisbehavingServer) -> None:
    assert post_by_name(server, Names(["10.0.0.1", "127.0.0.1", "fe80::1"])).status == 200


def test_row_14_private_addresses_alone_are_refused_unsaid_which(server: MisbehavingServer) -> None:
    with pytest.raises(DestinationRefused) as raised:
        post_by_name(server, Names(["10.0.0.1", "::ffff:192.168.0.1"]))

    assert "10.0.0.1" not in str(raised.value)
    assert raised.value.ours
    assert server.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0", "①②⑦.⓪.⓪.①", "127.0.0.1."])
def test_row_12_an_address_in_disguise_is_not_dialled(server: MisbehavingServer, host: str) -> None:
    with pytest.raises(DestinationRefused):
        deliver_now(server.url("/", host=host), BODY, {})
    assert server.connections == 0


@pytest.mark.parametrize(
    "host", ["[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fec0::1]", "[::1]", "[::ffff:10.0.0.1]"]
)
def test_row_13_an_address_inside_an_ipv6_address_is_not_dialled(server: MisbehavingServer, host: str) -> None:
    with pytest.raises(DestinationRefused):
        deliver_now(server.url("/", host=host), BODY, {})
    assert server.connections == 0


def test_row_15_the_environments_proxies_and_authorities_are_ignored(
    server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password hunter2\n")
    netrc.chmod(0o600)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("NETRC", str(netrc))

    assert post(server).status == 200
    assert server.requests[0].header("authorization") == ""
    assert not os.path.exists(tmp_path / "elsewhere")


def test_cookies_are_not_kept(server: MisbehavingServer) -> None:
    server.script(behave.answer(headers={"Set-Cookie": "a=b"}))

    async def twice() -> None:
        async with Client(resolver=Names(["127.0.0.1"])) as client:
            await client.deliver(server.url("/", host="receiver.example"), BODY, {})
            await client.deliver(server.url("/", host="receiver.example"), BODY, {})

    asyncio.run(twice())
    assert [request.header("cookie") for request in server.requests] == ["", ""]


def test_an_open_client_keeps_its_connection_between_deliveries(server: MisbehavingServer) -> None:
    async def twice() -> None:
        async with Client() as client:
            await client.deliver(server.url(), BODY, {})
            await client.deliver(server.url(), BODY, {})

    asyncio.run(twice())
    assert [request.connection for request in server.requests] == [1, 1]


def test_row_28_a_kept_connection_that_is_dropped_is_replaced_once(
    server: MisbehavingServer,
) -> None:
    server.script(behave.answer(), behave.drop(), behave.answer(202))

    async def twice() -> Response:
        async with Client() as client:
            await client.deliver(server.url(), BODY, {})
            return await client.deliver(server.url(), BODY, {"webhook-id": "1"})

    assert asyncio.run(twice()).status == 202
    assert [request.connection for request in server.requests] == [1, 1, 2]
    assert server.requests[1].header("webhook-id") == server.requests[2].header("webhook-id") == "1"


def test_a_fresh_connection_that_the_server_drops_is_a_failure(server: MisbehavingServer) -> None:
    server.script(behave.drop())

    with pytest.raises(ConnectFailed):
        post(server)
    assert len(server.requests) == 1


def test_an_idle_connection_that_was_closed_meanwhile_does_no_harm(server: MisbehavingServer) -> None:
    server.script(behave.answer_then_close_idle())

    async def twice() -> Response:
        async with Client() as client:
            await client.deliver(server.url(), BODY, {})
            return await client.deliver(server.url(), BODY, {})

    assert asyncio.run(twice()).status == 200


def test_something_that_is_not_http_is_not_an_answer(server: MisbehavingServer) -> None:
    server.script(behave.garbage())

    with pytest.raises(ProtocolFailed):
        post(server)


def test_a_closed_port_is_a_failure_to_connect(server: MisbehavingServer, settings: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ALLOWED_PORTS": [port]}

    with pytest.raises(ConnectFailed) as raised:
        deliver_now(f"http://127.0.0.1:{port}/", BODY, {})
    assert not raised.value.ours


def test_a_name_without_an_address_is_our_fault_and_not_the_endpoints(server: MisbehavingServer) -> None:
    with pytest.raises(NameNotResolved) as raised:
        deliver_now(server.url("/", host="no-such-host.invalid"), BODY, {})
    assert raised.value.ours


def test_text_that_no_database_takes_is_replaced_in_the_excerpt(server: MisbehavingServer) -> None:
    server.script(behave.answer(200, b"a\x00b\xff\xed\xa0\x80\nc"))

    excerpt = post(server).excerpt

    assert "\x00" not in excerpt
    assert excerpt.encode("utf-8").endswith(b"\nc")


def test_it_delivers_from_any_thread_and_from_under_a_running_loop(server: MisbehavingServer) -> None:
    async def under_a_loop() -> int:
        return post(server).status

    statuses: list[int] = [asyncio.run(under_a_loop())]
    statuses += run_together(4, lambda _: post(server).status)

    assert statuses == [200] * 5


def test_an_error_under_a_running_loop_is_the_same_error(server: MisbehavingServer) -> None:
    server.script(behave.hang())

    async def under_a_loop() -> None:
        post(server, deadline=0.2)

    with pytest.raises(DeadlinePassed):
        asyncio.run(under_a_loop())


def test_deliveries_side_by_side_do_not_mix_up_what_was_refused(server: MisbehavingServer) -> None:
    class ByName(Names):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> Any:
            self.answers = [["10.0.0.1"] if host.startswith("private") else ["127.0.0.1"]]
            return await super().resolve(host, port, family)

    async def together() -> list[Any]:
        async with Client(resolver=ByName()) as client:
            hosts = [f"{kind}{n}.example" for n in range(10) for kind in ("private", "public")]
            urls = [server.url("/", host=host) for host in hosts]
            return await asyncio.gather(*(client.deliver(url, BODY, {}) for url in urls), return_exceptions=True)

    outcomes = asyncio.run(together())
    assert all(isinstance(outcome, DestinationRefused) for outcome in outcomes[::2])
    assert [outcome.status for outcome in outcomes[1::2]] == [200] * 10


def test_an_error_quotes_neither_the_address_nor_the_query(server: MisbehavingServer) -> None:
    for behaviour in (behave.garbage(), behave.drop(), behave.header_bomb(), behave.truncated_body()):
        server.script(behaviour)
        with pytest.raises((ConnectFailed, ProtocolFailed)) as raised:
            deliver_now(server.url("/hook?token=canary"), BODY, {})
        assert "canary" not in str(raised.value)
        assert "127.0.0.1" not in str(raised.value)
        assert raised.value.__suppress_context__

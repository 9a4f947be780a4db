"""Rows 15 and 22: certificates are always verified, against what the settings say and nothing else."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from tests import http_server as behave
from tests.certificates import Authority
from tests.http_server import MisbehavingServer
from webhooks.errors import DeadlinePassed, TlsFailed
from webhooks.http import tls
from webhooks.http.client import deliver_now

Start = Callable[..., MisbehavingServer]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def start(settings: Any) -> Iterator[Start]:
    with ExitStack() as running:

        def started(tls: ssl.SSLContext, **webhooks: Any) -> MisbehavingServer:
            server = running.enter_context(MisbehavingServer(tls=tls))
            settings.WEBHOOKS = {
                "ALLOWED_NETWORKS": ["127.0.0.0/8"],
                "ALLOWED_PORTS": [server.port],
                "DEADLINE_SECONDS": 5,
                **webhooks,
            }
            return server

        yield started


def test_a_server_that_the_operators_authority_vouches_for_is_reached(start: Start, authority: Authority) -> None:
    server = start(authority.server("127.0.0.1"), CA_FILE=str(authority.file))
    assert deliver_now(server.url(), b"{}", {}).status == 200


@contextmanager
def tunnels(port: int) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that connects to that port whatever it is asked for: its address, and what it was asked for."""
    asked: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _address = listening.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            asked.append(client.recv(65_536))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=carry, args=(server, client), daemon=True)
            back.start()
            carry(client, server)
            back.join(5)

    thread = threading.Thread(target=serve, daemon=True)
    with listening:
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        thread.join(5)


def test_a_delivery_through_a_proxy_is_encrypted_from_end_to_end(start: Start, authority: Authority) -> None:
    server = start(authority.server("127.0.0.1"), CA_FILE=str(authority.file))
    with tunnels(server.port) as (address, asked), override_settings(WEBHOOKS={**settings.WEBHOOKS, "PROXY": address}):
        assert deliver_now(server.url("/hook"), b"{}", {"webhook-id": "1"}).status == 200

    assert asked[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1" % server.port)
    assert b"webhook-id" not in asked[0]
    assert (server.requests[0].target, server.requests[0].body) == ("/hook", b"{}")


def test_a_server_that_hangs_behind_tls_is_left_at_the_deadline(start: Start, authority: Authority) -> None:
    server = start(authority.server("127.0.0.1"), CA_FILE=str(authority.file))
    server.script(behave.hang(), behave.hang_mid_body(), behave.huge_body())
    for _ in range(2):
        with pytest.raises(DeadlinePassed):
            deliver_now(server.url(), b"{}", {}, deadline=0.3)
    assert deliver_now(server.url(), b"{}", {}).truncated


@pytest.mark.parametrize(("host", "days"), [("127.0.0.1", -1), ("elsewhere.example", 10)], ids=["expired", "name"])
def test_row_22_an_expired_certificate_or_a_wrong_name_is_not_talked_to(
    start: Start, authority: Authority, host: str, days: float
) -> None:
    server = start(authority.server(host, days=days), CA_FILE=str(authority.file))
    with pytest.raises(TlsFailed, match="No secure connection"):
        deliver_now(server.url(), b"{}", {})
    assert server.requests == []


def test_row_22_an_authority_that_nobody_knows_is_not_believed(start: Start, authority: Authority) -> None:
    server = start(authority.server("127.0.0.1"))
    with pytest.raises(TlsFailed):
        deliver_now(server.url(), b"{}", {})
    assert server.requests == []


def test_row_15_an_authority_named_in_the_environment_is_not_believed(
    start: Start, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls.site_context.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(authority.folder))
    server = start(authority.server("127.0.0.1"))
    with pytest.raises(TlsFailed):
        deliver_now(server.url(), b"{}", {})
    assert server.requests == []

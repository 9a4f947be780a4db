"""Rows 15 and 22: certificates are always verified, against what the settings say and nothing else."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import http_server as behave
from tests.http_server import MisbehavingServer
from tests.integration.webhooks.certificates import Authority
from webhooks import tls
from webhooks.client import deliver_now
from webhooks.errors import DeadlinePassed, TlsFailed

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


def test_a_server_that_hangs_behind_tls_cannot_hold_the_caller_past_the_deadline(
    start: Start, authority: Authority
) -> None:
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

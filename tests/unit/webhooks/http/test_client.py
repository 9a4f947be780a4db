"""What the client refuses before a socket is made, and how it reads an answer."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from webhooks.errors import DestinationRefused, NameNotResolved
from webhooks.http.client import Client, Response, deliver_now

URL = "https://hooks.example.com/in"


class Names:
    """A resolver that knows what it is told."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[dict[str, Any]]:
        self.asked.append(host)
        if not self.addresses:
            raise OSError("no such name")
        return [
            {"hostname": host, "host": address, "port": port, "family": socket.AF_INET, "proto": 6, "flags": 0}
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _defaults(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's defaults; and no test here may make a connection."""
    settings.WEBHOOKS = {}

    def connect(*_: Any) -> None:
        pytest.fail("a connection was begun")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)


def deliver(names: Names, url: str = URL) -> Response:
    async def post() -> Response:
        async with Client(resolver=names) as client:
            return await client.deliver(url, b"{}", {}, deadline=5)

    return asyncio.run(post())


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"])
def test_a_name_that_leads_into_the_network_is_refused_unsaid_where(address: str) -> None:
    with pytest.raises(DestinationRefused) as raised:
        deliver(Names(address))
    assert address not in str(raised.value)


def test_all_private_addresses_of_a_name_are_passed_over() -> None:
    with pytest.raises(DestinationRefused):
        deliver(Names("127.0.0.1", "10.0.0.1"))


def test_a_name_is_looked_up_once() -> None:
    names = Names("10.0.0.1")
    with pytest.raises(DestinationRefused):
        deliver(names)
    assert names.asked == ["hooks.example.com"]


def test_a_name_without_addresses_is_our_fault() -> None:
    with pytest.raises(NameNotResolved) as raised:
        deliver(Names())
    assert raised.value.ours


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://127.0.0.1/", "https://hooks.example.com:22/"])
def test_a_url_that_may_not_be_reached_is_refused_without_a_lookup(url: str) -> None:
    names = Names("93.184.215.14")
    with pytest.raises(DestinationRefused):
        deliver(names, url)
    assert names.asked == []


def test_behind_a_proxy_a_name_is_refused_for_any_of_its_addresses(settings: Any) -> None:
    settings.WEBHOOKS = {"PROXY": "http://proxy.example:3128"}
    with pytest.raises(DestinationRefused):
        deliver(Names("93.184.215.14", "10.0.0.1"))


def test_a_client_that_is_not_open_says_how_to_open_it() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(Client().deliver(URL, b"", {}))


def test_code_that_is_not_asynchronous_is_served_from_within_a_loop_too() -> None:
    async def inside() -> None:
        deliver_now("https://127.0.0.1/", b"", {})

    with pytest.raises(DestinationRefused):
        deliver_now("https://127.0.0.1/", b"", {})
    with pytest.raises(DestinationRefused):
        asyncio.run(inside())

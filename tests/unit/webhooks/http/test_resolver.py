"""Lookups in threads of their own: what they find, and that nobody waits for one that hangs."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from webhooks.http.resolver import Resolver

V4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443))
V6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700::1111", 443, 0, 0))
LINK_LOCAL = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 443, 0, 2))


def resolve(host: str = "hooks.example.com") -> list[Any]:
    async def look() -> list[Any]:
        resolver = Resolver()
        try:
            return await resolver.resolve(host, 443)
        finally:
            await resolver.close()

    return asyncio.run(look())


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_every_address_of_a_name_is_told_with_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, [V4, V6])
    results = resolve()
    assert [result["host"] for result in results] == ["93.184.215.14", "2606:4700::1111"]
    assert {result["port"] for result in results} == {443}
    assert {result["hostname"] for result in results} == {"hooks.example.com"}


def test_an_address_is_never_looked_up_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, [V4])
    [result] = resolve()
    assert result["flags"] & socket.AI_NUMERICHOST
    assert result["flags"] & socket.AI_NUMERICSERV


def test_the_zone_of_a_link_local_address_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, [LINK_LOCAL])
    assert resolve()[0]["host"] == "fe80::1%2"


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), UnicodeEncodeError("idna", "x", 0, 1, "label too long")]
)
def test_a_name_that_cannot_be_looked_up_is_an_error_of_the_system(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    answer_with(monkeypatch, error)
    with pytest.raises(OSError, match=r"not known|too long"):
        resolve()


def test_a_lookup_that_hangs_holds_up_neither_deadline_nor_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, let_go = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        asked.set()
        let_go.wait(60)
        return [V4]

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def look() -> None:
        async with asyncio.timeout(0.05):
            await Resolver().resolve("hooks.example.com", 443)

    with pytest.raises(TimeoutError):
        asyncio.run(look())
    assert asked.is_set()
    assert not let_go.is_set(), "the loop has ended while the lookup still hangs"
    let_go.set()

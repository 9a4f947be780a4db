"""What an error of the HTTP library's means, in our own words and without the address."""

from __future__ import annotations

import errno
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from webhooks.errors import (
    ConnectFailed,
    DeadlinePassed,
    DeliveryError,
    DestinationRefused,
    NameNotResolved,
    ProtocolFailed,
    ProxyFailed,
    TlsFailed,
    Unforeseen,
)
from webhooks.http.causes import delivery_error

KEY: Any = SimpleNamespace(host="hooks.example.com", port=443, is_ssl=True, ssl=True)
#: What aiohttp's errors quote; the query holds a token.
REQUEST: Any = SimpleNamespace(real_url="https://hooks.example.com/in?key=s3cret")


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    settings.WEBHOOKS = {}


def answer(kind: type[aiohttp.ClientResponseError], status: int) -> aiohttp.ClientResponseError:
    return kind(REQUEST, (), status=status, message="s3cret")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "s3cret")), NameNotResolved),
        (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "s3cret")), TlsFailed),
        (ssl.SSLError(1, "s3cret"), TlsFailed),
        (aiohttp.ServerDisconnectedError("s3cret"), ConnectFailed),
        (answer(aiohttp.ClientResponseError, 200), ProtocolFailed),
        (aiohttp.ClientPayloadError("s3cret"), ProtocolFailed),
        (ValueError("s3cret"), ProtocolFailed),
        (ConnectionResetError(errno.ECONNRESET, "s3cret"), ConnectFailed),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "s3cret")), ConnectFailed),
        (OSError("s3cret"), ConnectFailed),
    ],
)
def test_each_error_has_a_meaning_and_is_not_quoted(error: Exception, meaning: type[DeliveryError]) -> None:
    meant = delivery_error(error, is_refused=False)
    assert type(meant) is meaning
    assert "s3cret" not in str(meant)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL])
def test_what_this_machine_has_run_out_of_is_no_fault_of_the_receivers(number: int) -> None:
    meant = delivery_error(OSError(number, "x"), is_refused=False)
    assert type(meant) is Unforeseen
    assert meant.ours


def test_the_systems_reason_is_told_in_its_own_words() -> None:
    assert "Connection refused" in str(delivery_error(OSError(errno.ECONNREFUSED, "x"), is_refused=False))


def test_where_no_address_may_be_reached_that_is_the_reason() -> None:
    meant = delivery_error(OSError("not allowed"), is_refused=True)
    assert type(meant) is DestinationRefused


def test_an_error_of_ours_stays_what_it_is() -> None:
    error = DeadlinePassed("Too late.")
    assert delivery_error(error, is_refused=True) is error


def test_a_broken_certificate_says_what_is_wrong_with_it() -> None:
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "certificate has expired"
    meant = delivery_error(aiohttp.ClientConnectorCertificateError(KEY, cause), is_refused=False)
    assert type(meant) is TlsFailed
    assert "certificate has expired" in str(meant)


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientProxyConnectionError(KEY, OSError(errno.ECONNREFUSED, "s3cret")),
        answer(aiohttp.ClientHttpProxyError, 403),
        aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "s3cret")),
    ],
)
def test_what_the_proxy_does_is_its_own_fault(settings: Any, error: Exception) -> None:
    settings.WEBHOOKS = {"PROXY": "http://proxy.internal:3128"}
    meant = delivery_error(error, is_refused=False)
    assert type(meant) is ProxyFailed
    assert "s3cret" not in str(meant)


def test_a_proxy_that_says_no_is_quoted_by_its_status() -> None:
    assert "It answered 403." in str(delivery_error(answer(aiohttp.ClientHttpProxyError, 403), is_refused=False))


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (NameNotResolved, True),
        (DestinationRefused, True),
        (ProxyFailed, True),
        (Unforeseen, True),
        (DeadlinePassed, False),
        (ConnectFailed, False),
        (TlsFailed, False),
        (ProtocolFailed, False),
    ],
)
def test_the_endpoint_answers_for_its_own_faults_alone(error: type[DeliveryError], ours: bool) -> None:
    assert error.ours is ours


def test_each_error_has_a_word_of_its_own_for_the_records() -> None:
    kinds = [error.kind for error in DeliveryError.__subclasses__()]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "x")), "The endpoint's host could not be found."),
        (aiohttp.ServerDisconnectedError("x"), "The server closed the connection without an answer."),
        (answer(aiohttp.ClientResponseError, 200), "The answer is not a complete HTTP response."),
        (
            OSError(errno.ECONNRESET, "x"),
            "No connection could be made, or it broke before there was an answer (Connection reset by peer).",
        ),
        # Resolvers and wrappers number their own errors below zero, or not at all.
        (OSError(-2, "x"), "No connection could be made, or it broke before there was an answer."),
        (OSError(0, "x"), "No connection could be made, or it broke before there was an answer."),
        (OSError("x"), "No connection could be made, or it broke before there was an answer."),
        (OSError(errno.EMFILE, "x"), "No connection could be begun on this machine (Too many open files)."),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "x")),
            "No secure connection could be made: SSLError.",
        ),
        (ssl.SSLEOFError(8, "x"), "No secure connection could be made: SSLEOFError."),
    ],
)
def test_the_whole_sentence_says_what_happened(error: Exception, said: str) -> None:
    assert str(delivery_error(error, is_refused=False)) == said


def test_the_reason_of_tls_comes_from_the_innermost_that_has_one() -> None:
    inner = ssl.SSLError(1, "x")
    inner.reason = "TLSV1_ALERT_PROTOCOL_VERSION"
    meant = delivery_error(aiohttp.ClientConnectorSSLError(KEY, inner), is_refused=False)
    assert str(meant) == "No secure connection could be made: TLSV1_ALERT_PROTOCOL_VERSION."
    assert str(delivery_error(inner, is_refused=False)) == str(meant)
    verified = ssl.SSLCertVerificationError(1, "x")
    verified.reason, verified.verify_message = "CERTIFICATE_VERIFY_FAILED", "Hostname mismatch"
    assert "Hostname mismatch" in str(delivery_error(verified, is_refused=False))


def test_a_name_that_is_not_found_is_the_endpoints_without_a_proxy(settings: Any) -> None:
    error = aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "x"))
    assert type(delivery_error(error, is_refused=False)) is NameNotResolved
    settings.WEBHOOKS = {"PROXY": "http://proxy.internal:3128"}
    assert str(delivery_error(error, is_refused=False)) == "The proxy could not be found."
    # What is behind the proxy fails as it would without one.
    assert type(delivery_error(ConnectionResetError(errno.ECONNRESET, "x"), is_refused=False)) is ConnectFailed

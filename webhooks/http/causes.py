"""Why there was no answer, in our own words: aiohttp's hold the whole URL, with its query."""

from __future__ import annotations

import errno
import os
import ssl

import aiohttp

from webhooks import conf
from webhooks.errors import (
    ConnectFailed,
    DeliveryError,
    DestinationRefused,
    NameNotResolved,
    ProtocolFailed,
    ProxyFailed,
    TlsFailed,
    Unforeseen,
)

#: What this machine has run out of is no fault of the receiver's.
OUT_OF_RESOURCES = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL])


def delivery_error(error: Exception, *, is_refused: bool) -> DeliveryError:
    """Tell what an error of aiohttp's means. ``is_refused``: not one address of the host may be reached."""
    if isinstance(error, DeliveryError):
        return error
    if is_refused:
        return DestinationRefused("The endpoint's host has no address that webhooks may go to.")
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        status = f" It answered {error.status}." if isinstance(error, aiohttp.ClientHttpProxyError) else ""
        return ProxyFailed(f"The proxy does not let the delivery through.{status}")
    if conf.proxy() is not None and isinstance(error, aiohttp.ClientConnectorDNSError):
        return ProxyFailed("The proxy could not be found.")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return NameNotResolved("The endpoint's host could not be found.")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return TlsFailed(f"No secure connection could be made: {_tls_reason(error)}.")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return ConnectFailed("The server closed the connection without an answer.")
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError | ValueError):
        return ProtocolFailed("The answer is not a complete HTTP response.")
    number = getattr(error, "errno", None)
    if number in OUT_OF_RESOURCES:
        return Unforeseen(f"No connection could be begun on this machine ({os.strerror(number)}).")
    reason = f" ({os.strerror(number)})" if isinstance(number, int) and number > 0 else ""
    return ConnectFailed(f"No connection could be made, or it broke before there was an answer{reason}.")


def _tls_reason(error: Exception) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or type(cause).__name__)

"""What an endpoint's URL and headers may be: checked on save, in words, and again before anything is sent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from django.utils.translation import gettext

from webhooks import conf
from webhooks.errors import DestinationRefused, MissingExtra
from webhooks.http import addresses

LONGEST_URL = 2000
MOST_HEADERS = 32
LONGEST_HEADER = 4096

#: Headers that say what the message is and how it travels; only the client sets them.
RESERVED_HEADERS = frozenset(
    [
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
RESERVED_PREFIX = "webhook-"

#: What RFC 3986 lets stand in a path; the percent sign too, so that what is encoded stays as it is.
_KEPT = "%/:@!$&'()*+,;=~-._"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def checked_url(url: str) -> str:
    """Bring ``url`` to its canonical form: lower-case scheme, host in ASCII (IDNA), no default port, a path.

    Raises ``DestinationRefused`` with a sentence about what is wrong with it.
    """
    return _checked(url, conf.allow_http(), conf.allowed_ports(), conf.allowed_networks())


# It is asked before each delivery, for the settings may be others by then, and takes a third as long as sending one.
# What is refused is not kept: the sentence is in the language of who asks. Of a name no address is kept, for none is
# looked up here; each connection checks the one that it is made to.
@lru_cache(maxsize=1024)
def _checked(url: str, allow_http: bool, ports: frozenset[int], networks: tuple[addresses.Network, ...]) -> str:
    parts = _split(url)
    if parts.scheme not in ("http", "https"):
        raise DestinationRefused(
            gettext("The URL should begin with https://, and begins with %(scheme)s.")
            % {"scheme": parts.scheme or gettext("no scheme")}
        )
    if parts.scheme == "http" and not allow_http:
        raise DestinationRefused(
            gettext(
                "The URL begins with http://, which sends everything unencrypted. Use https://, or ask the "
                'operator to set WEBHOOKS["ALLOW_HTTP"].'
            )
        )
    host, port = _checked_host(parts.hostname or "", networks), _checked_port(parts, ports)
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    path, query = quote(parts.path or "/", safe=_KEPT), quote(parts.query, safe=_KEPT + "?")
    written = urlunsplit((parts.scheme, netloc, path, query, ""))
    if len(written) > LONGEST_URL:
        raise DestinationRefused(
            gettext("Written as it is sent, in ASCII, the URL has %(length)s characters; at most %(most)s are allowed.")
            % {"length": len(written), "most": LONGEST_URL}
        )
    return written


def _split(url: str) -> SplitResult:
    if len(url) > LONGEST_URL:
        raise DestinationRefused(
            gettext("The URL should have at most %(most)s characters, and has %(length)s.")
            % {"most": LONGEST_URL, "length": len(url)}
        )
    if "\\" in url:
        raise DestinationRefused(
            gettext("The URL contains a backslash, which programs read differently. Use / or %5C.")
        )
    if any(character.isspace() or unicodedata.category(character) in ("Cc", "Cs") for character in url):
        raise DestinationRefused(
            gettext("The URL contains a space, a line break or a control character. Write it as %20.")
        )
    if "#" in url:
        raise DestinationRefused(gettext("The URL has a fragment (#…), which is never sent to a server. Leave it out."))
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DestinationRefused(gettext("The URL cannot be read: %(error)s.") % {"error": error}) from None
    if "@" in parts.netloc:
        raise DestinationRefused(
            gettext(
                "The URL carries a user name or password (user:pass@host). Put an Authorization header into the "
                "headers, which are stored encrypted."
            )
        )
    return parts


def _checked_port(parts: SplitResult, allowed: frozenset[int]) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise DestinationRefused(gettext("The URL's port should be a number from 1 to 65535.")) from None
    usual = 443 if parts.scheme == "https" else 80
    actual = usual if port is None else port
    if actual not in allowed:
        known = ", ".join(str(number) for number in sorted(allowed))
        raise DestinationRefused(
            gettext("Webhooks may not go to port %(actual)s. The ports that the operator allows: %(known)s.")
            % {"actual": actual, "known": known}
        )
    return None if actual == usual else actual


def _checked_host(host: str, networks: tuple[addresses.Network, ...]) -> str:
    if not host:
        raise DestinationRefused(gettext("The URL has no host. Write it as https://example.com/path."))
    address = addresses.parse(host) if "%" not in host else None
    if address is not None:
        _refuse_private(host, addresses.refusal(address, networks))
        return str(address)
    plain = unicodedata.normalize("NFKC", host).replace("。", ".").lower()
    _refuse_disguised(host, plain)
    name = _ascii_host(plain)
    # IDNA leaves out what cannot be seen, such as a soft hyphen behind the last number.
    _refuse_disguised(host, name)
    return name


def _refuse_disguised(host: str, name: str) -> None:
    if addresses.parse(name) is not None or _NUMERIC_LABEL.fullmatch(name.rstrip(".").rpartition(".")[2]):
        raise DestinationRefused(
            gettext(
                "The host %(host)s is a number, or an address in disguise. Write an address as four plain "
                "decimal numbers, such as 203.0.113.7."
            )
            % {"host": repr(host)}
        )


def _refuse_private(host: str, reason: str | None) -> None:
    if reason is not None:
        raise DestinationRefused(
            gettext(
                "Webhooks may not go to %(host)s (%(reason)s). For a host in your own network, ask the operator "
                'to list its network in WEBHOOKS["ALLOWED_NETWORKS"].'
            )
            % {"host": host, "reason": reason}
        )


def _ascii_host(host: str) -> str:
    if not host.isascii():
        # Comes with aiohttp; a plain ASCII host does without, so that unit tests and fixtures need no extra.
        try:
            import idna
        except ImportError as error:
            raise MissingExtra("idna") from error
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError as error:
            raise DestinationRefused(
                gettext("The host %(host)s is not a valid international domain name: %(error)s.")
                % {"host": repr(host), "error": error}
            ) from None
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise DestinationRefused(
            gettext("The host %(host)s is not a valid name: letters, digits, hyphens and dots.") % {"host": repr(host)}
        )
    return host


def header_problems(headers: Any) -> list[str]:
    """Say what is wrong with an endpoint's own headers, as sentences that quote names and never values."""
    if not isinstance(headers, Mapping):
        return [gettext('Headers should be a JSON object, such as {"Authorization": "Bearer …"}.')]
    problems = [problem for name, value in headers.items() for problem in _header_problems(name, value)]
    if len(headers) > MOST_HEADERS:
        problems.append(
            gettext("At most %(most)s headers can be set, and there are %(count)s.")
            % {"most": MOST_HEADERS, "count": len(headers)}
        )
    lowered = [str(name).lower() for name in headers]
    problems += [
        gettext("The header %(name)s is there twice.") % {"name": repr(name)}
        for name in sorted(set(lowered))
        if lowered.count(name) > 1
    ]
    return problems


def _header_problems(name: Any, value: Any) -> list[str]:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        return [
            gettext("The header name %(name)s should be of ASCII letters, digits and hyphens.") % {"name": repr(name)}
        ]
    if name.lower() in RESERVED_HEADERS or name.lower().startswith(RESERVED_PREFIX):
        return [
            gettext("The header %(name)s is reserved: it is set for each delivery and cannot be chosen.")
            % {"name": repr(name)}
        ]
    if not isinstance(value, str):
        return [
            gettext("The value of the header %(name)s should be a text, and is a %(type)s.")
            % {"name": repr(name), "type": type(value).__name__}
        ]
    if any(unicodedata.category(character) == "Cc" for character in value):
        return [
            gettext("The value of the header %(name)s contains a line break or another control character.")
            % {"name": repr(name)}
        ]
    if not value.isascii():
        return [
            gettext("The value of the header %(name)s has characters beyond ASCII, which servers read differently.")
            % {"name": repr(name)}
        ]
    if len(name) + len(value) > LONGEST_HEADER:
        return [
            gettext("The header %(name)s is longer than %(most)s characters.")
            % {"name": repr(name), "most": LONGEST_HEADER}
        ]
    return []

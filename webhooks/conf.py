"""Settings: one documented, typed accessor each, over the dict ``WEBHOOKS`` in Django's settings.

Read at each call, so that ``override_settings`` works. ``problems()`` is the source of the system check.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from rules_engine.actions import SettingsError, did_you_mean

SETTING = "WEBHOOKS"
#: The Celery queue that deliveries wait in, in one lane for each endpoint's slug. Not a setting: workers are started
#: with this name, and executions that wait carry it.
QUEUE = "webhooks"
#: Seconds that the site's schedule may wait at most: a year. A database cannot add every number of seconds to a time.
LONGEST_WAIT_OF_SITE = 366 * 86_400

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _value(name: str, default: Any, accepts: Callable[[Any], bool], expected: str, *, secret: bool = False) -> Any:
    value = getattr(settings, SETTING, {}).get(name, default)
    if not accepts(value):
        came = "" if secret else f", and is {value!r}"
        raise SettingsError(f"{SETTING}[{name!r}] should be {expected}{came}.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list_of(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(accepts(item) for item in value)


def allow_http() -> bool:
    """Whether endpoints may have ``http://`` addresses, so that payloads travel unencrypted. Default False."""
    return bool(_value("ALLOW_HTTP", False, lambda v: isinstance(v, bool), "True or False"))


def allowed_networks() -> tuple[Network, ...]:
    """Networks that webhooks may reach although they are not public, such as ``["10.20.0.0/16"]``. Default none."""
    value = _value("ALLOWED_NETWORKS", (), _is_list_of(_is_network), 'a list of networks such as "10.20.0.0/16"')
    return tuple(ipaddress.ip_network(network) for network in value)


def _is_network(value: Any) -> bool:
    try:
        return isinstance(value, str) and ipaddress.ip_network(value) is not None
    except ValueError:
        return False


def allowed_ports() -> frozenset[int]:
    """Ports that webhooks may connect to. Default 80 and 443."""
    value = _value("ALLOWED_PORTS", (80, 443), _is_list_of(_is_port), "a list of port numbers from 1 to 65535")
    return frozenset(value)


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and 0 < value < 65536


def ca_file() -> str | None:
    """A PEM file of the authorities to trust; None, the default, means those of the system's OpenSSL.

    The environment (``SSL_CERT_FILE`` and the like) is not asked: it is not the operator's settings.
    """
    accepts = lambda v: v is None or (isinstance(v, str | Path) and Path(v).is_file())  # noqa: E731
    value = _value("CA_FILE", None, accepts, "the path of an existing PEM file, or None")
    return None if value is None else str(value)


def deadline_seconds() -> float:
    """Seconds one attempt may take in all, from the name's lookup to the last byte of the answer. Default 15."""
    accepts = lambda v: _is_number(v) and v > 0  # noqa: E731
    return float(_value("DEADLINE_SECONDS", 15, accepts, "a number of seconds above 0"))


def response_bytes() -> int:
    """Bytes of an answer's body that are read before the connection is closed. Default 16,384."""
    accepts = lambda v: isinstance(v, int) and _is_number(v) and v >= 0  # noqa: E731
    return int(_value("RESPONSE_BYTES", 16_384, accepts, "a whole number of bytes of at least 0"))


def retry_schedule() -> tuple[float, ...]:
    """Seconds before the second, third, … attempt; the first is made at once, after the last we give up.

    Default: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h (ten attempts over about three days).
    """
    default = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    accepts = _is_list_of(lambda v: _is_number(v) and 0 <= v <= LONGEST_WAIT_OF_SITE)
    value = _value("RETRY_SCHEDULE", default, accepts, "a list of seconds from 0 to 31,622,400 (366 days)")
    return tuple(float(seconds) for seconds in value)


def source() -> str:
    """Who the events come from, as CloudEvents want it: a URI such as ``"https://shop.example.com"``.

    Default ``"urn:django-signal-rules"``. Receivers tell events apart by source and id together.
    """
    accepts = lambda v: isinstance(v, str) and bool(v) and v.isascii() and v.isprintable() and " " not in v  # noqa: E731
    return str(_value("SOURCE", "urn:django-signal-rules", accepts, 'a URI such as "https://shop.example.com"'))


def allow_unverified_tls() -> bool:
    """Whether endpoints may turn the check of their server's certificate off: anybody between could then read and
    change what is sent. Default False."""
    return bool(_value("ALLOW_UNVERIFIED_TLS", False, lambda v: isinstance(v, bool), "True or False"))


def proxy() -> str | None:
    """The proxy that all deliveries go through, such as ``"http://10.0.0.5:3128"``. Default None: they go directly.

    It looks names up by itself, so it has to keep to a policy of its own; what can be told from here is refused here.
    """
    value = _value("PROXY", None, _is_proxy, 'None or a URL such as "http://10.0.0.5:3128"', secret=True)
    return None if value is None else str(value)


def _is_proxy(value: Any) -> bool:
    if value is None:
        return True
    try:
        parts = urlsplit(value)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port is not None and not parts.path.strip("/")
    except (TypeError, ValueError, AttributeError):
        return False


def slots() -> int:
    """Deliveries that one worker process has in flight at the same time. Default 400.

    One endpoint never has more than half of them or 100, and less where others have work too: a slow one holds up
    nobody.
    """
    accepts = lambda v: isinstance(v, int) and _is_number(v) and 0 < v <= 10_000  # noqa: E731
    return int(_value("SLOTS", 400, accepts, "a whole number from 1 to 10,000"))


def encryption_keys() -> tuple[str, ...]:
    """Fernet keys for stored secrets: the first encrypts, all decrypt. Default none: derived from ``SECRET_KEY``.

    Make one with ``python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"``.
    """
    expected = "a list of Fernet keys (32 bytes each, in URL-safe base64)"
    return tuple(_value("ENCRYPTION_KEYS", (), _is_list_of(_is_fernet_key), expected, secret=True))


def _is_fernet_key(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(base64.b64decode(value, altchars=b"-_", validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


ACCESSORS: Mapping[str, Callable[[], Any]] = {
    "ALLOW_HTTP": allow_http,
    "ALLOW_UNVERIFIED_TLS": allow_unverified_tls,
    "ALLOWED_NETWORKS": allowed_networks,
    "ALLOWED_PORTS": allowed_ports,
    "CA_FILE": ca_file,
    "DEADLINE_SECONDS": deadline_seconds,
    "PROXY": proxy,
    "RESPONSE_BYTES": response_bytes,
    "RETRY_SCHEDULE": retry_schedule,
    "SLOTS": slots,
    "SOURCE": source,
    "ENCRYPTION_KEYS": encryption_keys,
}


def problems() -> list[str]:
    """List every unknown key and unusable value of the setting, as sentences; empty when all is well."""
    configured = getattr(settings, SETTING, {})
    if not isinstance(configured, Mapping):
        return [f"{SETTING} should be a dict, and is a {type(configured).__name__}."]
    unknown = [_unknown(key) for key in configured if key not in ACCESSORS]
    unusable = []
    for name in configured:
        try:
            if name in ACCESSORS:
                ACCESSORS[name]()
        except SettingsError as error:
            unusable.append(str(error))
    return unknown + unusable


def _unknown(key: Any) -> str:
    known = ", ".join(sorted(ACCESSORS))
    hint = did_you_mean(str(key).upper(), list(ACCESSORS))
    return f"{SETTING} has no setting {key!r}.{hint} The settings are: {known}."

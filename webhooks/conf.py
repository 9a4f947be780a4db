"""Settings: one documented, typed accessor each, over the dict ``WEBHOOKS`` in Django's settings.

Read at each call, so that ``override_settings`` works. ``problems()`` is the source of the system check.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache
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
#: Ten attempts over about three days: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
USUAL_SCHEDULE = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MOST_SLOTS = 10_000
LONGEST_DEADLINE = 86_400

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: IPv4 written as IPv6.
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def _configured(name: str, default: Any) -> Any:
    return getattr(settings, SETTING, {}).get(name, default)


def _unusable(name: str, expected: str, value: Any) -> SettingsError:
    return SettingsError(f"{SETTING}[{name!r}] should be {expected}, and is {value!r}.")


def _unusable_secret(name: str, expected: str) -> SettingsError:
    return SettingsError(f"{SETTING}[{name!r}] should be {expected}.")


def _flag(name: str) -> bool:
    value = _configured(name, False)
    if not isinstance(value, bool):
        raise _unusable(name, "True or False", value)
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_whole(value)


def allow_http() -> bool:
    """Tell whether endpoints may have ``http://`` addresses, so that payloads travel unencrypted. Default False."""
    return _flag("ALLOW_HTTP")


def allow_unverified_tls() -> bool:
    """Tell whether endpoints may turn the check of their server's certificate off: anybody between could then read and
    change what is sent. Default False."""
    return _flag("ALLOW_UNVERIFIED_TLS")


def allowed_networks() -> tuple[Network, ...]:
    """List networks that webhooks may reach although they are not public, such as ``["10.20.0.0/16"]``.

    Default none.
    """
    value = _configured("ALLOWED_NETWORKS", ())
    if not isinstance(value, list | tuple) or not all(_is_network(item) for item in value):
        raise _unusable("ALLOWED_NETWORKS", 'a list of networks such as "10.20.0.0/16"', value)
    return tuple(map(_network, value))


def _is_network(value: Any) -> bool:
    try:
        return isinstance(value, str) and _network(value) is not None
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _network(text: str) -> Network:
    # Asked for before each delivery.
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        # Addresses that are IPv4 written as IPv6 are judged as IPv4, and so would never be found in it.
        return ipaddress.ip_network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - _MAPPED.prefixlen))
    return network


def allowed_ports() -> frozenset[int]:
    """List ports that webhooks may connect to. Default 80 and 443."""
    value = _configured("ALLOWED_PORTS", (80, 443))
    if not isinstance(value, list | tuple) or not all(_is_port(item) for item in value):
        raise _unusable("ALLOWED_PORTS", "a list of port numbers from 1 to 65535", value)
    return frozenset(value)


def _is_port(value: Any) -> bool:
    return _is_whole(value) and 0 < value < 65_536


def ca_file() -> str | None:
    """Name a PEM file of the authorities to trust; None, the default, means those of the system's OpenSSL.

    The environment (``SSL_CERT_FILE`` and the like) is not asked: it is not the operator's settings.
    """
    value = _configured("CA_FILE", None)
    if value is None:
        return None
    if not isinstance(value, str | Path) or not Path(value).is_file():
        raise _unusable("CA_FILE", "the path of an existing PEM file, or None", value)
    return str(value)


def deadline_seconds() -> float:
    """Give the seconds that one attempt may take in all, from the name's lookup to the last byte of the answer.

    Default 15.
    """
    value = _configured("DEADLINE_SECONDS", 15)
    if not _is_number(value) or not 0 < value <= LONGEST_DEADLINE:
        raise _unusable("DEADLINE_SECONDS", f"a number of seconds above 0, up to {LONGEST_DEADLINE:,}", value)
    return float(value)


def response_bytes() -> int:
    """Give the bytes of an answer's body that are read before the connection is closed. Default 16,384."""
    value = _configured("RESPONSE_BYTES", 16_384)
    if not _is_whole(value) or value < 0:
        raise _unusable("RESPONSE_BYTES", "a whole number of bytes of at least 0", value)
    return int(value)


def retry_schedule() -> tuple[float, ...]:
    """Give the seconds before the second, third, … attempt; the first is made at once, after the last we give up.

    Default ``USUAL_SCHEDULE``.
    """
    value = _configured("RETRY_SCHEDULE", USUAL_SCHEDULE)
    if not isinstance(value, list | tuple) or not all(_is_wait(item) for item in value):
        raise _unusable("RETRY_SCHEDULE", "a list of seconds from 0 to 31,622,400 (366 days)", value)
    return tuple(float(seconds) for seconds in value)


def _is_wait(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= LONGEST_WAIT_OF_SITE


def source() -> str:
    """Tell who the events come from, as CloudEvents want it: a URI such as ``"https://shop.example.com"``.

    Default ``"urn:django-signal-rules"``. Receivers tell events apart by source and id together.
    """
    value = _configured("SOURCE", "urn:django-signal-rules")
    if not isinstance(value, str) or not _is_plain(value):
        raise _unusable("SOURCE", 'a URI such as "https://shop.example.com"', value)
    return value


def _is_plain(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def proxy() -> str | None:
    """Give the proxy that all deliveries go through, such as ``"http://10.0.0.5:3128"``. Default None: they go
    directly.

    It looks names up by itself, so it has to keep to a policy of its own; what can be told from here is refused here.
    """
    value = _configured("PROXY", None)
    if value is None:
        return None
    if not _is_proxy(value):
        # Not quoted: it may hold a password.
        raise _unusable_secret("PROXY", 'None or a URL such as "http://10.0.0.5:3128"')
    return str(value)


def _is_proxy(value: Any) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port is not None and not parts.path.strip("/")
    except (TypeError, ValueError, AttributeError):
        return False


def slots() -> int:
    """Give the deliveries that one worker process has in flight at the same time. Default 400.

    One endpoint never has more than half of them or 100, and less where others have work too: a slow one holds up
    nobody.
    """
    value = _configured("SLOTS", 400)
    if not _is_whole(value) or not 0 < value <= MOST_SLOTS:
        raise _unusable("SLOTS", f"a whole number from 1 to {MOST_SLOTS:,}", value)
    return int(value)


def encryption_keys() -> tuple[str, ...]:
    """List Fernet keys for stored secrets: the first encrypts, all decrypt. Default none: derived from ``SECRET_KEY``.

    Make one with ``python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"``.
    """
    value = _configured("ENCRYPTION_KEYS", ())
    if not isinstance(value, list | tuple) or not all(_is_fernet_key(item) for item in value):
        raise _unusable_secret("ENCRYPTION_KEYS", "a list of Fernet keys (32 bytes each, in URL-safe base64)")
    return tuple(value)


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

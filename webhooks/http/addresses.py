"""Which network addresses a webhook may reach. Pure: an address in, a reason or None out.

An administrator who may write a URL must not gain the server's view of its own network, so only public addresses are
reached, unless the operator's settings list a network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Listed whatever ``is_global`` says: its table differs between Python versions, and it calls some of these public.
DENIED: tuple[tuple[Network, Promise], ...] = tuple(
    (ipaddress.ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", _("this host")),
        ("100.64.0.0/10", _("shared by a carrier's customers")),
        ("168.63.129.16/32", _("a cloud's own services")),
        ("192.0.0.0/24", _("kept for protocols")),
        ("192.88.99.0/24", _("an old relay for IPv6")),
        ("::/96", _("an IPv4 address written as IPv6")),
        ("64:ff9b::/96", _("translated to IPv4")),
        ("64:ff9b:1::/48", _("translated to IPv4 locally")),
        ("2001::/23", _("kept for protocols and tunnels")),
        ("2002::/16", _("a tunnel to an IPv4 address")),
        ("3fff::/20", _("for documentation")),
        ("5f00::/16", _("segment routing")),
        ("fec0::/10", _("site-local")),
    )
)


def parse(text: str) -> Address | None:
    """Read the address that ``text`` is, in the one canonical way of writing it (a zone is dropped), or None."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def refusal(address: Address, allowed_networks: Iterable[Network] = ()) -> str | None:
    """Say why ``address`` may not be reached, in a few words, or None where it may.

    The words are for logs and for a literal address that an administrator typed: never show them for an address
    that a name resolved to. An IPv4 address inside an IPv6 one (``::ffff:127.0.0.1``) is judged as IPv4.
    """
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in allowed_networks):
        return None
    for network, reason in DENIED:
        if address in network:
            return str(reason)
    return _general_refusal(address)


def _general_refusal(address: Address) -> str | None:
    if address.is_loopback:
        return gettext("this machine itself")
    if address.is_link_local:
        return gettext("the local link, where clouds serve their metadata")
    if address.is_multicast:
        return gettext("a multicast group")
    if address.is_reserved:
        return gettext("reserved")
    return None if address.is_global else gettext("not public")

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from webhooks.http.addresses import parse, refusal

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0a00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:1::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]

REACHED = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "168.63.129.17",
    "::ffff:8.8.8.8",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", REACHED)
def test_a_public_address_is_reached(address: str) -> None:
    assert refusal(ipaddress.ip_address(address)) is None


@pytest.mark.parametrize("address", ["10.20.1.2", "::ffff:10.20.1.2", "fd00:1::5"])
def test_the_operators_networks_are_reached(address: str) -> None:
    networks = [ipaddress.ip_network("10.20.0.0/16"), ipaddress.ip_network("fd00:1::/32")]
    assert refusal(ipaddress.ip_address(address), networks) is None
    assert refusal(ipaddress.ip_address("10.21.0.1"), networks)


@pytest.mark.parametrize(
    "text", ["2130706433", "0x7f000001", "127.1", "0", "①②⑦.⓪.⓪.①", "0177.0.0.1", "example.com", ""]
)
def test_only_the_canonical_way_of_writing_an_address_is_an_address(text: str) -> None:
    assert parse(text) is None


def test_a_zone_does_not_hide_an_address() -> None:
    address = parse("fe80::1%eth0")
    assert address is not None
    assert refusal(address)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.1.2.3", "this host"),
        ("10.0.0.1", "not public"),
        ("100.64.0.1", "shared by a carrier's customers"),
        ("127.0.0.1", "this machine itself"),
        ("168.63.129.16", "a cloud's own services"),
        ("169.254.169.254", "the local link, where clouds serve their metadata"),
        ("192.0.0.9", "kept for protocols"),
        ("192.88.99.1", "an old relay for IPv6"),
        ("224.0.0.1", "a multicast group"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("::ffff:127.0.0.1", "this machine itself"),
        ("::1", "an IPv4 address written as IPv6"),
        ("64:ff9b::808:808", "translated to IPv4"),
        ("64:ff9b:1::1", "translated to IPv4 locally"),
        ("2001:20::1", "kept for protocols and tunnels"),
        ("2002:808:808::", "a tunnel to an IPv4 address"),
        ("3fff::1", "for documentation"),
        ("5f00::1", "segment routing"),
        ("fd12::1", "not public"),
        ("fe80::1", "the local link, where clouds serve their metadata"),
        ("fec0::1", "site-local"),
        ("ff02::1", "a multicast group"),
        ("4000::1", "reserved"),
    ],
)
def test_a_refused_address_is_told_for_what_it_is(address: str, reason: str) -> None:
    assert refusal(ipaddress.ip_address(address)) == reason


@settings(max_examples=examples(100), deadline=None)
@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_however_it_is_dressed(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    assert refusal(mapped) == refusal(address)
    # Where a network could lead such an address elsewhere, it is reached in none of these forms.
    for dressed in (f"::{address}", f"64:ff9b::{address}"):
        assert refusal(ipaddress.IPv6Address(dressed)) is not None
    assert refusal(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80) | 1)) is not None


@settings(max_examples=examples(100), deadline=None)
@given(st.ip_addresses())
def test_no_address_outside_of_the_public_ones_is_reached(address: ipaddress.IPv4Address) -> None:
    if refusal(address) is None:
        assert address.is_global
        inner = {address.is_private, address.is_loopback, address.is_link_local, address.is_multicast}
        assert inner == {False}


@settings(max_examples=examples(100), deadline=None)
@given(st.ip_addresses())
def test_a_network_lets_through_what_is_in_it_and_nothing_else(address: ipaddress.IPv4Address) -> None:
    # One that is IPv4 in disguise is judged as what it is.
    plain = getattr(address, "ipv4_mapped", None) or address
    assert refusal(address, [ipaddress.ip_network(plain)]) is None
    other = ipaddress.ip_network("10.0.0.0/8" if plain.version == 6 else "fd00::/8")
    assert refusal(address, [other]) == refusal(address)

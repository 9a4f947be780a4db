from __future__ import annotations

import ipaddress

import pytest

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

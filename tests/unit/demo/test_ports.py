"""The demo's ports: what is wrong with them is a sentence with the way out."""

from __future__ import annotations

import socket

import pytest

from project.demo.ports import HOST, Ports, free_ports


def test_ports_that_are_free_have_no_problem() -> None:
    assert list(Ports(*free_ports(3)).problems()) == []


def test_free_ports_are_apart() -> None:
    found = free_ports(5)
    assert len(set(found)) == 5
    assert all(0 < port < 65536 for port in found)
    assert free_ports(0) == []


@pytest.mark.parametrize("port", [0, -1, 65536, 10**9])
@pytest.mark.parametrize(("place", "option"), [(0, "--port"), (1, "--smtp-port"), (2, "--webhook-port")])
def test_a_number_that_is_no_port_is_refused(port: int, place: int, option: str) -> None:
    numbers = free_ports(3)
    numbers[place] = port
    assert list(Ports(*numbers).problems()) == [f"{option} is {port}; a port is a number from 1 to 65535."]


def test_two_servers_cannot_have_one_port() -> None:
    one, other = free_ports(2)
    assert list(Ports(one, one, other).problems()) == [
        f"--port and --smtp-port are both {one}; give one of them another port."
    ]
    assert list(Ports(one, one, one).problems()) == [
        f"--port and --smtp-port are both {one}; give one of them another port.",
        f"--port and --webhook-port are both {one}; give one of them another port.",
    ]


def test_a_port_that_is_taken_is_said_with_its_option() -> None:
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]
        web, smtp = free_ports(2)
        [said] = Ports(web, smtp, taken).problems()
    assert said.startswith(f"The demo's webhook receiver cannot use port {taken} (")
    assert said.endswith("Choose another with --webhook-port.")

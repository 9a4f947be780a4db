"""The three ports of the demo, and what to say when one is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

HOST = "127.0.0.1"
OPTIONS = {"web": "--port", "smtp": "--smtp-port", "webhook": "--webhook-port"}
SERVERS = {"web": "web server", "smtp": "mail server", "webhook": "webhook receiver"}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo's servers listen, all on this machine only."""

    web: int
    smtp: int
    webhook: int

    def problems(self) -> Iterator[str]:
        """A sentence for each port that cannot be used, with the way out."""
        owners: dict[int, str] = {}
        for name, option in OPTIONS.items():
            port = getattr(self, name)
            if not 0 < port < 65536:
                yield f"{option} is {port}; a port is a number from 1 to 65535."
            elif port in owners:
                yield f"{owners[port]} and {option} are both {port}; give one of them another port."
            elif reason := _refusal(port):
                yield f"The demo's {SERVERS[name]} cannot use port {port} ({reason}). Choose another with {option}."
            owners.setdefault(port, option)


def _refusal(port: int) -> str:
    with socket.socket() as probe:
        # As servers do: a port that waits for late packets of the last demo is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return ""


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [server.getsockname()[1] for server in sockets]
    finally:
        for server in sockets:
            server.close()

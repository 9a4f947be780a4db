"""The ledger: a small HTTP server outside of the system, which books each effect with its idempotency key.

What is posted to ``/KIND`` is booked before it is answered: who asks, the key (the header ``Idempotency-Key`` or
``webhook-id``), and which change it is of (the member ``change`` of the JSON).
"""

from __future__ import annotations

import json
import random
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEYS = ("Idempotency-Key", "webhook-id")
#: The most that is read of a request; what the ordeal posts is a hundred bytes.
LONGEST_BODY = 1 << 16


@dataclass(frozen=True, slots=True)
class Booking:
    """An effect: of which kind, under which key, of which change, and when (seconds since 1970)."""

    kind: str
    key: str
    change: str
    at: float


@dataclass
class Ledger:
    """The server. Each answer takes up to ``seconds``, by chance, so that a kill finds something in flight."""

    port: int
    seconds: float = 0.0
    bookings: list[Booking] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address; a kind is posted to ``URL/KIND``."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, from threads of this process."""
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        threading.Thread(target=self._server.serve_forever, name="ledger", daemon=True).start()

    def stop(self) -> None:
        """Hear no more."""
        self._server.shutdown()
        self._server.server_close()

    def write(self, path: Path) -> None:
        """Write it down: a line for each effect, with its time, kind, key and change."""
        lines = (f"{booking.at:.3f} {booking.kind} {booking.key} {booking.change}\n" for booking in self.bookings)
        path.write_text("".join(lines))

    def of_kind(self, kind: str) -> list[Booking]:
        """Return what was booked of a kind, in its order."""
        return [booking for booking in list(self.bookings) if booking.kind == kind]

    def first_times(self, kinds: Iterable[str]) -> dict[str, float]:
        """Return when each change was first booked of all of these kinds."""
        wanted, firsts = set(kinds), dict[tuple[str, str], float]()
        for booking in self.bookings:
            firsts.setdefault((booking.change, booking.kind), booking.at)
        of = Counter(change for change, kind in firsts if kind in wanted)
        times = dict[str, float]()
        for (change, kind), at in firsts.items():
            if kind in wanted and of[change] == len(wanted):
                times[change] = max(at, times.get(change, 0.0))
        return times


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    #: Hundreds may connect at once.
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever asked was killed."""


def _handler(ledger: Ledger) -> type[socketserver.BaseRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            """Book it, and say that it was taken."""
            body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LONGEST_BODY))
            key = next((value for name in KEYS if (value := self.headers.get(name))), "")
            try:
                change = json.loads(body)["change"]
            except (ValueError, KeyError, TypeError):
                self._answer(400)
                return
            ledger.bookings.append(Booking(self.path.strip("/"), key, str(change), time.time()))
            time.sleep(random.random() * ledger.seconds)
            self._answer(200)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Say nothing of each request."""

    return Handler

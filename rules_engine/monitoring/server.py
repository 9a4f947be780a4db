"""Metrics over a port of a worker's own, for sites whose web processes Prometheus does not reach."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from rules_engine import conf
from rules_engine.context.actor import paused
from rules_engine.monitoring.access import has_token

logger = logging.getLogger("rules_engine")

#: Seconds until somebody who asks and sends nothing is cut off.
PATIENCE = 10
#: Seconds until a process looks again whether the port is free: of several, one serves, and another when that one dies.
AGAIN = 2.0


class Server(ThreadingHTTPServer):
    """One such port. Raises ``OSError`` where it cannot be had."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log that somebody hung up, or sent what is no request."""
        logger.info("A request for metrics from %s was not answered.", client_address[0], exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """Answers ``GET /metrics``."""

    timeout = PATIENCE

    def do_GET(self) -> None:
        """Answer with all metrics."""
        from rules_engine.monitoring.collector import exposition

        settings = conf.metrics()
        if self.path.partition("?")[0] != "/metrics" or settings is None:
            self.send_error(404, "Metrics are at /metrics")
            return
        if settings.token and not has_token(self.headers.get("Authorization", ""), settings.token):
            self.send_error(401, "Expected the token of RULES_ENGINE METRICS")
            return
        try:
            with paused():  # this thread's connecting is no event
                body, content_type = exposition(self.headers.get("Accept", ""))
        except (DatabaseError, InterfaceError):
            self.send_error(503, "The database cannot be read")
            return
        finally:
            connections.close_all()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Keep the log free of a line each scrape."""


def serve(address: str, port: int) -> None:
    """Serve from a thread of this process, as soon as the port is free: of several processes one has it."""
    threading.Thread(target=_serve, args=(address, port), name="rules-engine-metrics", daemon=True).start()


def _serve(address: str, port: int) -> None:
    pause = threading.Event()
    while True:
        try:
            server = Server((address, port), Handler)
        except OSError:
            pause.wait(AGAIN)
            continue
        server.serve_forever()

"""The demo's web server: Django's own, with the admin's static files, quiet, and gone at once on Ctrl-C."""

from __future__ import annotations

from typing import Any

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from project.demo.ports import HOST


class Server(ThreadedWSGIServer):
    """Does not wait for a browser's idle connections when it ends."""

    daemon_threads = True


class Handler(WSGIRequestHandler):
    """Says nothing of each request: the page asks every second."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Errors are logged by Django itself."""


def serve(port: int) -> None:
    """Serve until interrupted. Raises ``OSError`` when the port is taken."""
    with Server((HOST, port), Handler) as server:
        server.set_app(StaticFilesHandler(get_wsgi_application()))
        server.serve_forever(poll_interval=0.1)

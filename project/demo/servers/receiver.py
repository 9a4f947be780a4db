"""A web server that takes webhooks, and checks their signatures as any receiver should.

It plays the receiver of every endpoint: ``/hook`` is that of the endpoint ``demo``, ``/hook/erp`` that of ``erp``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.db import connections

from project.demo.arrivals import arrivals
from project.demo.ports import HOST
from webhooks.errors import InvalidSecret, InvalidSignature
from webhooks.models import Endpoint
from webhooks.receiver import verify

PATH = "/hook"
SLUG = "demo"
ERP = "erp"
LARGEST, LONGEST_NUMBER = 1 << 20, 18


class Handler(BaseHTTPRequestHandler):
    """Takes one request."""

    def do_POST(self) -> None:
        """Verify, remember, answer."""
        written = self.headers.get("Content-Length") or "0"
        slug = _slug(self.path)
        if not slug or not written.isdecimal():
            return self._answer(400 if slug else 404)
        if len(written) > LONGEST_NUMBER or int(written) > LARGEST:
            return self._answer(413)
        length = int(written)
        body = self.rfile.read(length)
        refusal = _refusal(slug, body, dict(self.headers.items()))
        verdict = f"Refused: {refusal}" if refusal else f"To the endpoint {slug}. The signature is verified."
        arrivals.add("webhook", _subject(body), verdict, good=not refusal)
        return self._answer(401 if refusal else 204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """The page shows what came; the terminal stays quiet."""


def url_of(port: int, slug: str = SLUG) -> str:
    """Where an endpoint of that slug is received."""
    return f"http://{HOST}:{port}{PATH}{'' if slug == SLUG else f'/{slug}'}"


def _slug(path: str) -> str:
    """Whose receiver is asked for; empty where there is none."""
    if path == PATH:
        return SLUG
    return path.removeprefix(f"{PATH}/") if path.startswith(f"{PATH}/") else ""


def _refusal(slug: str, body: bytes, headers: dict[str, str]) -> str:
    try:
        # Asked each time, so that rotating the secret in the admin changes both ends.
        verify(body, headers, Endpoint.objects.get(slug=slug).signing_secrets())
    except (InvalidSignature, InvalidSecret, Endpoint.DoesNotExist) as error:
        return str(error)
    finally:
        connections.close_all()  # the thread ends with the request
    return ""


def _subject(body: bytes) -> str:
    try:
        content = json.loads(body)
        return f"{content['type']} {content['data']['event']['pk']}"
    except (ValueError, LookupError, TypeError):
        return f"{len(body)} bytes"


@contextmanager
def serving(port: int) -> Iterator[None]:
    """The server runs, in a thread of its own, while the block does."""
    with ThreadingHTTPServer((HOST, port), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.1,), name="demo-receiver", daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()

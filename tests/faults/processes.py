"""Other processes for fault tests: real ones, that save, stall and die."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import nursery

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import json, os, signal, sys, time
import django
django.setup()
from django.db import connection, transaction
from project.clinic.models import Doctor
from rules_engine.outbox import hints
def doctor(slug):
    return Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@example.com", slug=slug)
def say(**said):
    print(json.dumps(said), flush=True)
"""
CONNECT = "connection.ensure_connection()\n"


def python(
    code: str, environment: Mapping[str, str], *, first: str = "", connects: bool = True
) -> subprocess.Popen[str] | nursery.Talker:
    """Start a Python process of the demo project that runs ``code`` after ``PRELUDE``, and ``first`` before it.
    Unless it ``connects``, it has asked nothing of the database by then.

    One whose beginning is what a test looks at is started by the command, all others are born of the nursery.
    """
    arguments = ["-c", first + PRELUDE + CONNECT * connects + textwrap.dedent(code)]
    if connects and not first:
        return nursery.talking(arguments, environment)
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str] | nursery.Talker, seconds: float = 60) -> list[dict[str, Any]]:
    """What the process printed, a JSON object a line, once it has ended."""
    out, err = process.communicate(timeout=seconds)
    assert out or process.returncode < 0, err
    return [json.loads(line) for line in out.splitlines()]


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts connections and says nothing; gives its number."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for one in held:
                one.close()

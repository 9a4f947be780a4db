"""A database without any table, and ``manage.py`` in a process of its own: for what only a real ``migrate`` shows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from tests.conftest import database_url

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def fresh_database(folder: Path) -> Iterator[str]:
    """The address of a database without tables, of the kind that the tests use; it is dropped afterwards."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{folder / 'fresh.sqlite3'}"
        return
    name = f"{connection.settings_dict['NAME']}_fresh"
    quoted = connection.ops.quote_name(name)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {quoted}")
        cursor.execute(f"CREATE DATABASE {quoted}")
    try:
        yield database_url().rpartition("/")[0] + f"/{name}"
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {quoted}{' WITH (FORCE)' if connection.vendor == 'postgresql' else ''}")


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """Run ``manage.py``, which has to succeed; returns what it wrote to stderr."""
    return run(environment, "manage.py", *arguments).stderr


def run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python at the project's root; it has to succeed."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=dict(environment), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done

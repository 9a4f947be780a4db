"""On what a run was made."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("django", "celery", "psycopg", "redis", "aiohttp", "datalogic-py", "django-lifecycle", "django-webhook")
ROOT = Path(__file__).resolve().parents[2]


def line() -> str:
    """Return the machine, its load, and the versions."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    versions = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    where = f"{os.cpu_count()} cores ({_processor()}), load {load}, Python {platform.python_version()}"
    return f"{where}\n{versions}\n{_commit()}".rstrip()


def database_line() -> str:
    """Return which database this process measures on."""
    from django.db import connection

    asks = {"sqlite": "SELECT sqlite_version()", "mysql": "SELECT version()"}
    with connection.cursor() as cursor:
        cursor.execute(asks.get(connection.vendor, "SHOW server_version"))
        [found] = cursor.fetchone()
    return f"\n{connection.display_name} {found}, a commit does not wait for the disk"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"commit {said}"

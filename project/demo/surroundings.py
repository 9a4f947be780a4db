"""The demo's environment. Settings read it when they are imported, so the command starts itself anew with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from project.demo.ports import HOST, Ports

#: Holds the process id: replacing a process keeps it, and a process that merely inherits the variable has another.
MARK = "DEMO_PROCESS"
#: What would lead a scripted round to the databases and brokers of somebody else.
SERVICES = ("DATABASE_URL", "REDIS_URL", "AMQP_URL", "CELERY_BROKER_URL", "TEST_DATABASE_NAME")


def is_set() -> bool:
    """Whether this process was started by one of the two functions below."""
    return os.environ.get(MARK) in (str(os.getpid()), f"child of {os.getppid()}")


def restart(ports: Ports, arguments: Sequence[str]) -> None:
    """Replace this process by one that has the demo's environment."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = _command(arguments)
    os.execve(command[0], command, {**_environment(ports), MARK: str(os.getpid())})  # noqa: S606 - ourselves


def run_apart(ports: Ports, arguments: Sequence[str]) -> int:
    """Run the command in a process that shares nothing with the demo proper; returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="signal-rules-demo-") as folder:
        environment = {name: value for name, value in _environment(ports).items() if name not in SERVICES}
        environment |= {"DEMO_VAR": folder, MARK: f"child of {os.getpid()}"}
        return subprocess.run(_command(arguments), env=environment, check=False).returncode  # noqa: S603 - ourselves


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), "demo", *arguments]


def _environment(ports: Ports) -> dict[str, str]:
    return {
        **os.environ,
        "EMAIL_HOST": HOST,
        "EMAIL_PORT": str(ports.smtp),
        "WEBHOOK_ALLOWED_PORTS": str(ports.webhook),
        "DEMO_HOSTS": "localhost,127.0.0.1",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
    }

"""``manage.py demo`` as a newcomer starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from project.demo.ports import HOST, Ports, free_ports

SERVICES = ("DATABASE_URL", "REDIS_URL", "AMQP_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE")


def environment(var: Path) -> dict[str, str]:
    """A machine with no services at all."""
    kept = {name: value for name, value in os.environ.items() if name not in SERVICES}
    return {**kept, "DEMO_VAR": str(var), "PYTHONUNBUFFERED": "1"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), "demo", *arguments]


def on(ports: Ports) -> list[str]:
    return [f"--port={ports.web}", f"--smtp-port={ports.smtp}", f"--webhook-port={ports.webhook}"]


def answer(ports: Ports, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{HOST}:{ports.web}{path}", timeout=5) as response:
        return bytes(response.read())


@contextmanager
def started(var: Path) -> Iterator[tuple[subprocess.Popen[str], Ports]]:
    """The demo runs, and has said what to click."""
    ports = Ports(*free_ports(3))
    process = subprocess.Popen(
        command(*on(ports)), env=environment(var), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        else:
            pytest.fail("".join(said))
        assert f"http://{HOST}:{ports.web}/" in "".join(said)
        wait_for_answer(ports)
        yield process, ports
    finally:
        process.kill()
        process.communicate()


def wait_for_answer(ports: Ports) -> None:
    for _ in range(100):
        try:
            socket.create_connection((HOST, ports.web), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("The web server did not come up.")


def rows(var: Path, table: str) -> int:
    with closing(sqlite3.connect(var / "demo.sqlite3")) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_scripted_round_succeeds_when_every_effect_has_arrived(tmp_path: Path) -> None:
    played = subprocess.run(
        command("--once"), env=environment(tmp_path), capture_output=True, text=True, timeout=100, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "[ ]" not in played.stdout
    assert "[x] a verified webhook for the order" in played.stdout
    assert "[x] the CV's file deleted with its user" in played.stdout
    assert not (tmp_path / "demo.sqlite3").exists(), "It leaves the demo's own data alone."


def test_a_taken_port_is_said_in_a_sentence_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports(*free_ports(2), port)
        refused = subprocess.run(
            command(*on(ports)), env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False
        )
    assert refused.returncode == 1
    assert f"The demo's webhook receiver cannot use port {port}" in refused.stderr
    assert "Choose another with --webhook-port." in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "demo.sqlite3").exists()


def test_it_serves_its_pages_ends_on_an_interrupt_and_starts_again(tmp_path: Path) -> None:
    for start in (1, 2):
        with started(tmp_path) as (process, ports):
            assert b"Save a doctor" in answer(ports, "/")
            assert b"fetch(" in answer(ports, "/static/demo/page.js")
            assert b"Log in" in answer(ports, "/admin/")
            assert answer(ports, "/static/admin/css/base.css")
            news = json.loads(answer(ports, "/arrivals.json"))
            assert all(news["keys"].values())
            assert "doctor_list" in news["keys"]
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said
            assert "Traceback" not in said
        # The second start finds what the first has made, and a message that a crash left unfinished.
        assert (rows(tmp_path, "clinic_doctor"), rows(tmp_path, "shop_order")) == (3, 3), f"start {start}"
        assert rows(tmp_path, "rules_engine_event") == 0, "Sample data sets off no rule."
        (tmp_path / "broker" / "messages" / "1_unfinished.rules.msg").touch()

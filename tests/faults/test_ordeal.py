"""The ordeal in a minute: everything is killed, frozen and flushed, and the ledger is drawn up by its command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.processes import ROOT

#: Each kind of fault once.
FAULTS = 9


@pytest.mark.postgres("the ordeal kills a PostgreSQL of its own")
def test_whatever_is_killed_nothing_is_lost_and_repeats_were_in_flight(tables: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = {
        "--settings": "tests.faults.ordeal_settings",
        "--broker": "redis",
        "--app": "project",
        "--changes": 200,
        "--seconds": 10,
        "--every": 0.5,
        "--faults": FAULTS,
        "--seed": 5,
        "--producers": 1,
        "--workers": 1,
        "--tables": tables,
        "--json": report,
    }
    command = [sys.executable, "-m", "rules_engine.testing.faults", "tests.faults.ordeal_scenario.Products"]
    ended = subprocess.run(
        [*command, *(str(part) for option in options.items() for part in option)],
        cwd=ROOT,
        env={**os.environ, "DEMO_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads(report.read_text())
    assert figures["is_kept"]
    assert figures["committed"] > 150
    assert {effects["kind"] for effects in figures["effects"]} == {"ledger", "webhook", "audit"}
    assert len({fault["name"] for fault in figures["faults"]}) > FAULTS / 2
    assert "The promises were kept." in ended.stdout

"""The command of the ordeal, for whoever runs it for the first time: what is missing is a sentence, no other database
is touched, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rules_engine.testing.faults.waiting import SECONDS, eventually
from tests.faults.processes import ROOT

SETTINGS = "--settings=tests.faults.ordeal_settings"
SCENARIO = "tests.faults.ordeal_scenario.Products"


def ordeal(folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """The command, with folders of its own for all it makes."""
    made = folder / "made"
    made.mkdir()
    surroundings = {**os.environ, "DEMO_VAR": str(folder / "var"), "TMPDIR": str(made), **environment}
    surroundings.pop("DJANGO_SETTINGS_MODULE", None)
    # PostgreSQL may be begun by another user, who has to come through.
    for place in (made, *list(made.parents)[:3]):
        place.chmod(0o755)
    with (folder / "said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "rules_engine.testing.faults", *options],
            cwd=ROOT,
            env=surroundings,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
        )


def said(folder: Path) -> str:
    return (folder / "said").read_text()


def left(folder: Path) -> list[str]:
    """The files that an ordeal made, and the commands of processes that were begun by it and live."""
    mark = f"TMPDIR={folder / 'made'}".encode()
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                commands.append((process / "cmdline").read_text())
        except OSError:
            continue  # it has ended meanwhile, or is another user's
    return [*map(str, (folder / "made").iterdir()), *commands]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([SCENARIO, "--runner=worker"], "expected the settings of an ordeal: --settings, or DJANGO_SETTINGS_MODULE"),
        ([SCENARIO, SETTINGS, "--broker=redis"], "expected --app, as after -A"),
        ([SCENARIO, SETTINGS, "--app=project"], "expected --broker redis or rabbitmq; or --runner worker"),
    ],
)
def test_what_was_forgotten_is_said_before_anything_begins(tmp_path: Path, options: list[str], sentence: str) -> None:
    assert ordeal(tmp_path, *options).wait(SECONDS) == 2
    assert sentence in said(tmp_path)
    assert left(tmp_path) == []


def test_a_scenario_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert ordeal(tmp_path, "tests.faults.ordeal_scenario.Orders", SETTINGS, "--runner=worker").wait(SECONDS) == 2
    assert "Traceback" not in said(tmp_path)
    assert '"tests.faults.ordeal_scenario" does not define a "Orders"' in said(tmp_path)
    assert left(tmp_path) == []


def test_settings_of_another_database_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mysite_settings.py").write_text(
        "from tests.faults.ordeal_settings import *\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'shop', 'HOST': 'db'}}\n"
    )
    options = [SCENARIO, "--settings=mysite_settings", "--runner=worker"]
    assert ordeal(tmp_path, *options, PYTHONPATH=str(tmp_path)).wait(SECONDS) == 2
    assert "to take its database from DATABASE_URL, and found shop at db:its usual port" in said(tmp_path)
    assert left(tmp_path) == []


@pytest.mark.postgres("the ordeal begins a PostgreSQL of its own")
def test_ctrl_c_leaves_no_process_and_no_file(tables: Path, tmp_path: Path) -> None:
    options = [SCENARIO, SETTINGS, "--runner=worker", "--broker=redis", "--workers=1", f"--tables={tables}"]
    process = ordeal(tmp_path, *options)
    try:
        eventually(lambda: "processes have begun" in said(tmp_path) or process.poll() is not None)
        assert process.poll() is None, said(tmp_path)
        assert len(left(tmp_path)) > 6, "two folders, and PostgreSQL, Redis, a worker, a sweeper and two that save"
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 128 + signal.SIGINT
    finally:
        process.kill()
    assert "Traceback" not in said(tmp_path)
    assert "Stopped: all that was begun is ended and removed." in said(tmp_path)
    assert left(tmp_path) == []

"""``manage.py`` on a machine that has nothing yet."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import manage

PYPROJECT: dict[str, Any] = tomllib.loads((manage.ROOT / "pyproject.toml").read_text(encoding="utf-8"))


class Became(Exception):
    """The process would have become this command."""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Django and without uv; its environment would be made in the folder."""

    def become(command: list[str]) -> None:
        raise Became(" ".join(command))

    monkeypatch.setattr(manage, "VENV", tmp_path)
    monkeypatch.setattr(manage, "PYTHON", tmp_path / "bin" / "python")
    monkeypatch.setattr(manage, "find_spec", lambda name: None)
    monkeypatch.setattr(manage, "_become", become)
    monkeypatch.setattr(sys, "argv", ["manage.py", "demo"])
    monkeypatch.setattr(os, "environ", {"PATH": str(tmp_path)})
    return tmp_path


def test_uv_is_used_where_it_is_found(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bare / "uv").write_text("")
    (bare / "uv").chmod(0o755)
    with pytest.raises(Became, match=r"uv run .*--group demo .*manage.py demo$"):
        manage.main()
    assert "uv brings them" in capsys.readouterr().err


def test_debians_missing_package_is_named(bare: Path) -> None:
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        manage.main()


def test_a_python_that_is_too_old_is_told_which_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"This is Python 3\.9; Python 3\.11 or newer is needed\."):
        manage.main()


def test_what_is_installed_already_is_not_installed_again(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[tuple[str, ...]] = []
    monkeypatch.setattr(manage, "_make_environment", lambda: None)
    monkeypatch.setattr(manage, "_pip", lambda *arguments: installed.append(arguments))
    for _ in range(2):
        with pytest.raises(Became, match=r"bin/python .*manage.py demo$"):
            manage.main()
        del os.environ["RULES_DEMO_STARTED_ANEW"]
    assert len(installed) == 1
    assert {"aiosmtpd>=1.4.6", "django>=5.2"} <= set(installed[0])
    assert not any(wanted.startswith(("playwright", "mypy", "ruff")) for wanted in installed[0])


def test_an_environment_that_goes_on_lacking_packages_is_told(bare: Path) -> None:
    os.environ["RULES_DEMO_STARTED_ANEW"] = "1"
    with pytest.raises(SystemExit, match="still lacks packages"):
        manage.main()


def test_test_is_pytest_with_its_arguments() -> None:
    command = [sys.executable, "manage.py", "test", "--version"]
    done = subprocess.run(command, cwd=manage.ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("pytest ")


def test_what_is_asked_for_brings_the_modules_that_are_looked_for() -> None:
    for modules, groups in manage.NEEDS.values():
        wanted = {*PYPROJECT["project"]["dependencies"], *manage._requirements(PYPROJECT, groups)}
        assert {name for name in modules if not any(each.startswith(name) for each in wanted)} == set()

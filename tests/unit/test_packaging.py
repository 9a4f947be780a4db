"""What is shipped, and with which versions it was tested."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
#: What the tests beside other packages want beyond that, and the benchmarks.
BESIDE = "\n".join(
    (ROOT / f"tests/{folder}/constraints.txt").read_text(encoding="utf-8")
    for folder in ("interop", "benchmarks", "integration", "themes")
)


def _names_and_versions() -> list[str]:
    lines = (line.removesuffix("\\").strip() for text in (CONSTRAINTS, BESIDE) for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("--hash", "#"))]


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_the_lists_of_tested_versions_are_equal():
    assert PYPROJECT["tool"]["uv"]["constraint-dependencies"] == sorted(_names_and_versions(), key=_name)


def test_every_tested_version_is_exact_and_hashed():
    entries = [entry for text in (CONSTRAINTS, BESIDE) for entry in re.split(r"\n(?=\S)", text.strip())]
    unpinned = [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert unpinned == []


def test_the_tested_versions_name_no_address():
    constraints = CONSTRAINTS + BESIDE
    options = [line for line in constraints.splitlines() if line.startswith("-")]
    assert "://" not in constraints
    assert " @ " not in constraints
    assert options == []


def test_every_dependency_has_a_tested_version():
    project = PYPROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(requirement for extra in project["optional-dependencies"].values() for requirement in extra),
        *(entry for group in PYPROJECT["dependency-groups"].values() for entry in group if isinstance(entry, str)),
    ]
    assert {_name(requirement) for requirement in wanted} <= {_name(pin) for pin in _names_and_versions()}


def test_the_tests_have_what_every_extra_brings():
    extras, groups = PYPROJECT["project"]["optional-dependencies"].values(), PYPROJECT["dependency-groups"]
    # Of traces the tests are in tests/interop: all others show that nothing is missed without OpenTelemetry.
    tested = {entry for group in ("demo", "interop") for entry in groups[group] if isinstance(entry, str)}
    assert {requirement for extra in extras for requirement in extra} <= tested


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the wheel, built by hatchling itself: no download, no isolated environment."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_two_apps_and_nothing_else(wheel: set[str]):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"rules_engine", "webhooks"}


def test_the_wheel_holds_every_file_of_the_two_apps(wheel: set[str]):
    ignored = {"__pycache__", ".mypy_cache", ".ruff_cache"}
    sources = {
        path.relative_to(ROOT).as_posix()
        for app in ("rules_engine", "webhooks")
        for path in (ROOT / app).rglob("*")
        if path.is_file() and not ignored & set(path.parts)
    }
    assert sources - wheel == set()
    assert {"rules_engine/py.typed", "webhooks/py.typed"} <= wheel


def test_every_folder_with_python_in_it_is_a_package():
    folders = {path.parent for app in ("rules_engine", "webhooks", "project") for path in (ROOT / app).rglob("*.py")}
    assert [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()] == []

#!/usr/bin/env python3
"""Django's command line for the demo project, and ``test``, which is pytest.

On a machine with nothing but Python, it first makes the environment that it needs, ``.venv`` beside this file: with uv
where that is found, else with Python's own ``venv`` and pip. So it uses the standard library alone, and is read by
Pythons that are too old for the rest, which are told so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
#: By what is asked for: the modules that say whether it is there, and the groups of pyproject.toml that bring them.
NEEDS = {"demo": (("django", "aiosmtpd"), ("demo",)), "test": (("pytest", "playwright"), ("test", "browser"))}


def main() -> None:
    """Run the command named on the command line, in an environment that has what it needs."""
    if sys.version_info < OLDEST:
        raise SystemExit(
            "This is Python {}.{}; Python {}.{} or newer is needed.".format(*sys.version_info[:2], *OLDEST)
        )
    wanted = "test" if sys.argv[1:2] == ["test"] else "demo"
    modules, groups = NEEDS[wanted]
    if not all(map(find_spec, modules)):
        _go_on_with(groups)
    if wanted == "test":
        _run_tests(sys.argv[2:])
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    execute_from_command_line(sys.argv)


def _run_tests(arguments: list[str]) -> None:
    import pytest

    os.chdir(ROOT)
    raise SystemExit(pytest.main(arguments))


def _go_on_with(groups: tuple[str, ...]) -> None:
    """Start anew in an environment with these groups. Does not return."""
    if os.environ.get("RULES_DEMO_STARTED_ANEW"):
        raise SystemExit(f"{VENV} was made, and still lacks packages. Delete that folder and try again.")
    os.environ["RULES_DEMO_STARTED_ANEW"] = "1"
    uv = shutil.which("uv")
    if uv is not None:
        _say(f"Packages are missing here; uv brings them into {VENV}.")
        options = [option for group in groups for option in ("--group", group)]
        _become([uv, "run", "--quiet", "--project", str(ROOT), *options, str(ROOT / "manage.py"), *sys.argv[1:]])
    _install(groups)
    _become([str(PYTHON), str(ROOT / "manage.py"), *sys.argv[1:]])


def _install(groups: tuple[str, ...]) -> None:
    """Bring into ``.venv`` what these groups want, in the tested versions, by pip, unless it is there already."""
    import tomllib

    text = (ROOT / "pyproject.toml").read_bytes()
    mark, content = VENV / ("installed-" + "-".join(groups)), sha256(text).hexdigest()
    if mark.exists() and mark.read_text() == content:
        return
    if not PYTHON.exists():
        _make_environment()
    _say(f"Installing what {' and '.join(groups)} needs into {VENV}; the first time, that takes a minute.")
    project = tomllib.loads(text.decode())
    constraints = VENV / "constraints.txt"
    # Without extras, which pip does not take there.
    tested = project["tool"]["uv"]["constraint-dependencies"]
    constraints.write_text("\n".join(re.sub(r"\[.*?\]", "", line) for line in tested))
    wanted = sorted(set(project["project"]["dependencies"]) | set(_requirements(project, groups)))
    _pip("--constraint", str(constraints), *wanted)
    mark.write_text(content)


def _make_environment() -> None:
    if find_spec("ensurepip") is None or find_spec("venv") is None:
        raise SystemExit(
            "This Python cannot make environments: its venv comes without pip. On Debian and Ubuntu, "
            "`apt install python3-venv` brings what is missing; then run this again. With uv it works without."
        )
    _say(f"Making an environment with {sys.executable} in {VENV}.")
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)


def _requirements(project: dict, groups: tuple[str, ...]) -> list[str]:
    """Return what the groups ask for, with the groups that they include."""
    found: list[str] = []
    for group in groups:
        for entry in project["dependency-groups"][group]:
            found += [entry] if isinstance(entry, str) else _requirements(project, (entry["include-group"],))
    return found


def _pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    if subprocess.run(command).returncode:
        raise SystemExit("pip could not install that; what it said stands above. Once mended, run this again.")


def _become(command: list[str]) -> None:
    if os.name == "nt":  # exec ends this process there, and the shell would not wait
        raise SystemExit(subprocess.run(command).returncode)
    os.execv(command[0], command)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

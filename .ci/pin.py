"""Resolve the newest versions and write them down: constraints.txt with hashes, pyproject.toml without.

Run as ``uv run .ci/pin.py``. A pin that is there now is not held on to: this is how the versions move forward.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = re.compile(r"^constraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)
OPTIONS = (
    *("--all-extras", "--group=dev", "--group=docs"),
    *("--universal", "--python-version=3.11", "--fork-strategy=requires-python"),
    # The oldest pip of Python 3.11 takes a requirement with an extra for another than the one without it.
    *("--no-strip-extras", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate", "--quiet"),
)


def resolve(pyproject: str) -> str:
    """The text of constraints.txt for a pyproject.toml without pins."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(pyproject)
        command = ["uv", "pip", "compile", "pyproject.toml", *OPTIONS, "--output-file", "constraints.txt"]
        subprocess.run(command, cwd=folder, check=True)
        return (Path(folder) / "constraints.txt").read_text()


def requirements(constraints: str) -> list[str]:
    """The lines of constraints.txt that name a version, without their hashes."""
    lines = (line.removesuffix("\\").strip() for line in constraints.splitlines())
    return [line for line in lines if line and not line.startswith(("--hash", "#"))]


def main() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    constraints = resolve(PINS.sub("", pyproject))
    if "://" in constraints:
        raise SystemExit("The resolved versions contain an address; nothing was written.")
    pins = "".join(f'    "{line}",\n' for line in requirements(constraints))
    (ROOT / "constraints.txt").write_text(constraints)
    (ROOT / "pyproject.toml").write_text(
        PINS.sub(lambda _: f"constraint-dependencies = [\n{pins}]\n", pyproject),
    )
    print(f"Pinned {len(requirements(constraints))} versions.")


if __name__ == "__main__":
    main()

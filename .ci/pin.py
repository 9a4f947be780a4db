"""Resolve the newest versions and write them down: constraints.txt with hashes, pyproject.toml without.

What the groups ``interop``, ``bench``, ``mysql`` and ``themes`` want beyond that has files of its own, a
constraints.txt in the folder of those tests: nobody who installs constraints.txt, as README tells, has use for it.

Run as ``uv run .ci/pin.py``. A pin that is there now is not held on to: this is how the versions move forward.
``uv run .ci/pin.py interop`` adds what that group wants and moves nothing else; so does the name of each other one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINNED = ROOT / "constraints.txt"
#: Each group that has a file of its own; what it wants and an earlier one has stands there alone.
BESIDE = {
    group: ROOT / f"tests/{folder}/constraints.txt"
    for group, folder in (
        ("interop", "interop"),
        ("bench", "benchmarks"),
        ("mysql", "integration"),
        ("themes", "themes"),
    )
}
PINS = re.compile(r"^constraint-dependencies = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)
OPTIONS = (
    *("--all-extras", "--group=dev", "--group=docs"),
    *("--universal", "--python-version=3.11", "--fork-strategy=requires-python"),
    # The oldest pip of Python 3.11 takes a requirement with an extra for another than the one without it.
    *("--no-strip-extras", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate", "--quiet"),
)


def resolve(pyproject: str, *options: str) -> str:
    """The text of a constraints.txt for this pyproject.toml, whose own pins are held on to."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(pyproject)
        command = ["uv", "pip", "compile", "pyproject.toml", *OPTIONS, *options, "--output-file", "constraints.txt"]
        subprocess.run(command, cwd=folder, check=True)
        return (Path(folder) / "constraints.txt").read_text()


def beyond(constraints: str, resolved: str) -> str:
    """Those entries of the second text whose packages the first does not name."""
    known = {name(entry) for entry in entries(constraints)}
    return "".join(f"{entry}\n" for entry in entries(resolved) if name(entry) not in known)


def entries(constraints: str) -> list[str]:
    """Each version with its hashes."""
    return [entry for entry in re.split(r"\n(?=\S)", constraints.strip()) if entry and not entry.startswith("#")]


def name(entry: str) -> str:
    """The name of the package that an entry pins, without its extras."""
    return re.split(r"[^A-Za-z0-9._-]", entry, maxsplit=1)[0].lower().replace("_", "-")


def requirements(constraints: str) -> list[str]:
    """The lines of constraints.txt that name a version, without their hashes."""
    lines = (line.removesuffix("\\").strip() for line in constraints.splitlines())
    return [line for line in lines if line and not line.startswith(("--hash", "#"))]


def with_pins(pyproject: str, *constraints: str) -> str:
    """A pyproject.toml with these pins, in the order of their names."""
    lines = sorted((line for text in constraints for line in requirements(text)), key=name)
    pins = "".join(f'    "{line}",\n' for line in lines)
    return PINS.sub(lambda _: f"constraint-dependencies = [\n{pins}]\n", pyproject)


def main() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    only = set(sys.argv[1:])
    if unknown := only - BESIDE.keys():
        raise SystemExit(f"No group has a file of its own that is called {' or '.join(sorted(unknown))}.")
    # What is there now is held on to where a group alone is pinned, and by nothing else.
    before = {group: path.read_text() for group, path in BESIDE.items() if only and path.exists()}
    texts = {"": PINNED.read_text() if only else resolve(PINS.sub("", pyproject))}
    for group in BESIDE:
        if only and group not in only:
            texts[group] = before.get(group, "")
            continue
        held = with_pins(pyproject, *{**before, **texts}.values())
        texts[group] = beyond("\n".join(texts.values()), resolve(held, f"--group={group}"))
    if any("://" in text for text in texts.values()):
        raise SystemExit("The resolved versions contain an address; nothing was written.")
    for group, path in (("", PINNED), *BESIDE.items()):
        path.write_text(texts[group])
    (ROOT / "pyproject.toml").write_text(with_pins(pyproject, *texts.values()))
    beside = ", and ".join(f"{len(requirements(texts[group]))} for {group}" for group in BESIDE)
    print(f"Pinned {len(requirements(texts['']))} versions, and {beside}.")


if __name__ == "__main__":
    main()

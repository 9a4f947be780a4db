"""The table of ``docs/reference/scenarios.md``: which rules and which acceptance tests there are for each scenario.

``python -m tests.scenario_table`` fills it in from what there is: rules whose slug begins with a scenario's id, and
tests that name it (``test_c01_…``, ``test_s03_s11_…``). Others that stand in a row already stay as long as they exist.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "reference" / "scenarios.md"
ACCEPTANCE = ROOT / "tests" / "acceptance"
PACKS = {"C": "clinic", "S": "shop", "A": "accounts", "T": "site"}
#: How many scenarios each letter has; those of X are about packs and need no rule of their own.
AMOUNTS = {"C": 16, "S": 14, "A": 3, "T": 5, "X": 4}
NOTHING = "–"

IDS = [f"{letter}{number:02}" for letter, amount in AMOUNTS.items() for number in range(1, amount + 1)]
_ROW = re.compile(r"\| (?P<id>[A-Z]\d\d) \| (?P<what>.*?) \| (?P<rules>.*?) \| (?P<tests>.*?) \|")
_NAMED = re.compile(r"test((?:_[a-z]\d\d)+)(_|$)")


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario as its row has it."""

    id: str
    what: str
    rules: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def lacks(self) -> list[str]:
        """What keeps the scenario from being shown."""
        lacking = [] if self.rules or self.id[0] not in PACKS else ["rule"]
        return lacking if self.tests else [*lacking, "test"]

    def line(self) -> str:
        cells = (self.id, self.what, *(_listed(names) for names in (self.rules, self.tests)))
        return f"| {' | '.join(cells)} |"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or NOTHING


def rows(text: str) -> Iterator[Row]:
    """The rows that the document has."""
    for found in map(_ROW.fullmatch, text.splitlines()):
        if found:
            rules, tests = (tuple(re.findall(r"`([^`]+)`", found[name])) for name in ("rules", "tests"))
            yield Row(found["id"], found["what"], rules, tests)


def slugs() -> set[str]:
    """The rules of all packs."""
    packs = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "fixtures").glob("*.json")]
    return {one["fields"]["slug"] for pack in packs for one in pack if one["model"] == "rules_engine.rule"}


def tests() -> set[str]:
    """The acceptance tests, by name."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ACCEPTANCE.glob("test_*.py"))]
    functions = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def ids_in(test: str) -> list[str]:
    """The scenarios that a test names."""
    found = _NAMED.match(test)
    return found[1].upper().strip("_").split("_") if found else []


def filled(text: str) -> str:
    """The document with its table as it should be."""
    known_rules, known_tests, by_id = slugs(), tests(), {row.id: row for row in rows(text)}
    lines = []
    for line in text.split("\n"):
        found = _ROW.fullmatch(line)
        row = by_id[found["id"]] if found else None
        lines.append(_filled(row, known_rules, known_tests).line() if row else line)
    return "\n".join(lines)


def _filled(row: Row, known_rules: set[str], known_tests: set[str]) -> Row:
    own_rules = {slug for slug in known_rules if slug.startswith(f"{row.id.lower()}-")}
    own_tests = {name for name in known_tests if row.id in ids_in(name)}
    rules = sorted(own_rules | (known_rules & set(row.rules)))
    return Row(row.id, row.what, tuple(rules), tuple(sorted(own_tests | (known_tests & set(row.tests)))))


if __name__ == "__main__":
    TABLE.write_text(filled(TABLE.read_text(encoding="utf-8")), encoding="utf-8")

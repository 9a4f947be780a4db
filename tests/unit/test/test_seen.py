"""What the rules on a model see: by the table of writes, which the documentation has as it is in code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rules_engine.test.seen.writes import WRITES, Means, is_seen

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "writes.md"
COLUMNS: tuple[tuple[Means, str], ...] = (
    ("signals", "postgresql"),
    ("bulk", "sqlite"),
    ("triggers", "postgresql"),
    ("triggers", "mysql"),
)


def _said(write: Any, means: Means, vendor: str) -> str:
    if is_seen(write, means, vendor):
        return "yes"
    return "in a block" if means == "bulk" and write.is_seen_in_block else "no"


def test_the_table_of_the_documentation_is_the_one_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}
    assert told == {write.name: [_said(write, *column) for column in COLUMNS] for write in WRITES}


@pytest.mark.parametrize("write", WRITES, ids=[write.name for write in WRITES])
def test_each_means_sees_what_the_weaker_ones_see(write: Any) -> None:
    seen = [is_seen(write, means, "postgresql") for means in ("signals", "bulk", "triggers")]
    assert seen == sorted(seen)
    assert seen[-1], "triggers see every write"


def test_names_and_titles_are_told_apart() -> None:
    assert len({write.name for write in WRITES}) == len({str(write.title) for write in WRITES}) == len(WRITES)

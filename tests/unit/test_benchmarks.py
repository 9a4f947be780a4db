"""The benchmarks' arithmetic and tables, and that each goal has a measure; nothing is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import rounds, tables
from tests.benchmarks.goals import GOALS, POSTGRESQL, SQLITE, Goal, least, most
from tests.benchmarks.one_database import wanted
from tests.benchmarks.rounds import Rounds, Spread, Times, Variant
from tests.benchmarks.tables import Found

ROOT = Path(__file__).resolve().parents[2]
KEYS = [f"P{number}" for number in range(1, 20)]
#: Without the peers, whether they are installed or not: what finds them sees that they are not there.
IMPORT_ALL = """
import sys
sys.modules.update(django_lifecycle=None, django_webhook=None)
from importlib import import_module
from pathlib import Path
from tests.benchmarks import one_database
one_database.set_up()
for path in sorted(Path("tests/benchmarks").glob("*.py")):
    import_module(f"tests.benchmarks.{path.stem}")
print(",".join(one_database.measures()))
"""


def test_every_module_imports_without_the_peers(tmp_path: Path):
    environment = {**os.environ, "DATABASE_URL": "sqlite://", "DEMO_VAR": str(tmp_path), "REDIS_URL": ""}
    command = [sys.executable, "-W", "ignore", "-c", IMPORT_ALL]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert said.stdout.strip().split(",") == KEYS, said.stderr


def test_every_goal_asks_for_something():
    assert [goal.key for goal in GOALS] == KEYS
    assert [goal.key for goal in GOALS if not goal.of(POSTGRESQL)] == []
    names = [(goal.key, limit.name) for goal in GOALS for limit in goal.limits]
    assert len(names) == len(set(names))


def test_a_spread_is_a_median_with_its_quartiles():
    assert Spread.of([5, 1, 3, 2, 4]) == Spread(3, 1.5, 4.5)
    assert Spread.of([3, 1, 2]) == Spread(2, 1, 3)


def test_a_ratio_is_taken_round_by_round():
    found = Rounds(
        {"base": Times((1.0, 10.0, 2.0), (1.0, 0.0, 1.0)), "other": Times((2.0, 20.0, 8.0), (3.0, 1.0, 3.0))}
    )
    assert found.ratio("other", "base") == Spread(2.0, 2.0, 4.0)
    assert found.cpu_ratio("other", "base") == 3.0
    assert found.seconds("base") == 2.0


def test_each_round_has_every_variant_once_and_the_first_is_not_counted():
    taken: list[str] = []
    variants = {
        name: Variant(lambda name=name: taken.append(name), count=2, after=lambda: taken.append("cleared"))
        for name in "abc"
    }
    found = rounds.interleave(variants, 5)
    blocks = [taken[at : at + 6] for at in range(0, len(taken), 6)]
    assert [sorted(block) for block in blocks] == [["a", "b", "c", "cleared", "cleared", "cleared"]] * 6
    assert len({tuple(block) for block in blocks}) > 1
    assert [len(times.wall) for times in found.times.values()] == [5, 5, 5]


def test_a_limit_is_met_by_the_digits_that_are_printed():
    assert most("ratio", 1.05).is_met(1.054, SQLITE)
    assert not most("ratio", 1.05).is_met(1.056, SQLITE)
    assert least("ratio", 10).is_met(9.996, SQLITE)
    assert not most("bytes", 900, "bytes").is_met(900.4, SQLITE)


def test_a_goal_is_printed_with_its_table_and_whether_it_is_met():
    goal = Goal("P6", "One rule", (most("one rule", 0.6), most("ten", 2), most("there", 1, on=(POSTGRESQL,))))
    found = Found(("", "µs", "ratio"), (("by hand", "1,200", "1.00"), ("e\u0301", "9", "10.00")), {"one rule": 0.7})
    assert tables.of_goal(goal, found, SQLITE).splitlines() == [
        "P6  One rule (sqlite)",
        "            µs  ratio",
        "by hand  1,200   1.00",
        "e\u0301            9  10.00",
        "  one rule: 0.70 ×, the goal is ≤ 0.6 ×: not met",
        "  ten: not measured, the goal is ≤ 2 ×",
    ]


def test_the_summary_has_a_line_for_each_limit_of_what_was_measured():
    goals = (Goal("P1", "", (most("a", 1),)), Goal("P2", "", (least("b", 5, "ms"),)))
    lines = tables.summary(goals, {SQLITE: {"P2": {"b": 120.0}}}).splitlines()
    assert [line.split() for line in lines[1:]] == [["P2", "sqlite", "b", "≥", "5", "ms", "120", "ms", "met"]]


def test_goals_are_asked_for_by_name():
    assert wanted("") == KEYS
    assert wanted("p7, P6") == ["P6", "P7"]


def test_an_unknown_goal_is_refused():
    with pytest.raises(SystemExit, match="There is no goal P99"):
        wanted("P99")

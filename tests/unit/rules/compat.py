"""Runs folders of JSONLogic suites through our evaluator.

A suite is a JSON list; its strings are remarks, its objects are cases ``{"description", "rule", "data"}`` with the
expected ``"result"`` or ``"error"``. ``index.json``, where there is one, lists the suites of a folder.

    python -m tests.unit.rules.compat FOLDER [--as-it-comes]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datalogic_py import DataHandle, DataLogicError, Engine

from rules_engine.logic.evaluator import engine_for

_BUDGET = 1_000_000


@dataclass(frozen=True)
class Case:
    suite: str
    number: int
    description: str
    rule: Any
    data: Any
    expected: Any
    is_error: bool


@dataclass(frozen=True)
class Outcome:
    case: Case
    passed: bool
    got: str


def cases(folder: Path) -> Iterator[Case]:
    """Every case of every suite in a folder and the folders below it."""
    index = folder / "index.json"
    names = json.loads(index.read_text()) if index.exists() else None
    files = [folder / name for name in names] if names else sorted(folder.rglob("*.json"))
    for file in files:
        entries = [entry for entry in json.loads(file.read_text()) if isinstance(entry, dict)]
        for number, entry in enumerate(entries, 1):
            yield Case(
                suite=file.relative_to(folder).as_posix(),
                number=number,
                description=entry.get("description", ""),
                rule=entry["rule"],
                data=entry.get("data"),
                expected=entry["error"] if "error" in entry else entry.get("result"),
                is_error="error" in entry,
            )


def run(case: Case, engine: Engine | None = None) -> Outcome:
    """One case through our engine, with what ``check`` would refuse beforehand let through."""
    engine = engine or engine_for(_BUDGET)
    try:
        got = engine.compile(json.dumps(case.rule)).evaluate_data(DataHandle(json.dumps(case.data)))
    except DataLogicError as error:
        return Outcome(case, case.is_error, f"error: {error}")
    return Outcome(case, not case.is_error and same(got, case.expected), json.dumps(got, default=str))


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are the same number, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=1e-12)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and bool(left == right)


def report(outcomes: list[Outcome]) -> str:
    """Counts by suite, then each difference."""
    lines = []
    for suite in dict.fromkeys(outcome.case.suite for outcome in outcomes):
        of_suite = [outcome for outcome in outcomes if outcome.case.suite == suite]
        lines.append(f"{sum(one.passed for one in of_suite):5}/{len(of_suite):<5} {suite}")
    lines.append(f"{sum(one.passed for one in outcomes):5}/{len(outcomes):<5} in all")
    for one in outcomes:
        if not one.passed:
            expected = ("error " if one.case.is_error else "") + json.dumps(one.case.expected)
            lines.append(f"{one.case.suite} #{one.case.number}: {json.dumps(one.case.rule)}")
            lines.append(f"    on {json.dumps(one.case.data)} expected {expected}, got {one.got}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a folder of JSONLogic suites.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--as-it-comes", action="store_true", help="the library without our difference")
    options = parser.parse_args()
    engine = Engine(config={"ops_budget": _BUDGET}) if options.as_it_comes else None
    print(report([run(case, engine) for case in cases(options.folder)]))  # noqa: T201


if __name__ == "__main__":
    main()

"""The public format's semantics: our own suites here, any other folder through ``JSONLOGIC_SUITES``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from datalogic_py import Engine

from tests.unit.rules import compat

OWN = Path(__file__).parent / "suites"
# fmt: off
CORE = {
    "var", "missing", "missing_some", "if", "==", "===", "!=", "!==", "!", "!!", "or", "and", ">", ">=", "<", "<=",
    "max", "min", "+", "-", "*", "/", "%", "map", "filter", "reduce", "all", "none", "some", "merge", "in", "cat",
    "substr",
}
# fmt: on


def _operators(node: object) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_operators, node))
    if isinstance(node, dict):
        return set(node).union(*map(_operators, node.values()))
    return set()


@pytest.mark.parametrize("case", list(compat.cases(OWN)), ids=lambda case: f"{case.suite}-{case.number}")
def test_our_own_cases_come_out_as_written(case: compat.Case) -> None:
    outcome = compat.run(case)

    assert outcome.passed, compat.report([outcome])


def test_every_core_operator_has_a_case() -> None:
    covered = set().union(*(_operators(case.rule) for case in compat.cases(OWN)))

    assert covered >= CORE


def test_only_cases_of_our_difference_come_out_otherwise_upstream() -> None:
    plain = Engine()

    others = {case.suite for case in compat.cases(OWN) if not compat.run(case, plain).passed}

    assert others == {"differences.json"}


def test_the_runner_tells_wrong_results_and_missing_errors(tmp_path: Path) -> None:
    wrong, calm, right = {"rule": {"+": [1, 1]}, "result": 3}, {"rule": 1, "error": {}}, {"rule": 1, "result": 1}
    (tmp_path / "mine.json").write_text(json.dumps(["a remark", wrong, calm, right]))

    outcomes = [compat.run(case) for case in compat.cases(tmp_path)]

    assert [outcome.passed for outcome in outcomes] == [False, False, True]
    assert "1/3     in all" in compat.report(outcomes)


@pytest.mark.parametrize("folder", [Path(os.environ.get("JSONLOGIC_SUITES", OWN))], ids=["folder"])
def test_a_folder_of_suites_differs_only_where_null_meets_a_number(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    as_it_comes = Engine()

    outcomes = [compat.run(case) for case in compat.cases(folder)]
    with capsys.disabled():
        print(f"\n{compat.report(outcomes)}")  # noqa: T201 - the report is what the folder was given for

    # Whatever else fails, fails in the library too: only null in arithmetic and orderings is ours.
    ours = [one.case for one in outcomes if not one.passed and compat.run(one.case, as_it_comes).passed]
    assert all("null" in json.dumps([case.rule, case.data]) for case in ours)

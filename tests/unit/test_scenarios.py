"""The table of scenarios holds: each has its rules and its acceptance tests, and none of either is left out."""

from __future__ import annotations

import re

import pytest

from tests import scenario_table as table

#: Packs that still have scenarios without a rule or a test. Whoever shows the last one takes its pack out of here.
UNFINISHED: set[str] = set()


@pytest.fixture
def text() -> str:
    return table.TABLE.read_text(encoding="utf-8")


def test_the_table_has_every_scenario_once_and_in_order(text: str) -> None:
    assert [row.id for row in table.rows(text)] == table.IDS


def test_the_table_names_the_rules_and_tests_that_there_are(text: str) -> None:
    assert text == table.filled(text), "Run `python -m tests.scenario_table`, and commit docs/reference/scenarios.md."


def test_every_scenario_has_its_rule_and_its_test(text: str) -> None:
    lacking = {row.id: row.lacks for row in table.rows(text) if row.lacks}
    overdue = {found: lacks for found, lacks in lacking.items() if table.PACKS.get(found[0]) not in UNFINISHED}
    assert overdue == {}
    finished = UNFINISHED - {table.PACKS[found[0]] for found in lacking}
    assert finished == set(), "Each of their scenarios is shown now: take them out of UNFINISHED."


def test_every_test_and_rule_with_an_id_is_of_a_scenario() -> None:
    named = {found for test in table.tests() for found in table.ids_in(test)}
    assert named <= set(table.IDS)
    begun = {slug.split("-")[0].upper() for slug in table.slugs() if re.match(r"[a-z]\d\d-", slug)}
    assert begun <= set(table.IDS)


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("| C01 | x | – | – |", ["rule", "test"]),
        ("| C01 | x | `a` | – |", ["test"]),
        ("| C01 | x | – | `b` |", ["rule"]),
        ("| C01 | x | `a` | `b`, `c` |", []),
        ("| X01 | x | – | – |", ["test"]),
        ("| X01 | x | – | `b` |", []),
    ],
)
def test_a_row_says_what_it_lacks(line: str, lacks: list[str]) -> None:
    [row] = table.rows(line)
    assert row.lacks == lacks
    assert row.line() == line


def test_what_is_gone_is_taken_out_and_what_is_there_put_in() -> None:
    [row] = table.rows(table.filled("| A01 | x | `gone`, `a03-audit-login` | `test_gone` |"))
    assert row.rules == ("a01-user-welcome-mail", "a03-audit-login"), "One of another scenario may stand here too."
    assert "test_a01_a_new_user_is_welcomed_once_and_only_after_the_commit" in row.tests
    assert "test_gone" not in row.tests


def test_a_test_may_show_several_scenarios() -> None:
    assert table.ids_in("test_s03_s11_an_order_comes_to_rest") == ["S03", "S11"]
    assert table.ids_in("test_c01") == ["C01"]
    assert table.ids_in("test_an_order") == []

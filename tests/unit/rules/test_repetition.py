"""``for_each``: the rows that an action is carried out for, and why there are none to be had."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rules_engine import conf
from rules_engine.context.plain_data import safe
from rules_engine.errors import ConditionError
from rules_engine.rules import repetition
from rules_engine.rules.repetition import compile_each, each_problems, for_each_reads, rule_seen_by, source_of
from rules_engine.types import ActionSpec, RuleSpec

RULE = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",))
MEALS = "instance.meals"
WARM = {"filter": [{"var": "instance.meals"}, {"var": "is_warm"}]}
ROWS = [
    {"pk": 1, "is_warm": True, "price": Decimal("0.10")},
    {"pk": 2, "is_warm": False, "price": Decimal("0.20")},
]


def rows(for_each: Any, **data: Any) -> list[Any]:
    return compile_each(for_each, ()).rows(data)


def test_a_path_is_all_its_rows() -> None:
    assert rows(MEALS, instance={"meals": ROWS}) == ROWS


def test_an_expression_is_the_rows_it_comes_to_with_their_decimals_exact() -> None:
    [row] = rows(WARM, instance={"meals": ROWS})
    assert row is ROWS[0]


@pytest.mark.parametrize("instance", [None, {"meals": None}, {}])
def test_where_there_is_nothing_there_are_no_rows(instance: Any) -> None:
    assert rows(MEALS, instance=instance) == []


def test_what_is_no_list_is_an_error() -> None:
    with pytest.raises(ConditionError, match="did not come to a list"):
        rows({"var": "signal.count"}, signal={"count": 3})


def test_more_rows_than_a_rule_may_take_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition, "MOST_ROWS", 1)
    with pytest.raises(ConditionError, match="more than 1 rows"):
        rows(MEALS, instance={"meals": ROWS})
    with pytest.raises(ConditionError, match="more than 1 rows"):
        rows(WARM, instance={"meals": ROWS})


@pytest.mark.parametrize(
    ("m2m", "is_whole"),
    [({"pks": [1, 2], "count": 2}, True), ({"pks": [1, 2], "count": 3}, False), ({"pks": None, "count": 3}, True)],
)
def test_of_keys_that_were_cut_off_none_is_acted_on(m2m: dict[str, Any], is_whole: bool) -> None:
    if is_whole:
        assert rows("m2m.pks", m2m=m2m) == (m2m["pks"] or [])
    else:
        with pytest.raises(ConditionError, match=r"m2m\.pks is cut off at 2"):
            rows("m2m.pks", m2m=m2m)


def test_a_list_that_was_longer_is_an_error() -> None:
    full = list(range(conf.rows_limit()))
    assert rows("signal.numbers", signal={"numbers": full}) == full
    with pytest.raises(ConditionError, match="raise ROWS_LIMIT"):
        rows("signal.numbers", signal={"numbers": safe([*full, 1])})


def test_what_is_read_of_each_row_is_read_of_the_relation() -> None:
    each = compile_each(MEALS, [("each", "animal", "name"), ("instance", "name")])
    assert each.source == ("instance", "meals")
    assert each.reads == {("instance", "meals", "*"), ("instance", "meals", "animal", "name")}


def test_an_expression_reads_what_it_names_too() -> None:
    for_each = {"filter": [{"var": "instance.tags"}, {"==": [{"var": "name"}, "a"]}]}
    assert ("instance", "tags", "*") in compile_each(for_each, ()).reads
    assert for_each_reads({"nonsense": []}) == for_each_reads(7) == frozenset()
    assert (source_of(for_each), source_of({"var": "signal.numbers"})) == (("instance", "tags"), ("signal", "numbers"))


def test_an_action_sees_each_row_only_where_it_is_carried_out_for_each() -> None:
    once, for_each = ActionSpec("log_message", {}), ActionSpec("log_message", {}, for_each=MEALS)
    assert rule_seen_by(once, RULE).each is None
    assert rule_seen_by(for_each, RULE).each == ("instance", "meals")


@pytest.mark.parametrize(
    ("for_each", "pointer", "fragment"),
    [
        ("instance.name", "", "is one thing and no list"),
        ("instance.mels", "", 'Did you mean "meals"?'),
        ("instance.keeper.animals.tags", "", "is a list itself"),
        ({}, "", "an empty object"),
        (7, "", "and got 7"),
        ({"filter": [{"var": "instance.meals"}, {"var": "is_wam"}]}, "/filter/1", 'Did you mean "is_warm"?'),
        ({"flter": [{"var": "instance.meals"}]}, "", 'Did you mean "filter"?'),
    ],
)
def test_what_is_wrong_with_a_for_each_is_said_at_its_place(for_each: Any, pointer: str, fragment: str) -> None:
    [problem] = each_problems(for_each, RULE)
    assert problem.pointer == pointer
    assert fragment in problem.message


@pytest.mark.parametrize("for_each", [MEALS, WARM, "m2m.pks"])
def test_a_list_has_no_problems(for_each: Any) -> None:
    assert each_problems(for_each, RULE) == []

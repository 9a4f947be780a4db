"""What is wrong with "changes" of a rule: each sentence stands at the place that is to be mended."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.rules.validation import rule_problems
from rules_engine.types import RuleSpec


def problems(*changes: Any, **fields: Any) -> dict[str, str]:
    rule = RuleSpec(
        **{"slug": "r", "name": "R", "model": "zoo.animal", "signals": ("post_save",), "changes": changes, **fields}
    )
    return {problem.pointer: problem.message for problem in rule_problems(rule)}


@pytest.mark.parametrize(
    ("change", "pointer", "part"),
    [
        ({"field": "legs", "form": 4}, "/changes/0/form", 'not "form". Did you mean "from"?'),
        ({"to": 4}, "/changes/0/field", "Name the field whose change matters."),
        ({"field": 3}, "/changes/0/field", "Name the field whose change matters."),
        ({"field": "leg"}, "/changes/0/field", 'Did you mean "legs"?'),
        ({"field": "legs", "to": [2, 4]}, "/changes/0/to", 'Expected one value of "legs", and got [2, 4].'),
        ({"field": "legs", "from": "many"}, "/changes/0/from", "'many' is no value of \"legs\""),
        ({"field": "born", "to": "2031-02-30"}, "/changes/0/to", "'2031-02-30' is no value of \"born\""),
        ({"field": "weight", "to": "heavy"}, "/changes/0/to", "'heavy' is no value of \"weight\""),
    ],
)
def test_what_is_wrong_with_a_change_is_said_at_its_place(change: Any, pointer: str, part: str) -> None:
    found = problems(change)
    assert list(found) == [pointer]
    assert part in found[pointer]


@pytest.mark.parametrize("key", ["from", "to"])
def test_what_holds_many_objects_has_no_value_to_change_from_or_to(key: str) -> None:
    # What is in a relation changes by signals of its own, with keys and not with one value.
    found = problems({"field": "tags", key: 3}, signals=("m2m_changed",))
    assert found["/changes/0"] == '"tags" holds many objects, so it has no "from" or "to".'
    assert "/changes/0" not in problems({"field": "tags"}, signals=("m2m_changed",))


def test_without_a_model_no_field_can_change() -> None:
    found = problems({"field": "legs"}, model="", signals=("user_logged_in",))
    assert "/changes/0/field" in found
    assert "no fields that could change" in found["/changes/0/field"]


def test_each_change_is_looked_at_for_itself() -> None:
    assert list(problems({"field": "legs", "to": "x"}, {"field": "name"}, {"field": "nme"})) == [
        "/changes/0/to",
        "/changes/2/field",
    ]


@pytest.mark.parametrize(
    ("value", "is_fine"), [("paid", True), ("draft", True), ("payed", False), (None, True), (3, False)]
)
def test_a_value_of_choices_is_one_of_them(value: Any, is_fine: bool) -> None:
    found = problems({"field": "status", "to": value}, model="shop.order")
    assert (found == {}) is is_fine
    if not is_fine:
        assert "It has: draft, pending, paid" in found["/changes/0/to"]
    if value == "payed":
        assert 'Did you mean "paid"?' in found["/changes/0/to"]

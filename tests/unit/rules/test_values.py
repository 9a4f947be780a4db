"""Values in an action's config: plain ones, texts and expressions; what they read, what is wrong, what they come to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rules_engine.errors import ConditionError, TemplateError
from rules_engine.rules import values
from rules_engine.types import Path, RuleSpec

RULE = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",))
DATA = {"instance": {"name": "Rex", "legs": 4, "weight": Decimal("12.50"), "notes": None, "tags": [{"name": "a"}]}}


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("{{ instance.name }}", {("instance", "name")}),
        ("{{ instance.name }} of {{ instance.keeper.name }}", {("instance", "name"), ("instance", "keeper", "name")}),
        ({"var": "instance.legs"}, {("instance", "legs")}),
        ({"+": [{"var": "instance.legs"}, 1]}, {("instance", "legs")}),
        ("plain", set()),
        ("", set()),
        ("{% laod %}{{ instance.name }}", set()),
        ({"nonsense": [{"var": "instance.legs"}]}, set()),
        (7, set()),
        (None, set()),
        (True, set()),
        (["{{ instance.name }}"], set()),
    ],
)
def test_a_value_reads_what_its_text_or_expression_names(value: Any, paths: set[Path]) -> None:
    assert values.reads(value) == paths


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("{{ instance.name }}!", "Rex!"),
        ("{{ instance.weight }}", "12.50"),
        ("", ""),
        ({"var": "instance.legs"}, 4),
        ({"var": "instance.notes"}, None),
        ({"+": [{"var": "instance.legs"}, 1]}, 5),
        ({"if": [{">": [{"var": "instance.legs"}, 3]}, "many", "few"]}, "many"),
        (7, 7),
        (False, False),
        (None, None),
        (["{{ instance.name }}"], ["{{ instance.name }}"]),
    ],
)
def test_a_value_comes_to_what_the_context_makes_of_it(value: Any, result: Any) -> None:
    assert values.evaluate(value, DATA) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"var": "instance.notes"}, ""),
        (None, ""),
        (0, "0"),
        (False, "False"),
        ({"var": "instance.legs"}, "4"),
        ("{{ instance.name }}", "Rex"),
    ],
)
def test_as_text_only_null_is_empty(value: Any, result: str) -> None:
    assert values.text(value, DATA) == result


@pytest.mark.parametrize(("value", "raised"), [("{% laod %}", TemplateError), ({"-": ["many", 1]}, ConditionError)])
def test_what_cannot_be_worked_out_is_an_error_and_no_value(value: Any, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        values.evaluate(value, DATA)


@pytest.mark.parametrize(
    ("value", "pointer", "fragment"),
    [
        ("{{ instance.nam }}", "/at", 'Did you mean "name"?'),
        ("one\ntwo {{ instance.nam }}", "/at", "Line 2: "),
        ("{{ instance.keeper.api_token }}", "/at", "may not read"),
        ("{% laod %}", "/at", "Line 1"),
        ({"var": "instance.nam"}, "/at", 'Did you mean "name"?'),
        ({"+": [1, {"var": "instance.leg"}]}, "/at/+/1", 'Did you mean "legs"?'),
        ({"pluss": [1]}, "/at", "pluss"),
    ],
)
def test_what_is_wrong_with_a_value_is_told_at_its_place(value: Any, pointer: str, fragment: str) -> None:
    [problem] = values.problems(value, RULE, "/at")
    assert problem.pointer == pointer
    assert fragment in problem.message


@pytest.mark.parametrize("value", [7, None, True, [], "plain", "{{ instance.name }}", {"var": "instance.name"}])
def test_of_a_value_that_can_be_read_nothing_is_said(value: Any) -> None:
    assert list(values.problems(value, RULE, "/at")) == []


def test_each_path_of_a_text_is_told_of_by_its_line() -> None:
    problems = list(values.problems("{{ instance.nam }}\n{{ instance.leg }}", RULE, "/at"))
    assert [problem.message.split(":")[0] for problem in problems] == ["Line 1", "Line 2"]


@pytest.mark.parametrize("value", ["{{ row.name }}", {"var": "row.name"}])
def test_an_action_may_say_itself_which_paths_its_values_read(value: Any) -> None:
    asked: list[Path] = []

    def check(rule: RuleSpec, path: Path, rows: Path | None) -> str | None:
        asked.append(path)
        return None

    assert list(values.problems(value, RULE, "/at", check)) == []
    assert asked == [("row", "name")]

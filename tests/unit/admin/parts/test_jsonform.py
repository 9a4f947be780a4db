"""What the browser's editor is given: forms by kind, and problems by the place it knows."""

from __future__ import annotations

import copy
import json

import pytest
from django.utils import translation

from rules_engine.admin.rules.jsonform import ConfigWidget, error_map, forms_by_kind
from rules_engine.errors import Problem
from rules_engine.rules import registry


@pytest.mark.parametrize(
    ("pointers", "places"),
    [
        ([], {}),
        ([""], {"": ["wrong"]}),
        (["/to"], {"to": ["wrong"]}),
        (["/fields/0/value"], {"fields§0§value": ["wrong"]}),
        (["/a~1b/c~0d"], {"a/b§c~d": ["wrong"]}),
        (["/to", "/to"], {"to": ["wrong", "wrong"]}),
        (["/~01"], {"~1": ["wrong"]}),
    ],
)
def test_a_problem_stands_at_the_place_that_the_editor_knows(pointers: list[str], places: dict[str, list[str]]) -> None:
    assert error_map([Problem(pointer, "wrong") for pointer in pointers]) == places


@pytest.mark.parametrize("kind", sorted(registry.kinds()))
def test_every_kind_has_a_form_that_is_json_in_either_language(kind: str) -> None:
    english = forms_by_kind()[kind]
    with translation.override("de"):
        german = forms_by_kind()[kind]
    assert json.loads(json.dumps(english)) == english
    assert english["timings"]
    assert english["timings"] == german["timings"]
    assert english["schema"]["type"] in ("object", "dict")
    assert set(english["schema"].get("keys", english["schema"].get("properties"))) == set(
        german["schema"].get("keys", german["schema"].get("properties"))
    )


def test_lists_say_in_their_title_what_the_editor_leaves_out() -> None:
    for form in forms_by_kind().values():
        for field in form["schema"].get("keys", form["schema"].get("properties", {})).values():
            if field.get("type") in ("array", "list"):
                assert "helpText" not in field


def test_a_form_that_is_changed_is_nobody_elses() -> None:
    forms_by_kind()["log_message"]["schema"].clear()
    assert forms_by_kind()["log_message"]["schema"]


def test_one_rows_problems_are_not_anothers() -> None:
    widget = ConfigWidget()
    other = copy.deepcopy(widget)
    other.problems.append(Problem("/to", "wrong"))
    assert widget.problems == []
    assert copy.deepcopy(other).problems == other.problems


def test_the_textarea_carries_all_that_the_editor_needs_and_is_escaped() -> None:
    widget = ConfigWidget()
    widget.kinds = {"odd": {"schema": {"title": '"><script>'}, "timings": []}}
    widget.problems = [Problem("/to", "<b>wrong</b>")]
    drawn = widget.render("config", '{"a": "</textarea><script>"}')
    assert "<script>" not in drawn
    assert "<b>" not in drawn
    assert "data-rules-kinds=" in drawn
    assert "&lt;b&gt;wrong&lt;/b&gt;" in drawn
    with translation.override("de"):
        assert "Edit as JSON" not in widget.render("config", "{}")
    assert "Edit as JSON" in widget.render("config", "{}")

"""What a rule would hear of and does not is said: what the database deletes by itself, and rows that come later."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models

from rules_engine.test.unsent import unsaved_rows, unsent_changes
from rules_engine.types import RuleSpec
from tests.zoo.models import Meal


def rule(**fields: Any) -> RuleSpec:
    return RuleSpec(**{"slug": "r", "model": "zoo.meal", "signals": ("post_save",), **fields})


@pytest.fixture
def left_to_database(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Leaves what becomes of meals without their animal to the database, as Django 6.1 can."""

    def leave(name: str) -> None:
        way = object()
        monkeypatch.setattr(models, name, way, raising=False)
        monkeypatch.setattr(Meal._meta.get_field("animal").remote_field, "on_delete", way)

    return leave


@pytest.mark.parametrize(
    ("name", "fields", "heard"),
    [
        ("DB_CASCADE", {"signals": ("post_delete",)}, False),
        ("DB_CASCADE", {"signals": ("pre_delete",)}, False),
        ("DB_CASCADE", {}, True),
        ("DB_SET_NULL", {}, False),
        ("DB_SET_DEFAULT", {"changes": ({"field": "animal"},)}, False),
        ("DB_SET_NULL", {"changes": ({"field": "id"},)}, True),
        ("DB_SET_NULL", {"signals": ("post_delete",)}, True),
        ("DB_SET_NULL", {"model": "zoo.animal"}, True),
    ],
)
def test_what_the_database_does_by_itself_is_said(left_to_database: Any, name: str, fields: Any, heard: bool) -> None:
    assert list(unsent_changes(rule(**fields))) == []
    left_to_database(name)
    said = list(unsent_changes(rule(**fields)))
    assert bool(said) is not heard
    assert all(f'"animal" is {name}.' in sentence for sentence in said)


SOME = {"some": [{"var": "instance.meals"}, {"!=": [{"var": "pk"}, 0]}]}
COUNT = {">": [{"var": "instance.meals__count"}, 2]}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"condition": SOME}, "meals"),
        ({"condition": COUNT}, "meals"),
        ({"condition": {"and": [SOME, COUNT]}}, "meals"),
        ({"condition": SOME, "operations": ("update",)}, ""),
        ({"condition": SOME, "signals": ("pre_delete",)}, ""),
        ({"condition": {"==": [{"var": "instance.name"}, "x"]}}, ""),
        ({}, ""),
    ],
)
def test_rows_that_a_form_saves_later_are_said(fields: Any, names: str) -> None:
    said = unsaved_rows(rule(model="zoo.animal", **fields))
    assert (f"none yet ({names})" in said) if names else said == ""

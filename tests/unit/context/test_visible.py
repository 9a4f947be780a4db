"""What of an event somebody may see, by the models they may view; and what one rule alone would have read."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.context.visible import read_by, visible
from tests.zoo.models import Animal, Keeper, Meal, Tag

CONTEXT: dict[str, Any] = {
    "instance": {
        "pk": 1,
        "name": "Rex",
        "keeper": {"pk": 2, "name": "Ada"},
        "meals": [{"pk": 3, "grams": 1.5}, {"pk": 4, "grams": 2.5}],
        "tags": [{"pk": 5, "name": "a"}],
        "meals__count": 2,
    },
    "changed": ["name"],
}
EVERYTHING = {Animal, Keeper, Meal, Tag}


def seen(context: Any, *models: Any, label: str = "zoo.animal") -> tuple[Any, list[str]]:
    return visible(context, label, lambda model: model in models)


def test_who_may_view_everything_sees_the_event_itself() -> None:
    context, hidden = seen(CONTEXT, *EVERYTHING)
    assert context is CONTEXT
    assert hidden == []


@pytest.mark.parametrize(
    ("model", "hidden"),
    [
        (Keeper, ["instance.keeper"]),
        (Tag, ["instance.tags"]),
        (Meal, ["instance.meals", "instance.meals__count"]),
    ],
)
def test_objects_of_a_model_that_is_not_for_them_are_left_out(model: Any, hidden: list[str]) -> None:
    context, left_out = seen(CONTEXT, *(EVERYTHING - {model}))
    assert left_out == hidden
    names = {name.removeprefix("instance.") for name in hidden}
    assert set(context["instance"]) == set(CONTEXT["instance"]) - names
    assert names <= set(CONTEXT["instance"])


def test_the_fields_of_the_object_itself_are_always_there() -> None:
    context, _hidden = seen(CONTEXT)
    assert context == {"instance": {"pk": 1, "name": "Rex"}, "changed": ["name"]}


def test_a_key_alone_names_no_object_and_stays() -> None:
    context = {"instance": {"keeper": None, "keeper_id": 7}}
    assert seen(context) == (context, [])


def test_what_is_hidden_in_each_row_is_named_once() -> None:
    context = {"instance": {"tags": [{"pk": 1, "animals": [{"pk": 1}]}, {"pk": 2, "animals": [{"pk": 2}]}]}}
    left, hidden = seen(context, Tag)
    assert hidden == ["instance.tags.animals"]
    assert left["instance"]["tags"] == [{"pk": 1}, {"pk": 2}]


@pytest.mark.parametrize(
    ("field", "models", "is_seen"), [("tags", [Tag], True), ("tags", [Keeper], False), ("gone", [Tag], False)]
)
def test_the_other_ends_of_a_relation_are_objects_too(field: str, models: list[Any], is_seen: bool) -> None:
    context = {"m2m": {"field": field, "pks": [5], "objects": [{"pk": 5, "name": "a"}]}}
    left, hidden = seen(context, *models)
    assert ("objects" in left["m2m"]) is is_seen
    assert hidden == ([] if is_seen else ["m2m.objects"])
    assert left["m2m"]["pks"] == [5]


@pytest.mark.parametrize("label", ["", "zoo.gone", "nowhere.animal"])
def test_without_a_model_nothing_can_be_left_out(label: str) -> None:
    assert seen(CONTEXT, label=label) == (CONTEXT, [])


@pytest.mark.parametrize("instance", [None, "Rex", []])
def test_an_event_without_an_object_is_seen_as_it_is(instance: Any) -> None:
    context = {"instance": instance}
    assert seen(context) == (context, [])


def test_the_event_itself_is_never_altered() -> None:
    before = str(CONTEXT)
    seen(CONTEXT)
    read_by([("instance", "name")], CONTEXT, "zoo.animal")
    assert str(CONTEXT) == before


@pytest.mark.parametrize(
    ("reads", "related"),
    [
        ([], set()),
        ([("instance", "name")], set()),
        ([("instance", "keeper", "name")], {"keeper"}),
        ([("instance", "meals", "grams"), ("instance", "tags")], {"meals", "tags"}),
        ([("instance", "meals__count")], {"meals__count"}),
        ([("instance", "meals", "0", "grams")], {"meals"}),
    ],
)
def test_a_rule_alone_would_have_read_what_it_names(reads: Any, related: set[str]) -> None:
    left = read_by(reads, CONTEXT, "zoo.animal")["instance"]
    assert set(left) == {"pk", "name"} | related
    assert all(left[name] == CONTEXT["instance"][name] for name in left)


def test_an_event_of_no_known_model_is_read_as_it_is() -> None:
    assert read_by([("instance", "name")], CONTEXT, "zoo.gone") is CONTEXT


ENDS: dict[str, Any] = {
    "instance": {"pk": 1, "name": "Rex"},
    "m2m": {"field": "tags", "pks": [5], "objects": [{"pk": 5, "name": "secret"}]},
}


def test_objects_at_the_other_end_are_for_whoever_may_view_them() -> None:
    context, hidden = seen(ENDS, Animal)
    assert hidden == ["m2m.objects"]
    assert context["m2m"] == {"field": "tags", "pks": [5]}
    context, hidden = seen(ENDS, Animal, Tag)
    assert context["m2m"] == ENDS["m2m"]
    assert hidden == []


def test_objects_at_the_other_end_are_read_by_the_rules_that_ask_for_them() -> None:
    read = read_by([("m2m", "objects", "name")], ENDS, "zoo.animal")
    assert read["m2m"] == ENDS["m2m"]
    # Another rule of the same event asked for them: this one would not have had them.
    assert read_by([("instance", "name")], ENDS, "zoo.animal")["m2m"] == {"field": "tags", "pks": [5]}
    assert "objects" in ENDS["m2m"]


def test_objects_of_a_relation_that_is_gone_are_shown_to_nobody() -> None:
    gone = {"m2m": {"field": "labels", "objects": [{"pk": 1}]}}
    context, hidden = seen(gone, *EVERYTHING)
    assert context == {"m2m": {"field": "labels"}}
    assert hidden == ["m2m.objects"]
    assert read_by([("m2m", "objects")], gone, "zoo.animal")["m2m"] == {"field": "labels"}

"""Which paths a rule may read: the sentence for each that it may not, and what reading the others takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules_engine.context.paths import readable_fields
from rules_engine.rules.scope import (
    ROOTS,
    is_of_rows,
    m2m_models,
    path_problem,
    reads_whole,
    view_permissions,
)
from rules_engine.rules.validation import rule_problems
from rules_engine.types import RuleSpec
from tests.zoo.models import Animal, Club, Dog, Keeper, Tag

ANIMAL = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",))
M2M = RuleSpec(slug="r", model="zoo.bystander", signals=("m2m_changed",))
CLUB = RuleSpec(slug="r", model="zoo.club", signals=("m2m_changed",))
LOGIN = RuleSpec(slug="r", signals=("user_logged_in",))
CANCELLED = RuleSpec(slug="r", signals=("clinic.appointment_cancelled",))
REQUEST = RuleSpec(slug="r", signals=("request_finished",))


def path(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (ANIMAL, "instance"),
        (ANIMAL, "instance.name"),
        (ANIMAL, "instance.pk"),
        (ANIMAL, "instance.keeper"),
        (ANIMAL, "instance.keeper_id"),
        (ANIMAL, "instance.keeper.name"),
        (ANIMAL, "instance.meals"),
        (ANIMAL, "old.name"),
        (ANIMAL, "old.keeper_id"),
        (ANIMAL, "old.*"),
        (ANIMAL, "changed"),
        (ANIMAL, "changes.name.old"),
        (ANIMAL, "changes.keeper.new"),
        (ANIMAL, "created"),
        (ANIMAL, "event.occurred_at"),
        (ANIMAL, "actor.username"),
        (ANIMAL, "request.path"),
        (REQUEST, "request.status"),
        (LOGIN, "event.id"),
        (M2M, "m2m.pks"),
        (M2M, "m2m.objects.name"),
    ],
)
def test_what_a_rule_may_read_has_no_problem(rule: RuleSpec, text: str) -> None:
    assert path_problem(rule, path(text)) is None


@pytest.mark.parametrize(
    ("rule", "text", "said"),
    [
        (ANIMAL, "", "This names nothing; name a field, such as instance.status."),
        (ANIMAL, "name", '"name" is not known here. Did you mean "instance.name"?'),
        (ANIMAL, "instnce", 'Did you mean "instance"?'),
        (ANIMAL, "nonsense", f"A path begins with one of: {', '.join(ROOTS)}."),
        (ANIMAL, "instance.nme", 'Did you mean "name"?'),
        (ANIMAL, "instance.keeper.nme", 'Did you mean "name"?'),
        (ANIMAL, "instance.keeper.api_token", "api_token"),
        (ANIMAL, "old.keeper", 'Old values are kept by column: write "old.keeper_id".'),
        (ANIMAL, "changes.keeper_id", 'Changes are kept by field name: write "changes.keeper".'),
        (ANIMAL, "changes.name.before", 'A change has "old" and "new", not "before".'),
        (ANIMAL, "event.pks", '"event" has no "pks". Did you mean "pk"?'),
        (ANIMAL, "actor.email", '"actor" has no "email".'),
        (ANIMAL, "request.status", "known when it is finished"),
        (ANIMAL, "held.count", 'This rule holds nothing back, so there is no "held"'),
        (ANIMAL, "each.name", 'There is no "each" here: the action is carried out once.'),
        (ANIMAL, "m2m.objects", 'Only rules on m2m_changed have "m2m.objects".'),
        (ANIMAL, "signal.order", '"signal" holds the arguments of a signal of the site, and post_save is none.'),
        (LOGIN, "instance.name", 'This rule listens to no model, so there is no "instance"'),
        (LOGIN, "changed", 'This rule listens to no model, so there is no "changed"'),
        (M2M, "m2m.objects.nme", 'Did you mean "name"?'),
        (CLUB, "m2m.objects", "may be of several kinds here"),
    ],
)
def test_what_a_rule_may_not_read_is_said_with_the_remedy(rule: RuleSpec, text: str, said: str) -> None:
    trouble = path_problem(rule, path(text))
    assert trouble is not None
    assert said in trouble


@pytest.mark.parametrize("fields", [{"throttle_count": 5, "throttle_seconds": 60}, {"coalesce_seconds": 0}])
def test_a_rule_that_holds_back_may_read_how_many_were_held(fields: dict[str, Any]) -> None:
    rule = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",), **fields)
    assert path_problem(rule, ("held", "count")) is None
    assert path_problem(rule, ("held", "cuont")) == '"held" has no "cuont". Did you mean "count"?'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", None),
        ("pk", None),
        ("portions", None),
        ("animal_id", None),
        ("animal.name", None),
        ("animal", 'Rows hold their own columns: write "animal_id".'),
        ("protions", 'Did you mean "portions"?'),
        ("animal.keeper", '"animal.keeper" leads to an object; name the field that you want of it.'),
        ("animal.tags.name", '"animal.tags" leads to many rows of its own, and only one can be read here.'),
        ("api_key", "api_key"),
    ],
)
def test_a_row_is_read_by_its_own_columns_and_what_it_belongs_to(text: str, said: str | None) -> None:
    trouble = path_problem(ANIMAL, path(text), within=("instance", "meals"))
    assert trouble is None if said is None else said in str(trouble)


def test_each_is_the_row_that_the_action_is_carried_out_for() -> None:
    rule = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",), each=("instance", "meals"))
    assert path_problem(rule, ("each", "portions")) is None
    assert "portions" in str(path_problem(rule, ("each", "protions")))
    assert path_problem(rule, ("animal_id",), within=("each",)) is None
    computed = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",), each=())
    assert path_problem(computed, ("each", "anything")) is None


@pytest.mark.parametrize(
    ("rule", "text", "rows"),
    [
        (ANIMAL, "instance.meals", True),
        (ANIMAL, "instance.tags", True),
        (ANIMAL, "instance.keeper", False),
        (ANIMAL, "instance.name", False),
        (ANIMAL, "instance", False),
        (ANIMAL, "changed", True),
        (ANIMAL, "m2m.pks", True),
        (ANIMAL, "m2m.field", False),
        (LOGIN, "signal.users", True),
        (LOGIN, "instance.meals", False),
    ],
)
def test_a_list_is_known_beforehand_as_far_as_it_can_be(rule: RuleSpec, text: str, rows: bool) -> None:
    assert is_of_rows(rule, path(text)) is rows


@pytest.mark.parametrize(
    ("rule", "models"),
    [
        (ANIMAL, []),
        (LOGIN, []),
        (M2M, [Tag]),
        (CLUB, [Animal, Dog]),
        (RuleSpec(slug="r", model="zoo.club", signals=("m2m_changed",), changes=({"field": "dogs"},)), [Dog]),
        (RuleSpec(slug="r", model="zoo.club", signals=("m2m_changed",), changes=({"field": "name"},)), [Animal, Dog]),
    ],
)
def test_the_other_end_of_a_relation_is_narrowed_by_the_changes_named(rule: RuleSpec, models: list[Any]) -> None:
    assert sorted(m2m_models(rule), key=str) == sorted(models, key=str)


@pytest.mark.parametrize(
    ("condition", "whole"),
    [
        (None, False),
        ({"==": [{"var": "instance.name"}, "Rex"]}, False),
        ({"!!": [{"var": "instance.keeper"}]}, False),
        ({"!": {"var": "instance.keeper"}}, False),
        ({"==": [{"var": "instance.keeper"}, None]}, True),
        ({"cat": [{"var": "instance"}]}, True),
        ({"length": [{"var": "instance.meals"}]}, False),
        ({"some": [{"var": "instance.meals"}, {">": [{"var": "portions"}, 1]}]}, False),
        ({"some": [{"var": "instance.meals"}, {"in": [1, {"var": ""}]}]}, True),
        # What an object holds is not rows: these operators would take each of its values, and rows of another model's.
        ({"some": [{"var": "instance"}, {"in": ["x", {"var": "name"}]}]}, True),
        ({"map": [{"var": "instance.keeper"}, {"var": "name"}]}, True),
        ({"all": [{"var": "instance.meals.0"}, {"in": ["x", {"var": "name"}]}]}, True),
        ({"length": [{"var": "instance.keeper"}]}, True),
        ({"filter": [{"var": "instance.meals"}, {">": [{"var": "portions"}, 1]}]}, True),
        ({"group_by": [[{"var": "instance"}], {"var": "keeper.name"}]}, True),
        ({"in": ["name", {"var": "changed"}]}, False),
    ],
)
def test_a_condition_on_a_whole_object_is_told_from_one_on_its_fields(condition: Any, whole: bool) -> None:
    rule = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",), condition=condition)
    assert reads_whole(rule) is whole


@pytest.mark.parametrize(
    ("condition", "whole"),
    [
        ({"some": [{"var": "m2m.objects"}, {"==": [{"var": "name"}, "x"]}]}, False),
        ({"filter": [{"var": "m2m.objects"}, {"==": [{"var": "name"}, "x"]}]}, True),
        ({"cat": [{"var": "m2m"}]}, True),
        ({"==": [{"var": "m2m.count"}, 1]}, False),
    ],
)
def test_the_objects_of_a_relation_are_taken_whole_or_by_their_fields(condition: Any, whole: bool) -> None:
    assert reads_whole(replace(M2M, condition=condition)) is whole


USER = {"user": "accounts.user"}


@pytest.mark.parametrize(
    "condition",
    [
        {"some": [{"group_by": [[{"var": "instance"}], {"var": "keeper.name"}]}, {"!=": [1, 2]}]},
        {"some": [{"group_by": [[{"var": "instance.keeper"}], {"var": "name"}]}, {"!=": [1, 2]}]},
    ],
)
def test_an_object_is_no_rows_to_be_grouped(condition: Any) -> None:
    [problem] = rule_problems(replace(ANIMAL, condition=condition))
    assert "is an object and no list of rows" in problem.message


@pytest.mark.parametrize(
    ("rule", "texts", "permissions"),
    [
        (LOGIN, ["signal.user.pk", "signal.user.model", "signal.request.path", "signal"], set()),
        (replace(LOGIN, objects=USER), ["signal.user"], {"accounts.view_user"}),
        (replace(LOGIN, objects=USER), ["signal.user.username"], {"accounts.view_user"}),
        (LOGIN, ["signal.user.username"], set()),
        (replace(LOGIN, objects={}), ["signal.user.username"], set()),
        (replace(CANCELLED, objects={"instance": "zoo.animal"}), ["signal.instance.text"], {"zoo.view_animal"}),
        (CANCELLED, ["signal.instance.text"], set()),
        (ANIMAL, [], {"zoo.view_animal"}),
        (ANIMAL, ["instance.name", "event.id"], {"zoo.view_animal"}),
        (ANIMAL, ["instance.keeper.name"], {"zoo.view_animal", "zoo.view_keeper"}),
        (ANIMAL, ["instance.meals.*", "instance.tags.name"], {"zoo.view_animal", "zoo.view_meal", "zoo.view_tag"}),
        (ANIMAL, ["instance.nothing.name"], {"zoo.view_animal"}),
        (M2M, ["m2m.objects.name"], {"zoo.view_bystander", "zoo.view_tag"}),
    ],
)
def test_what_is_read_takes_the_permission_to_view_it(rule: RuleSpec, texts: list[str], permissions: set[str]) -> None:
    assert view_permissions(rule, [path(text) for text in texts]) == permissions


def test_the_rows_of_each_take_the_permission_to_view_them() -> None:
    rule = RuleSpec(slug="r", model="zoo.animal", signals=("post_save",), each=("instance", "meals"))
    assert view_permissions(rule, [("each", "portions")]) == {"zoo.view_animal", "zoo.view_meal"}


def test_the_fields_of_a_rules_model_are_those_that_it_may_read() -> None:
    assert "name" in {field.name for field in readable_fields(Animal)}
    assert "api_token" not in {field.name for field in readable_fields(Keeper)}
    assert Club._meta.label_lower == "zoo.club"

"""The plan of a model: that it finds the rules that trying all of them finds, and how many it looks at for that."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.db import models
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.capture.outcome import evaluate
from rules_engine.context import snapshot
from rules_engine.context.subject import Subject
from rules_engine.live.constants import keys_of
from rules_engine.live.plan import FEW, Plan
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import FieldChange, Unread
from tests.examples import examples
from tests.unit.compiled import compiled
from tests.zoo.models import Animal, Meal

NOW = datetime.datetime(2026, 5, 6, tzinfo=datetime.UTC)
NAMES = ["portions", "spoons", "grams", "price", "is_warm", "lasted", "animal_id", "id"]
NUMBERS = [0, 1, 2, -1, 1.0, 0.5, 2**53 + 1, 10**30]
TEXTS = ["", "a", "paid", "1", "1.0", " 1", "true", "2026-05-06", "2026-05-06T00:00:00Z", "2026-05-06T02:00:00+02:00"]
TEXTS += ["1d", "24h", "P1D", "-1d", "12a", "x" * 300, "\x00"]
CONSTANTS: st.SearchStrategy[Any] = st.sampled_from([*NUMBERS, *TEXTS, None, True, False, [], ["a"], {}])
VALUES: st.SearchStrategy[Any] = st.sampled_from([
    *NUMBERS, *TEXTS, None, True, False, Decimal("1.00"), Decimal("0.5"), datetime.timedelta(days=1), [1],
])  # fmt: skip


def animals() -> st.SearchStrategy[tuple[type[models.Model], list[str]]]:
    return st.sampled_from(
        [(Meal, NAMES), (Animal, ["name", "weight", "legs", "born", "fed_at", "keeper_id", "notes"])]
    )


def atoms(names: Sequence[str]) -> st.SearchStrategy[Any]:
    variable = st.sampled_from(names).map(lambda name: {"var": f"instance.{name}"})
    equal = st.tuples(st.sampled_from(["==", "===", "!=", ">", "<"]), variable, CONSTANTS)
    turned = st.tuples(st.sampled_from(["==", "==="]), CONSTANTS, variable)
    among = st.tuples(st.just("in"), variable, st.lists(CONSTANTS, max_size=3))
    pairs = st.one_of(equal, turned, among).map(lambda three: {three[0]: [three[1], three[2]]})
    return st.one_of(pairs, variable, variable.map(lambda read: {"!!": [read]}), variable.map(lambda read: {"!": read}))


def conditions(names: Sequence[str]) -> st.SearchStrategy[Any]:
    join = st.tuples(st.sampled_from(["and", "and", "and", "or"]), st.lists(atoms(names), min_size=1, max_size=3))
    joined = join.map(lambda pair: {pair[0]: pair[1]})
    nested = st.lists(st.one_of(atoms(names), joined), min_size=1, max_size=3).map(lambda parts: {"and": parts})
    return st.one_of(st.none(), atoms(names), joined, nested)


def changes(names: Sequence[str]) -> st.SearchStrategy[Any]:
    keys = st.fixed_dictionaries({"field": st.sampled_from(names)}, optional={"from": CONSTANTS, "to": CONSTANTS})
    return st.one_of(st.just([]), st.lists(keys, max_size=2))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[CompiledRule], models.Model, models.Model]:
    model, names = draw(animals())
    rules = []
    for number in range(draw(st.integers(1, 6))):
        written = {"condition": draw(conditions(names)), "changes": tuple(draw(changes(names)))}
        operations = draw(st.sampled_from([(), ("update",), ("create",)]))
        rules.append(compiled(f"r{number}", model=model._meta.label_lower, operations=operations, **written))
    fields = st.dictionaries(st.sampled_from(names), VALUES)
    return rules, model(**draw(fields)), model(**draw(fields))


def subject_of(instance: models.Model, before: models.Model | None) -> Subject:
    fields = instance._meta.concrete_fields
    old = None if before is None else snapshot.values_on(before, fields)
    found = snapshot.diff(fields, old, snapshot.values_on(instance, fields))
    told = {change.field: change for change in found}
    operation: Any = "create" if before is None else "update"
    return Subject("post_save", operation, instance, old, changes=told, created=before is None, occurred_at=NOW)


def said(subject: Subject, rules: Sequence[CompiledRule]) -> list[tuple[str, str, str]]:
    pairs = [told for _, told in evaluate(subject, rules)]
    return [(told.rule_slug, told.outcome, told.detail) for told in pairs if told.outcome != "not_matched"]


@settings(max_examples=examples(200), deadline=None)
@given(cases(), st.booleans())
def test_the_plan_finds_what_trying_all_rules_finds(case: Any, is_new: bool) -> None:
    rules, before, instance = case
    subject = subject_of(instance, None if is_new else before)
    plan = Plan.of(type(instance), rules)
    value_of = plan.held(instance)
    found = plan.matching(value_of, subject.changes, subject.operation)
    assert said(subject, found) == said(subject, rules)
    assert [rule for rule in plan.possible(value_of, None) if rule in found] == found
    assert plan.can_match(value_of, None) or not found
    early = plan.held(instance, is_before=True)
    assert plan.wants_old(early, None) or not [rule for rule in found if rule.changes]


@settings(max_examples=examples(50), deadline=None)
@given(cases(), st.data())
def test_a_plan_that_was_updated_finds_the_same(case: Any, data: st.DataObject) -> None:
    rules, before, instance = case
    some = data.draw(st.lists(st.sampled_from(rules), unique_by=id))
    more = data.draw(st.lists(st.sampled_from(rules), unique_by=id))
    plan = Plan.of(type(instance), some)
    subject = subject_of(instance, before)
    updated = plan.updated(more)
    for one, of_these in ((updated, more), (plan, some)):
        found = one.matching(one.held(instance), subject.changes, "update")
        assert said(subject, found) == said(subject, of_these)


STATES = [{"==": [{"var": "instance.name"}, f"s{number}"]} for number in range(1_000)]


def by_condition() -> list[CompiledRule]:
    rest = {">": [{"var": "instance.legs"}, 0]}
    return [compiled(f"r{number:03}", condition={"and": [state, rest]}) for number, state in enumerate(STATES)]


def by_target() -> list[CompiledRule]:
    return [compiled(f"r{number:03}", changes=({"field": "name", "to": f"s{number}"},)) for number in range(1_000)]


def by_origin() -> list[CompiledRule]:
    return [compiled(f"r{number:03}", changes=({"field": "name", "from": f"s{number}"},)) for number in range(1_000)]


def slugs(rules: Sequence[CompiledRule]) -> list[str]:
    return [rule.slug for rule in rules]


def renamed(old: Any, new: Any) -> dict[str, FieldChange]:
    return {"name": FieldChange("name", old, new)}


@pytest.mark.parametrize("rules", [by_condition, by_target], ids=["condition", "target"])
def test_of_a_thousand_rules_those_are_looked_at_that_can_match(rules: Any) -> None:
    plan = Plan.of(Animal, rules())
    for name, found in (("s777", ["r777"]), ("other", [])):
        animal = Animal(name=name, legs=4)
        assert slugs(plan.possible(plan.held(animal), None)) == found
        assert slugs(plan.matching(plan.held(animal), renamed("s3", name), "update")) == found
        assert plan.can_match(plan.held(animal), None) is bool(found)


def test_rules_are_told_apart_by_what_a_field_changes_from() -> None:
    plan = Plan.of(Animal, by_origin())
    value_of = plan.held(Animal(name="new"))
    assert plan.wants_old(value_of, None)
    assert slugs(plan.matching(value_of, renamed("s5", "new"), "update")) == ["r005"]
    assert plan.matching(value_of, renamed("s5", "new") and {}, "update") == []
    assert len(plan.matching(value_of, renamed(Unread(ValueError()), "new"), "update")) == 1_000


def test_no_stored_value_is_wanted_for_a_rule_that_a_constant_rules_out() -> None:
    plan = Plan.of(Animal, [compiled(changes=({"field": "name", "to": "paid"},))])
    assert not plan.wants_old(plan.held(Animal(name="open"), is_before=True), None)
    assert plan.wants_old(plan.held(Animal(name="paid"), is_before=True), None)
    also = Plan.of(Animal, [compiled(changes=({"field": "name"},), condition={"==": [{"var": "instance.legs"}, 3]})])
    assert not also.wants_old(also.held(Animal(name="paid", legs=4), is_before=True), None)


def test_a_field_that_the_save_makes_itself_is_not_settled_before() -> None:
    plan = Plan.of(Animal, [compiled(changes=({"field": "seen_at", "to": "2026-01-01T00:00:00Z"},))])
    assert plan.wants_old(plan.held(Animal(seen_at=NOW), is_before=True), None)


def test_a_field_that_is_not_written_has_not_changed() -> None:
    plan = Plan.of(Animal, [compiled(changes=({"field": "name"},))])
    value_of = plan.held(Animal(name="a"), frozenset({"legs"}))
    assert not plan.can_match(value_of, frozenset({"legs"}))
    assert not plan.wants_old(value_of, frozenset({"legs"}))


def test_a_value_that_the_instance_does_not_hold_rules_nothing_out() -> None:
    plan = Plan.of(Animal, [compiled("a", condition=STATES[0]), compiled("b", condition=STATES[1])])
    for animal, written in ((Animal(name=models.F("notes")), None), (Animal(name="s0"), frozenset({"legs"}))):
        assert slugs(plan.possible(plan.held(animal, written), written)) == ["a", "b"]
    assert slugs(plan.possible(plan.held(Animal(name="x"), None, {"name": "s1"}), None)) == ["b"]


def test_the_same_rules_keep_their_plan() -> None:
    rules = by_condition()[:20]
    plan = Plan.of(Animal, rules)
    assert plan.updated(list(rules)) is plan
    assert plan.updated(rules[::-1]) is not plan
    assert not plan.told
    assert plan.updated(rules[:FEW]).told == tuple(rules[:FEW])


IS_A: dict[str, Any] = {"==": [{"var": "instance.name"}, "a"]}


@pytest.mark.parametrize(
    "condition",
    [
        {">": [{"var": "instance.legs"}, 1]},
        {"and": [{">": [{"var": "instance.legs"}, 1]}, IS_A]},
        {"or": [IS_A, {"var": "instance.legs"}]},
        {"!": [IS_A]},
        {"==": [{"var": "instance.name"}, "2026-01-01"]},
        {"==": [{"var": "instance.legs"}, 0]},
        {"==": [{"var": "instance.name"}, ""]},
        {"==": [{"var": "instance.name"}, None]},
        {"==": [{"var": ["instance.name", "a"]}, "a"]},
        {"in": [{"var": "instance.name"}, ["a", 1]]},
        {"in": [{"var": "instance.name"}, "abc"]},
        {"==": [{"var": "instance.data"}, "a"]},
        {"==": [{"var": "instance.pk"}, 1]},
        {"and": [IS_A, {"==": [{"var": "instance.data.a"}, 1]}]},
        {"and": [IS_A, {"var": "actor.id"}]},
        {"==": [{"var": "instance.keeper.name"}, "a"]},
    ],
    ids=str,
)
def test_what_is_not_sure_is_tried_each_time(condition: Any) -> None:
    assert keys_of(compiled(condition=condition), Animal) == ()


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        (IS_A, ["name"]),
        ({"===": ["a", {"var": "instance.name"}]}, ["name"]),
        ({"in": [{"var": "instance.legs"}, [2, 4]]}, ["legs"]),
        ({"and": [{"var": "instance.legs"}, IS_A, {">": [{"var": "instance.legs"}, 1]}]}, ["name"]),
        ({"and": [{"and": [IS_A]}, {"==": [{"var": "instance.legs"}, 3]}]}, ["name", "legs"]),
        ({"and": [{"==": [{"var": "instance.legs"}, 3]}, IS_A]}, ["legs"]),
        ({"and": [IS_A, {">": [{"var": "instance.meals__count"}, 1]}]}, ["name"]),
        ({"and": [IS_A, {"==": [{"var": "instance.keeper.name"}, "Ann"]}]}, ["name"]),
        ({"and": [IS_A, {"in": ["legs", {"var": "changed"}]}]}, []),
    ],
    ids=str,
)
def test_constants_at_the_beginning_are_found(condition: Any, names: list[str]) -> None:
    assert [key.name for key in keys_of(compiled(condition=condition), Animal)] == names

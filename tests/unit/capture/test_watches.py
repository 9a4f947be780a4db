"""Which signals and senders the rules need, and what is read of an object for them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import signals as auth

from rules_engine.capture.watches import Table, build, columns_read, senders
from rules_engine.rules.matching import CompiledRule
from tests.unit.compiled import NOTE, compiled
from tests.zoo.models import Animal, Bystander, Dog, GuardDog, OldAnimal

LEGS = {"==": [{"var": "instance.legs"}, 3]}


def table(*rules: CompiledRule) -> Table:
    return build(rules, "default")


def pairs(*rules: CompiledRule) -> set[tuple[str, Any]]:
    return set(table(*rules).pairs())


def test_without_rules_nothing_is_needed():
    assert pairs() == set()


def test_a_save_is_heard_of_the_model_its_proxies_and_all_that_inherit_it():
    heard = {sender for name, sender in pairs(compiled()) if name == "post_save"}
    assert heard == {Animal, OldAnimal, Dog, GuardDog}
    assert senders("post_save", Dog) == {Dog, GuardDog}


def test_a_delete_is_heard_of_the_model_and_its_proxies_alone():
    # Django sends it for the parents of an object as well.
    assert senders("post_delete", Animal) == {Animal, OldAnimal}


def test_a_rule_that_asks_what_changed_needs_the_moment_before():
    assert {name for name, _ in pairs(compiled(changes=({"field": "name"},)))} == {"pre_save", "post_save"}
    assert {name for name, sender in pairs(compiled()) if sender is Animal} == {"post_save"}


def test_before_a_childs_save_it_is_seen_whether_its_parent_is_there():
    assert {name for name, sender in pairs(compiled()) if sender is Dog} == {"pre_save", "post_save"}


@pytest.mark.parametrize(("signal", "needed"), [("pre_save", "post_save"), ("pre_delete", "post_delete")])
def test_what_matched_before_a_change_is_written_after_it(signal: str, needed: str):
    assert {name for name, _ in pairs(compiled(signals=(signal,)))} == {signal, needed}


def test_a_relation_is_heard_at_its_own_table():
    heard = pairs(compiled(signals=("m2m_changed",), changes=({"field": "tags"},)))
    assert ("m2m_changed", Animal.tags.through) in heard
    assert ("m2m_changed", Bystander.tags.through) not in heard


def test_a_signal_of_two_names_is_heard_once():
    assert pairs(compiled("a", model="", signals=("user_logged_in",))) == {("user_logged_in", None)}
    named = table(compiled("a", model="", signals=("user_logged_in",)))
    assert [rule.slug for rule in named.told(auth.user_logged_in)["user_logged_in"]] == ["a"]


@pytest.mark.parametrize(
    "fields", [{"model": "zoo.gone"}, {"model": "auth.group"}, {"model": "", "signals": ("no_such",)}]
)
def test_what_is_not_there_or_not_to_be_heard_is_left_out(fields: dict[str, Any]):
    rule = CompiledRule(**{"slug": "r", "version": 1, "model": "", "signals": frozenset({"post_save"}), **fields})
    assert pairs(rule) == set()


def test_old_values_are_those_that_some_rule_asks_for():
    watch = table(compiled("a", changes=({"field": "name"},)), compiled("b", condition=LEGS)).models[Animal]
    assert set(watch.old) == {"name"}
    assert set(watch.read["post_save"]) == {"name", "legs"}


def test_the_columns_of_an_object_that_rules_and_their_actions_read():
    assert set(columns_read(Animal, [compiled("a", NOTE, condition=LEGS)])) == {"name", "legs"}
    assert columns_read(Animal, [compiled("a", condition={"!!": [{"var": "instance.keeper.name"}]})]) == {}


def test_a_rule_on_loaded_data_is_noticed():
    assert table(compiled(raw=True)).hears_raw
    assert not table(compiled()).hears_raw

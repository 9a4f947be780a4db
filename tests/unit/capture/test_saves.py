"""Saves and deletes as subjects, and what a pre-signal leaves on its instance."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from rules_engine.capture import saves
from rules_engine.capture.saves import ATTRIBUTE, MOST_NESTED, READERS, Before
from rules_engine.capture.watches import Reading, build
from rules_engine.rules.matching import CompiledRule
from tests.unit.compiled import compiled
from tests.zoo.models import Animal, Ticket

NOW = datetime(2026, 5, 6, tzinfo=UTC)
RENAMED = compiled("renamed", changes=({"field": "name"},))


def stored(**fields: Any) -> Animal:
    """An animal as if it came from the database."""
    animal = Animal(**{"pk": 5, "name": "Rex", "legs": 4, **fields})
    animal._state.adding = False
    return animal


def read(signal: Any, instance: models.Model, *rules: CompiledRule, **sent: Any) -> Sequence[Reading]:
    watch = build(rules, "default").models[type(instance)]
    before = sent.pop("before", Before("save"))
    return READERS[signal](watch, {"instance": instance, "using": "default", **sent}, before, NOW, None)


def slugs(rules: Sequence[CompiledRule]) -> list[str]:
    return [rule.slug for rule in rules]


def test_a_new_object_is_created_and_all_of_it_has_changed():
    [(subject, rules)] = read(post_save, stored(legs=0), RENAMED, created=True)
    assert (subject.signal, subject.operation, subject.created) == ("post_save", "create", True)
    assert {name: (change.old, change.new) for name, change in subject.changes.items()} == {"name": (None, "Rex")}
    assert (subject.old, subject.occurred_at, list(rules)) == (None, NOW, [RENAMED])


def test_what_changed_is_told_from_what_was_stored():
    before = Before("save", {"name": "Max"})
    [(subject, _)] = read(post_save, stored(), RENAMED, created=False, before=before)
    assert (subject.operation, subject.old) == ("update", {"name": "Max"})
    assert [(change.field, change.old, change.new) for change in subject.changes.values()] == [("name", "Max", "Rex")]


def test_where_nothing_stored_was_read_nobody_knows_what_changed():
    [(subject, _)] = read(post_save, stored(), compiled(), created=False)
    assert not subject.knows_changes
    [(subject, rules)] = read(post_save, stored(), RENAMED, compiled(), created=False)
    assert not subject.knows_changes
    assert (subject.changes, slugs(rules)) == ({}, ["rule"])
    assert read(post_save, stored(), RENAMED, created=False) == []


def test_a_field_that_is_not_written_has_not_changed():
    before = Before("save", {"name": "Max", "legs": 4})
    legs = compiled("legs", changes=({"field": "legs"},))
    [(subject, rules)] = read(
        post_save, stored(legs=3), RENAMED, legs, created=False, before=before, update_fields=["legs"]
    )
    assert [rule.slug for rule in rules] == ["legs"]
    assert set(subject.changes) == {"legs"}
    # The instance says Rex, and the database still has Max.
    assert subject.context({("instance", "name")}) == {"instance": {"name": "Max"}}


def test_a_save_that_no_rule_can_match_is_not_read():
    assert read(post_save, stored(), RENAMED, created=False, update_fields=["legs"]) == ()


def test_fields_may_be_named_by_their_columns():
    keeper = compiled("kept", changes=({"field": "keeper"},))
    before = Before("save", {"keeper_id": None})
    [(subject, _)] = read(
        post_save, stored(keeper_id=3), keeper, created=False, before=before, update_fields=["keeper_id"]
    )
    assert set(subject.changes) == {"keeper"}


def test_before_the_save_of_a_new_object_nothing_is_asked_of_the_database():
    on_animals = compiled(signals=("pre_save",), changes=({"field": "name"},))
    [(subject, _)] = read(pre_save, Animal(name="Rex"), on_animals)
    assert (subject.operation, subject.created, set(subject.changes)) == ("create", True, {"name"})


def test_a_key_that_a_new_object_makes_itself_makes_it_no_old_one():
    on_tickets = compiled(model="zoo.ticket", signals=("pre_save",))
    [(subject, _)] = read(pre_save, Ticket(price=3), on_tickets)
    assert subject.operation == "create"


def test_an_object_from_the_database_is_taken_to_be_there_still():
    [(subject, _)] = read(pre_save, stored(), compiled(signals=("pre_save",)))
    assert subject.operation == "update"


def test_a_deleted_object_is_told_by_the_values_it_had():
    [(subject, _)] = read(post_delete, stored(name=models.F("name")), compiled(signals=("post_delete",)))
    assert (subject.operation, subject.old["legs"]) == ("delete", 4)  # type: ignore[index]
    assert "name" not in subject.old  # type: ignore[operator]


def test_a_delete_that_only_its_other_signal_is_heard_of_is_not_read():
    assert read(post_delete, stored(), compiled(signals=("pre_delete",))) == ()


def test_a_post_signal_takes_what_its_pre_signal_left():
    animal = stored()
    left = saves.begin(pre_save, {"instance": animal})
    left.old = {"name": "Max"}
    assert saves.begin(post_save, {"instance": animal}) is left
    assert saves.begin(post_save, {"instance": animal}) == Before("save")
    assert ATTRIBUTE not in animal._state.__dict__


def test_saves_within_saves_each_take_their_own():
    animal = stored()
    outer, inner = (saves.begin(pre_save, {"instance": animal}) for _ in range(2))
    assert saves.begin(post_save, {"instance": animal}) is inner
    assert saves.begin(post_save, {"instance": animal}) is outer


def test_what_a_failed_save_left_is_not_taken_for_a_deletes():
    animal = stored()
    saves.begin(pre_save, {"instance": animal})
    delete = saves.begin(pre_delete, {"instance": animal})
    saves.begin(pre_save, {"instance": animal})
    assert saves.begin(post_delete, {"instance": animal}) is delete


def test_saves_that_always_fail_do_not_pile_up():
    animal = stored()
    for _ in range(MOST_NESTED + 3):
        saves.begin(pre_save, {"instance": animal})
    assert len(animal._state.__dict__[ATTRIBUTE]) == MOST_NESTED


def test_a_rejected_save_leaves_nothing():
    animal = stored()
    saves.give_up(saves.begin(pre_save, {"instance": animal}), {"instance": animal})
    assert ATTRIBUTE not in animal._state.__dict__


def test_other_signals_leave_nothing():
    animal = stored()
    assert saves.begin(m2m_changed, {"instance": animal}) == Before("")
    assert ATTRIBUTE not in animal._state.__dict__


def test_what_waits_does_not_go_along_where_an_instance_is_pickled():
    animal = stored()
    saves.begin(pre_save, {"instance": animal}).old = {"name": "Max"}
    copy = pickle.loads(pickle.dumps(animal))
    assert saves.begin(post_save, {"instance": copy}).old is None

"""The receiver: which saves, deletes and relation changes it sees, and what it makes of them."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import serializers
from django.db import connection, transaction
from django.db.models import F
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from rules_engine import acting_as, paused
from rules_engine.models import Event, Execution, Rule, RuleError
from rules_engine.testing import create_rule, reset, run_due
from tests.factories import make_many
from tests.zoo.models import Animal, Bystander, Dog, GuardDog, Hanger, Keeper, OldAnimal, Tag, Ticket

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }}"})]


def events(**of: Any) -> list[Event]:
    return list(Event.objects.filter(**of).order_by("created_at", "id"))


def statements(act: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        act()
    return [one["sql"] for one in captured.captured_queries]


def test_a_rule_on_a_model_hears_its_proxies_and_descendants_once_each() -> None:
    create_rule(model=Animal, actions=LOG)
    Animal.objects.create(name="a")
    OldAnimal.objects.create(name="b")
    Dog.objects.create(name="c")
    GuardDog.objects.create(name="d")
    assert [event.context["instance"]["name"] for event in events()] == ["a", "b", "c", "d"]
    assert [event.model for event in events()] == ["zoo.animal", "zoo.animal", "zoo.dog", "zoo.dog"]


def test_a_deleted_descendant_fires_its_parents_rule_once() -> None:
    create_rule(model=Animal, signals=["post_delete"], actions=LOG)
    create_rule(model=Dog, signals=["post_delete"], actions=LOG)
    dog = GuardDog.objects.create(name="d")
    dog.delete()
    assert sorted(event.model for event in events()) == ["zoo.animal", "zoo.dog"]


def test_a_rule_on_a_descendant_does_not_hear_its_parent() -> None:
    create_rule(model=Dog, actions=LOG)
    Animal.objects.create(name="a")
    assert events() == []


def test_every_filled_field_of_a_new_object_changed_from_null() -> None:
    create_rule(model=Animal, changes=[{"field": "name", "from": None, "to": "a"}], actions=LOG)
    create_rule(model=Animal, changes=[{"field": "notes"}], actions=LOG)
    Animal.objects.create(name="a")
    assert [one["outcome"] for one in events()[0].evaluations].count("matched") == 1


def test_a_field_that_update_fields_leaves_out_has_not_changed() -> None:
    create_rule(model=Animal, changes=[{"field": "name"}], actions=LOG)
    create_rule(model=Animal, changes=[{"field": "legs", "to": 3}], actions=LOG)
    animal = Animal.objects.create(name="a")
    Event.objects.all().delete()
    animal.name, animal.legs = "b", 3
    animal.save(update_fields=["legs"])
    [event] = events()
    assert event.context["changed"] == ["legs"]


def test_what_changed_unasked_is_not_recorded_and_not_told_as_none() -> None:
    create_rule(model=Animal, actions=LOG)
    Animal.objects.create(name="a")
    context = events()[0].context
    assert context["changed"] is None
    assert context["changes"] is None


def test_what_update_fields_leaves_out_is_told_as_it_is_stored() -> None:
    create_rule(
        model=Animal,
        operations=["update"],
        changes=[{"field": "legs"}],
        actions=[("write_audit_entry", {"fields": ["name", "legs"]})],
    )
    animal = Animal.objects.create(name="a")
    animal.name, animal.legs = "never stored", 3
    animal.save(update_fields=["legs"])
    assert events()[0].context["instance"] == {"name": "a", "legs": 3}


def test_no_statement_is_added_where_update_fields_rules_a_match_out() -> None:
    create_rule(model=Animal, changes=[{"field": "name"}], actions=LOG)
    animal = Animal.objects.create(name="a")
    assert len(statements(lambda: animal.save(update_fields=["legs"]))) == 1


def test_old_values_cost_one_statement_with_just_those_columns() -> None:
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    animal = Animal.objects.create(name="a")
    found = statements(animal.save)
    assert len(found) == 2
    assert "legs" in found[0]
    assert "notes" not in found[0]


def test_a_rule_that_does_not_match_makes_no_statement() -> None:
    create_rule(model=Animal, condition={"==": [{"var": "instance.name"}, "x"]}, actions=LOG)
    assert len(statements(lambda: Animal.objects.create(name="a"))) == 1


def test_an_f_expression_is_told_with_its_stored_value_by_one_statement() -> None:
    create_rule(model=Animal, operations=["update"], changes=[{"field": "legs", "from": 4, "to": 5}], actions=LOG)
    animal = Animal.objects.create(name="a")
    animal.legs = F("legs") + 1
    found = statements(animal.save)
    # One for the old value; from Django 6.0 on the UPDATE itself returns the new one, where the database can.
    returned = getattr(connection.features, "can_return_rows_from_update", False)
    assert len([one for one in found if one.startswith("SELECT")]) == (1 if returned else 2)
    assert events()[0].context["changes"]["legs"] == {"old": 4, "new": 5}


def test_an_f_expression_that_no_rule_reads_adds_nothing() -> None:
    create_rule(model=Animal, condition={"==": [{"var": "instance.name"}, "x"]}, actions=LOG)
    animal = Animal.objects.create(name="a")
    animal.legs = F("legs") + 1
    assert len(statements(animal.save)) == 1


def test_a_deferred_field_is_not_fetched_unless_a_rule_reads_it() -> None:
    create_rule(
        model=Animal, condition={"==": [{"var": "instance.name"}, "a"]}, actions=[("log_message", {"message": "x"})]
    )
    animal = Animal.objects.create(name="a", notes="n")
    animal = Animal.objects.only("name").get(pk=animal.pk)
    found = statements(animal.save)
    assert not [one for one in found if one.startswith("SELECT") and "zoo_animal" in one]
    reset()
    create_rule(model=Animal, condition={"==": [{"var": "instance.notes"}, "n"]}, actions=LOG)
    animal = Animal.objects.only("name").get(pk=animal.pk)
    animal.save()
    assert events()[-1].context["instance"]["name"] == "a"


def test_values_are_told_as_they_are_stored() -> None:
    create_rule(model=Animal, actions=[("write_audit_entry", {})])
    Animal.objects.create(name="a", weight="12.5", born="2026-01-02", fed_at=None, data={"x": [1, 2.5]})
    context = events()[0].context["instance"]
    assert context["weight"] == "12.50"
    assert context["born"] == "2026-01-02"
    assert context["data"] == {"x": [1, 2.5]}
    assert "blob" not in context
    assert events()[0].captured().context["instance"]["weight"] == decimal.Decimal("12.50")


def test_a_decimal_is_a_number_for_conditions() -> None:
    create_rule(model=Animal, condition={">": [{"var": "instance.weight"}, 9]}, actions=LOG)
    Animal.objects.create(name="a", weight=decimal.Decimal("10.00"))
    assert len(events()) == 1


def test_a_null_never_satisfies_an_ordering() -> None:
    create_rule(model=Animal, condition={"<": [{"var": "instance.weight"}, 9]}, actions=LOG)
    Animal.objects.create(name="a")
    assert events() == []


def test_saving_an_unchanged_decimal_or_date_changes_nothing() -> None:
    create_rule(model=Animal, operations=["update"], condition={"!!": [{"var": "changed"}]}, actions=LOG)
    animal = Animal.objects.create(name="a", weight=decimal.Decimal("5.00"), born=datetime.date(2026, 1, 2), legs=3)
    animal.weight, animal.born, animal.legs = decimal.Decimal("5"), "2026-01-02", "3"  # type: ignore[assignment]
    animal.save(update_fields=["weight", "born", "legs"])
    assert events() == []


def test_a_foreign_key_changes_by_its_key_and_reads_through() -> None:
    create_rule(
        model=Animal,
        changes=[{"field": "keeper"}],
        condition={"==": [{"var": "instance.keeper.name"}, "Kim"]},
        actions=[("log_message", {"message": "{{ instance.keeper.name }} {{ changes.keeper.new }}"})],
    )
    kim = Keeper.objects.create(name="Kim")
    animal = Animal.objects.create(name="a")
    assert events() == []
    animal.keeper = kim
    animal.save()
    assert events()[0].context["changes"]["keeper"] == {"old": None, "new": kim.pk}
    assert run_due() == 1
    assert Execution.objects.get().summary == f"Logged: Kim {kim.pk}"


def test_a_missing_relation_is_null_and_not_an_error() -> None:
    create_rule(model=Animal, condition={"==": [{"var": "instance.keeper.name"}, None]}, actions=LOG)
    Animal.objects.create(name="a")
    assert len(events()) == 1
    assert not RuleError.objects.exists()


def test_to_many_rows_can_be_asked() -> None:
    create_rule(
        model=Keeper,
        condition={"some": [{"var": "instance.animals"}, {">": [{"var": "legs"}, 4]}]},
        actions=[("log_message", {"message": "x"})],
    )
    keeper = Keeper.objects.create(name="Kim")
    Animal.objects.create(name="a", keeper=keeper, legs=6)
    keeper.save()
    assert len(events(model="zoo.keeper")) == 1


@pytest.mark.parametrize("side", ["forward", "reverse"])
def test_relation_changes_are_told_from_the_watched_side(side: str) -> None:
    create_rule(
        model=Animal,
        signals=["m2m_changed"],
        changes=[{"field": "tags"}],
        actions=[("log_message", {"message": "{{ instance.name }} {{ m2m.action }} {{ m2m.side }} {{ m2m.pks }}"})],
    )
    animal, tag = Animal.objects.create(name="a"), Tag.objects.create(name="t")
    if side == "forward":
        animal.tags.add(tag)
        animal.tags.remove(tag)
        animal.tags.add(tag)
        animal.tags.clear()
    else:
        tag.animals.add(animal)
        tag.animals.remove(animal)
        tag.animals.add(animal)
        tag.animals.clear()
    assert [event.operation for event in events()] == ["add", "remove", "add", "clear"]
    assert {event.object_pk for event in events()} == {str(animal.pk)}
    assert all(event.context["m2m"]["pks"] == [tag.pk] for event in events())
    assert {event.context["m2m"]["side"] for event in events()} == {"own" if side == "forward" else "other"}


def test_a_large_relation_change_is_capped_and_counted(settings: Any) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 10}
    create_rule(model=Animal, signals=["m2m_changed"], actions=LOG)
    animal = Animal.objects.create(name="a")
    animal.tags.add(*make_many([Tag(name=str(n)) for n in range(50)]))
    [event] = events()
    assert event.context["m2m"]["count"] == 50
    assert len(event.context["m2m"]["pks"]) == 10


def test_pre_save_and_pre_delete_leave_nothing_when_the_change_fails() -> None:
    create_rule(model=Ticket, signals=["pre_save"], actions=[("log_message", {"message": "x"})])
    animal = Animal.objects.create(name="a")
    ticket = Ticket.objects.create(animal=animal)
    assert len(events()) == 1
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"), transaction.atomic():
        Ticket(id=ticket.pk, animal=animal).save(force_insert=True)
    assert len(events()) == 1


def test_pre_delete_reads_what_is_gone_afterwards() -> None:
    create_rule(
        model=Animal,
        signals=["pre_delete"],
        actions=[("log_message", {"message": "{% for tag in instance.tags %}{{ tag.name }}{% endfor %}"})],
    )
    animal = Animal.objects.create(name="a")
    animal.tags.add(Tag.objects.create(name="striped"))
    animal.delete()
    run_due()
    assert Execution.objects.get().summary == "Logged: striped"


@pytest.mark.parametrize("signal", ["pre_delete", "post_delete"])
def test_what_a_deleted_object_was_fetched_without_is_told_of_its_row(signal: str) -> None:
    was_a = {"==": [{"var": "old.name"}, "a"]}
    create_rule(
        Animal, signals=[signal], condition=was_a, actions=[("log_message", {"message": "{{ instance.legs }}"})]
    )
    for legs in (1, 2, 3):
        Animal.objects.create(name="a", legs=legs)
    whole, part, expression = Animal.objects.all()[0], Animal.objects.only("pk")[1], Animal.objects.all()[2]
    expression.legs = F("legs") + 1
    assert len(statements(part.delete)) == len(statements(whole.delete)) + 1
    expression.delete()
    Animal.objects.bulk_create([Animal(name="a", legs=4), Animal(name="b", legs=5)])
    Animal.objects.only("pk").delete()
    run_due()
    assert sorted(Execution.objects.values_list("summary", flat=True)) == [f"Logged: {legs}" for legs in (1, 2, 3, 4)]


def test_raw_saves_and_paused_code_fire_nothing() -> None:
    create_rule(model=Animal, actions=LOG)
    Animal(name="a", seen_at=timezone.now()).save_base(raw=True)
    with paused():
        Animal.objects.create(name="b")
    assert events() == []


@pytest.mark.parametrize("hears_raw", [False, True])
def test_related_rows_of_a_fixture_are_raw(hears_raw: bool) -> None:
    animal = Animal.objects.create(name="a", seen_at=timezone.now())
    animal.tags.add(Tag.objects.create(name="striped"))
    fixture = serializers.serialize("json", [animal])
    animal.delete()
    create_rule(model=Animal, signals=["post_save", "m2m_changed"], actions=LOG, raw=hears_raw)
    for loaded in serializers.deserialize("json", fixture):
        loaded.save()
    assert [event.signal for event in events()] == (["post_save", "m2m_changed"] if hears_raw else [])
    # What code does with such an object afterwards is no loading.
    loaded.object.tags.clear()
    assert events()[-1].operation == "clear"


def test_who_acted_is_recorded() -> None:
    create_rule(model=Animal, actions=LOG)
    user = get_user_model().objects.create_user("kim")
    with acting_as(user):
        Animal.objects.create(name="a")
    assert (events()[0].actor_id, events()[0].actor_name) == (str(user.pk), "kim")


def test_secrets_are_in_no_event() -> None:
    create_rule(model=Keeper, actions=[("write_audit_entry", {})])
    Keeper.objects.create(name="Kim")
    assert "canary" not in str(events()[0].context)


def test_hostile_text_neither_breaks_the_save_nor_the_row() -> None:
    create_rule(model=Animal, actions=[("write_audit_entry", {})])
    animal = Animal(name="a")
    for value in ["emoji 😀", "bidi \u202e", "x" * 20_000]:
        animal.notes = value
        animal.save()
    # Not stored by this save, and still on the instance that the receiver looks at.
    animal.notes, animal.data = "n\x00ul \ud800", {"inf": float("inf"), "big": 10**40, "nan": [float("nan")]}
    animal.save(update_fields=["legs"])
    assert len(events()) == 4
    length = len(events()[2].context["instance"]["notes"])
    assert 10_000 < length < 10_020


def test_one_event_for_durable_nested_and_autocommit_saves() -> None:
    create_rule(model=Animal, actions=LOG)
    with transaction.atomic(durable=True):
        Animal.objects.create(name="a")
    with transaction.atomic(), transaction.atomic():
        Animal.objects.create(name="b")
    Animal.objects.create(name="c")
    assert [event.context["instance"]["name"] for event in events()] == ["a", "b", "c"]


def test_the_receiver_is_disconnected_when_no_rule_is_left() -> None:
    rule = create_rule(model=Animal, changes=[{"field": "name"}], signals=["post_save", "m2m_changed"], actions=LOG)
    assert post_save.has_listeners(Animal)
    assert pre_save.has_listeners(Animal)
    rule.delete()
    assert not post_save.has_listeners(Animal)
    assert not pre_save.has_listeners(Animal)
    assert not m2m_changed.has_listeners(Animal.tags.through)


def test_a_rule_disabled_by_a_bulk_update_goes_too() -> None:
    rule = create_rule(model=Animal, actions=LOG)
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    from rules_engine.live import cache

    cache.refresh()
    assert not post_save.has_listeners(Animal)


def test_a_model_without_rules_keeps_djangos_fast_paths() -> None:
    create_rule(model=Animal, signals=["post_save", "pre_delete", "post_delete", "m2m_changed"], actions=LOG)
    for signal in (pre_save, post_save, pre_delete, post_delete):
        assert not signal.has_listeners(Bystander)
    assert not m2m_changed.has_listeners(Bystander.tags.through)
    rows = make_many([Bystander(name=str(n)) for n in range(3)])
    Hanger.objects.bulk_create([Hanger(bystander=rows[0]) for _ in range(10_000)])
    hanger = Hanger.objects.create(bystander=rows[1])
    tags = make_many([Tag(name=str(n)) for n in range(10)])
    with transaction.atomic():
        assert len(statements(hanger.delete)) == 1
        assert len(statements(lambda: Hanger.objects.filter(bystander=rows[0]).delete())) == 1
        # A row and what hangs on it: the relation's rows, the hangers, itself, and the look for it.
        assert len(statements(lambda: Bystander.objects.filter(pk=rows[1].pk).delete())) == 4
        assert len(statements(lambda: rows[2].tags.add(*tags))) == 1


def test_a_condition_that_cannot_be_evaluated_is_an_error_not_a_false() -> None:
    rule = create_rule(model=Animal, condition={">": [{"+": [{"var": "instance.weight"}, 1]}, 3]}, actions=LOG)
    Animal.objects.create(name="a")
    error = RuleError.objects.get()
    assert error.rule_slug == rule.slug
    assert "+" in error.message
    assert events()[0].evaluations[0]["outcome"] == "error"
    assert not Execution.objects.exists()


def test_stop_processing_ends_at_the_first_match() -> None:
    create_rule(model=Animal, slug="first", position=1, stop_processing=True, actions=LOG)
    create_rule(model=Animal, slug="second", position=2, actions=LOG)
    Animal.objects.create(name="a")
    assert [one["rule"] for one in events()[0].evaluations] == ["first"]


def test_a_shadow_rule_is_recorded_and_does_nothing() -> None:
    create_rule(model=Animal, shadow=True, actions=LOG)
    Animal.objects.create(name="a")
    assert events()[0].evaluations[0]["outcome"] == "matched"
    assert not Execution.objects.exists()


def test_a_pre_save_rule_on_updates_hears_a_known_object_saved_by_its_key() -> None:
    create_rule(model=Keeper, signals=["pre_save"], operations=["update"], actions=[("log_message", {"message": "x"})])
    keeper = Keeper.objects.create(name="Kim")
    Keeper(pk=keeper.pk, name="Kay").save()
    Keeper(pk=keeper.pk + 1_000_000, name="new").save()
    assert [(event.operation, event.object_pk) for event in events()] == [("update", str(keeper.pk))]


def test_a_pre_save_rule_on_creation_hears_a_deleted_object_saved_anew() -> None:
    create_rule(model=Keeper, signals=["pre_save"], operations=["create"], actions=[("log_message", {"message": "x"})])
    keeper = Keeper.objects.create(name="Kim")
    keeper.delete()
    keeper.save()
    assert [event.operation for event in events()] == ["create", "create"]


def test_a_decimal_is_told_as_the_database_rounds_it() -> None:
    create_rule(model=Animal, changes=[{"field": "weight"}], actions=LOG)
    animal = Animal.objects.create(name="a", weight=decimal.Decimal("0.125"))
    stored = Animal.objects.get(pk=animal.pk).weight
    assert events()[0].context["changes"]["weight"]["new"] == str(stored)
    animal.save()
    assert len(events()) == 1

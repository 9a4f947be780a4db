"""``update`` through querysets that tell the rules: what they see is what saves of the same rows would have shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Concat

from rules_engine import acting_as, paused, watching_bulk
from rules_engine.models import Event, Execution, RuleError
from rules_engine.testing import create_rule, run_due
from tests.factories import make_animals
from tests.statements import statements_of
from tests.threads import run_together
from tests.zoo.models import Animal, Dog, Enclosure, Keeper

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }}"})]


def events(**of: Any) -> list[Event]:
    return list(Event.objects.filter(**of).order_by("created_at", "id"))


def changes_of(field: str) -> dict[str, Any]:
    return {event.context["instance"]["name"]: event.context["changes"][field] for event in events()}


@pytest.fixture
def animals() -> list[Animal]:
    return make_animals("a", "b", "c")


def test_an_update_of_rows_is_an_event_each_with_old_and_new(animals: list[Animal]) -> None:
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    Animal.objects.filter(name="c").update(legs=3)
    with watching_bulk():
        assert Animal.objects.update(legs=3) == 3
    assert changes_of("legs") == {"a": {"old": 4, "new": 3}, "b": {"old": 4, "new": 3}}
    assert {event.object_pk for event in events()} == {str(animals[0].pk), str(animals[1].pk)}
    assert Execution.objects.count() == 2
    run_due()
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}


def test_an_expression_is_told_with_what_was_stored(animals: list[Animal]) -> None:
    Animal.objects.filter(name="a").update(weight=Decimal("9.99"))
    Animal.objects.filter(name="b").update(weight=Decimal("100"))
    create_rule(
        model=Animal, changes=[{"field": "weight"}], condition={">": [{"var": "instance.weight"}, 100]}, actions=LOG
    )
    with watching_bulk():
        Animal.objects.update(weight=F("weight") * Decimal("1.1"))
    assert changes_of("weight") == {"b": {"old": "100.00", "new": "110.00"}}


@pytest.mark.parametrize(("order", "matches"), [("<", "a"), ("<=", "abd"), (">", "c"), (">=", "bcd")])
def test_a_bound_is_kept_to_by_numbers_as_they_are_read(animals: list[Animal], order: str, matches: str) -> None:
    make_animals("d")
    for name, weight in (("a", "9.99"), ("b", "10"), ("c", "10.01")):
        Animal.objects.filter(name=name).update(weight=Decimal(weight))
    with connection.cursor() as cursor:
        # SQLite keeps what others write as they write it; Django reads 10.00.
        cursor.execute("UPDATE zoo_animal SET weight = 10.001 WHERE name = 'd'")
    bound = {order: [{"var": "instance.weight"}, 10]}
    create_rule(model=Animal, changes=[{"field": "legs"}], condition=bound, actions=LOG)
    create_rule(model=Animal, changes=[{"field": "weight"}], condition=bound, actions=LOG)
    with watching_bulk(), transaction.atomic():
        Animal.objects.update(legs=3)
        assert sorted(changes_of("legs")) == list(matches)
        Event.objects.all().delete()
        Animal.objects.update(weight=F("weight") + 1 - 1, legs=F("legs") + 1)
        assert sorted(changes_of("legs")) == list(matches)


def test_a_conditional_expression_is_told_row_by_row(animals: list[Animal]) -> None:
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    with watching_bulk():
        Animal.objects.update(legs=Case(When(name="b", then=Value(2)), default=F("legs")))
    assert changes_of("legs") == {"b": {"old": 4, "new": 2}}


@pytest.mark.parametrize("is_created", [False, True])
def test_what_related_rows_come_to_is_read_by_one_query_for_all(is_created: bool) -> None:
    keepers = [Keeper.objects.create(name=name) for name in "abc"]
    for keeper, weights in zip(keepers, ([1, 2], [5], []), strict=True):
        Animal.objects.bulk_create([Animal(name="x", keeper=keeper, weight=weight) for weight in weights])
    create_rule(
        model=Keeper,
        condition={"<": [{"var": "instance.animals__count"}, 3]},
        actions=[("log_message", {"message": "{{ instance.name }}: {{ instance.animals__weight__sum }}"})],
    )
    with watching_bulk():
        if is_created:
            found = statements_of(lambda: Keeper.objects.bulk_create([Keeper(name="d"), Keeper(name="e")]))
        else:
            found = statements_of(lambda: Keeper.objects.update(name=Concat("name", Value("!"))))
    assert sum(one.startswith("SELECT") and "zoo_animal" in one for one in found) == 1
    told = {
        event.context["instance"]["name"]: (
            event.context["instance"]["animals__count"],
            event.context["instance"]["animals__weight__sum"],
        )
        for event in events()
    }
    if is_created:
        assert told == {"d": (0, "0.00"), "e": (0, "0.00")}
    else:
        assert told == {"a!": (2, "3.00"), "b!": (1, "5.00"), "c!": (0, "0.00")}


@pytest.mark.parametrize("text", ["100 %", "%s %(a)s %%", 'it\'s \\ "so"', "ä; DROP TABLE x --", "{}"])
def test_texts_of_many_rows_are_recorded_as_they_are(text: str) -> None:
    make_animals(*"abcdefghij")
    create_rule(model=Animal, changes=[{"field": "name"}], actions=LOG)
    with watching_bulk():
        Animal.objects.update(name=text)
    assert [event.context["instance"]["name"] for event in events()] == [text] * 10
    run_due()
    assert {one.summary for one in Execution.objects.all()} == {f"Logged: {text}"}


def test_a_parents_column_is_told_to_rules_on_parent_and_child() -> None:
    Dog.objects.create(name="d", breed="x")
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    create_rule(model=Dog, changes=[{"field": "legs"}], actions=LOG)
    with watching_bulk():
        Dog.objects.filter(name="d", breed="x").update(legs=3, breed="y")
    [event] = events()
    assert event.context["changes"]["legs"] == {"old": 4, "new": 3}
    assert Execution.objects.count() == 2
    assert Dog.objects.values_list("legs", "breed").get() == (3, "y")


def test_an_expression_is_told_of_rows_whose_key_is_a_relation() -> None:
    dogs = [Dog.objects.create(name=name, legs=legs) for name, legs in (("a", 3), ("b", 4))]
    create_rule(model=Dog, changes=[{"field": "legs", "to": 4}], actions=LOG)
    with watching_bulk():
        Dog.objects.update(legs=F("legs") + 1)
        assert [event.object_pk for event in events()] == [str(dogs[0].pk)]
        dogs[1].legs = 4
        Dog.objects.bulk_update([dogs[1]], ["legs"])
    assert events()[-1].context["changes"]["legs"] == {"old": 5, "new": 4}
    assert not RuleError.objects.exists()


def test_a_filter_on_related_rows_is_told_for_just_those(animals: list[Animal]) -> None:
    keeper = Keeper.objects.create(name="k")
    Animal.objects.filter(name__in="ab").update(keeper=keeper)
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    with watching_bulk():
        assert Animal.objects.filter(keeper__name="k").update(legs=1) == 2
    assert set(changes_of("legs")) == {"a", "b"}
    assert Animal.objects.filter(legs=1).count() == 2


def test_an_update_that_no_rule_hears_is_one_statement(animals: list[Animal]) -> None:
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    create_rule(model=Animal, changes=[{"field": "notes", "to": "x"}], actions=LOG)
    create_rule(model=Animal, operations=["create"], actions=LOG)
    create_rule(model=Animal, signals=["post_delete"], actions=LOG)
    with watching_bulk():
        for values in ({"name": "z"}, {"notes": "y"}):
            assert len(statements_of(lambda values=values: Animal.objects.update(**values))) == 1  # type: ignore[misc]
        with paused():
            assert len(statements_of(lambda: Animal.objects.update(legs=9))) == 1
        assert len(statements_of(lambda: Keeper.objects.update(name="k"))) == 1
    assert len(statements_of(lambda: Animal.objects.update(legs=8))) == 1
    assert events() == []


def test_what_is_rolled_back_leaves_nothing(animals: list[Animal]) -> None:
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    with watching_bulk(), transaction.atomic():
        Animal.objects.update(legs=3)
        assert Event.objects.count() == 3
        transaction.set_rollback(True)
    assert events() == []
    assert Execution.objects.count() == 0
    assert not Animal.objects.filter(legs=3).exists()


def test_whoever_acts_is_told_of_each_row(animals: list[Animal], django_user_model: Any) -> None:
    ada = django_user_model.objects.create(username="ada")
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    with acting_as(ada), watching_bulk():
        Animal.objects.update(legs=3)
    assert {event.actor_name for event in events()} == {"ada"}
    assert len(events()) == 3


def test_related_objects_are_read_by_one_query_for_all_rows(animals: list[Animal]) -> None:
    keeper = Keeper.objects.create(name="k")
    Animal.objects.update(keeper=keeper)
    create_rule(
        model=Animal,
        changes=[{"field": "legs"}],
        condition={"==": [{"var": "instance.keeper.name"}, "k"]},
        actions=[("log_message", {"message": "{{ instance.keeper.name }}"})],
    )
    with watching_bulk():
        found = statements_of(lambda: Animal.objects.update(legs=3))
    assert len(events()) == 3
    # The old values, the update, the objects with their keepers, the events, the executions.
    assert len([one for one in found if not one.startswith(("BEGIN", "DELETE", "COMMIT"))]) == 5
    assert sum("zoo_keeper" in one for one in found) == 1


def test_django_refuses_what_it_refuses_without_us(animals: list[Animal]) -> None:
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    with watching_bulk():
        with pytest.raises(TypeError, match="slice"):
            Animal.objects.all()[:1].update(legs=3)
        with pytest.raises(Exception, match="nothing"):
            Animal.objects.update(nothing=3)
        with pytest.raises(Exception, match="tags"):
            Animal.objects.update(tags=3)
        with pytest.raises(Exception, match="union"):
            Animal.objects.all().union(Animal.objects.all()).update(legs=3)
    assert events() == []


def test_another_key_is_an_error_of_the_rules_and_not_of_the_write() -> None:
    keeper = Keeper.objects.create(name="k")
    create_rule(model=Keeper, actions=LOG)
    with watching_bulk():
        assert Keeper.objects.filter(pk=keeper.pk).update(id=keeper.pk + 7) == 1
    assert "another key" in RuleError.objects.get().message
    assert Keeper.objects.get().pk == keeper.pk + 7


def test_another_part_of_a_key_is_an_error_of_the_rules_too() -> None:
    Enclosure.objects.create(house=1, number=2)
    create_rule(model=Enclosure, actions=LOG)
    with watching_bulk():
        assert Enclosure.objects.update(house=F("house") + 1) == 1
    assert "another key" in RuleError.objects.get().message


def test_a_block_is_for_its_own_thread_alone(animals: list[Animal]) -> None:
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    with watching_bulk():
        run_together(1, lambda number: Animal.objects.update(legs=number))
    Animal.objects.update(legs=7)
    assert events() == []

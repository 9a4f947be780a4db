"""``bulk_create`` and ``bulk_update`` through querysets that tell the rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from rules_engine import paused, watching_bulk
from rules_engine.errors import Rejected
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.factories import make_animals
from tests.integration.noting import note
from tests.statements import statements_of
from tests.zoo.models import Animal, Club, Enclosure, Keeper, Plaque, Ticket

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }}"})]
TITLE = [("log_message", {"message": "{{ instance.title }} {{ old.title }}"})]


def events(**of: Any) -> list[Event]:
    return list(Event.objects.filter(**of).order_by("created_at", "id"))


def told() -> list[tuple[str, str, str]]:
    return sorted((event.operation, event.context["instance"]["title"], event.object_pk) for event in events())


@pytest.fixture
def watching() -> Any:
    with watching_bulk():
        yield


@pytest.fixture
def keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database whose INSERT returns no rows, as MySQL's."""
    monkeypatch.setattr(type(connection.features), "can_return_rows_from_bulk_insert", False)


@pytest.mark.usefixtures("watching")
def test_each_object_is_told_as_created_with_its_key() -> None:
    create_rule(model=Animal, operations=["create"], changes=[{"field": "legs", "to": 2}], actions=LOG)
    create_rule(model=Animal, operations=["update"], actions=LOG)
    Animal.objects.bulk_create([Animal(name="a", legs=2), Animal(name="b"), Animal(name="c", legs=2)])
    a, _, c = Animal.objects.order_by("name").values_list("pk", flat=True)
    assert [(e.object_pk, e.operation) for e in events()] == [(str(a), "create"), (str(c), "create")]
    assert [e.context["created"] for e in events()] == [True, True]
    run_due()
    assert Execution.objects.filter(state="succeeded").count() == 2


@pytest.mark.usefixtures("watching")
def test_objects_that_no_rule_hears_of_are_inserted_by_one_statement() -> None:
    create_rule(model=Animal, operations=["update"], actions=LOG)
    create_rule(model=Keeper, actions=LOG)
    assert len([s for s in statements_of(lambda: Animal.objects.bulk_create([Animal(name="a")])) if "zoo" in s]) == 1
    with paused():
        Keeper.objects.bulk_create([Keeper(name="k")])
    assert events() == []


@pytest.mark.usefixtures("watching")
def test_an_insert_that_fails_leaves_nothing_behind() -> None:
    create_rule(model=Club, signals=["pre_save", "post_save"], actions=LOG)
    with pytest.raises(IntegrityError):
        Club.objects.bulk_create([Club(name="a"), Club(name="a")])
    assert events() == []


@pytest.mark.usefixtures("watching")
def test_related_objects_of_the_created_are_read_by_one_query() -> None:
    keeper = Keeper.objects.create(name="k")
    create_rule(model=Animal, condition={"==": [{"var": "instance.keeper.name"}, "k"]}, actions=LOG)
    new = [Animal(name=name, keeper=keeper) for name in "abc"] + [Animal(name="d")]
    found = statements_of(lambda: Animal.objects.bulk_create(new))
    assert [event.context["instance"]["name"] for event in events()] == ["a", "b", "c"]
    assert sum("zoo_keeper" in one for one in found if one.startswith("SELECT")) == 1


@pytest.mark.usefixtures("watching", "noted")
def test_before_the_insert_rules_change_the_objects_or_refuse_them() -> None:
    upper = [("set_fields", {"fields": [{"field": "notes", "value": "{{ instance.name|upper }}"}]})]
    create_rule(model=Animal, signals=["pre_save"], actions=upper)
    veto = [("reject", {"message": "No {{ instance.name }}."})]
    create_rule(
        model=Animal, signals=["pre_save"], condition={"==": [{"var": "instance.name"}, "cat"]}, actions=veto, slug="v"
    )
    Animal.objects.bulk_create([Animal(name="a"), Animal(name="b")])
    assert list(Animal.objects.order_by("name").values_list("notes", flat=True)) == ["A", "B"]
    with pytest.raises(Rejected, match="No cat"):
        Animal.objects.bulk_create([Animal(name="c"), Animal(name="cat")])
    assert Animal.objects.count() == 2
    [rejected] = Execution.objects.filter(rule_slug="v")
    assert rejected.summary == "Rejected: No cat."


@pytest.mark.usefixtures("watching")
def test_a_refusal_leaves_the_callers_transaction_as_it_was() -> None:
    create_rule(model=Animal, signals=["pre_save"], operations=["update"], actions=[("reject", {"message": "No."})])
    with transaction.atomic():
        Animal.objects.create(name="a")
        with pytest.raises(Rejected):
            Animal.objects.update(legs=2)
        assert Animal.objects.get().legs == 4
    assert Animal.objects.count() == 1
    assert Event.objects.count() == 1


@pytest.mark.usefixtures("watching", "noted")
def test_what_acts_before_a_save_says_that_an_update_is_too_late() -> None:
    make_animals("a")
    create_rule(model=Animal, signals=["pre_save"], actions=[note("x", timing="before_save")])
    Animal.objects.update(legs=2)
    assert "without their objects" in Execution.objects.get().error
    assert Execution.objects.get().state == "discarded"
    assert Animal.objects.get().legs == 2


@pytest.mark.usefixtures("watching")
def test_what_acts_in_the_transaction_acts_for_each_row(noted: list[str]) -> None:
    make_animals("a", "b")
    create_rule(model=Animal, actions=[note("{{ instance.name }}", timing="in_transaction")])
    Animal.objects.update(legs=2)
    Animal.objects.bulk_create([Animal(name="c")])
    assert sorted(noted) == ["a", "b", "c"]


@pytest.mark.usefixtures("watching", "noted")
def test_an_action_whose_failure_undoes_the_change_undoes_all_rows() -> None:
    make_animals("a", "b")
    create_rule(model=Animal, actions=[note("{{ instance.name }}", "b", timing="in_transaction", on_failure="stop")])
    with pytest.raises(Exception, match="nothing is to be done without it"):
        Animal.objects.update(legs=2)
    assert not Animal.objects.filter(legs=2).exists()
    assert events() == []


@pytest.mark.usefixtures("watching")
def test_rows_that_were_there_and_are_passed_by_are_not_told() -> None:
    Plaque.objects.create(title="old", slug="a")
    create_rule(model=Plaque, actions=TITLE)
    create_rule(model=Plaque, signals=["pre_save"], actions=TITLE)
    slugs = {"1": "a", "2": "b", "3": None, "4": "b"}
    new = [Plaque(title=title, slug=slug) for title, slug in slugs.items()]
    Plaque.objects.bulk_create(new, ignore_conflicts=True)
    keys = {plaque.title: str(plaque.pk) for plaque in Plaque.objects.all()}
    assert set(keys) == {"old", "2", "3"}
    after = [(e.operation, e.context["instance"]["title"], e.object_pk) for e in events(signal="post_save")]
    # Where an INSERT returns no rows, one that has no unique value is not found again.
    found = ("2", "3") if connection.features.can_return_rows_from_bulk_insert else ("2",)
    assert sorted(after) == [("create", title, keys[title]) for title in found]


@pytest.mark.usefixtures("watching")
def test_one_object_alone_may_be_passed_by() -> None:
    Plaque.objects.create(title="old", slug="a")
    create_rule(model=Plaque, actions=TITLE)
    Plaque.objects.bulk_create([Plaque(title="1", slug="a")], ignore_conflicts=True)
    assert events() == []
    Plaque.objects.bulk_create([Plaque(title="1", slug="c")], ignore_conflicts=True)
    assert [title for _, title, _ in told()] == ["1"]


@pytest.mark.usefixtures("watching")
def test_rows_with_a_key_of_two_columns_may_be_passed_by() -> None:
    Enclosure.objects.create(house=1, number=1, name="old")
    create_rule(model=Enclosure, actions=LOG)
    new = [Enclosure(house=1, number=number, name="new") for number in (1, 2)]
    Enclosure.objects.bulk_create(new, ignore_conflicts=True)
    assert [(event.operation, event.object_pk) for event in events()] == [("create", "[1, 2]")]


@pytest.mark.usefixtures("watching")
def test_of_conflicts_that_update_it_is_told_which_were_updated() -> None:
    there = Plaque.objects.create(title="old", slug="a", words="w")
    create_rule(model=Plaque, changes=[{"field": "title"}], actions=TITLE)
    unique = {"unique_fields": ["slug"]} if connection.features.supports_update_conflicts_with_target else {}
    Plaque.objects.bulk_create(
        [Plaque(title="new", slug="a", words="x"), Plaque(title="more", slug="b")],
        update_conflicts=True,
        update_fields=["title"],
        **unique,
    )
    assert told() == [
        ("create", "more", str(Plaque.objects.get(slug="b").pk)),
        ("update", "new", str(there.pk)),
    ]
    [updated] = events(operation="update")
    assert updated.context["changes"] == {"title": {"old": "old", "new": "new"}}


@pytest.mark.usefixtures("watching")
def test_a_row_that_keeps_its_key_is_told_by_that_and_not_by_the_objects() -> None:
    there = Plaque.objects.create(title="old", slug="a", words="w")
    create_rule(model=Plaque, changes=[{"field": "title"}], actions=TITLE)
    unique = {"unique_fields": ["slug"]} if connection.features.supports_update_conflicts_with_target else {}
    fresh = there.pk + 1_000  # as a UUID that Python makes
    Plaque.objects.bulk_create(
        [Plaque(pk=fresh, title="new", slug="a", words="x"), Plaque(pk=fresh + 1, title="more", slug="b", words="y")],
        update_conflicts=True,
        update_fields=["title"],
        **unique,
    )
    assert told() == [("create", "more", str(fresh + 1)), ("update", "new", str(there.pk))]
    assert events(operation="update")[0].context["changes"] == {"title": {"old": "old", "new": "new"}}


@pytest.mark.usefixtures("watching", "keyless")
def test_keys_are_found_where_the_database_returns_none() -> None:
    create_rule(model=Plaque, actions=TITLE)
    Plaque.objects.bulk_create([Plaque(title="1"), Plaque(title="2")])
    Plaque.objects.bulk_create([Plaque(title="3", slug="c"), Plaque(title="4", slug="c")], ignore_conflicts=True)
    keys = {plaque.title: str(plaque.pk) for plaque in Plaque.objects.all()}
    counted = {("create", "1", keys["1"]), ("create", "2", keys["2"])} if connection.vendor == "mysql" else set()
    assert set(told()) == {("create", "3", keys["3"])} | counted


@pytest.mark.usefixtures("watching")
def test_keys_that_python_gives_are_told_too() -> None:
    [animal] = make_animals("a")
    create_rule(model=Ticket, actions=[("log_message", {"message": "{{ instance.price }}"})])
    made = Ticket.objects.bulk_create([Ticket(animal=animal, price=Decimal(2)), Ticket(animal=animal)])
    assert {event.object_pk for event in events()} == {str(one.pk) for one in made}


@pytest.mark.usefixtures("watching")
def test_a_bulk_update_is_told_object_by_object() -> None:
    one, other, same = make_animals("a", "b", "c")
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    one.legs, other.legs, other.name = 2, 3, "never stored"
    assert Animal.objects.bulk_update([one, other, same], ["legs"]) == 3
    changes = {e.context["instance"]["name"]: e.context["changes"]["legs"] for e in events()}
    assert changes == {"a": {"old": 4, "new": 2}, "b": {"old": 4, "new": 3}}


@pytest.mark.usefixtures("watching", "noted")
def test_before_a_bulk_update_rules_change_what_it_writes_or_refuse_it() -> None:
    one, other = make_animals("a", "b")
    create_rule(
        model=Animal,
        signals=["pre_save"],
        operations=["update"],
        changes=[{"field": "legs"}],
        actions=[("set_fields", {"fields": [{"field": "legs", "value": 6}, {"field": "notes", "value": "unwritten"}]})],
    )
    create_rule(model=Animal, changes=[{"field": "legs"}], actions=LOG)
    one.legs = 5
    Animal.objects.bulk_update([one, other], ["legs"])
    assert list(Animal.objects.order_by("name").values_list("legs", "notes")) == [(6, ""), (4, "")]
    assert len(events(signal="pre_save")) == 1
    [after] = events(signal="post_save")
    assert after.context["changes"]["legs"] == {"old": 4, "new": 6}
    create_rule(model=Animal, signals=["pre_save"], operations=["update"], actions=[("reject", {"message": "No."})])
    with pytest.raises(Rejected):
        Animal.objects.bulk_update([one, other], ["name"])
    with pytest.raises(ValueError, match="primary key"):
        Animal.objects.bulk_update([Animal(name="x")], ["name"])

"""What is told of a change: values as the database has them, and no change where nothing changed."""

from __future__ import annotations

import datetime
import enum
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.dispatch import Signal
from django.forms import modelform_factory

from rules_engine import register_signal
from rules_engine.live import faults
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal, Cage, Dog, Enclosure, Feeding, Keeper, Tag

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "x"})]
AUDIT = [("write_audit_entry", {})]
TEN = datetime.datetime(2026, 1, 1, 10, tzinfo=datetime.UTC)
BERLIN_WINTER = datetime.timezone(datetime.timedelta(hours=1))

bell = Signal()
register_signal("zoo.bell", bell)


class Mood(str, enum.Enum):  # noqa: UP042 - StrEnum prints its value, this prints "Mood.CALM"
    CALM = "calm"


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    before = faults.of_process.total
    yield
    assert faults.of_process.total == before, "the receiver failed"


def told() -> list[Event]:
    return list(Event.objects.order_by("created_at", "id"))


@pytest.mark.parametrize(
    ("field", "first", "again"),
    [
        ("fed_at", TEN, TEN.astimezone(BERLIN_WINTER)),
        ("born", datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC)),
        ("name", "5", 5),
        ("blob", b"abc", b"abc"),
    ],
)
def test_the_same_value_in_another_guise_is_no_change(field: str, first: Any, again: Any) -> None:
    create_rule(model=Animal, operations=["update"], changes=[{"field": field}], actions=LOG)
    animal = Animal.objects.create(**{"name": "a", field: first})
    setattr(animal, field, again)
    animal.save()
    assert told() == []


def test_a_form_that_gives_back_the_same_local_time_changes_nothing(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    create_rule(model=Animal, operations=["update"], changes=[{"field": "fed_at"}], actions=LOG)
    animal = Animal.objects.create(name="a", fed_at=TEN)
    form = modelform_factory(Animal, fields=["name", "fed_at"])
    form({"name": "b", "fed_at": "2026-01-01 11:00:00"}, instance=Animal.objects.get()).save()
    animal.refresh_from_db()
    assert (animal.name, animal.fed_at) == ("b", TEN)
    assert told() == []


def test_a_change_behind_the_cut_of_a_long_text_is_a_change() -> None:
    create_rule(model=Animal, operations=["update"], changes=[{"field": "notes"}], actions=LOG)
    animal = Animal.objects.create(name="a", notes="x" * 10_001)
    animal.save()
    assert told() == []
    animal.notes += "y"
    animal.save()
    assert len(told()) == 1


def test_a_text_that_is_an_enum_is_told_by_its_value() -> None:
    create_rule(model=Animal, condition={"==": [{"var": "instance.name"}, "calm"]}, actions=LOG)
    Animal.objects.create(name=Mood.CALM)
    assert len(told()) == 1


def test_a_condition_does_not_see_what_update_fields_leaves_out() -> None:
    condition = {"==": [{"var": "instance.name"}, "never stored"]}
    create_rule(model=Animal, operations=["update"], condition=condition, actions=LOG)
    animal = Animal.objects.create(name="a")
    animal.name, animal.legs = "never stored", 3
    animal.save(update_fields=["legs"])
    assert told() == []


def test_a_deferred_field_is_told_as_stored_before_the_save_too() -> None:
    condition = {"==": [{"var": "instance.notes"}, "n"]}
    create_rule(model=Animal, signals=["pre_save"], operations=["update"], condition=condition, actions=LOG)
    Animal.objects.create(name="a", notes="n")
    Animal.objects.only("name").get().save()
    assert len(told()) == 1


def test_a_generated_column_is_told_as_the_update_left_it() -> None:
    create_rule(model=Feeding, operations=["update"], condition={"==": [{"var": "instance.grams"}, 10]}, actions=LOG)
    Feeding.objects.create(portions=1)
    feeding = Feeding.objects.get()
    feeding.portions = 5
    feeding.save()
    assert len(told()) == 1


def test_what_the_database_fills_in_is_told_as_it_did() -> None:
    create_rule(model=Cage, signals=["pre_save", "post_save"], changes=[{"field": "name"}], actions=AUDIT)
    Cage().save()
    [event] = [event for event in told() if event.signal == "post_save"]
    assert event.object_pk == "spare"
    assert event.context["instance"] == {"code": "spare", "name": "empty", "pk": "spare"}


def test_a_key_of_two_columns_is_told_at_creation_change_and_deletion() -> None:
    signals = ["pre_save", "post_save", "pre_delete", "post_delete"]
    create_rule(model=Enclosure, signals=signals, actions=AUDIT)
    enclosure = Enclosure.objects.create(house=1, number=2, name="a")
    enclosure.name = "b"
    enclosure.save()
    enclosure.delete()
    # Within one millisecond SQLite keeps no order.
    assert Counter(event.signal for event in told()) == {name: 2 if "save" in name else 1 for name in signals}
    assert {event.object_pk for event in told()} == {"[1, 2]"}
    run_due()
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_row_with_a_key_of_two_columns_has_old_values() -> None:
    create_rule(model=Enclosure, operations=["update"], changes=[{"field": "name"}], actions=LOG)
    enclosure = Enclosure.objects.create(house=1, number=2, name="a")
    Enclosure.objects.create(house=1, number=3, name="other")
    enclosure.name = "b"
    enclosure.save()
    [event] = told()
    assert event.context["changes"] == {"name": {"old": "a", "new": "b"}}


def test_related_rows_are_not_taken_from_what_the_caller_prefetched() -> None:
    condition = {"==": [{"length": {"var": "instance.animals"}}, 1]}
    create_rule(model=Keeper, operations=["update"], condition=condition, actions=LOG)
    Keeper.objects.create(name="k")
    keeper = Keeper.objects.prefetch_related("animals").get()
    Animal.objects.create(name="a", keeper=keeper)
    keeper.save()
    assert len(told()) == 1
    assert list(keeper.animals.all()) == [], "the caller's own prefetch was thrown away"


def test_a_related_object_is_told_as_stored_and_not_as_the_caller_left_it() -> None:
    create_rule(model=Animal, condition={"==": [{"var": "instance.keeper.name"}, "never stored"]}, actions=LOG)
    keeper = Keeper.objects.create(name="k")
    keeper.name = "never stored"
    Animal.objects.create(name="a", keeper=keeper)
    assert told() == []


def test_a_rule_on_a_descendant_does_not_hear_its_parents_relations() -> None:
    create_rule(model=Animal, slug="animals", signals=["m2m_changed"], actions=LOG)
    condition = {"==": [{"var": "instance.breed"}, "pug"]}
    create_rule(model=Dog, slug="dogs", signals=["m2m_changed"], position=-1, condition=condition, actions=LOG)
    tag = Tag.objects.create(name="t")
    Animal.objects.create(name="cat").tags.add(tag)
    Dog.objects.create(name="dog", breed="pug").tags.add(tag)
    matched = [sorted(one["rule"] for one in event.evaluations if one["outcome"] == "matched") for event in told()]
    assert sorted(matched) == [["animals"], ["animals"], ["dogs"]]


@pytest.mark.parametrize("arguments", [{"raw": "payload"}, {"using": "stripe"}])
def test_a_signal_without_a_model_may_use_djangos_argument_names(arguments: dict[str, str]) -> None:
    create_rule(signals=["zoo.bell"], actions=LOG)
    bell.send(sender=object, **arguments)
    [event] = told()
    assert event.context["signal"].items() >= arguments.items()

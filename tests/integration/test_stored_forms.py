"""Compared and told is what a column will hold, whatever an instance holds of it."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from rules_engine.errors import InvalidRule
from rules_engine.models import AuditEntry, Event
from rules_engine.rules import registry
from rules_engine.testing import create_rule, run_due
from tests.integration.noting import Note, note
from tests.zoo.fields import SchemaField, Ulid
from tests.zoo.models import Animal, Capsule, Feeding, Pill, Plaque

pytestmark = pytest.mark.django_db(transaction=True)

TEN = datetime.datetime(2026, 3, 1, 10, tzinfo=datetime.UTC)
LOG = [("log_message", {"message": "x"})]


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    """What is told of a field that hides its value, where a site says that it is no secret."""
    settings.RULES_ENGINE = {
        **settings.RULES_ENGINE,
        "SENSITIVE_EXCEPTIONS": ["zoo.capsule.sealed", "zoo.capsule.loud"],
    }


@pytest.fixture(autouse=True)
def _noting() -> Iterator[None]:
    registry.register_action(Note)
    Note.noted, Note.contexts = [], []
    yield
    del registry._actions[Note.kind]


def noted() -> list[str]:
    run_due()
    return Note.noted


def changes() -> list[dict[str, Any]]:
    return [event.context["changes"] for event in Event.objects.order_by("created_at", "id")]


def naive(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts)  # noqa: DTZ001 - without a zone is the point


@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
@pytest.mark.parametrize("value", [naive(2026, 3, 1, 10), "2026-03-01 10:00:00", "2026-03-01T11:00+01:00"])
def test_a_moment_without_a_zone_is_the_same_moment(value: Any) -> None:
    animal = Animal.objects.create(name="a", fed_at=TEN)
    create_rule(model=Animal, changes=[{"field": "fed_at"}], actions=LOG)
    animal.fed_at = value
    animal.save()
    assert changes() == []


@pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning")
def test_a_moment_without_a_zone_is_told_as_it_is_stored(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    create_rule(model=Animal, actions=[note("{{ instance.fed_at }}")])
    animal = Animal.objects.create(name="a", fed_at=naive(2026, 7, 1, 10))
    animal.refresh_from_db()
    assert noted() == [animal.fed_at.isoformat()] == ["2026-07-01T08:00:00+00:00"]


@pytest.mark.parametrize("written", ["2026-03-01T10:00:00", "2026-03-01 10:00", "2026-03-01T10:00:00Z"])
def test_a_change_to_a_moment_may_be_written_without_a_zone(written: str) -> None:
    create_rule(model=Animal, changes=[{"field": "fed_at", "to": written}], actions=LOG)
    animal = Animal.objects.create(name="a")
    animal.fed_at = TEN
    animal.save()
    assert len(changes()) == 1


@pytest.mark.parametrize(
    ("old", "new", "is_change"),
    [
        (1, True, True),
        ({"on": 1}, {"on": True}, True),
        ([[{"on": [0]}]], [[{"on": [False]}]], True),
        ({"on": 1}, {"on": 1.0}, False),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, False),
        ({"1": "x"}, {1: "x"}, False),
        ({"true": "x"}, {True: "x"}, False),
        ([1, 2], (1, 2), False),
        (list(range(1500)), [*range(1499), -1], True),
        (list(range(1500)), list(range(1501)), True),
        (list(range(1500)), list(range(1500)), False),
        ({str(n): n for n in range(1500)}, {**{str(n): n for n in range(1500)}, "1499": -1}, True),
        ({str(n): n for n in range(1500)}, {str(n): n for n in reversed(range(1500))}, False),
        ([[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]], [[[[[[[[[[[[[[[[[[[[2]]]]]]]]]]]]]]]]]]]], True),
        (["a" * 20000], ["a" * 19999 + "b"], True),
        ({"k" * 300 + "a": 1}, {"k" * 300 + "b": 1}, True),
    ],
)
def test_json_is_compared_as_json(old: Any, new: Any, is_change: bool) -> None:
    animal = Animal.objects.create(name="a", data=old)
    create_rule(model=Animal, changes=[{"field": "data"}], actions=LOG)
    animal.data = new
    animal.save()
    assert bool(changes()) is is_change


def test_a_change_to_one_is_none_to_true() -> None:
    animal = Animal.objects.create(name="a", data=0)
    create_rule(model=Animal, changes=[{"field": "data", "to": 1}], actions=LOG)
    animal.data = True
    animal.save()
    assert changes() == []
    animal.data = 1
    animal.save()
    assert len(changes()) == 1


def test_json_is_told_as_its_encoder_writes_it() -> None:
    capsule = Capsule.objects.create(id=Ulid("a"), rich={"at": TEN})
    create_rule(model=Capsule, changes=[{"field": "rich"}], actions=LOG)
    create_rule(model=Capsule, actions=[note("{{ instance.rich.at }}")])
    capsule.save()
    assert noted() == ["2026-03-01T10:00:00Z"]
    assert [change for change in changes() if "rich" in change] == []


@pytest.mark.parametrize(
    ("field", "first", "again", "new", "told"),
    [
        ("mail", "a@example.org", "A@Example.org", "B@example.org", "b@example.org"),
        ("tags", ["a", "b"], ["a", "b"], ["a"], ["a"]),
        ("sealed", "canary", "canary", "bird", "bird"),
        ("schema", {"n": 1}, SchemaField.Object({"n": 1}), SchemaField.Object({"n": 2}), {"n": 2}),
        ("lasted", datetime.timedelta(seconds=90), datetime.timedelta(minutes=1.5), datetime.timedelta(0, 0.5), 0.5),
    ],
)
def test_a_field_is_told_as_it_is_stored(field: str, first: Any, again: Any, new: Any, told: Any) -> None:
    create_rule(model=Capsule, operations=["update"], changes=[{"field": field}], actions=LOG)
    capsule = Capsule.objects.create(id=Ulid("a"), **{field: first})
    setattr(capsule, field, again)
    capsule.save()
    Capsule.objects.get().save()
    assert changes() == []
    setattr(capsule, field, new)
    capsule.save()
    assert [change[field]["new"] for change in changes()] == [told]


def test_a_path_leads_into_json_that_python_has_as_an_object() -> None:
    create_rule(model=Capsule, condition={"==": [{"var": "instance.schema.n"}, 2]}, actions=[note("two")])
    Capsule.objects.create(id=Ulid("a"), schema=SchemaField.Object({"n": 1}))
    Capsule.objects.create(id=Ulid("b"), schema=SchemaField.Object({"n": 2}))
    assert noted() == ["two"]


def test_a_path_into_what_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidRule):
        create_rule(model=Capsule, condition={"==": [{"var": "instance.id.text"}, 2]}, actions=LOG)


def test_a_column_is_told_by_what_its_attribute_gives() -> None:
    create_rule(model=Capsule, operations=["update"], changes=[{"field": "spoken"}], actions=LOG)
    capsule = Capsule.objects.create(id=Ulid("a"), name="one")
    capsule.save()
    assert changes() == []
    capsule.name = "two"
    capsule.save()
    [change] = changes()
    assert change["spoken"] == {"old": "one", "new": "two"}
    assert Capsule.objects.values_list("spoken").get() == ("two",)


def test_a_related_object_is_told_by_its_row_and_not_by_its_attribute() -> None:
    create_rule(model=Pill, actions=[note("{{ instance.capsule.spoken }}")])
    capsule = Capsule.objects.create(id=Ulid("a"), name="one")
    Capsule.objects.update(name="two")
    Pill.objects.create(capsule=capsule)
    assert noted() == ["one"]


def test_a_change_may_be_to_a_list() -> None:
    create_rule(model=Capsule, changes=[{"field": "tags", "to": ["a", "b"]}], actions=LOG)
    with pytest.raises(InvalidRule):
        create_rule(model=Capsule, changes=[{"field": "name", "to": ["a", "b"]}], actions=LOG)
    capsule = Capsule.objects.create(id=Ulid("a"))
    capsule.tags = ["a", "b"]
    capsule.save()
    assert len(changes()) == 1


@pytest.mark.parametrize("end", ["from", "to"])
def test_a_choice_that_may_be_blank_can_be_asked_for(end: str) -> None:
    create_rule(model=Plaque, changes=[{"field": "size", end: ""}], actions=LOG)
    with pytest.raises(InvalidRule, match="no value of"):
        create_rule(model=Plaque, changes=[{"field": "size", end: "xl"}], actions=LOG)
    plaque = Plaque.objects.create(size="s" if end == "to" else "")
    plaque.size = "" if end == "to" else "s"
    plaque.save()
    assert [change["size"][{"from": "old", "to": "new"}[end]] for change in changes()] == [""]


def test_a_column_is_read_through_the_expression_that_selects_it() -> None:
    create_rule(model=Capsule, operations=["update"], changes=[{"field": "loud"}], actions=LOG)
    capsule = Capsule.objects.create(id=Ulid("a"), loud="hush")
    capsule.loud = "HUSH"
    capsule.save()
    assert changes() == []
    capsule.loud = "HEY"
    capsule.save()
    assert changes()[0]["loud"] == {"old": "HUSH", "new": "HEY"}


def test_an_object_with_a_key_of_its_own_type_is_found_again() -> None:
    done = [{"field": "name", "value": "done"}]
    create_rule(model=Capsule, operations=["create"], actions=[("update_objects", {"values": done})])
    create_rule(model=Capsule, operations=["create"], actions=[("write_audit_entry", {})])
    create_rule(model=Pill, actions=[note("{{ instance.capsule_id }} {{ instance.capsule.pk }}")])
    capsule = Capsule.objects.create(id=Ulid("01ABC"))
    Pill.objects.create(capsule=capsule)
    assert noted() == ["01ABC 01ABC"]
    assert Capsule.objects.get().name == "done"
    assert [entry.object_pk for entry in AuditEntry.objects.all()] == ["01ABC"]


def test_what_a_deleted_row_hung_on_is_found_by_such_a_key() -> None:
    count = [{"field": "name", "value": "{{ row.pills__count }}"}]
    create_rule(
        model=Pill, signals=["post_delete"], actions=[("update_objects", {"target": "capsule", "values": count})]
    )
    Pill.objects.create(capsule=Capsule.objects.create(id=Ulid("01ABC"))).delete()
    run_due()
    assert Capsule.objects.get().name == "0"


def test_a_generated_column_changes_with_what_it_is_made_of() -> None:
    feeding = Feeding.objects.create(portions=1)
    create_rule(
        model=Feeding,
        changes=[{"field": "grams"}],
        condition={"==": [{"var": "instance.grams"}, 10]},
        actions=[note("{{ old.grams }} {{ instance.grams }}")],
    )
    feeding.portions = 5
    feeding.save(update_fields=["portions"])
    assert noted() == ["2 10"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="ranges and arrays are PostgreSQL's")
def test_a_range_is_told_in_one_way() -> None:
    from django.contrib.postgres.fields import ArrayField, DateRangeField, IntegerRangeField
    from django.db.backends.postgresql.psycopg_any import DateRange, NumericRange

    from rules_engine.context.stored_form import column_value

    numbers, days = IntegerRangeField(), DateRangeField()
    told = column_value(numbers, NumericRange(1, 5, "[]"))
    assert told == column_value(numbers, (1, 6)) == column_value(numbers, told)
    assert told == '{"bounds": "[)", "lower": "1", "upper": "6"}'
    assert column_value(numbers, NumericRange(2, 2)) == '{"empty": true}'
    assert column_value(numbers, NumericRange(None, 2, "[]")) == '{"bounds": "()", "lower": null, "upper": "3"}'
    first, last = datetime.date(2026, 1, 1), datetime.date(2026, 1, 31)
    assert column_value(days, DateRange(first, last, "[]")) == column_value(days, (first, datetime.date(2026, 2, 1)))
    assert column_value(ArrayField(Capsule._meta.get_field("mail")), ["A", "b"]) == ["a", "b"]

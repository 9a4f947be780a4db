"""Old values that are taken as an object is loaded: no statement, and what that misses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from rules_engine import paused
from rules_engine.models import Event
from rules_engine.testing import create_rule, reset
from tests.zoo.models import Animal, Dog

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }}"})]


@pytest.fixture(autouse=True)
def taken(settings: Any) -> Iterator[None]:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "OLD_VALUES_AT_LOAD": ["zoo.Animal"]}
    yield
    reset()


@pytest.fixture
def animal() -> Animal:
    create_rule(Animal, slug="renamed", operations=["update"], changes=[{"field": "name"}], actions=LOG)
    return Animal.objects.get(pk=Animal.objects.create(name="a").pk)


def statements(act: Callable[[], Any]) -> int:
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        act()
        return len(captured)


def told() -> list[tuple[Any, Any]]:
    changes = [event.context["changes"]["name"] for event in Event.objects.order_by("created_at", "id")]
    return [(change["old"], change["new"]) for change in changes]


def test_a_save_reads_nothing_and_tells_the_change(animal: Animal) -> None:
    assert statements(animal.save) == 1
    animal.name = "b"
    animal.save()
    assert told() == [("a", "b")]
    assert statements(animal.save) == 1
    animal.name = "c"
    animal.save()
    assert told() == [("a", "b"), ("b", "c")]


def test_what_a_save_leaves_out_is_still_what_was_loaded(animal: Animal) -> None:
    animal.name = "b"
    animal.save(update_fields=["legs"])
    assert told() == []
    animal.save()
    assert told() == [("a", "b")]


def test_a_new_object_goes_on_from_what_it_wrote() -> None:
    create_rule(Animal, operations=["update"], changes=[{"field": "name"}], actions=LOG)
    animal = Animal.objects.create(name="a")
    animal.name = "b"
    animal.save()
    assert told() == [("a", "b")]


@pytest.mark.parametrize("fields", [None, ["name"], ["legs"]])
def test_a_refresh_takes_what_it_read(animal: Animal, fields: Any) -> None:
    Animal.objects.update(name="x")
    animal.refresh_from_db(fields=fields)
    animal.name = "b"
    animal.save()
    assert told() == [("a" if fields == ["legs"] else "x", "b")]


def test_a_column_that_was_not_loaded_is_read_at_the_save(animal: Animal) -> None:
    part = Animal.objects.defer("name").get(pk=animal.pk)
    part.name = "b"
    part.save()
    late = Animal.objects.defer("name").get(pk=animal.pk)
    assert late.name == "b"
    late.name = "c"
    late.save()
    assert told() == [("a", "b"), ("b", "c")]


def test_an_expression_is_read_at_the_next_save(animal: Animal) -> None:
    animal.name = F("notes")
    animal.save()
    again = Animal.objects.get(pk=animal.pk)
    again.name = "c"
    again.save()
    assert told() == [("a", ""), ("", "c")]


def test_an_object_that_is_another_row_now_is_read(animal: Animal) -> None:
    other = Animal.objects.create(name="other")
    animal.pk = other.pk
    animal.save()
    assert told() == [("other", "a")]


def test_copies_go_on_by_themselves(animal: Animal) -> None:
    for twin in (copy.copy(animal), pickle.loads(pickle.dumps(animal))):
        twin.name = "b"
        twin.save()
    animal.save()
    assert told() == [("a", "b"), ("a", "b")]


def test_a_save_that_rules_do_not_hear_is_gone_on_from(animal: Animal) -> None:
    animal.name = "b"
    with paused():
        animal.save()
    animal.save()
    assert told() == []


def test_what_others_have_saved_since_is_missed(animal: Animal) -> None:
    Animal.objects.update(name="x")
    animal.save()
    assert told() == []


def test_descendants_are_not_meant(animal: Animal) -> None:
    dog = Dog.objects.get(pk=Dog.objects.create(name="a").pk)
    Dog.objects.update(name="x")
    dog.name = "b"
    dog.save()
    assert told() == [("x", "b")]


def test_without_such_rules_the_model_is_as_it_was(animal: Animal) -> None:
    assert "from_db" in vars(Animal)
    reset()
    assert not {"from_db", "refresh_from_db"} & set(vars(Animal))


def test_a_name_of_no_model_is_an_error(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "OLD_VALUES_AT_LOAD": ["zoo.animals"]}
    with pytest.raises(SystemCheckError, match=r"'zoo\.animals', which is no model"):
        call_command("check")

"""Bulk writes of rows that cannot be read: an error of the rules, as at a save, and never of whoever writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from rules_engine import watching_bulk
from rules_engine.models import Event, RuleError
from rules_engine.testing import create_rule
from tests.integration.noting import note
from tests.zoo.models import Capsule, Pill

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }}"})]
BAD = "0" * 26


@pytest.fixture(autouse=True)
def watching() -> Iterator[None]:
    with watching_bulk():
        yield


@pytest.fixture
def bad() -> Capsule:
    """A capsule of which the column "sealed" cannot be read."""
    capsule = Capsule.objects.create(id=BAD, name="old")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE zoo_capsule SET sealed = 'rubbish'")
    return capsule


def names() -> list[str]:
    return list(Capsule.objects.order_by("pk").values_list("name", flat=True))


def errors() -> list[str]:
    return [error.message for error in RuleError.objects.all()]


def assert_told() -> None:
    assert errors() != []
    assert all("could not be read (IndexError)" in message for message in errors())


@pytest.mark.parametrize("is_inside", [False, True])
def test_an_update_stands_and_its_rules_show_the_error(bad: Capsule, is_inside: bool) -> None:
    create_rule(model=Capsule, changes=[{"field": "name"}], actions=LOG)
    if is_inside:
        with transaction.atomic():
            assert Capsule.objects.update(name="new") == 1
            assert names() == ["new"], "The caller's transaction goes on."
    else:
        assert Capsule.objects.update(name="new") == 1
    assert names() == ["new"]
    assert_told()


def upserted(*objects: Capsule) -> None:
    target: dict[str, Any] = {"unique_fields": ["id"]}
    if not connection.features.supports_update_conflicts_with_target:
        target = {}
    Capsule.objects.bulk_create(list(objects), update_conflicts=True, update_fields=["name"], **target)


def test_an_upsert_stands_where_what_was_there_cannot_be_read(bad: Capsule) -> None:
    create_rule(model=Capsule, changes=[{"field": "sealed"}, {"field": "name"}], actions=LOG)
    upserted(Capsule(id=BAD, name="new"), Capsule(id="1" * 26, name="more"))
    assert names() == ["new", "more"]
    assert_told()


def test_an_upsert_stands_where_what_was_stored_cannot_be_read(bad: Capsule) -> None:
    create_rule(model=Capsule, changes=[{"field": "name"}], actions=LOG)
    upserted(Capsule(id=BAD, name="new"))
    assert names() == ["new"]
    assert_told()


def test_what_passes_conflicts_is_stored_where_the_others_cannot_be_read(bad: Capsule) -> None:
    create_rule(model=Capsule, signals=["pre_save"], changes=[{"field": "sealed"}], actions=LOG)
    made = [Capsule(id=BAD, name="new"), Capsule(id="1" * 26, name="more")]
    Capsule.objects.bulk_create(made, ignore_conflicts=True)
    assert names() == ["old", "more"]
    assert_told()


@pytest.mark.usefixtures("noted")
def test_what_actions_before_a_bulk_update_cannot_read_does_not_undo_it(bad: Capsule) -> None:
    create_rule(
        model=Capsule, signals=["pre_save"], changes=[{"field": "sealed"}], actions=[note("x", timing="before_save")]
    )
    bad.name = "new"
    Capsule.objects.bulk_update([bad], ["name"])
    assert names() == ["new"]
    assert_told()


def test_related_rows_that_cannot_be_read_do_not_undo_an_insert(bad: Capsule) -> None:
    create_rule(model=Pill, condition={"==": [{"var": "instance.capsule.name"}, "old"]}, actions=LOG)
    Pill.objects.bulk_create([Pill(capsule_id=BAD, name=name) for name in "abc"])
    assert Pill.objects.count() == 3
    assert_told()


def test_other_rows_of_the_same_table_are_told(bad: Capsule) -> None:
    create_rule(model=Capsule, changes=[{"field": "name"}], actions=LOG)
    Capsule.objects.bulk_create([Capsule(id=f"a{number:025}", name="old") for number in range(3)])
    Event.objects.all().delete()
    Capsule.objects.exclude(pk=BAD).update(name="new")
    assert Event.objects.filter(operation="update").count() == 3
    assert errors() == []

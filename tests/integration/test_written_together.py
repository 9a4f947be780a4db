"""What a match leads to is written all or not at all, in few trips, and never at the caller's cost."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from rules_engine.databases import insertion
from rules_engine.databases.insertion import Rows, insert_together
from rules_engine.databases.savepoints import MOST_IN_ONE_TRIP, fetch_one
from rules_engine.models import Event, Execution, RuleError
from rules_engine.testing import create_rule
from tests.integration.test_confinement import WRAPPERS
from tests.statements import statements_of, trips_of
from tests.zoo.models import Animal, Tag

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "x"})]


def tags(*names: str) -> Rows:
    return Rows(Tag, ("name",), [(name,) for name in names])


def taken(key: int) -> Rows:
    """A row whose key another has."""
    return Rows(Tag, ("id", "name"), [(key, "taken")])


def saved(animal: Animal, name: str) -> None:
    animal.name = name
    animal.save()


@pytest.mark.postgres
def test_on_postgresql_a_match_is_written_in_one_trip() -> None:
    create_rule(Animal, changes=[{"field": "name", "to": "matched"}], actions=LOG * 10)
    animal = Animal.objects.create(name="a")
    with transaction.atomic():
        trips = trips_of(lambda: saved(animal, "matched"))
    # The old value, the caller's own UPDATE, and all that the match leads to.
    assert len(trips) == 3, trips
    saved(animal, "b")
    assert len(trips_of(lambda: saved(animal, "matched"))) == 3, "nor does it take more where there is no transaction"
    assert (Event.objects.count(), Execution.objects.count()) == (2, 20)


@pytest.mark.parametrize("actions", [1, 10])
def test_a_match_takes_three_statements_besides_the_save(actions: int) -> None:
    create_rule(Animal, changes=[{"field": "name", "to": "matched"}], actions=LOG * actions)
    animal = Animal.objects.create(name="a")
    with transaction.atomic():
        made = statements_of(lambda: saved(animal, "matched"))
    assert len(made) == 4, made


@pytest.mark.parametrize("package", WRAPPERS)
def test_a_match_is_written_beside(package: str) -> None:
    create_rule(Animal, changes=[{"field": "name", "to": "matched"}], actions=LOG)
    wrapped: Any = WRAPPERS[package]
    animal = Animal.objects.create(name="a")
    with transaction.atomic(), wrapped():
        saved(animal, "matched")
    assert (Event.objects.count(), Execution.objects.count()) == (1, 1)
    assert not RuleError.objects.exists()


@pytest.mark.parametrize("parts", [1, MOST_IN_ONE_TRIP + 1])
@pytest.mark.parametrize("in_transaction", [True, False])
def test_where_one_row_cannot_be_written_none_is(
    in_transaction: bool, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insertion, "ROWS_IN_ONE", 1)
    there = Tag.objects.create(name="there")
    rows = [tags(*["new"] * parts), taken(there.pk)]
    if in_transaction:
        with transaction.atomic():
            Tag.objects.create(name="the caller's")
            with pytest.raises(DatabaseError):
                insert_together(rows, "default")
            Tag.objects.create(name="what the caller does next")
    else:
        with pytest.raises(DatabaseError):
            insert_together(rows, "default")
    kept = ["the caller's", "there", "what the caller does next"] if in_transaction else ["there"]
    assert sorted(Tag.objects.values_list("name", flat=True)) == kept


def test_in_a_transaction_that_the_caller_manages_too() -> None:
    there = Tag.objects.create(name="there")
    connection.set_autocommit(False)
    try:
        Tag.objects.create(name="the caller's")
        with pytest.raises(DatabaseError):
            insert_together([tags("new"), taken(there.pk)], "default")
        insert_together([tags("ours")], "default")
        connection.commit()
    finally:
        connection.set_autocommit(True)
    assert sorted(Tag.objects.values_list("name", flat=True)) == ["ours", "the caller's", "there"]


@pytest.mark.postgres
def test_what_the_driver_itself_refuses_spoils_no_transaction() -> None:
    with transaction.atomic():
        Tag.objects.create(name="the caller's")
        for refused in (
            lambda: insert_together([tags("new"), tags("a\x00b")], "default"),
            lambda: fetch_one("default", "SELECT %s", ["a\x00b"]),
        ):
            with pytest.raises((DatabaseError, ValueError)):
                refused()
        insert_together([tags("ours")], "default")
    assert sorted(Tag.objects.values_list("name", flat=True)) == ["ours", "the caller's"]


def test_nothing_is_written_in_a_transaction_that_is_lost() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        transaction.set_rollback(True)
        insert_together([tags("new")], "default")
    assert not Tag.objects.exists()

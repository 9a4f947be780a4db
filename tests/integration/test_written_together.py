"""What a match leads to is written all or not at all, in few trips, and never at the caller's cost."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from rules_engine.databases.prepared import inserts
from rules_engine.databases.prepared.inserts import Rows, insert_together
from rules_engine.databases.savepoints import MOST_IN_ONE_TRIP, fetch_one
from rules_engine.models import Event, Execution, RuleError
from rules_engine.outbox.rows import EventRow, ExecutionRow
from rules_engine.testing import create_rule
from rules_engine.types import new_id
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


def ours(*keys: UUID) -> Rows:
    """Rows whose keys are named, as those of events and executions are."""
    names = ("id", "event_id", "rule_slug", "rule_version", "kind", "queue")
    return Rows(Execution, names, [(key, new_id(), "r", 1, "log_message", "rules") for key in keys])


def saved(animal: Animal, name: str) -> None:
    animal.name = name
    animal.save()


@pytest.mark.postgres("only its driver sends several statements at once")
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
    monkeypatch.setattr(inserts, "ROWS_IN_ONE", 1)
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


@pytest.mark.postgres("no other driver refuses a NUL")
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


@pytest.mark.postgres("no other database takes rows as one text")
def test_many_rows_in_one_text_are_the_rows_that_parameters_make(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = """a 'quote' "two" \\ 100 % %s é 😀 {"var": 1} \n"""
    config = {"text": odd, "none": None, "deep": [1, 2.5, True, {"": []}], "large": 2**70}
    names = ("id", "event_id", "rule_slug", "rule_version", "kind", "queue", "config", "given", "finished_at")
    rows = [
        (new_id(), new_id(), "r", 1, odd, "rules", config, given, at)
        for given, at in ((None, None), ("a text", timezone.now()), ([], None), (odd, None))
    ]
    stored = []
    for most in (10_000, 0):
        monkeypatch.setattr(inserts, "MOST_PARAMETERS", most)
        insert_together([Rows(Execution, names, rows), tags(odd)], "default")
        stored.append((sorted(Execution.objects.values_list(*names)), list(Tag.objects.values_list("name"))))
        Execution.objects.all().delete()
        Tag.objects.all().delete()
    assert stored[0] == stored[1]
    assert stored[1] == (sorted(rows), [(odd,)])


def test_nothing_is_written_in_a_transaction_that_is_lost() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        transaction.set_rollback(True)
        insert_together([tags("new")], "default")
    assert not Tag.objects.exists()


def test_what_was_inserted_before_the_row_that_fails_is_undone() -> None:
    there, new = new_id(), new_id()
    insert_together([ours(there)], "default")
    with transaction.atomic():
        for rows in ([ours(new), ours(there)], [ours(there), ours(new)], [ours(new), tags("a"), ours(there)]):
            with pytest.raises(DatabaseError):
                insert_together(rows, "default")
            assert list(Execution.objects.values_list("pk", flat=True)) == [there], "and nothing that was there before"
        insert_together([ours(new)], "default")
    assert set(Execution.objects.values_list("pk", flat=True)) == {there, new}
    assert not Tag.objects.exists()


@pytest.mark.parametrize(("kind", "model"), [(ExecutionRow, Execution), (EventRow, Event)])
def test_what_a_row_leaves_out_is_what_its_column_has_anyhow(kind: Any, model: Any) -> None:
    for column in fields(kind):
        if column.default is not MISSING and column.name != "order_key":
            field = model._meta.get_field(column.name)
            assert column.default == field.get_default(), column.name
            assert not field.has_db_default() or field.db_default == column.default, column.name


def test_unusual_and_usual_rows_are_written_alike() -> None:
    create_rule(Animal, actions=[*LOG, ("log_message", {"message": "y"}, {"delay": 60})])
    create_rule(Animal, actions=LOG)
    Animal.objects.create(name="a")
    assert sorted(Execution.objects.values_list("delay", flat=True)) == [0, 0, 60]
    assert set(Execution.objects.values_list("state", "lane", "attempts", "given", "error", "leased_by")) == {
        ("pending", "", 0, None, "", "")
    }

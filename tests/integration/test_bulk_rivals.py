"""Bulk writes that another transaction is in the way of: the caller is told what the database says, as without us."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F

from rules_engine import watching_bulk
from rules_engine.models import Event, RuleError
from rules_engine.testing import create_rule
from tests import sessions
from tests.threads import run_together
from tests.zoo.models import Crate, Plaque

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.row_locks]
LOG = [("log_message", {"message": "{{ instance.name }} {{ old.name }}"})]


def upsert(crate: Crate) -> None:
    unique = {"unique_fields": ["pk"]} if connection.features.supports_update_conflicts_with_target else {}
    Crate.objects.bulk_create([crate], update_conflicts=True, update_fields=["price"], **unique)


WRITES: dict[str, Callable[[Crate], Any]] = {
    "update": lambda crate: Crate.objects.filter(pk=crate.pk).update(price=7),
    "bulk_update": lambda crate: Crate.objects.bulk_update([crate], ["price"]),
    "upsert": upsert,
}


@contextmanager
def locked_by_another() -> Iterator[None]:
    """Have another transaction hold all crates meanwhile."""
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Crate._base_manager.update(name=F("name"))
                list(Crate._base_manager.select_for_update())
                holds.set()
                done.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holds.wait(60)
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_of_two_that_wait_for_each_other_one_is_told_of_the_deadlock(write: Callable[[Crate], Any]) -> None:
    crates = [Crate._base_manager.create(name=name, price=7) for name in "ab"]
    create_rule(Crate, actions=LOG)
    both_hold_one = threading.Barrier(2)

    def cross(number: int) -> str:
        try:
            with transaction.atomic():
                Crate._base_manager.filter(pk=crates[number].pk).update(price=1)
                both_hold_one.wait(60)
                write(crates[1 - number])
        except OperationalError as error:
            return type(error).__name__
        return "written"

    assert sorted(run_together(2, cross)) == ["OperationalError", "written"]
    event = Event.objects.get()
    assert (event.operation, event.evaluations[0]["outcome"]) == ("update", "matched")
    assert not RuleError.objects.exists()


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_who_waits_too_long_waits_once(write: Callable[[Crate], Any]) -> None:
    crate = Crate.objects.create(name="a")
    create_rule(Crate, actions=LOG)
    made: list[str] = []

    def noted(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        made.append(sql)
        return execute(sql, *rest)

    with (
        locked_by_another(),
        connection.execute_wrapper(noted),
        pytest.raises(OperationalError),
        transaction.atomic(),
    ):
        sessions.run(sessions.LOCK_WAIT)
        write(crate)
    connection.close()
    assert len([sql for sql in made if "zoo_crate" in sql]) == 1
    assert not Event.objects.exists()


@pytest.fixture
def _repeatable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL refuses to write a row that changed since, under REPEATABLE READ.")
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "isolation_level", "repeatable read")
        yield
    connection.close()


@pytest.mark.usefixtures("_repeatable")
def test_a_row_that_another_changed_and_ours_did_not_is_told_as_it_is() -> None:
    Crate.objects.bulk_create([Crate(name="a")])
    create_rule(Crate, slug="changed", changes=[{"field": "name"}], actions=LOG)
    create_rule(Crate, slug="any", actions=LOG)

    def others(_: int) -> None:
        Crate._base_manager.update(name="b")
        Crate._base_manager.bulk_create([Crate(name="c")])

    with transaction.atomic():
        assert Crate._base_manager.get().name == "a"
        run_together(1, others)
        Crate.objects.update(name=F("name"))
    told = [(event.context["old"]["name"], event.context["instance"]["name"]) for event in Event.objects.all()]
    assert sorted(told) == [("b", "b"), ("c", "c")]
    matched = {one["rule"] for event in Event.objects.all() for one in event.evaluations if one["outcome"] == "matched"}
    assert matched == {"any"}


def test_a_row_is_told_that_the_database_finds_by_another_spelling() -> None:
    if connection.vendor != "mysql":
        pytest.skip("By others capitals are other letters.")
    there = Plaque.objects.create(title="old", slug="abc")
    create_rule(Plaque, changes=[{"field": "title"}], actions=[("log_message", {"message": "{{ old.title }}"})])
    with watching_bulk():
        new = Plaque(pk=there.pk + 1_000, title="new", slug="ABC")
        Plaque.objects.bulk_create([new], update_conflicts=True, update_fields=["title"])
    assert list(Event.objects.values_list("operation", "object_pk")) == [("update", str(there.pk))]

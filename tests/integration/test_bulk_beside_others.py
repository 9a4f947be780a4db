"""Bulk writes beside other writers, triggers, chains, and a caller that goes on after an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import FieldError
from django.db import connection, connections, transaction
from django.db.models import F

from rules_engine import watching_bulk
from rules_engine.actions import ActionResult
from rules_engine.context.actor import loading
from rules_engine.models import Event, Execution
from rules_engine.rules import registry
from rules_engine.rules.contract import Action
from rules_engine.testing import create_rule, run_due
from tests import sessions
from tests.integration.triggers.conftest import install as install
from tests.threads import run_together
from tests.zoo.models import Animal, Crate, Lid, Meal

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }} {{ old.price }}"})]
NO_LOCKS = "SQLite has one writer at a time"


class Rename(Action):
    """Renames all crates by one statement."""

    kind = "rename"
    label = "Rename"
    schema = {"type": "object", "keys": {}}

    def run(self, context: Any, config: Any) -> ActionResult:
        Crate.objects.update(name=F("name"))
        return ActionResult()


@pytest.fixture
def _renaming() -> Iterator[None]:
    registry.register_action(Rename)
    yield
    del registry._actions[Rename.kind]


def told() -> list[tuple[str, Any]]:
    return sorted((event.context["instance"]["name"], event.context["old"]["price"]) for event in Event.objects.all())


def while_another_writes(others: Callable[[], Any], ours: Callable[[], Any]) -> None:
    """Do ours while another transaction has done its part, and commits as soon as ours waits for it."""
    done, failed = threading.Event(), list[Exception]()

    def write() -> None:
        try:
            with transaction.atomic():
                others()
                done.set()
                end = time.monotonic() + 20
                while time.monotonic() < end:
                    # MariaDB looks anew at who waits where nobody has asked for a tenth of a second.
                    time.sleep(0.15)
                    with connection.cursor() as cursor:
                        cursor.execute(sessions.WAITING[connection.vendor])
                        if cursor.fetchall():
                            return
        except Exception as error:  # noqa: BLE001 - told by the test
            failed.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    assert done.wait(60)
    ours()
    thread.join()
    assert not failed


@pytest.mark.skipif(connection.vendor == "sqlite", reason=NO_LOCKS)
def test_rows_that_come_and_go_meantime_are_told_as_they_are_written() -> None:
    gone, stays = Crate.objects.bulk_create([Crate(name="gone", price=1), Crate(name="stays", price=2)])
    create_rule(model=Crate, changes=[{"field": "price"}], actions=LOG)

    def others() -> None:
        Crate._base_manager.filter(pk=gone.pk).update(name="other")
        Crate._base_manager.bulk_create([Crate(name="stays", price=5)])

    while_another_writes(others, lambda: Crate.objects.filter(name__in=["gone", "stays"]).update(price=9))
    written = Crate.objects.filter(price=9)
    assert len(written) == Event.objects.count()
    assert {str(crate.pk) for crate in written} == {event.object_pk for event in Event.objects.all()}
    assert Crate.objects.get(pk=stays.pk).price == 9
    assert Crate.objects.get(pk=gone.pk).price == 1


@pytest.mark.skipif(connection.vendor == "sqlite", reason=NO_LOCKS)
def test_of_two_writers_the_second_sees_what_the_first_left() -> None:
    Crate.objects.bulk_create([Crate(name="a", price=1), Crate(name="b", price=2)])
    create_rule(model=Crate, changes=[{"field": "price"}], actions=LOG)
    add = lambda: Crate.objects.update(price=F("price") + 1)  # noqa: E731
    while_another_writes(add, add)
    assert told() == [("a", "1.00"), ("a", "2.00"), ("b", "2.00"), ("b", "3.00")]


@pytest.mark.postgres("only there a row is locked less than altogether")
def test_others_may_point_to_rows_that_are_being_written() -> None:
    Crate.objects.create(name="a")
    create_rule(model=Crate, changes=[{"field": "price"}], actions=LOG)

    def point() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        Lid.objects.create(name="of a", crate=Crate.objects.get())

    with transaction.atomic():
        Crate.objects.update(price=F("price") + 1)
        run_together(1, lambda _: point())
    assert Lid.objects.count() == 1
    assert told() == [("a", "0.00")]


def test_what_django_refuses_leaves_the_transaction_usable() -> None:
    create_rule(model=Crate, actions=LOG)
    with transaction.atomic():
        with pytest.raises(FieldError):
            Crate.objects.update(price=F("nothing") + 1)
        Crate.objects.create(name="a")
    assert Crate.objects.count() == 1


def test_what_triggers_tell_a_bulk_write_does_not_tell_again(install: Callable[..., None]) -> None:
    Crate.objects.create(name="a", price=1)
    create_rule(model=Crate, changes=[{"field": "price"}], actions=LOG)
    install(Crate)
    Crate.objects.update(price=2)
    Crate.objects.bulk_create([Crate(name="b", price=3)])
    assert Event.objects.count() == 0
    run_due()
    assert sorted(Event.objects.values_list("operation", flat=True)) == ["create", "update"]


@pytest.mark.usefixtures("_renaming")
def test_a_rule_does_not_set_itself_off_by_a_bulk_write() -> None:
    Crate.objects.bulk_create([Crate(name="a"), Crate(name="b")])
    create_rule(slug="first", model=Crate, operations=["update"], actions=[("rename", {})])
    create_rule(slug="second", model=Crate, operations=["update"], actions=LOG)
    Crate.objects.filter(name="a").update(price=1)
    run_due()
    assert Execution.objects.filter(rule_slug="first").count() == 1
    # Of the first statement one, and two of what the first rule did.
    assert Execution.objects.filter(rule_slug="second").count() == 3
    assert set(Event.objects.values_list("depth", flat=True)) == {0, 1}


@pytest.mark.usefixtures("_renaming")
def test_a_chain_is_stopped_at_its_budget_in_a_bulk_write(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "ROOT_BUDGET": 5}
    Crate.objects.bulk_create([Crate(name=f"c{n}") for n in range(20)])
    create_rule(slug="first", model=Crate, operations=["update"], actions=[("rename", {})])
    create_rule(slug="second", model=Crate, operations=["update"], actions=LOG)
    Crate.objects.filter(name="c1").update(price=1)
    run_due()
    assert Execution.objects.count() <= 5


def test_loaded_data_is_told_to_the_rules_that_ask_for_it() -> None:
    Crate.objects.create(name="a")
    create_rule(slug="usual", model=Crate, actions=LOG)
    with loading():
        Crate.objects.update(price=1)
        assert Event.objects.count() == 0
        create_rule(slug="raw", model=Crate, actions=LOG, raw=True)
        Crate.objects.update(price=2)
    assert list(Execution.objects.values_list("rule_slug", flat=True)) == ["raw"]


def test_generated_and_json_columns_are_told_as_they_are_stored() -> None:
    animal = Animal.objects.create(name="a", data={"a": 1})
    meal = Meal.objects.create(animal=animal, portions=2)
    create_rule(model=Meal, changes=[{"field": "doubled", "to": 6}], actions=[("log_message", {"message": "x"})])
    create_rule(
        model=Animal,
        changes=[{"field": "data"}],
        condition={"==": [{"var": "instance.data.a"}, 2]},
        actions=[("log_message", {"message": "x"})],
    )
    with watching_bulk():
        Meal.objects.filter(pk=meal.pk).update(portions=3)
        Animal.objects.update(data={"a": 2})
        Animal.objects.update(data={"a": 2})
    assert sorted(Event.objects.values_list("model", flat=True)) == ["zoo.animal", "zoo.meal"]

"""Each way of writing, by each means of seeing it, on whichever database this is: it is told as the table says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import connection, transaction

from project.accounts.models import User
from rules_engine import acting_as, watching_bulk
from rules_engine.models import CapturedChange, Event
from rules_engine.test.seen.writes import WRITES, Means, is_seen
from rules_engine.testing import create_rule, run_due
from tests.integration.seen.ways import WAYS, Told, made, program
from tests.integration.triggers.conftest import install as install
from tests.zoo.models import Animal, Crate, Keeper, Tag

pytestmark = pytest.mark.django_db(transaction=True)

MEANS: tuple[Means, ...] = ("signals", "bulk", "triggers")
NAMES = [write.name for write in WRITES]
#: Of these the database knows its own user alone. A cascade that a model declares (``DB_CASCADE``) says more.
OF_NOBODY = ("program", "file", "cascade")
NOTE = [("log_message", {"message": "x"})]
LOG = [("log_message", {"message": "{{ old.legs }} {{ instance.legs }}"})]
Install = Callable[..., None]


def rules_for(name: str) -> None:
    if name == "set_null":
        create_rule(Crate, changes=[{"field": "keeper"}], actions=NOTE)
        return
    create_rule(Animal, changes=[{"field": "legs"}], actions=LOG)
    create_rule(Animal, signals=["post_delete"], actions=LOG)
    create_rule(
        Animal, signals=["m2m_changed"], changes=[{"field": "tags"}], actions=[("log_message", {"message": "x"})]
    )


def prepared(name: str, means: Means, install: Install) -> Animal:
    """Store what the way of writing needs, and have rules see by these means. What that was told of is forgotten."""
    animal = made()
    tag = Tag.objects.create(name="old")
    if name == "lost_relation":
        animal.tags.add(tag)
    if name == "set_null":
        Crate.objects.create(name="c", keeper=Keeper.objects.get())
    rules_for(name)
    if means == "triggers":
        install(Crate if name == "set_null" else Animal)
    Event.objects.all().delete()
    return animal


def told() -> list[Told]:
    run_due()
    return [_told(event) for event in Event.objects.order_by("id")]


def _told(event: Event) -> Told:
    if event.operation in ("add", "remove") or event.model == "zoo.crate":
        return event.operation, None, None
    before, after = event.context["old"] or {}, event.context["instance"]
    return event.operation, before.get("legs"), after.get("legs")


@pytest.mark.parametrize("means", MEANS)
@pytest.mark.parametrize("write", WRITES, ids=NAMES)
def test_a_write_is_seen_by_what_the_table_says(write: Any, means: Means, install: Install) -> None:
    if write.name == "file" and connection.vendor == "sqlite":
        pytest.skip("SQLite loads no files.")
    animal = prepared(write.name, means, install)
    user = User.objects.create_user("ada")
    with acting_as(user), watching_bulk() if means == "bulk" else nullcontext():
        expected = WAYS[write.name](animal)
    if not is_seen(write, means, connection.vendor) and not (means == "bulk" and write.is_seen_in_block):
        expected = []
    assert sorted(told(), key=str) == sorted(expected, key=str)
    if expected and write.name not in OF_NOBODY:
        assert set(Event.objects.values_list("actor_name", flat=True)) == {"ada"}
    assert not CapturedChange.objects.exists()


@pytest.mark.parametrize("means", MEANS)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("program", "file", "cascade")])
def test_a_write_that_is_rolled_back_is_told_by_nobody(name: str, means: Means, install: Install) -> None:
    animal = prepared(name, means, install)
    with pytest.raises(RuntimeError), transaction.atomic():
        with watching_bulk() if means == "bulk" else nullcontext():
            WAYS[name](animal)
        raise RuntimeError
    assert told() == []


def test_what_another_program_takes_back_is_told_by_nobody(install: Install) -> None:
    prepared("program", "triggers", install)
    program("UPDATE zoo_animal SET legs = 3", keeps=False)
    assert told() == []


def test_another_program_acts_as_the_database_s_user(install: Install) -> None:
    animal = prepared("program", "triggers", install)
    WAYS["program"](animal)
    run_due()
    actor = Event.objects.get().actor_name
    assert actor.startswith(str(connection.settings_dict["USER"] or ""))
    assert bool(actor) == (connection.vendor != "sqlite")


def test_every_write_of_the_table_has_its_way_here() -> None:
    assert list(WAYS) == NAMES

"""Models whose manager tells rules of bulk writes: what goes through it, and that nothing is told twice."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync

from rules_engine import RulesQuerySet, watching_bulk
from rules_engine.capture.bulk.querysets import watched
from rules_engine.models import Event, Execution, HeldMatch
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal, Crate, Keeper, Lid

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }} {{ old.name }}"})]


def told() -> list[tuple[str, str]]:
    return sorted((event.operation, event.context["instance"]["name"]) for event in Event.objects.all())


def test_a_model_says_whether_its_bulk_writes_are_told() -> None:
    assert watched(Crate)
    assert watched(Lid)
    assert not watched(Animal)


def test_bulk_writes_through_the_manager_are_told() -> None:
    create_rule(model=Crate, actions=LOG)
    Crate.objects.bulk_create([Crate(name="a"), Crate(name="b")])
    Crate.objects.filter(name="a").update(name="c")
    crates = list(Crate.objects.all())
    for crate in crates:
        crate.name += "!"
    Crate.objects.bulk_update(crates, ["name"])
    assert told() == [("create", "a"), ("create", "b"), ("update", "b!"), ("update", "c"), ("update", "c!")]


def test_asynchronous_writes_are_told() -> None:
    create_rule(model=Crate, actions=LOG)

    async def write() -> None:
        await Crate.objects.abulk_create([Crate(name="a")])
        await Crate.objects.aupdate(name="b")
        crate = await Crate.objects.aget()
        crate.name = "c"
        await Crate.objects.abulk_update([crate], ["name"])

    async_to_sync(write)()
    assert told() == [("create", "a"), ("update", "b"), ("update", "c")]


def test_a_block_and_a_manager_together_tell_once() -> None:
    create_rule(model=Crate, actions=LOG)
    with watching_bulk(), watching_bulk():
        Crate.objects.bulk_create([Crate(name="a")])
        crate = Crate.objects.get()
        Crate.objects.update(name="b")
        crate.name = "c"
        Crate.objects.bulk_update([crate], ["name"])
    assert told() == [("create", "a"), ("update", "b"), ("update", "c")]


def test_what_is_saved_is_told_once_by_its_signal() -> None:
    create_rule(model=Lid, actions=LOG)
    with watching_bulk():
        lid, _ = Lid.objects.update_or_create(name="a", defaults={"crate": None})
        Lid.objects.update_or_create(name="a", defaults={"crate": None})
        Lid.objects.get_or_create(name="a")
        lid.name = "b"
        lid.save()
        lid.save(update_fields=["name"])
    assert told() == [("create", "a"), ("update", "a"), ("update", "b"), ("update", "b")]


def test_related_managers_that_write_in_bulk_are_told() -> None:
    crate, other = Crate.objects.create(name="x"), Crate.objects.create(name="y")
    lids = [Lid.objects.create(name=name) for name in "ab"]
    create_rule(model=Lid, changes=[{"field": "crate"}], actions=LOG)
    crate.lids.add(*lids)
    crate.lids.remove(lids[0])
    other.lids.set(lids)
    other.lids.clear()
    keys = [(e.context["instance"]["name"], e.context["changes"]["crate"]["new"]) for e in Event.objects.all()]
    x, y = crate.pk, other.pk
    assert sorted(keys, key=str) == sorted(
        [("a", x), ("b", x), ("a", None), ("a", y), ("b", y), ("a", None), ("b", None)], key=str
    )


def test_of_a_usual_base_manager_objects_that_are_added_are_not_told() -> None:
    keeper = Keeper.objects.create(name="k")
    crate = Crate.objects.create(name="a")
    create_rule(model=Crate, changes=[{"field": "keeper"}], actions=LOG)
    keeper.crates.add(crate)
    assert told() == []
    with watching_bulk():
        keeper.crates.remove(crate)
        keeper.crates.add(crate)
    keeper.crates.clear()
    assert told() == [("update", "a")] * 3


def test_foreign_keys_that_a_deletion_sets_to_null_are_not_told() -> None:
    keeper = Keeper.objects.create(name="k")
    Crate.objects.create(name="a", keeper=keeper)
    create_rule(model=Crate, changes=[{"field": "keeper"}], actions=LOG)
    keeper.delete()
    assert told() == []


def test_deletions_of_many_are_told_by_their_signals() -> None:
    Crate.objects.bulk_create([Crate(name="a"), Crate(name="b")])
    Lid.objects.bulk_create([Lid(name="l", crate=Crate.objects.get(name="a"))])
    create_rule(model=Crate, signals=["post_delete"], actions=LOG)
    create_rule(model=Lid, signals=["pre_delete"], actions=LOG)
    Crate.objects.all().delete()
    assert told() == [("delete", "a"), ("delete", "b"), ("delete", "l")]


def test_a_raw_deletion_is_left_alone() -> None:
    Crate.objects.bulk_create([Crate(name="a")])
    create_rule(model=Crate, signals=["post_delete"], actions=LOG)
    rows: Any = Crate.objects.all()
    rows._raw_delete(rows.db)
    assert told() == []


def test_a_function_may_be_watched_and_a_coroutine() -> None:
    create_rule(model=Animal, actions=LOG)

    @watching_bulk()
    def write(name: str) -> None:
        Animal.objects.bulk_create([Animal(name=name)])

    @watching_bulk()
    async def write_later(name: str) -> None:
        await Animal.objects.abulk_create([Animal(name=name)])

    write("a")
    write("b")
    async_to_sync(write_later)("c")
    Animal.objects.bulk_create([Animal(name="d")])
    assert told() == [("create", name) for name in "abc"]


def test_a_queryset_of_ones_own_is_told_of_with_what_it_adds() -> None:
    class Upper(RulesQuerySet):
        def update(self, **kwargs: Any) -> int:
            return super().update(**{name: value.upper() for name, value in kwargs.items()})

    create_rule(model=Crate, actions=LOG)
    Crate.objects.bulk_create([Crate(name="a")])
    Upper(Crate).update(name="b")
    assert told() == [("create", "a"), ("update", "B")]


def test_rows_of_one_statement_are_taken_together_as_one_transaction() -> None:
    Crate.objects.bulk_create([Crate(name=name) for name in "abc"])
    create_rule(model=Crate, actions=LOG, coalesce_seconds=0, coalesce_by="all")
    Crate.objects.update(name="z")
    assert (HeldMatch.objects.count(), Execution.objects.count()) == (3, 0)
    run_due()
    assert Execution.objects.count() == 1

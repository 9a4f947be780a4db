"""Related rows that rules read of many objects together: the same as each object reads by itself, by few statements."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Concat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine import paused, watching_bulk
from rules_engine.capture.bulk import telling
from rules_engine.context import snapshot
from rules_engine.context.related import held
from rules_engine.context.subject import Subject
from rules_engine.models import Event, Execution, RuleError
from rules_engine.rules.matching import CompiledRule
from rules_engine.testing import create_rule, run_due
from tests.examples import FIXED, examples
from tests.statements import statements_of
from tests.zoo.models import Animal, Depot, Entry, Jar, Keeper, Pair, Pickle, Remark, Shelf, Sticker

pytestmark = pytest.mark.django_db(transaction=True)

UNTIMED = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
SETTINGS = settings(UNTIMED, max_examples=examples(40), derandomize=FIXED)

#: What rules may read of a shelf, by themselves and beside each other.
READS = (
    "jars",
    "jars.name",
    "jars.0.name",
    "jars.shelf.name",
    "jars.shelf.depot.name",
    "stickers",
    "stickers.name",
    "remarks",
    "remarks.words",
    "entries.words",
    "pairs.name",
    "pickles.name",
    "depot.shelves.name",
    "depot.shelves.depot.name",
    "jars__count",
    "jars__grams__sum",
    "stickers__name__max",
    "remarks__count",
    "remarks__weight__sum",
    "pairs__count",
    "depot.shelves__count",
    "depot.name",
)


def fill(chance: random.Random, shelves: int, rows: int) -> None:
    """Make shelves, with up to so many rows of each relation."""
    depots = [Depot.objects.create(name=f"d{n}") for n in range(2)]
    stickers = [Sticker.objects.create(name=chance.choice("abc")) for _ in range(3)]
    made = [Shelf.objects.create(name=f"s{n}", depot=chance.choice([None, *depots])) for n in range(shelves)]
    for shelf in made:
        shelf.stickers.add(*chance.sample(stickers, chance.randint(0, 3)))
        for n in range(chance.randint(0, rows)):
            jar = Jar.objects.create(shelf=shelf, name=f"j{n}", grams=chance.randint(0, 2))
            Remark.objects.create(about=jar, words=f"of {n}")
            Pickle.objects.create(shelf=shelf, name=chance.choice("xyz"))
        for n in range(chance.randint(0, rows)):
            Remark.objects.create(about=shelf, words=f"w{n}", weight=chance.randint(0, 2))
            Entry.objects.create(shelf=shelf, words=chance.choice("äb") * chance.choice((1, 5_000)))
            Pair.objects.create(shelf=shelf, name=f"p{n}")


def compiled(*reads: str) -> CompiledRule:
    paths = frozenset(("instance", *read.split(".")) for read in reads)
    return CompiledRule("r", 1, "zoo.shelf", frozenset({"post_save"}), reads=paths)


def read(instances: list[Any], rule: CompiledRule, is_copy: bool, most: int) -> list[Any]:
    told = []
    for instance in instances:
        subject = Subject("post_save", "update", instance, is_copy=is_copy)
        context = subject.context(rule.reads)
        told.append((context, _cuts(context)))
        with snapshot.up_to(most):
            told.append((subject.context(rule.reads), ()))
    return told


def _cuts(value: Any) -> list[str]:
    """Give the kinds of all lists: one that was cut is of another."""
    if isinstance(value, dict):
        return [cut for inner in value.values() for cut in _cuts(inner)]
    return [type(value).__name__, *(cut for row in value for cut in _cuts(row))] if isinstance(value, list) else []


@given(
    seed=st.integers(0, 2**32),
    reads=st.lists(st.sampled_from(READS), min_size=1, max_size=5),
    held_at_once=st.sampled_from((1, 2, 5, 5_000)),
    limit=st.sampled_from((1, 3, 1_000)),
)
@SETTINGS
def test_rows_read_together_are_those_that_each_reads(
    seed: int, reads: list[str], held_at_once: int, limit: int
) -> None:
    chance = random.Random(seed)
    with transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "MOST_HELD", held_at_once)
        patch.setattr(held, "MOST_LONG", held_at_once)
        patch.setattr("rules_engine.conf.rows_limit", lambda: limit)
        patch.setattr("rules_engine.conf.event_bytes", lambda: 10_000)
        fill(chance, shelves=chance.randint(1, 6), rows=4)
        rule, keys = compiled(*reads), [shelf.pk for shelf in Shelf.objects.order_by("pk")]
        together = list(telling.stored(Shelf, keys, "default", [rule]).values())
        assert read(together, rule, is_copy=True, most=2) == read(list(Shelf.objects.order_by("pk")), rule, False, 2)
        transaction.set_rollback(True)


DEPOT = "{{ instance.depot_id }}"
LISTED = "{% for jar in instance.jars %}{{ jar.name }} {{ jar.shelf.depot.name }} {% endfor %}"
TOLD: tuple[dict[str, Any], ...] = (
    {"condition": {"some": [{"var": "instance.jars"}, {">": [{"var": "grams"}, 1]}]}},
    {"condition": {"<": [{"var": "instance.remarks__count"}, 3]}},
    {"condition": {">": [{"var": "instance.depot.shelves__count"}, 1]}},
    {},
)


@given(seed=st.integers(0, 2**32))
@SETTINGS
def test_an_update_tells_related_rows_as_saves_do(seed: int) -> None:
    with transaction.atomic():
        for number, fields in enumerate(TOLD):
            create_rule(
                Shelf,
                slug=f"r{number}",
                changes=[{"field": "name"}],
                actions=[
                    ("log_message", {"message": LISTED}),
                    ("log_message", {"message": "{{ each.words }}"}, {"for_each": "instance.remarks"}),
                    ("log_message", {"message": "{{ each.name }}"}, {"for_each": "instance.stickers"}),
                ],
                **fields,
            )
        with paused():
            fill(random.Random(seed), shelves=4, rows=3)

        def one_by_one() -> None:
            for shelf in Shelf.objects.order_by("pk"):
                shelf.name += "!"
                shelf.save(update_fields=["name"])

        def together() -> None:
            with watching_bulk():
                Shelf.objects.update(name=Concat("name", Value("!")))

        assert told(together) == told(one_by_one)
        transaction.set_rollback(True)


def told(write: Callable[[], Any]) -> list[Any]:
    """What is told of a write that is undone: of each object the context, and what is to be done for which rows."""
    with transaction.atomic():
        write()
        found = [
            (
                event.object_pk,
                {name: value for name, value in event.context.items() if name != "event"},
                sorted(event.executions.values_list("rule_slug", "position", "given"), key=repr),
            )
            for event in Event.objects.all()
        ]
        transaction.set_rollback(True)
    return sorted(found, key=repr)


def shelves_of(number: int) -> None:
    with paused():
        Shelf.objects.all().delete()
        depot, sticker = Depot.objects.create(name="d"), Sticker.objects.create(name="s")
        for n in range(number):
            shelf = Shelf.objects.create(name=f"s{n}", depot=depot)
            shelf.stickers.add(sticker)
            for _ in range(2):
                Jar.objects.create(shelf=shelf, name="j")
                Remark.objects.create(about=shelf, words="w")


@pytest.mark.parametrize("is_created", [False, True])
def test_more_rows_of_a_statement_are_no_more_queries(is_created: bool) -> None:
    reading = "{% for one in instance.stickers %}{{ one.name }}{% endfor %} {{ instance.remarks__count }}"
    create_rule(
        Shelf,
        operations=["create" if is_created else "update"],
        condition={"<": [{"var": "instance.remarks__count"}, 10_000]},
        actions=[
            ("log_message", {"message": LISTED + reading}),
            ("log_message", {"message": "{{ each.words }}"}, {"for_each": "instance.remarks"}),
        ],
    )

    def selects(number: int) -> list[str]:
        shelves_of(number)
        with watching_bulk():
            if is_created:
                found = statements_of(lambda: Shelf.objects.bulk_create([Shelf(name="n") for _ in range(number)]))
            else:
                found = statements_of(lambda: Shelf.objects.update(name="other"))
        assert Event.objects.count() == number
        Execution.objects.all().delete()
        Event.objects.all().delete()
        return [one.split(" FROM ")[1].split(" WHERE ")[0] for one in found if one.startswith("SELECT")]

    selects(1)  # what is asked once a process is known by now
    few, more, many = selects(2), selects(10), selects(200)
    assert len(few) <= len(selects(1)) + 3
    assert few == more == many


def test_long_rows_are_read_in_a_few_queries() -> None:
    condition = {"all": [{"var": "instance.animals"}, True]}
    create_rule(Keeper, condition=condition, actions=[("log_message", {"message": "x"})])
    for _ in range(200):
        keeper = Keeper.objects.create(name="k")
        Animal.objects.bulk_create([Animal(name="a", keeper=keeper, notes="n" * 100)])
    with watching_bulk():
        found = statements_of(lambda: Keeper.objects.update(name="l"))
    assert sum("zoo_animal" in one for one in found) == 3, "A few rows, how many there are, and the others."
    assert Event.objects.count() == 200


def test_what_acts_in_the_transaction_is_seen_by_the_next_row() -> None:
    added = {"model": "zoo.shelf", "values": [{"field": "name", "value": "new"}, {"field": "depot", "value": DEPOT}]}
    create_rule(
        Shelf,
        operations=["update"],
        condition={"none": [{"var": "instance.depot.shelves"}, {"==": [{"var": "name"}, "new"]}]},
        actions=[("create_object", added, {"timing": "in_transaction"})],
    )
    depot = Depot.objects.create(name="d")
    for name in "ab":
        Shelf.objects.create(name=name, depot=depot)
    with watching_bulk():
        Shelf.objects.update(name="c")
    assert Shelf.objects.filter(name="new").count() == 1


def test_rows_that_cannot_be_read_are_an_error_for_their_object_alone() -> None:
    text = "{{ instance.name }}{% for one in instance.pickles %} {{ one.name }}{% endfor %}"
    create_rule(Shelf, condition={"!!": [{"var": "instance.pickles"}]}, actions=[("log_message", {"message": text})])
    with paused():
        for name in "abc":
            Pickle.objects.create(shelf=Shelf.objects.create(name=name), name="p")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE zoo_pickle SET brine = -1 WHERE id = %s", [Pickle.objects.latest("pk").pk])
    with watching_bulk():
        Shelf.objects.update(name=Concat("name", Value("!")))
    run_due()
    assert sorted(one.summary for one in Execution.objects.all()) == ["Logged: a! p", "Logged: b! p"]
    assert RuleError.objects.count() == 1
    assert list(Shelf.objects.order_by("pk").values_list("name", flat=True)) == ["a!", "b!", "c!"]

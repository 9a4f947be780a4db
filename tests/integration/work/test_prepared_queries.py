"""Queries whose text is made once, and asked again with other values."""

from __future__ import annotations

import gc
import weakref
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import EmptyResultSet
from django.db import connection, connections
from django.db.models import F
from django.db.models.sql.compiler import SQLCompiler
from django.test import override_settings
from django.utils import timezone

from rules_engine import conf
from rules_engine.databases.prepared.queries import Mark, prepare, prepare_update
from rules_engine.models import Pause, Schedule
from rules_engine.testing import create_rule
from rules_engine.work.tasks import drain_queue
from tests.threads import run_together
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the ORM makes of queries from now on."""
    texts: list[str] = []
    as_sql = SQLCompiler.as_sql

    def noting(compiler: Any, *args: Any, **options: Any) -> Any:
        text = as_sql(compiler, *args, **options)
        texts.append(text[0])
        return text

    monkeypatch.setattr(SQLCompiler, "as_sql", noting)
    return texts


def test_each_asking_gets_the_rows_of_its_own_values(made: list[str]) -> None:
    keeper = Keeper.objects.create(name="Kim")
    for name in ("Asha", "Bo"):
        Animal.objects.create(name=name, keeper=keeper)
    name = Mark.of(Animal, "name")
    by_name = prepare(Animal.objects.using("default").filter(name=name.value).select_related("keeper"), name)
    made.clear()
    [asha], [bo] = by_name.ask("Asha"), by_name.ask("Bo")
    assert (asha.name, bo.name, by_name.ask("Cy")) == ("Asha", "Bo", [])
    assert bo.keeper == keeper
    assert made == []
    bo.name = "Bobo"
    bo.save()
    assert by_name.ask("Bo") == []


def test_moments_and_several_columns_are_taken_in_the_order_of_the_marks() -> None:
    now = timezone.now()
    for slug, hours in (("a", -2), ("b", -1), ("c", 1)):
        Schedule.objects.create(rule_slug=slug, digest="d", next_look_at=now + timedelta(hours=hours), step=3)
    first, last = (Mark.of(Schedule, "next_look_at", number) for number in (0, 1))
    between = Schedule.objects.filter(next_look_at__range=(first.value, last.value)).order_by("rule_slug")
    asked = prepare(between.values_list("rule_slug", "step"), first, last)
    assert asked.ask(now - timedelta(hours=3), now) == [("a", 3), ("b", 3)]
    assert asked.ask(now, now + timedelta(hours=3)) == [("c", 3)]


def test_a_site_without_zones_asks_by_moments_without_one() -> None:
    Schedule.objects.create(rule_slug="a", digest="d", next_look_at=timezone.now() - timedelta(days=2))
    with override_settings(USE_TZ=False):
        due = Mark.of(Schedule, "next_look_at")
        asked = prepare(Schedule.objects.filter(next_look_at__lte=due.value).values_list("rule_slug"), due)
        assert (asked.ask(timezone.now()), asked.ask(timezone.now() - timedelta(days=9))) == ([("a",)], [])


def test_an_update_says_how_many_rows_it_has_changed() -> None:
    for slug in ("a", "b"):
        Schedule.objects.create(rule_slug=slug, digest="d", step=3)
    key, error = Mark.of(Schedule, "rule_slug"), Mark.of(Schedule, "error", 1)
    rows = Schedule.objects.using("default").filter(rule_slug=key.value)
    update = prepare_update(rows, {"error": error.value, "step": F("step") + 1}, error, key)
    assert (update.make("Oh.", "a"), update.make("Oh.", "none")) == (1, 0)
    told = Schedule.objects.order_by("rule_slug").values_list("rule_slug", "step", "error")
    assert list(told) == [("a", 4, "Oh."), ("b", 3, "")]


def test_threads_ask_at_the_same_time_each_by_its_own_connection() -> None:
    for number in range(4):
        Animal.objects.create(name=f"n{number}")
    name = Mark.of(Animal, "name")
    by_name = prepare(Animal.objects.using("default").filter(name=name.value), name)
    found = run_together(4, lambda number: [by_name.ask(f"n{number}")[0].name for _ in range(20)])
    assert [set(names) for names in found] == [{"n0"}, {"n1"}, {"n2"}, {"n3"}]


def test_a_thread_that_makes_a_query_leaves_no_connection_with_it() -> None:
    connected: list[Any] = []

    def make(_number: int) -> Any:
        made = prepare(Animal.objects.using("default").order_by("pk"))
        made.ask()
        connected.append(weakref.ref(connections["default"]))
        return made

    [made] = run_together(1, make)
    gc.collect()
    assert connected[0]() is None
    assert made.ask() == []


def test_a_mark_that_is_not_in_the_query_is_an_error() -> None:
    with pytest.raises(LookupError):
        prepare(Animal.objects.filter(name="Asha"), Mark.of(Animal, "name"))
    with pytest.raises(EmptyResultSet):
        prepare(Animal.objects.none())


@pytest.mark.usefixtures("noted")
def test_a_worker_makes_no_text_anew_for_the_next_action(made: list[str]) -> None:
    create_rule(Animal, operations=["create"], actions=[("note", {"text": "{{ instance.name }}"})])
    for _ in range(2):
        Animal.objects.create(name="Asha")
        drain_queue(conf.queue())
    Animal.objects.create(name="Bo")
    made.clear()
    assert drain_queue(conf.queue()) == 1
    # Elsewhere a lease is several statements of the ORM's.
    asked_anew = ("pause", "captured", *(["execution"] if connection.vendor == "postgresql" else []))
    assert [text for text in made if any(name in text for name in asked_anew)] == []


@pytest.mark.usefixtures("noted")
def test_a_pause_and_its_end_are_seen_by_the_next_claim(noted: list[Any]) -> None:
    create_rule(Animal, slug="greet", operations=["create"], actions=[("note", {"text": "{{ instance.name }}"})])
    Animal.objects.create(name="Asha")
    drain_queue(conf.queue())
    pause = Pause.objects.create(rule_slug="greet")
    Animal.objects.create(name="Bo")
    assert drain_queue(conf.queue()) == 0
    pause.delete()
    assert drain_queue(conf.queue()) == 1

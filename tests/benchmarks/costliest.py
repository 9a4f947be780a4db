"""What the costliest rules that are accepted add to a save: each beside the plain save, in one run.

``DATABASE_URL=… python -m tests.benchmarks.costliest [ROWS]`` prints for each case what the plain save takes, what it
takes with the rules, and the goal, which is 50 ms + 2 × the plain save. Without ROWS it is the sizes that are promised:
1,000 long related rows, ``for_each`` over 10,000 and a many-to-many change of 100,000 objects; with it no more than so
many. Never a test: what must hold by counting is in ``tests/integration/test_save_cost.py``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ.setdefault("DEMO_VAR", tempfile.mkdtemp(prefix="signal-rules-benchmarks-"))

import django

django.setup()

from django.db import connection
from django.test.utils import setup_databases, setup_test_environment, teardown_databases

from rules_engine.models import LargeChange, Rule
from rules_engine.testing import create_rule, reset
from tests.zoo.models import Animal, Keeper, Meal, Tag

LOG = ("log_message", {"message": "{{ instance.name }}"})
GOAL_SECONDS, GOAL_TIMES = 0.05, 2.0
NOTES = {"some": [{"var": "instance.animals"}, {"==": [{"var": "notes"}, "none has this"]}]}
ALL_NOTES = "{% for one in instance.animals %}{{ one.notes }}{% endfor %}"
SLOW = (
    "{% for one in instance.meals %}{% for other in instance.meals %}{{ instance.notes|slugify|title }}"
    "{% endfor %}{% endfor %}"
)
CHOSEN = {"filter": [{"var": "instance.animals"}, {"!=": [{"var": "name"}, "b"]}]}


def seconds(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def keeper_of(animals: int, notes: str = "") -> Keeper:
    keeper = Keeper.objects.create(name="k")
    Animal.objects.bulk_create([Animal(name="a", keeper=keeper, notes=notes) for _ in range(animals)], batch_size=500)
    return keeper


def long_rows() -> None:
    create_rule(Keeper, condition=NOTES, actions=[LOG])
    create_rule(Keeper, actions=[("log_message", {"message": ALL_NOTES})])


def for_each() -> None:
    create_rule(Keeper, actions=[("log_message", {"message": "{{ each.name }}"}, {"for_each": "instance.animals"})])
    create_rule(Keeper, actions=[("log_message", {"message": "{{ each.name }}"}, {"for_each": CHOSEN})])


def slow_texts() -> None:
    for _ in range(3):
        create_rule(Animal, throttle_count=5, throttle_seconds=60, throttle_by=SLOW, actions=[LOG])
    create_rule(Animal, signals=["pre_save"], actions=[("set_fields", {"fields": [{"field": "name", "value": SLOW}]})])


def change() -> None:
    related = "{% for one in instance.animals %}{{ one.name }}{% endfor %}"
    create_rule(Tag, signals=["m2m_changed"], actions=[("log_message", {"message": related})])
    create_rule(Tag, signals=["m2m_changed"], actions=[LOG], throttle_count=5, throttle_seconds=60)
    objects = {"some": [{"var": "m2m.objects"}, {"==": [{"var": "name"}, "none has this"]}]}
    create_rule(Animal, signals=["m2m_changed"], changes=[{"field": "tags"}], condition=objects, actions=[LOG])


def report(name: str, act: Callable[[], Any], undo: Callable[[], Any], prepare: Callable[[], None]) -> None:
    act()  # what is prepared once is prepared
    undo()
    plain = min(_measured(act, undo) for _ in range(3))
    prepare()
    act()
    undo()
    found = min(_measured(act, undo) for _ in range(3))
    goal = GOAL_SECONDS + GOAL_TIMES * plain
    print(f"{name:<40}{plain * 1000:>10.1f}{found * 1000:>10.1f}{goal * 1000:>10.1f}{found / goal:>8.2f}")
    Rule.objects.all().delete()
    reset()


def _measured(act: Callable[[], Any], undo: Callable[[], Any]) -> float:
    taken = seconds(act)
    undo()
    return taken


def measure(most: int) -> None:
    print(f"{connection.vendor}, at most {most:,} rows")
    print(f"{'case':<40}{'plain ms':>10}{'with ms':>10}{'goal ms':>10}{'of goal':>8}")
    nothing = lambda: None  # noqa: E731
    report("1,000 long related rows", keeper_of(min(most, 1_000), "x" * 100_000).save, nothing, long_rows)
    report("for_each over 10,000 rows", keeper_of(min(most, 10_000)).save, nothing, for_each)
    fed = Animal.objects.create(name="a", notes="Ab-c é" * 700)
    Meal.objects.bulk_create([Meal(animal=fed) for _ in range(min(most, 900))], batch_size=500)
    report("texts of three keys and one field", fed.save, nothing, slow_texts)
    Tag.objects.bulk_create([Tag(name="t") for _ in range(min(most, 100_000))], batch_size=500)
    keys = list(Tag.objects.values_list("pk", flat=True))

    def undo() -> None:
        LargeChange.objects.all().delete()
        Animal.tags.through.objects.all()._raw_delete(connection.alias)

    report("a change of 100,000 objects", lambda: fed.tags.add(*keys), undo, change)


if __name__ == "__main__":
    setup_test_environment()
    old = setup_databases(verbosity=0, interactive=False)
    try:
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    finally:
        teardown_databases(old, verbosity=0)

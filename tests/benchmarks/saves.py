"""What a save costs with rules about: ratios against a save without the engine, measured side by side in one run.

``DATABASE_URL=… python -m tests.benchmarks.saves [ROUNDS]`` prints a table with an A/A row that shows the noise; the
goals beside the rows are those that the design sets. Never a test.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ.setdefault("DEMO_VAR", tempfile.mkdtemp(prefix="signal-rules-benchmarks-"))

import django

django.setup()

from django.db import connection, transaction
from django.test.utils import setup_databases, setup_test_environment, teardown_databases

from rules_engine.models import Rule
from rules_engine.testing import create_rule, refresh, reset
from tests.zoo.models import Animal, Bystander

SAVES = 200
LOG = [("log_message", {"message": "{{ instance.name }}"})]


def saves(row: Any) -> Callable[[], None]:
    def act() -> None:
        with transaction.atomic():
            for number in range(SAVES):
                row.legs = number
                row.save()

    return act


def seconds(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def never(count: int) -> None:
    """Rules on the model whose conditions are all false."""
    rules = [
        Rule(
            slug=f"never-{number}",
            name="never",
            model="zoo.animal",
            signals=["post_save"],
            condition={"==": [{"var": "instance.name"}, str(number)]},
        )
        for number in range(count)
    ]
    Rule.objects.bulk_create(rules)
    refresh()


def measure(rounds: int) -> None:
    animal = Animal.objects.create(name="a")
    plain = saves(animal)
    cases: list[tuple[str, str, Callable[[], Any]]] = [
        ("A/A: no rule against no rule", "1.00", lambda: None),
        ("P2: rules on another model", "≤ 1.01", lambda: create_rule(model=Bystander, actions=LOG)),
        (
            "P4: old value read, nothing matches",
            "≤ 1.20 / 1.55",
            lambda: create_rule(model=Animal, changes=[{"field": "name"}], actions=LOG),
        ),
        ("P5: 1 rule, does not match", "≤ 1.05", lambda: never(1)),
        ("P5: 100 rules, none matches", "≤ 1.05", lambda: never(100)),
        ("matched: event and execution written", "", lambda: create_rule(model=Animal, actions=LOG)),
    ]
    print(f"{connection.vendor}, {rounds} rounds of {SAVES} saves in a transaction")
    print(f"{'case':<42}{'goal':>16}{'ratio':>8}{'base µs':>10}")
    for name, goal, prepare in cases:
        reset()
        found = []
        for _ in range(rounds):
            Rule.objects.all().delete()
            reset()
            base = seconds(plain)
            prepare()
            found.append((seconds(plain) / base, base))
        middle = statistics.median(one for one, _ in found)
        base_us = statistics.median(one for _, one in found) / SAVES * 1e6
        print(f"{name:<42}{goal:>16}{middle:>8.2f}{base_us:>10.0f}")
    reset()


if __name__ == "__main__":
    setup_test_environment()
    old = setup_databases(verbosity=0, interactive=False)
    try:
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
    finally:
        teardown_databases(old, verbosity=0)

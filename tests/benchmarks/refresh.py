"""What a process pays for its rules: reading them all, reading them again after one edit, and holding them in memory.

``DATABASE_URL=… python -m tests.benchmarks.refresh [RULES …]`` prints a table; the goals beside the columns are those
that the design sets. Never a test.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
os.environ.setdefault("DEMO_VAR", tempfile.mkdtemp(prefix="signal-rules-benchmarks-"))

import django

django.setup()

import gc

from django.apps import apps
from django.db import connection
from django.test.utils import setup_databases, setup_test_environment, teardown_databases

from rules_engine.live import cache, watcher
from rules_engine.models import Rule, RuleAction

EDITS = 7
LABELS = sorted(
    model._meta.label_lower for model in apps.get_models() if model._meta.app_label in ("zoo", "shop", "clinic")
)


def store(count: int, models: int) -> None:
    """Store so many rules, each with a condition and an action of its own, and one in two with a change condition."""
    labels = ["shop.order"] if models == 1 else LABELS[:models]
    fields = {label: [field.name for field in apps.get_model(label)._meta.concrete_fields] for label in labels}
    rules = Rule.objects.bulk_create(
        [
            Rule(
                slug=f"rule-{number}",
                name=f"Rule {number}",
                description="Tells somebody of what happened, where it did.",
                model=label,
                signals=["post_save"],
                operations=["update"] if number % 3 else [],
                changes=[{"field": fields[label][1]}] if number % 2 else [],
                condition={
                    "and": [
                        {"==": [{"var": "event.operation"}, "update"]},
                        {"in": [{"var": "actor.username"}, [f"user-{number}", f"user-{number + 1}"]]},
                        {">": [{"var": "event.depth"}, -1]},
                    ]
                },
            )
            for number in range(count)
            for label in [labels[number % len(labels)]]
        ],
        batch_size=500,
    )
    RuleAction.objects.bulk_create(
        [
            RuleAction(rule=rule, kind="log_message", config={"message": f"{rule.slug}: {{{{ instance.pk }}}} changed"})
            for rule in rules
        ],
        batch_size=500,
    )


def measured(count: int, models: int) -> tuple[float, float, float, float]:
    """Return milliseconds of CPU to load the rules first, to load them in a process that finds their versions, and to
    refresh them after one edit; and the bytes that each takes."""
    with watcher.without_reading():
        Rule.objects.all().delete()
        store(count, models)
    cache.reset()
    first = _cpu_ms(lambda: cache.refresh(force=True))
    cache.reset()
    again = _cpu_ms(lambda: cache.refresh(force=True))
    edits = []
    for number in range(EDITS):
        condition = {"==": [{"var": "event.depth"}, number + 1]}
        # As another process sees it.
        with watcher.without_reading():
            Rule.objects.filter(slug=f"rule-{number * 7}").update(condition=condition)
        edits.append(_cpu_ms(cache.refresh))
    return first, again, statistics.median(edits), _bytes_taken() / count


def _bytes_taken() -> float:
    """Return what the rules take in this process, with what is kept of conditions before one is asked."""
    cache.reset()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache.refresh(force=True)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def _cpu_ms(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return (time.process_time() - began) * 1000


def measure(counts: list[int]) -> None:
    print(f"{connection.vendor}; milliseconds of CPU, KB a rule; median of {EDITS} edits")
    print(f"{'rules':>7}{'models':>8}{'first load':>12}{'load':>9}{'one edit':>10}{'KB a rule':>11}")
    print(f"{'':>7}{'':>8}{'':>12}{'':>9}{'≤ 50':>10}{'≤ 5':>11}")
    for count in counts:
        for models in (1, 20):
            first, again, edit, taken = measured(count, models)
            print(f"{count:>7}{models:>8}{first:>12.0f}{again:>9.0f}{edit:>10.1f}{taken / 1024:>11.1f}", flush=True)
    cache.reset()


if __name__ == "__main__":
    setup_test_environment()
    old = setup_databases(verbosity=0, interactive=False)
    try:
        measure([int(argument) for argument in sys.argv[1:]] or [100, 1_000, 10_000])
    finally:
        teardown_databases(old, verbosity=0)

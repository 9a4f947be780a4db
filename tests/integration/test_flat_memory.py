"""A process that records events keeps nothing of them: a million take the memory that a hundred do."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from functools import _lru_cache_wrapper

import pytest
from django.db import transaction

from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS, ROUNDS = 100, 3


@pytest.fixture(autouse=True)
def _no_lines_kept(caplog: pytest.LogCaptureFixture) -> None:
    """pytest keeps what is logged, which is a line for each event where the level is INFO."""
    caplog.set_level(logging.WARNING, "rules_engine")


def save(animal: Animal, times: int) -> None:
    for _ in range(times):
        with transaction.atomic():
            animal.legs += 1
            animal.save()


def objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def least_growth(work: Callable[[], object]) -> int:
    """By how many objects the process grows at least when it does that: what is imported late, or comes and goes with
    threads, does so once, and what is kept of each event would grow each time."""
    grown = []
    for _ in range(ROUNDS):
        before = objects()
        work()
        grown.append(objects() - before)
    return min(grown)


def unbounded() -> dict[str, int]:
    """How much the engine's caches without an end hold."""
    found = [cache for cache in gc.get_objects() if isinstance(cache, _lru_cache_wrapper)]
    ours = [cache for cache in found if str(getattr(cache, "__module__", "")).startswith(("rules_engine", "webhooks"))]
    endless = [cache for cache in ours if cache.cache_parameters()["maxsize"] is None]
    return {f"{cache.__module__}.{cache.__qualname__}": cache.cache_info().currsize for cache in endless}


def test_nothing_is_kept_of_an_event_that_is_recorded() -> None:
    create_rule(
        slug="r",
        model=Animal,
        operations=["update"],
        changes=[{"field": "legs"}],
        condition={">": [{"var": "instance.legs"}, 0]},
        actions=[("log_message", {"message": "{{ instance.name }}"})],
    )
    animal = Animal.objects.create(name="rex")
    save(animal, 20)
    caches = unbounded()
    assert least_growth(lambda: save(animal, EVENTS)) < EVENTS // 2
    assert unbounded() == caches
    assert Event.objects.count() == ROUNDS * EVENTS + 20


def test_nothing_is_kept_of_an_execution_that_is_carried_out() -> None:
    create_rule(slug="r", model=Animal, operations=["update"], actions=[("write_audit_entry", {})])
    animal = Animal.objects.create(name="rex")
    save(animal, ROUNDS * EVENTS + 20)
    assert run_due(limit=20) == 20
    caches = unbounded()
    assert least_growth(lambda: run_due(limit=EVENTS)) < EVENTS // 2
    assert unbounded() == caches
    assert not Execution.objects.exclude(state="succeeded").exists()

"""Rules on time while others write and other workers look: each date once, none early, and no save waits."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from rules_engine.live import cache
from rules_engine.models import Event, Firing, Schedule
from rules_engine.work.schedules import dates_looked_at
from rules_engine.work.schedules.looking import look_due
from tests.integration.schedules.clocks import BEGIN, HOUR, MINUTE, look, on, timed
from tests.threads import run_together
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

WRITERS, LOOKERS, ANIMALS, MOVES = 20, 3, 10, 12


def locks_rows() -> None:
    if not connection.features.has_select_for_update:
        pytest.skip("One writer at a time writes here.")


def test_dates_that_twenty_writers_move_are_told_once_each() -> None:
    locks_rows()
    rule = timed(on())
    animals = [Animal.objects.create(name=str(number), fed_at=BEGIN) for number in range(ANIMALS)]
    had: dict[str, set[datetime]] = defaultdict(set)
    for animal in animals:
        had[str(animal.pk)].add(BEGIN + HOUR)
    noting, now, writing = threading.Lock(), [BEGIN + HOUR], threading.Semaphore(0)

    def move(number: int) -> None:
        chance = random.Random(number)
        for _ in range(MOVES):
            animal = chance.choice(animals)
            at = BEGIN + MINUTE * chance.randrange(300)
            with noting:
                had[str(animal.pk)].add(at + HOUR)
            with transaction.atomic():
                Animal.objects.filter(pk=animal.pk).update(fed_at=at)
        writing.release()

    def work(number: int) -> None:
        if number < WRITERS:
            move(number)
            return
        while not writing.acquire(blocking=False) or writing.release():
            now[0] += MINUTE
            Schedule.objects.update(next_look_at=BEGIN)
            look_due(now=now[0], seconds=1)

    run_together(WRITERS + LOOKERS, work)
    last = BEGIN + 10 * HOUR
    Schedule.objects.update(next_wide_at=BEGIN, looked_until=None)
    look(last)
    told = [(event.object_pk, datetime.fromisoformat(event.context["due"]["at"])) for event in Event.objects.all()]
    assert len(told) == len(set(told)) == Firing.objects.filter(rule_slug=rule.slug).count()
    assert all(at in had[pk] for pk, at in told)
    assert all(datetime.fromisoformat(event.context["due"]["at"]) <= event.occurred_at for event in Event.objects.all())
    for animal in Animal.objects.all():
        assert animal.fed_at is not None
        assert (str(animal.pk), animal.fed_at + HOUR) in set(told)


def test_workers_that_look_at_once_tell_each_object_once() -> None:
    locks_rows()
    timed(on())
    for number in range(40):
        Animal.objects.create(name=str(number), fed_at=BEGIN)
    run_together(4, lambda _number: look_due(now=BEGIN + 2 * HOUR))
    assert Event.objects.count() == Firing.objects.count() == 40


def test_no_save_waits_for_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    locks_rows()
    timed(on())
    rex = Animal.objects.create(name="Rex", fed_at=BEGIN)
    saved: list[int] = []
    tell = dates_looked_at.tell

    def save() -> None:
        try:
            saved.append(Animal.objects.filter(pk=rex.pk).update(fed_at=BEGIN + HOUR))
        finally:
            connections.close_all()

    def tell_while_somebody_saves(*args: Any, **named: Any) -> Any:
        answers = tell(*args, **named)
        other = threading.Thread(target=save)
        other.start()
        other.join(60)
        assert saved == [1], "the save waits for the look to end"
        return answers

    monkeypatch.setattr(dates_looked_at, "tell", tell_while_somebody_saves)
    look(BEGIN + 2 * HOUR)
    assert Firing.objects.get().due_at == BEGIN + HOUR


def test_a_look_waits_for_no_save_and_misses_nothing() -> None:
    locks_rows()
    timed(on())
    rex = Animal.objects.create(name="Rex", fed_at=BEGIN + 5 * HOUR)
    begun, may_end = threading.Event(), threading.Event()

    def slowly(number: int) -> int:
        if number == 0:
            with transaction.atomic():
                Animal.objects.filter(pk=rex.pk).update(fed_at=BEGIN)
                begun.set()
                may_end.wait(60)
            return 0
        begun.wait(60)
        told = look(BEGIN + HOUR + timedelta(seconds=1))
        may_end.set()
        return told

    assert run_together(2, slowly) == [0, 0]
    assert look(BEGIN + HOUR + timedelta(seconds=16)) == 1
    assert cache.current().rules

"""Pauses: what they stop, what waits for their end, and what is gone."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from project.clinic.models import Doctor
from rules_engine import paused
from rules_engine.live import cache
from rules_engine.models import Event, Execution, HeldMatch, Pause
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.work import tasks
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

THROTTLED = {"throttle_count": 5, "throttle_seconds": 60}


def rules() -> None:
    for slug, model, fields in (
        ("doctors", "clinic.doctor", {}),
        ("Doctors, throttled", "clinic.Doctor", THROTTLED),
        ("animals", "zoo.animal", {}),
        ("animals, throttled", "zoo.animal", THROTTLED),
    ):
        create_rule(model, slug=slug, actions=[("note", {"text": slug})], **fields)


def pause(**fields: Any) -> Pause:
    made = Pause.objects.create(**fields)
    refresh()
    return made


def change_all() -> None:
    Doctor.objects.create(first_name="Ada")
    Animal.objects.create(name="Rex")


@pytest.mark.parametrize(
    ("scope", "stopped"),
    [
        ({"rule_slug": "doctors"}, ["doctors"]),
        ({"rule_slug": "animals, throttled"}, ["animals, throttled"]),
        ({"model": "clinic.doctor"}, ["Doctors, throttled", "doctors"]),
        ({"model": "Clinic.Doctor"}, ["Doctors, throttled", "doctors"]),
        ({}, ["Doctors, throttled", "animals", "animals, throttled", "doctors"]),
    ],
)
@pytest.mark.parametrize("mode", ["hold", "drop"])
def test_a_pause_stops_its_rules_and_no_others(
    noted: list[str], scope: dict[str, str], stopped: list[str], mode: str
) -> None:
    rules()
    change_all()
    pause(mode=mode, **scope)
    change_all()
    run_due()
    assert tasks.due_queues() == []
    # Those that are not paused acted on both changes, the others on neither.
    assert {slug: noted.count(slug) for slug in ("animals", "animals, throttled", "doctors", "Doctors, throttled")} == {
        slug: 0 if slug in stopped else 2 for slug in ("animals", "animals, throttled", "doctors", "Doctors, throttled")
    }
    Pause.objects.all().delete()
    refresh()
    run_due()
    # What waited before the pause is made up for in either mode.
    assert {noted.count(slug) for slug in stopped} == {2 if mode == "hold" else 1}


def test_nothing_is_recorded_of_what_a_pause_drops() -> None:
    rules()
    pause(mode="drop")
    change_all()
    assert not Event.objects.exists()
    assert not HeldMatch.objects.exists()


def test_of_two_pauses_the_one_that_drops_wins(noted: list[str]) -> None:
    rules()
    pause(rule_slug="doctors", mode="hold")
    drop = pause(model="clinic.doctor", mode="drop")
    Doctor.objects.create(first_name="Ada")
    drop.delete()
    refresh()
    run_due()
    assert noted == []
    Pause.objects.all().delete()
    run_due()
    assert noted == []


def test_what_acts_in_the_process_is_told_as_not_done(noted: list[str]) -> None:
    create_rule(
        Doctor,
        slug="r",
        signals=["pre_save"],
        actions=[
            ("note", {"text": "before"}, {"timing": "before_save"}),
            ("note", {"text": "within"}, {"timing": "in_transaction"}),
            ("note", {"text": "after"}, {"timing": "after_commit"}),
        ],
    )
    stopping = pause(rule_slug="r")
    Doctor.objects.create(first_name="Ada")
    stopping.delete()
    run_due()
    assert noted == ["after"]
    told = list(Execution.objects.order_by("position").values_list("state", "error"))
    sentence = "The rule is paused, and this cannot be done afterwards."
    assert told == [("cancelled", sentence), ("cancelled", sentence), ("succeeded", "")]


@pytest.mark.parametrize(
    "fields", [{"rule_slug": "typo"}, {"model": "clinic.typo"}, {"rule_slug": "doctors", "model": "clinic.doctor"}]
)
def test_a_pause_that_would_stop_nothing_is_not_taken(fields: dict[str, str]) -> None:
    rules()
    with pytest.raises(ValidationError):
        Pause(**fields).full_clean()
    Pause(model="clinic.DOCTOR").full_clean()


def test_no_statement_of_a_save_is_about_pauses() -> None:
    rules()
    pause(rule_slug="doctors")
    with CaptureQueriesContext(connection) as queries:
        change_all()
    assert not any("rules_engine_pause" in one["sql"] for one in queries)


def test_code_pauses_for_itself_and_not_for_other_threads(noted: list[str]) -> None:
    rules()

    def elsewhere() -> None:
        try:
            Animal.objects.create(name="seen")
        finally:
            connections.close_all()

    with paused():
        Animal.objects.create(name="hidden")
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    run_due()
    assert sorted(noted) == ["animals", "animals, throttled"]


def test_loaded_data_is_heard_by_rules_that_ask_for_it_alone(noted: list[str], tmp_path: Path) -> None:
    rules()
    create_rule(Animal, raw=True, actions=[("note", {"text": "raw {{ instance.name }}"})])
    with paused():
        Animal.objects.create(name="Rex")
    fixture = tmp_path / "animals.json"
    call_command("dumpdata", "zoo.animal", output=str(fixture), stdout=StringIO())
    Animal.objects.all().delete()
    noted.clear()
    Execution.objects.all().delete()
    HeldMatch.objects.all().delete()
    call_command("loaddata", str(fixture), stdout=StringIO())
    run_due()
    assert noted == ["raw Rex"]


@pytest.mark.parametrize("mode", ["hold", "drop"])
def test_a_pause_ends_by_itself_at_its_time(noted: list[str], mode: str) -> None:
    rules()
    standing = pause(mode=mode, until=timezone.now() + timedelta(minutes=5))
    change_all()
    run_due()
    assert noted == []
    # Nobody announces that the time has come: neither the rule set's number nor a signal.
    # A second ago: SQLite's clock counts milliseconds, and the same one is not over yet.
    ended = timezone.now() - timedelta(seconds=1)
    Pause.objects.filter(pk=standing.pk)._update([(Pause._meta.get_field("until"), None, ended)])
    assert not cache.refresh()
    object.__setattr__(cache.current(), "stale_at", time.monotonic())
    assert cache.refresh()
    change_all()
    run_due()
    assert {noted.count(slug) for slug in ("doctors", "animals, throttled")} == {2 if mode == "hold" else 1}


def test_the_rules_are_read_again_when_the_first_of_the_pauses_ends() -> None:
    rules()
    assert cache.current().stale_at == float("inf")
    pause(rule_slug="animals", until=timezone.now() + timedelta(minutes=60))
    pause(rule_slug="doctors", until=timezone.now() + timedelta(minutes=5))
    assert 290 < cache.current().stale_at - time.monotonic() <= 300
    pause(rule_slug="doctors", until=timezone.now() - timedelta(seconds=1))
    assert 290 < cache.current().stale_at - time.monotonic() <= 300


def test_a_pause_that_is_over_stops_nothing(noted: list[str]) -> None:
    rules()
    pause(until=timezone.now() - timedelta(seconds=1))
    change_all()
    run_due()
    assert len(noted) == 4

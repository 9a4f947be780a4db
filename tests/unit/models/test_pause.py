"""What a pause stops, and how it says so: without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone, translation

from rules_engine.models import Pause

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scope", "slug", "model", "stops"),
    [
        ({}, "welcome", "zoo.animal", True),
        ({}, "welcome", "", True),
        ({"rule_slug": "welcome"}, "welcome", "zoo.animal", True),
        ({"rule_slug": "welcome"}, "welcome", "", True),
        ({"rule_slug": "welcome"}, "Welcome", "zoo.animal", False),
        ({"rule_slug": "welcome"}, "welcome-2", "zoo.animal", False),
        ({"model": "zoo.animal"}, "any", "zoo.animal", True),
        ({"model": "zoo.Animal"}, "any", "zoo.animal", True),
        ({"model": "zoo.animal"}, "any", "ZOO.ANIMAL", True),
        ({"model": "zoo.animal"}, "any", "zoo.dog", False),
        ({"model": "zoo.animal"}, "any", "", False),
        ({"model": "zoo.animal"}, "any", None, False),
    ],
)
def test_a_pause_stops_its_rule_its_model_or_everything(scope: Any, slug: str, model: Any, stops: bool) -> None:
    assert Pause(**scope).stops(slug, model) is stops


@pytest.mark.parametrize(
    ("scope", "watches"), [({}, False), ({"rule_slug": "welcome"}, False), ({"model": "zoo.animal"}, True)]
)
def test_only_a_pause_of_a_model_watches_one(scope: Any, watches: bool) -> None:
    assert Pause(**scope).watches("zoo.animal") is watches


@pytest.mark.parametrize(
    ("scope", "title"),
    [({"rule_slug": "welcome"}, "welcome"), ({"model": "zoo.animal"}, "zoo.animal"), ({}, "everything")],
)
def test_a_pause_is_called_by_what_it_stops(scope: Any, title: str) -> None:
    assert str(Pause(**scope)) == title


def test_a_pause_of_everything_is_called_so_in_german() -> None:
    with translation.override("de"):
        assert str(Pause()) not in ("", "everything")


@pytest.mark.parametrize(
    ("until", "now", "left"),
    [
        (None, NOW, None),
        (NOW + timedelta(minutes=1), NOW, 60.0),
        (NOW - timedelta(seconds=5), NOW, -5.0),
        (NOW, None, None),
    ],
)
def test_how_long_it_stands_is_told_by_the_clock_of_the_database(until: Any, now: Any, left: float | None) -> None:
    pause = Pause(until=until)
    if now is not None:
        pause.now = now
    assert pause.seconds_left == left


@pytest.mark.parametrize(("seconds", "has_ended"), [(None, False), (-1, True), (3600, False)])
def test_a_pause_ends_when_its_end_has_come(seconds: int | None, has_ended: bool) -> None:
    until = None if seconds is None else timezone.now() + timedelta(seconds=seconds)
    assert Pause(until=until).has_ended() is has_ended


def test_a_pause_of_a_rule_and_a_model_at_once_is_refused() -> None:
    with pytest.raises(ValidationError, match="Name a rule or a model, not both"):
        Pause(rule_slug="welcome", model="zoo.animal").clean()


def test_a_pause_of_everything_needs_no_look_at_the_rules() -> None:
    Pause().clean()

"""What can be recorded, and for how long: without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone, translation

from rules_engine.models import Recording
from rules_engine.models.recording import LONGEST


def said(recording: Recording) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        recording.clean()
    return caught.value.message_dict


def soon() -> datetime:
    return timezone.now() + timedelta(hours=1)


@pytest.mark.parametrize("written", ["zoo.animal", "zoo.Animal"])
def test_a_model_is_recorded_under_its_one_label(written: str) -> None:
    recording = Recording(model=written, until=soon())
    recording.clean()
    assert recording.model == str(recording) == "zoo.animal"


@pytest.mark.parametrize("written", ["zoo.animl", "animal", "zoo.", ".", "zoo.animal.name"])
def test_a_model_that_is_not_there_is_told_as_it_was_written(written: str) -> None:
    assert said(Recording(model=written, until=soon())) == {"model": [f'There is no model "{written}".']}


@pytest.mark.parametrize("written", ["rules_engine.event", "auth.permission", "sessions.session"])
def test_what_rules_may_not_listen_to_is_not_recorded(written: str) -> None:
    problems = said(Recording(model=written, until=soon()))
    assert problems == {"model": ["Rules may not listen to this model, so it cannot be recorded."]}


@pytest.mark.parametrize("offset", [timedelta(seconds=-1), timedelta(days=-40), LONGEST + timedelta(minutes=1)])
def test_an_end_that_is_past_or_far_away_is_refused(offset: timedelta) -> None:
    problems = said(Recording(model="zoo.animal", until=timezone.now() + offset))
    assert problems == {"until": ["Expected a time within the next 31 days."]}


@pytest.mark.parametrize("offset", [timedelta(seconds=30), LONGEST - timedelta(minutes=1)])
def test_an_end_within_a_month_is_taken(offset: timedelta) -> None:
    Recording(model="zoo.animal", until=timezone.now() + offset).clean()


def test_a_missing_model_or_end_is_left_to_the_field_to_tell() -> None:
    Recording(model="", until=soon()).clean()
    Recording(model="zoo.animal").clean()


def test_an_end_that_is_refused_is_told_in_german() -> None:
    with translation.override("de"):
        [sentence] = said(Recording(model="zoo.animal", until=timezone.now() - timedelta(days=1)))["until"]
    assert "31" in sentence
    assert "Expected" not in sentence


@pytest.mark.parametrize(("seconds", "goes_on"), [(60, True), (-60, False)])
def test_a_recording_goes_on_until_its_end(seconds: int, goes_on: bool) -> None:
    assert Recording(until=timezone.now() + timedelta(seconds=seconds)).is_going_on is goes_on


def test_what_is_left_is_told_by_the_clock_of_the_database() -> None:
    recording = Recording(until=datetime(2026, 1, 31, 13, tzinfo=UTC))
    recording.now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert recording.seconds_left == 3600.0

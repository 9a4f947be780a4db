"""What comes of trying rules on a subject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from rules_engine.capture import outcome
from rules_engine.capture.outcome import TROUBLE_SECONDS, forget_troubles, match
from rules_engine.context.actor import Cause, Origin
from rules_engine.context.subject import Subject
from rules_engine.rules.matching import CompiledRule
from tests.unit.compiled import compiled
from tests.zoo.models import Animal

NOW = datetime(2026, 5, 6, tzinfo=UTC)
YES, NO = ({"==": [{"var": "instance.legs"}, legs]} for legs in (4, 3))
FAULTY = compiled("faulty", condition={"nonsense": [1]})
RECORDER = CompiledRule(slug="", version=0, model="zoo.animal", signals=frozenset({"post_save"}))


def subject(**fields: Any) -> Subject:
    return Subject("post_save", "update", Animal(pk=5, name="Rex", legs=4), **{"occurred_at": NOW, **fields})


@pytest.fixture(autouse=True)
def untold() -> Iterator[None]:
    forget_troubles()
    yield
    forget_troubles()


def slugs(rules: Any) -> list[str]:
    return [rule.slug for rule in rules]


def test_where_nothing_matches_there_is_nothing_to_tell():
    assert match(subject(), [compiled("a", condition=NO), compiled("b", operations=("create",))]) is None
    assert match(subject(), []) is None


def test_those_that_match_are_told_with_what_became_of_the_others():
    found = match(subject(), [compiled("a", condition=NO), compiled("b", condition=YES)])
    assert found is not None
    assert slugs(found.matched) == ["b"]
    assert [(one.rule_slug, one.outcome, one.gate) for one in found.evaluations] == [
        ("a", "not_matched", "condition"),
        ("b", "matched", None),
    ]


def test_a_recorder_is_no_rule():
    found = match(subject(), [RECORDER, compiled("a", condition=NO)])
    assert found is not None
    assert (slugs(found.matched), slugs(found.recorders), slugs_of(found)) == ([], [""], ["a"])


def slugs_of(found: outcome.Outcome) -> list[str]:
    return [evaluation.rule_slug for evaluation in found.evaluations]


def test_what_cannot_be_read_for_one_rule_is_that_rules_error():
    gone = replace(compiled("gone", condition=YES), reads=frozenset({("instance", "gone")}))
    found = match(subject(), [gone, compiled("b", condition=YES)])
    assert found is not None
    assert slugs(found.matched) == ["b"]
    assert found.evaluations[0].outcome == "error"
    assert "could not be read" in found.evaluations[0].detail


def test_a_rule_does_not_hear_what_its_own_action_changed():
    own = Origin(cause=Cause(UUID(int=1), 0, "a"))
    found = match(subject(origin=own), [compiled("a"), compiled("b")])
    assert found is not None
    assert slugs_of(found) == ["b"]


def test_loaded_data_is_for_the_rules_that_ask_for_it():
    found = match(subject(origin=Origin(is_loading=True)), [compiled("a"), compiled("b", raw=True)])
    assert found is not None
    assert slugs_of(found) == ["b"]


def test_a_rule_is_tried_between_its_dates():
    later = compiled("later", active_from=NOW + timedelta(days=1))
    over = compiled("over", active_until=NOW)
    assert match(subject(), [later, over]) is None
    found = match(subject(occurred_at=NOW + timedelta(days=1)), [later, over])
    assert found is not None
    assert slugs_of(found) == ["later"]


def test_a_match_that_stops_processing_ends_it():
    found = match(subject(), [compiled("a", stop_processing=True), compiled("b")])
    assert found is not None
    assert slugs_of(found) == ["a"]


def test_a_rule_that_cannot_be_tried_says_so_once_a_minute():
    first = match(subject(), [FAULTY])
    assert first is not None
    assert not first.evaluations[0].is_known
    soon = NOW + timedelta(seconds=TROUBLE_SECONDS - 1)
    assert match(subject(occurred_at=soon), [FAULTY]) is None
    beside_another = match(subject(occurred_at=soon), [FAULTY, compiled("sound")])
    assert beside_another is not None
    assert [evaluation.is_known for evaluation in beside_another.evaluations] == [True, False]
    assert match(subject(occurred_at=NOW + timedelta(seconds=TROUBLE_SECONDS)), [FAULTY]) is not None


def test_a_clock_that_is_set_back_silences_no_trouble():
    match(subject(), [FAULTY])
    assert match(subject(occurred_at=NOW - timedelta(hours=1)), [FAULTY]) is not None


def test_a_new_rule_set_tells_its_troubles_anew():
    match(subject(), [FAULTY])
    forget_troubles()
    assert match(subject(), [FAULTY]) is not None

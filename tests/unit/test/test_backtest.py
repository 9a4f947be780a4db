"""What a run over recorded events counts, and what it is compared with."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.rules.gates import CHANGES, CONDITION, OPERATIONS, ChangeSeen, GateSeen, State
from rules_engine.test.backtest import NAMED, AnotherForm, AsItWas, Listed, Result, heard
from rules_engine.types import Event, RuleSpec


def event(model: str = "zoo.animal", signal: str = "post_save", **instance: Any) -> Event:
    event_id, at = uuid.uuid4(), datetime(2026, 5, 6, tzinfo=UTC)
    return Event(event_id, signal, "update", model, 1, at, event_id, 0, {"instance": instance})


def test_each_event_is_counted_by_the_gate_that_was_shut() -> None:
    result = Result()
    unknown = GateSeen(CHANGES, "not_recorded", changes=[ChangeSeen("legs", {}, None, "not_recorded")])
    for stop in (
        None,
        GateSeen(OPERATIONS, "shut"),
        GateSeen(OPERATIONS, "shut"),
        GateSeen(CONDITION, "error", "No number."),
        GateSeen(CONDITION, "not_recorded", missing=[("instance", "total")]),
        unknown,
    ):
        result.count(stop, event(), "1")
    assert (result.tried, result.fired.count, result.not_recorded) == (6, 1, 2)
    assert (result.stopped, result.errors) == ({"operations": 2}, {"No number.": 1})
    assert result.missing == {"instance.total": 1, "changes.legs": 1}


@pytest.mark.parametrize(
    ("now", "before", "counted"),
    [
        ("open", "shut", "newly"),
        ("open", "error", "newly"),
        ("open", None, "newly"),
        ("open", "open", ""),
        ("shut", "open", "no_longer"),
        ("error", "open", "no_longer"),
        ("shut", None, ""),
        ("not_recorded", "open", "incomparable"),
        ("open", "not_recorded", "incomparable"),
    ],
)
def test_an_event_counts_where_the_two_forms_differ(now: State, before: State | None, counted: str) -> None:
    result = Result()
    result.compare(now, before, event(), "1")
    counts = {
        "newly": result.newly.count,
        "no_longer": result.no_longer.count,
        "incomparable": result.incomparable,
    }
    assert {name for name, count in counts.items() if count} == ({counted} if counted else set())


def test_the_newest_events_are_named_and_the_others_a_number() -> None:
    listed = Listed()
    for number in range(NAMED + 5):
        listed.add(event(), str(number))
    assert (listed.count, len(listed.events), listed.events[0].object_pk) == (NAMED + 5, NAMED, "0")


@pytest.mark.parametrize(("outcome", "state"), [("matched", "open"), ("not_matched", "shut"), ("error", "error")])
def test_a_rule_is_compared_with_what_it_did(outcome: str, state: str) -> None:
    evaluations = [{"rule": "another", "outcome": "error"}, {"rule": "mine", "outcome": outcome}]
    assert AsItWas("mine").state(event(), evaluations) == state
    assert AsItWas("none").state(event(), evaluations) is None


def test_a_rule_is_compared_with_another_form_of_it() -> None:
    condition = {"==": [{"var": "instance.legs"}, 3]}
    another = AnotherForm.of(RuleSpec(slug="r", model="zoo.animal", signals=("post_save",), condition=condition))
    assert another.state(event(legs=3), ()) == "open"
    assert another.state(event(legs=4), ()) == "shut"
    assert another.state(event(), ()) == "not_recorded"
    assert another.state(event(legs=3, signal="post_delete"), ()) == "shut"
    assert another.state(event(legs=3, model="zoo.tag"), ()) == "shut"


def test_a_rule_hears_of_inheriting_models_but_not_of_their_deletion() -> None:
    assert heard("post_save", "zoo.animal") == {"zoo.animal", "zoo.dog"}
    assert heard("post_delete", "zoo.animal") == {"zoo.animal"}
    assert (heard("user_logged_in", ""), heard("post_save", "zoo.unicorn")) == ({""}, set())

"""What is to be done about an event, decided without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings

from rules_engine.capture import decision as decisions
from rules_engine.capture.decision import Decision, decide
from rules_engine.capture.outcome import match
from rules_engine.context.actor import Cause, Origin
from rules_engine.context.subject import Subject
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import ActionSpec
from tests.unit.compiled import NOTE, compiled
from tests.zoo.models import Animal

NOW = datetime(2026, 5, 6, tzinfo=UTC)
BEFORE: dict[str, Any] = {"timing": "before_save"}
REJECT = ActionSpec("reject", {"message": "Not {{ instance.name }}."}, **BEFORE)
RENAME = ActionSpec("set_fields", {"fields": [{"field": "name", "value": "Max"}]}, position=1, **BEFORE)
UNKNOWN = ActionSpec("no_such_kind", {}, position=0, **BEFORE)


def subject(signal: str = "post_save", **fields: Any) -> Subject:
    animal = Animal(pk=5, name="Rex", legs=4)
    animal._state.adding = False
    return Subject(signal, "update", animal, **{"occurred_at": NOW, **fields})


def decided(subject: Subject, *rules: CompiledRule) -> Decision | None:
    outcome = match(subject, rules)
    assert outcome is not None
    return decide(outcome, "default")


def decision_of(subject: Subject, *rules: CompiledRule) -> Decision:
    decision = decided(subject, *rules)
    assert decision is not None
    return decision


def test_after_a_save_what_matched_is_to_be_carried_out_now():
    decision = decision_of(subject(), compiled("a", NOTE))
    assert [rule.slug for rule in decision.matched] == ["a"]
    assert (decision.is_deferred, decision.rejection, decision.ended) == (False, None, ())
    assert decision.event.context["instance"] == {"name": "Rex"}


def test_before_a_save_it_waits_for_the_change():
    assert decision_of(subject("pre_save"), compiled("a", NOTE, signals=("pre_save",))).is_deferred
    assert decision_of(subject("pre_delete"), compiled("a", NOTE, signals=("pre_delete",))).is_deferred


def test_an_event_holds_what_all_its_rules_read():
    legs = {"==": [{"var": "instance.legs"}, 4]}
    decision = decision_of(subject(), compiled("a", NOTE), compiled("b", condition=legs))
    assert decision.event.context["instance"] == {"name": "Rex", "legs": 4}


def test_a_veto_is_a_value_of_the_plan_and_does_not_wait():
    decision = decision_of(subject("pre_save"), compiled("veto", REJECT, NOTE, signals=("pre_save",)))
    assert decision.rejection is not None
    assert (decision.rejection.text, decision.rejection.rule_slug) == ("Not Rex.", "veto")
    assert (decision.is_deferred, decision.matched) == (False, ())
    assert [(end.state, end.text) for end in decision.ended] == [("succeeded", "Rejected: Not Rex.")]


@pytest.mark.parametrize("states", [{"shadow": True}, {"is_paused": True}])
def test_a_rule_in_shadow_or_paused_vetoes_nothing(states: dict[str, bool]):
    rule = replace(compiled("a", REJECT, signals=("pre_save",)), **states)  # type: ignore[arg-type]
    assert decision_of(subject("pre_save"), rule).rejection is None


def test_what_acts_before_a_save_has_acted_and_says_how_it_went():
    told = subject("pre_save")
    decision = decision_of(told, compiled("a", UNKNOWN, RENAME, signals=("pre_save",)))
    assert told.instance.name == "Max"  # type: ignore[union-attr]
    assert [end.state for end in decision.ended] == ["discarded", "succeeded"]
    assert "no_such_kind" in decision.ended[0].text


def test_an_action_that_stops_its_rule_cuts_off_those_after_it():
    stopping = ActionSpec("no_such_kind", {}, timing="before_save", on_failure="stop")
    told = subject("pre_save")
    decision = decision_of(told, compiled("a", stopping, RENAME, signals=("pre_save",)))
    assert told.instance.name == "Rex"  # type: ignore[union-attr]
    assert [end.state for end in decision.ended] == ["discarded", "cancelled"]


def test_a_field_that_is_not_stored_does_not_look_as_if_it_were():
    told = subject("pre_save", written=frozenset({"legs"}))
    decision_of(told, compiled("a", RENAME, signals=("pre_save",)))
    assert told.instance.name == "Rex"  # type: ignore[union-attr]


def test_each_rule_works_on_the_object_as_those_before_it_left_it():
    loud = ActionSpec("set_fields", {"fields": [{"field": "name", "value": "{{ instance.name|upper }}"}]}, **BEFORE)
    told = subject("pre_save")
    decision_of(told, compiled("a", RENAME, signals=("pre_save",)), compiled("b", loud, signals=("pre_save",)))
    assert told.instance.name == "MAX"  # type: ignore[union-attr]


EACH = ActionSpec("log_message", {"message": "{{ each }}"}, for_each="signal.items")


def items(items: Any) -> Subject:
    return Subject("user_logged_in", arguments={"items": items}, occurred_at=NOW)


def on_items() -> CompiledRule:
    return compiled("each", EACH, model="", signals=("user_logged_in",))


def test_the_rows_of_an_action_for_each_are_part_of_the_plan():
    assert decision_of(items(["a", "b"]), on_items()).rows == {("each", 0): ["a", "b"]}


def test_rows_that_cannot_be_told_are_a_sentence():
    assert "did not come to a list" in decision_of(items("no list"), on_items()).rows["each", 0]  # type: ignore[index]


def test_an_event_from_outside_is_never_too_deep(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decisions.chains, "reason_to_stop", None)
    assert decision_of(subject(), compiled("a", NOTE)).matched


@override_settings(RULES_ENGINE={"MAX_DEPTH": 2})
def test_a_chain_that_is_too_deep_stops_with_an_error_of_each_rule():
    deep = Origin(cause=Cause(UUID(int=1), 2, "other"))
    decision = decision_of(subject(origin=deep), compiled("a", NOTE))
    assert decision.matched == ()
    assert [(one.rule_slug, one.outcome) for one in decision.evaluations] == [("a", "matched"), ("a", "error")]
    assert "3 levels deep" in decision.evaluations[-1].detail


@override_settings(RULES_ENGINE={"MAX_DEPTH": 2})
def test_a_stopped_chain_says_so_once_for_what_one_action_does():
    deep = Origin(cause=Cause(UUID(int=1), 2, "other"))
    assert decided(subject(origin=deep), compiled("a", NOTE)) is not None
    assert decided(subject(origin=deep), compiled("a", NOTE)) is None
    assert decided(subject(origin=deep), compiled("b", NOTE)) is not None

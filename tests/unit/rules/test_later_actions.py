"""An action that acts later: what is wrong with its time of day and its question, and what its execution keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import override_settings

from rules_engine.live.compiler import compile_rule, content_of, digest_of
from rules_engine.rules.schedules.later import due_of, given_of
from rules_engine.rules.validation import action_problems, rule_problems
from rules_engine.types import ActionSpec, RuleSpec

RULE = RuleSpec(slug="r", name="R", model="zoo.animal", signals=("post_save",))
LOG = ActionSpec("log_message", {"message": "x"})
NOW = datetime(2031, 5, 6, 14, 0, tzinfo=UTC)


def said(action: ActionSpec, **rule: Any) -> dict[str, str]:
    return {problem.pointer: problem.message for problem in action_problems(action, replace(RULE, **rule))}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"asks_again": True},
        {"asks_again": True, "delay": 7_200},
        {"at": "18:00"},
        {"at": "00:00", "zone": "Asia/Kathmandu", "asks_again": True, "delay": 60},
    ],
)
def test_what_acts_later_as_it_should_has_no_problems(fields: dict[str, Any]) -> None:
    assert said(replace(LOG, **fields)) == {}


@pytest.mark.parametrize("at", ["6pm", "25:00", "8:00", 18, None, [], "18:00:00"])
def test_a_time_of_day_that_is_none_is_a_problem(at: Any) -> None:
    assert said(replace(LOG, at=at)) == {"/at": f"Expected a time of day such as 18:00, and got {at!r}."}


def test_an_unknown_zone_is_a_problem_with_a_hint() -> None:
    problems = said(replace(LOG, at="18:00", zone="Europe/Berln"))
    expected = "Expected a time zone such as Europe/Berlin, and got 'Europe/Berln'. Did you mean \"Europe/Berlin\"?"
    assert problems == {"/zone": expected}


@pytest.mark.parametrize("zone", [None, 1, [], {}])
def test_a_zone_that_is_no_text_is_a_problem(zone: Any) -> None:
    assert said(replace(LOG, at="18:00", zone=zone)).keys() == {"/zone"}


def test_a_zone_without_a_time_is_a_problem() -> None:
    assert said(replace(LOG, zone="UTC")) == {"/zone": "Say which time of day, or leave this empty."}


@pytest.mark.parametrize("asks", [None, "yes", 1, []])
def test_whether_it_asks_again_is_true_or_false(asks: Any) -> None:
    assert said(replace(LOG, asks_again=asks)) == {"/asks_again": f"Expected true or false, and got {asks!r}."}


def test_only_what_is_done_after_the_commit_acts_later() -> None:
    audit = ActionSpec("write_audit_entry", {}, timing="in_transaction", at="18:00", asks_again=True)
    assert said(audit) == {
        "/at": "Only what is done after the commit can be delayed.",
        "/asks_again": "Only what is done after the commit can ask again.",
    }


def test_a_rule_of_no_model_has_no_object_to_ask_about() -> None:
    problems = said(replace(LOG, asks_again=True), model="", signals=("user_logged_in",))
    assert problems == {"/asks_again": "This rule watches no model, so there is no object to ask about again."}


@pytest.mark.parametrize(
    ("signals", "is_wrong"),
    [(("post_delete",), True), (("pre_delete", "post_delete"), True), (("post_save", "post_delete"), False)],
)
def test_of_a_deleted_object_nothing_is_asked(signals: tuple[str, ...], is_wrong: bool) -> None:
    problems = said(replace(LOG, asks_again=True), signals=signals)
    assert ("/asks_again" in problems) is is_wrong


def test_the_whole_rule_is_told_of_them_too() -> None:
    rule = replace(RULE, actions=(LOG, replace(LOG, position=1, at="6pm")))
    assert [problem.pointer for problem in rule_problems(rule)] == ["/actions/1/at"]


# What is kept


def test_an_execution_keeps_just_what_its_action_asks_for() -> None:
    assert given_of(LOG) is None
    assert given_of(replace(LOG, delay=60)) is None
    assert given_of(replace(LOG, asks_again=True)) == {"context": {}, "asks_again": True}
    at = given_of(replace(LOG, at="18:00", zone="Asia/Tokyo"))
    assert at == {"context": {}, "at": "18:00", "zone": "Asia/Tokyo"}


@override_settings(TIME_ZONE="America/New_York")
def test_without_a_zone_it_is_the_sites() -> None:
    assert given_of(replace(LOG, at="18:00")) == {"context": {}, "at": "18:00", "zone": "America/New_York"}


def test_it_is_due_at_the_next_such_time() -> None:
    given = {"at": "18:00", "zone": "Europe/Berlin"}
    assert due_of(NOW, given) == datetime(2031, 5, 6, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "given", [{"at": "18:00", "zone": "Gone/Zone"}, {"at": "nonsense", "zone": "UTC"}, {"at": None}]
)
def test_what_a_computer_does_not_know_puts_nothing_off(given: dict[str, Any]) -> None:
    assert due_of(NOW, given) == NOW


def test_an_action_without_these_makes_no_new_version_of_its_rule() -> None:
    content = content_of(replace(RULE, actions=(LOG,)))
    assert content["actions"] == [
        {"kind": "log_message", "config": {"message": "x"}, "position": 0, "enabled": True, "timing": "after_commit",
         "delay": 0, "on_failure": "go_on", "for_each": None}
    ]  # fmt: skip


@pytest.mark.parametrize("fields", [{"at": "18:00"}, {"at": "18:00", "zone": "UTC"}, {"asks_again": True}])
def test_an_action_with_them_is_another_version(fields: dict[str, Any]) -> None:
    before = content_of(replace(RULE, actions=(LOG,)))
    after = content_of(replace(RULE, actions=(replace(LOG, **fields),)))
    assert digest_of(before) != digest_of(after)
    assert after["actions"][0].items() >= fields.items()


def test_a_compiled_action_has_them_ready() -> None:
    rule = compile_rule(replace(RULE, actions=(replace(LOG, asks_again=True), replace(LOG, position=1))), 1)
    assert [action.later for action in rule.actions] == [{"context": {}, "asks_again": True}, None]

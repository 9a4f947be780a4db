"""What a test expects: what may be written, what is kept of what came, and each difference in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.rules.expected.differences import differences
from rules_engine.rules.expected.expectation import ActionCame, Came, expectation_of, expectation_problems

LOGS = ActionCame("log_message", {"message": "Order 2", "level": "info"})


@pytest.mark.parametrize(
    "expected",
    [
        {"outcome": "acts"},
        {"outcome": "waits", "actions": []},
        {"outcome": "stops", "gate": "condition"},
        {"outcome": "acts", "actions": [{"kind": "log_message", "times": 2, "settings": {"message": "Hi"}}]},
    ],
)
def test_what_a_test_may_expect(expected: Any) -> None:
    assert expectation_problems(expected) == []


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("acts", "Expected an object"),
        ({}, "/outcome: Expected one of acts, waits, stops."),
        ({"outcome": "acts", "gate": "condition"}, "/gate: A rule that acts stops at no gate"),
        ({"outcome": "stops", "gate": "conditon"}, "/gate: Expected one of signals"),
        ({"outcome": "stops", "actions": []}, "/actions: A rule that stops does nothing"),
        ({"outcome": "acts", "actions": "mail"}, "/actions: Expected a list of actions"),
        ({"outcome": "acts", "actions": ["mail"]}, "/actions/0: Expected an action"),
        ({"outcome": "acts", "actions": [{"kind": "x", "settings": 3}]}, "/actions/0/settings: Expected an object"),
        ({"outcome": "acts", "actions": [{"kind": "x", "times": True}]}, "/actions/0/times: Expected a whole number"),
        ({"outcome": "acts", "acton": 1}, '/acton: There is no "acton" here. Did you mean "actions"?'),
        ({"outcome": ["acts"]}, "/outcome: Expected one of"),
        ({"outcome": "stops", "gate": {}}, "/gate: Expected one of"),
    ],
)
def test_what_it_may_not_is_said_with_its_place(expected: Any, said: str) -> None:
    assert said in " ".join(map(str, expectation_problems(expected)))


@pytest.mark.parametrize(
    "came", [Came("acts", actions=[LOGS]), Came("waits", actions=[LOGS]), Came("stops", "condition", "…")]
)
def test_what_came_passes_the_test_that_is_made_of_it(came: Came) -> None:
    expected = expectation_of(came)
    assert expectation_problems(expected) == []
    assert differences(expected, came) == []


def test_a_rule_that_stops_says_where_and_why() -> None:
    came = Came("stops", "condition", "The condition is false.")
    [said] = differences({"outcome": "acts"}, came)
    assert said == 'Expected: it acts. Now: it stops at "Its condition". The condition is false.'


def test_another_gate_than_expected_is_a_difference() -> None:
    came = Came("stops", "operations", "This was: create.")
    [said] = differences({"outcome": "stops", "gate": "condition"}, came)
    assert said == 'Expected that it stops at "Its condition". Now: it stops at "What happened". This was: create.'
    assert differences({"outcome": "stops"}, came) == []


def test_a_setting_that_differs_is_called_as_the_form_calls_it() -> None:
    expected = {"outcome": "acts", "actions": [{"kind": "log_message", "settings": {"message": "Order 3"}}]}
    [said] = differences(expected, Came("acts", actions=[LOGS]))
    assert said == '"Message" of action 1 (Write a log message): expected “Order 3”, and now it is “Order 2”.'


def test_other_actions_than_expected_are_named() -> None:
    expected = {"outcome": "acts", "actions": [{"kind": "send_email"}, {"kind": "log_message"}]}
    [said] = differences(expected, Came("acts", actions=[LOGS]))
    assert said == "Expected the actions: Send an email, Write a log message. Now: Write a log message."
    assert differences({"outcome": "acts"}, Came("acts", actions=[LOGS])) == []


def test_how_often_an_action_is_done_is_compared() -> None:
    expected = {"outcome": "acts", "actions": [{"kind": "log_message", "times": 2}]}
    [said] = differences(expected, Came("acts", actions=[ActionCame("log_message", times=3)]))
    assert said == "action 1 (Write a log message) is done 3 times, and 2 were expected."


def test_a_text_that_cannot_be_filled_in_fails_whatever_is_expected() -> None:
    came = Came("acts", actions=[ActionCame("log_message", troubles={"message": "There is no name."})])
    [said] = differences({"outcome": "acts"}, came)
    assert said == '"Message" of action 1 (Write a log message): There is no name.'


def test_a_sample_that_lacks_what_the_rule_reads_says_what_to_do() -> None:
    [said] = differences({"outcome": "acts"}, Came("not_recorded", "condition", "instance.total"))
    assert "the sample lacks what the rule reads: instance.total. Add it there" in said


def test_the_order_of_keys_is_no_difference() -> None:
    came = Came("acts", actions=[ActionCame("log_message", {"fields": {"a": 1, "b": 2}})])
    expected = {"outcome": "acts", "actions": [{"kind": "log_message", "settings": {"fields": {"b": 2, "a": 1}}}]}
    assert differences(expected, came) == []


@pytest.mark.parametrize(
    ("expected", "came", "words"),
    [
        ("acts", Came("waits"), "Expected: it acts. Now: it matches and waits for more."),
        ("waits", Came("acts"), "Expected: it matches and waits for more. Now: it acts."),
        ("stops", Came("acts"), "Expected: it does not act. Now: it acts."),
        ("acts", Came("error", detail="the path is gone"), "it cannot be tried: the path is gone"),
    ],
)
def test_each_outcome_has_its_words(expected: str, came: Came, words: str) -> None:
    [said] = differences({"outcome": expected}, came)
    assert words in said


def test_rows_that_the_sample_does_not_hold_are_no_number_of_times() -> None:
    expected = {"outcome": "acts", "actions": [{"kind": "log_message", "times": 2}]}
    [said] = differences(expected, Came("acts", actions=[ActionCame("log_message", times=None)]))
    assert said == "action 1 (Write a log message): the sample does not hold the rows that it is done for."


@pytest.mark.parametrize(
    ("value", "quoted"),
    [(None, "nothing"), (["a", "b"], "“a, b”"), ({"a": 1}, '{"a": 1}'), (3, "3"), ("x" * 900, "x…")],
)
def test_what_a_setting_was_and_is_can_be_read(value: Any, quoted: str) -> None:
    expected = {"outcome": "acts", "actions": [{"kind": "log_message", "settings": {"message": "Order 3"}}]}
    [said] = differences(expected, Came("acts", actions=[ActionCame("log_message", {"message": value})]))
    assert f"{quoted}." in said
    assert len(said) < 500


def test_what_an_action_is_done_for_each_of_is_named_as_the_form_does() -> None:
    [said] = differences({"outcome": "acts"}, Came("acts", actions=[ActionCame("log_message", troubles={"": "Gone."})]))
    assert said == '"Once for each of" of action 1 (Write a log message): Gone.'

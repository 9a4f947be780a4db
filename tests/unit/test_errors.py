"""The exceptions: what they keep, what they say, and that they travel between processes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from rules_engine import errors
from rules_engine.errors import (
    ActionError,
    InvalidRule,
    PermanentError,
    Problem,
    Refused,
    Rejected,
    RulesEngineError,
    TransientError,
    did_you_mean,
)

TREE = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, RulesEngineError)]


@pytest.mark.parametrize("error", TREE)
def test_each_error_says_in_its_first_line_what_went_wrong(error: type[Exception]) -> None:
    first = (error.__doc__ or "").splitlines()[0]
    assert first.split(".")[0].split(";")[0]
    assert first[:1].isupper()


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("totl", ["total", "status"], ' Did you mean "total"?'),
        ("total", ["total"], ' Did you mean "total"?'),
        ("nothing", ["total", "status"], ""),
        ("", ["total"], ""),
        ("total", [], ""),
        (5, [55, "x"], ' Did you mean "55"?'),
        (None, ["None"], ' Did you mean "None"?'),
        ("tota", ["total", "totals"], ' Did you mean "total"?'),
    ],
)
def test_a_near_miss_is_asked_about_and_nothing_else(word: Any, known: list[Any], hint: str) -> None:
    assert did_you_mean(word, known) == hint


def test_a_near_miss_is_asked_about_in_the_readers_language() -> None:
    with translation.override("de"):
        assert did_you_mean("totl", ["total"]) == " Meinten Sie „total“?"


def test_a_problem_is_shown_with_its_place_where_it_has_one() -> None:
    assert str(Problem("", "It is empty.")) == "It is empty."
    assert str(Problem("/model", "It is empty.")) == "/model: It is empty."


def test_a_problem_is_seen_from_further_out() -> None:
    problem = Problem("/0/var", "No.")
    assert problem.under("/condition/and") == Problem("/condition/and/0/var", "No.")
    assert Problem("", "No.").under("/condition") == Problem("/condition", "No.")
    assert problem == Problem("/0/var", "No.")


def test_an_invalid_rule_tells_all_its_problems() -> None:
    error = InvalidRule([Problem("/model", "None."), Problem("", "Empty.")])
    assert str(error) == "/model: None.; Empty."
    assert error.problems == (Problem("/model", "None."), Problem("", "Empty."))


@pytest.mark.parametrize("kind", [ActionError, PermanentError, Refused])
def test_the_detail_of_a_failed_action_is_a_copy_of_what_was_told(kind: type[ActionError]) -> None:
    done = {"sent": 1}
    error = kind("It failed.", detail=done)
    done["sent"] = 2
    assert (str(error), error.detail) == ("It failed.", {"sent": 1})
    assert kind("It failed.").detail == {}


@pytest.mark.parametrize("seconds", [None, 0, 1.5])
def test_an_error_that_may_pass_says_when_to_come_again(seconds: float | None) -> None:
    error = TransientError("Busy.", retry_after=seconds, detail={"a": 1})
    assert (error.retry_after, error.detail, str(error)) == (seconds, {"a": 1}, "Busy.")


def test_what_is_refused_is_permanent_and_what_may_pass_is_not() -> None:
    assert issubclass(Refused, PermanentError)
    assert not issubclass(TransientError, PermanentError)
    assert not issubclass(Rejected, ActionError)


def test_a_rejection_is_shown_by_forms_above_them() -> None:
    rejected = Rejected("Not in the past.", rule_slug="no-past")
    assert isinstance(rejected, ValidationError)
    assert (rejected.messages, rejected.code, rejected.rule_slug) == (["Not in the past."], "rejected", "no-past")
    assert rejected.text == str(rejected) == "Not in the past."


def test_a_rejection_is_shown_by_forms_at_its_field() -> None:
    rejected = Rejected("Not in the past.", field="starts_at")
    assert rejected.message_dict == {"starts_at": ["Not in the past."]}
    assert rejected.error_dict["starts_at"][0].code == "rejected"
    assert rejected.text == "Not in the past."


@pytest.mark.parametrize("field", ["", "starts_at"])
@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_rejection_survives_the_way_to_another_process(travel: Any, field: str) -> None:
    arrived = travel(Rejected("No.", rule_slug="r", field=field))
    assert type(arrived) is Rejected
    assert (arrived.text, arrived.rule_slug) == ("No.", "r")
    assert hasattr(arrived, "error_dict") is bool(field)


def test_a_percent_sign_in_a_rejection_stays_one() -> None:
    assert Rejected("At most 50% off, %(never)s.").text == "At most 50% off, %(never)s."

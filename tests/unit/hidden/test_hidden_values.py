"""What stands in the place of a hidden value: never the value, and in this process alone whether it is another."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from rules_engine.hidden.values import TEXT, hidden


@pytest.mark.parametrize("value", ["s3cret", 42, b"\x00key", ["s3cret"], {"a": "s3cret"}])
def test_it_reads_the_same_wherever_it_goes(value: object) -> None:
    told = hidden("api_token", value)
    for said in (str(told), f"{told}", repr(told), json.loads(json.dumps(told))):
        assert TEXT in said
        assert "s3cret" not in said
        assert "42" not in said


def test_a_change_shows_as_another_value_of_the_same_field() -> None:
    old, new = hidden("api_token", "a"), hidden("api_token", "b")
    assert old != new
    assert not old == new  # noqa: SIM201 - both are asked: a rule's "changed" and a comparison of its own
    assert hidden("api_token", "a") == old
    assert not hidden("api_token", "a") != old  # noqa: SIM202


def test_values_of_two_fields_cannot_be_compared() -> None:
    # Else it would show that a password is another's, or a name.
    assert hidden("password", "a") != hidden("api_token", "a")


def test_no_rule_finds_a_value_by_guessing_it() -> None:
    told = hidden("api_token", "a")
    assert told != "a"
    assert told == TEXT
    assert hash(told) == hash(TEXT)


def test_what_tells_values_apart_leaves_no_process() -> None:
    old, new = hidden("api_token", "a"), hidden("api_token", "b")
    for carried in (pickle.loads(pickle.dumps(old)), copy.copy(old)):
        assert type(carried) is str
        assert carried == TEXT
    assert pickle.dumps(old) == pickle.dumps(new)


@pytest.mark.parametrize("value", [None, ""])
def test_that_there_is_no_value_is_told(value: object) -> None:
    assert hidden("api_token", value) == value

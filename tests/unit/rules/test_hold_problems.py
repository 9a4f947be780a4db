"""What is wrong with how a rule holds back, and with when it is tried at all: one sentence at its place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.rules.holding import LARGEST_COLUMN_NUMBER, LONGEST_DELAY, Hold, hold_of, hold_problems, key_reads
from rules_engine.types import ActionSpec, RuleSpec

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2026, 2, 1, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)


def rule(**fields: Any) -> RuleSpec:
    return RuleSpec(**{"slug": "r", "model": "zoo.animal", "signals": ("post_save",), **fields})


def said(**fields: Any) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.message) for problem in hold_problems(rule(**fields))]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"throttle_count": 1, "throttle_seconds": 1},
        {"throttle_count": LARGEST_COLUMN_NUMBER, "throttle_seconds": LARGEST_COLUMN_NUMBER},
        {"throttle_count": 1, "throttle_seconds": 60, "throttle_by": "{{ instance.name }}"},
        {"coalesce_seconds": 0},
        {"coalesce_seconds": LONGEST_DELAY, "debounce": True, "coalesce_by": "{{ instance.keeper_id }}"},
        {"once": True},
        {"raw": True},
        {"sample_percent": 1},
        {"active_from": NOON, "active_until": LATER},
        {"active_from": NOON},
        {"active_until": NAIVE},
        {"once": True, "actions": (ActionSpec("log_message", {}),)},
        {"actions": (ActionSpec("set_fields", {}, timing="before_save"),)},
    ],
)
def test_what_can_be_held_has_no_problem(fields: dict[str, Any]) -> None:
    assert said(**fields) == []


@pytest.mark.parametrize(
    ("fields", "pointer", "message"),
    [
        ({"throttle_count": 5}, "/throttle_seconds", "A throttle takes both"),
        ({"throttle_seconds": 5}, "/throttle_count", "A throttle takes both"),
        ({"throttle_count": 0, "throttle_seconds": 5}, "/throttle_count", "from 1 to 2,147,483,647, and got 0."),
        ({"throttle_count": "5", "throttle_seconds": 5}, "/throttle_count", "and got '5'."),
        ({"throttle_count": True, "throttle_seconds": 5}, "/throttle_count", "and got True."),
        ({"throttle_count": 5, "throttle_seconds": 1.5}, "/throttle_seconds", "and got 1.5."),
        ({"throttle_count": 5, "throttle_seconds": 2**31}, "/throttle_seconds", "and got 2147483648."),
        ({"coalesce_seconds": -1}, "/coalesce_seconds", "from 0 to 2,592,000, and got -1."),
        ({"coalesce_seconds": LONGEST_DELAY + 1}, "/coalesce_seconds", "and got 2592001."),
        ({"sample_percent": 0}, "/sample_percent", "from 1 to 100, and got 0."),
        ({"sample_percent": 101}, "/sample_percent", "and got 101."),
        ({"sample_percent": None}, "/sample_percent", "and got None."),
        ({"throttle_by": "x"}, "/throttle_by", "Say how many times in how many seconds, or leave this empty."),
        ({"coalesce_by": "x"}, "/coalesce_by", "Say for how many seconds to wait, or leave this empty."),
        ({"throttle_by": 5}, "/throttle_by", "Expected a text such as {{ instance.pk }}, and got 5."),
        ({"coalesce_by": None}, "/coalesce_by", "and got None."),
        ({"coalesce_seconds": 5, "coalesce_by": "{{ instance.nme }}"}, "/coalesce_by", 'Did you mean "name"?'),
        ({"coalesce_seconds": 5, "coalesce_by": "{{ held.count }}"}, "/coalesce_by", 'there is no "held"'),
        ({"coalesce_seconds": 5, "coalesce_by": "{% if %}"}, "/coalesce_by", "Line 1"),
        ({"debounce": True}, "/debounce", "Say for how many seconds it has to be quiet."),
        ({"debounce": True, "coalesce_seconds": 0}, "/debounce", "Say for how many seconds"),
        ({"once": True, "model": ""}, "/once", "there is no object to act on once"),
        ({"raw": True, "signals": ("user_logged_in",)}, "/raw", "Data is loaded into models"),
        ({"active_from": "soon"}, "/active_from", "Expected a date and a time, and got 'soon'."),
        ({"active_from": NOON, "active_until": NOON}, "/active_until", "not after the time from which"),
        ({"active_from": LATER, "active_until": NOON}, "/active_until", "not after the time from which"),
        ({"active_from": NOON, "active_until": NAIVE}, "/active_until", "one has a time zone and the other has none"),
    ],
)
def test_what_cannot_be_held_is_said_at_its_place(fields: dict[str, Any], pointer: str, message: str) -> None:
    problems = said(**fields)
    assert any(place == pointer and message in words for place, words in problems), problems


@pytest.mark.parametrize(
    "fields", [{"once": True}, {"coalesce_seconds": 0}, {"throttle_count": 1, "throttle_seconds": 1}]
)
@pytest.mark.parametrize("timing", ["before_save", "in_transaction"])
def test_a_rule_that_holds_back_acts_after_the_commit_alone(fields: dict[str, Any], timing: Any) -> None:
    actions = (ActionSpec("log_message", {}), ActionSpec("set_fields", {}, position=1, timing=timing))
    assert [pointer for pointer, _ in said(**fields, actions=actions)] == ["/actions/1/timing"]


@pytest.mark.parametrize(
    ("fields", "hold"),
    [
        ({"throttle_count": 5}, None),
        ({"throttle_seconds": 5}, None),
        ({"throttle_count": 5, "throttle_seconds": 60}, Hold(throttle=(5, 60))),
        ({"coalesce_seconds": 0}, Hold(coalesce=0)),
        (
            {"coalesce_seconds": 9, "debounce": True, "coalesce_by": "x"},
            Hold(coalesce=9, debounce=True, coalesce_by="x"),
        ),
        ({"once": True}, Hold(once=True)),
    ],
)
def test_how_a_rule_holds_back_is_read_off_its_fields(fields: dict[str, Any], hold: Hold | None) -> None:
    assert hold_of(rule(**fields)) == hold


@pytest.mark.parametrize(
    ("hold", "terms"),
    [
        (Hold(), {"throttle": None, "coalesce": None, "debounce": False, "once": False}),
        (Hold(throttle=(5, 60), once=True), {"throttle": [5, 60], "coalesce": None, "debounce": False, "once": True}),
        (Hold(coalesce=0, debounce=True), {"throttle": None, "coalesce": 0, "debounce": True, "once": False}),
    ],
)
def test_the_terms_are_json_as_they_are_stored_with_a_match(hold: Hold, terms: dict[str, Any]) -> None:
    assert hold.terms() == terms


def test_the_keys_say_what_they_read() -> None:
    held = rule(throttle_by="{{ instance.name }}", coalesce_by="{{ instance.keeper.name }}-{{ event.id }}")
    assert key_reads(held) == {("instance", "name"), ("instance", "keeper", "name"), ("event", "id")}

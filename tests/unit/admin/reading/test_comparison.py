"""Two forms of a rule in words: a row for each thing that differs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading.comparison import compared
from rules_engine.types import ActionSpec, RuleSpec

LOG = ActionSpec("log_message", {"message": "Hello", "level": "info"})
RULE = RuleSpec("rule", name="A rule", model="shop.order", signals=("post_save",), actions=(LOG,))


def told(old: RuleSpec, new: RuleSpec) -> list[tuple[str, str, str]]:
    return [(row.title, str(row.before), str(row.after)) for row in compared(old, new, Reader())]


@pytest.mark.parametrize(
    ("changed", "row"),
    [
        ({}, None),
        ({"name": "Another"}, ("Name", "A rule", "Another")),
        ({"operations": ("create",)}, ("When", "an order is created or updated", "an order is created")),
        ({"condition": {">": [{"var": "instance.total"}, 100]}}, ("Only if", "none", "total is more than 100")),
        (
            {"throttle_count": 1, "throttle_seconds": 3600, "throttle_by": "{{ instance.customer_id }}"},
            ("Limit", "none", "at most once an hour per customer"),
        ),
        ({"coalesce_seconds": 300, "debounce": True}, ("Wait", "none", "after 5 minutes without another per object")),
        (
            {"schedule": {"kind": "every", "each": "weekday", "at": "08:00", "of": "each"}, "signals": ()},
            ("When", "an order is created or updated", "Every weekday at 8:00, for each order"),
        ),
        ({"once": True}, ("Once per object", "no", "yes")),
        ({"sample_percent": 10}, ("Sample, in percent", "100", "10")),
        ({"shadow": True}, ("Shadow", "no", "yes")),
        (
            {"active_until": datetime(2031, 5, 6, 8, tzinfo=UTC)},
            ("Dates", "none", "until May 6, 2031, 8 a.m."),
        ),
        ({"actions": ()}, ("Action 1", "log “Hello”", "none")),
        (
            {"actions": (replace(LOG, config={"message": "Bye", "level": "info"}),)},
            ("Action 1, Message", "Hello", "Bye"),
        ),
        (
            {"actions": (replace(LOG, config={"message": "Hello", "level": "error"}),)},
            ("Action 1, Level", "info", "error"),
        ),
        ({"actions": (replace(LOG, delay=60),)}, ("Action 1", "log “Hello”", "log “Hello” (1 minute later)")),
    ],
)
def test_each_thing_that_differs_is_a_row(changed: dict[str, Any], row: tuple[str, str, str] | None) -> None:
    assert told(RULE, replace(RULE, **changed)) == ([] if row is None else [row])


def test_an_action_of_another_kind_is_told_whole() -> None:
    other = ActionSpec("delete_cache_keys", {"keys": ["orders"]})
    assert told(RULE, replace(RULE, actions=(LOG, replace(other, position=1)))) == [
        ("Action 2", "none", "delete orders from the cache")
    ]
    assert told(RULE, replace(RULE, actions=(other,))) == [("Action 1", "log “Hello”", "delete orders from the cache")]


def test_what_the_words_leave_out_is_said_to_be_in_the_json() -> None:
    one, other = ({"and": [{operator: [{"var": "instance.status"}, "paid"]}]} for operator in ("==", "==="))
    [row] = compared(replace(RULE, condition=one), replace(RULE, condition=other), Reader())
    assert row.is_alike


def test_what_looks_like_a_secret_is_not_told() -> None:
    old, new = (replace(LOG, kind="their_own", config={"api_key": key}) for key in ("one-secret", "other-secret"))
    rows = told(replace(RULE, actions=(old,)), replace(RULE, actions=(new,)))
    assert "secret" not in str(rows)
    assert rows == [("Action 1, api_key", "…", "…")]


def test_rows_are_told_in_german() -> None:
    with translation.override("de"):
        assert told(RULE, replace(RULE, throttle_count=2, throttle_seconds=600)) == [
            ("Grenze", "keine", "höchstens zweimal in 10 Minuten")
        ]


def config(**values: Any) -> RuleSpec:
    return replace(RULE, actions=(ActionSpec("log_message", values),))


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ({"message": "a"}, {"message": "b"}, ("Action 1, Message", "“a”", "“b”")),
        ({"message": "a"}, {}, ("Action 1, Message", "“a”", "none")),
        ({"message": ""}, {"message": "a"}, ("Action 1, Message", "none", "“a”")),
        # What the kind does not know goes by its own name.
        ({"message": "a", "loud": True}, {"message": "a"}, ("Action 1, loud", "yes", "none")),
        ({"message": "a", "loud": False}, {"message": "a", "loud": True}, ("Action 1, loud", "no", "yes")),
        ({"message": "a", "to": ["x", "y"]}, {"message": "a"}, ("Action 1, to", "x, y", "none")),
        ({"message": "a", "n": 5}, {"message": "a", "n": 6}, ("Action 1, n", "5", "6")),
        ({"message": "a", "o": {"b": 1}}, {"message": "a"}, ("Action 1, o", '{"b": 1}', "none")),
        ({"message": "a", "l": [1, "x"]}, {"message": "a"}, ("Action 1, l", '[1, "x"]', "none")),
        ({"message": "a", "token": "s3cret"}, {"message": "a"}, ("Action 1, token", "…", "none")),
    ],
    ids=str,
)
def test_a_setting_that_differs_is_told_by_its_title(old: Any, new: Any, row: tuple[str, str, str]) -> None:
    with translation.override("en"):
        [said] = told(config(**old), config(**new))
    assert said[0] == row[0]
    assert (said[1].strip("“”"), said[2].strip("“”")) == (row[1].strip("“”"), row[2].strip("“”"))


@pytest.mark.parametrize("odd", [None, [], "x", 5])
def test_settings_that_are_no_object_are_not_compared(odd: Any) -> None:
    assert told(RULE, replace(RULE, actions=(ActionSpec("log_message", odd),))) == []

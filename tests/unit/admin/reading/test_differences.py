"""Two forms of a rule side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.admin.reading.differences import differences, spec_of
from rules_engine.types import ActionSpec


def told(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(difference.place, list(difference.lines)) for difference in differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {}, []),
        ({"name": "a"}, {"name": "a"}, []),
        ({"name": "a"}, {"name": "b"}, [("name", [("gone", "a"), ("new", "b")])]),
        ({"name": "a"}, {}, [("name", [("gone", "a")])]),
        ({}, {"name": "a"}, [("name", [("new", "a")])]),
        ({"name": ""}, {"name": None}, [("name", [])]),
        ({"enabled": True}, {"enabled": False}, [("enabled", [("gone", "true"), ("new", "false")])]),
        (
            {"description": "one\ntwo\nthree"},
            {"description": "one\n2\nthree"},
            [("description", [("same", "one"), ("gone", "two"), ("new", "2"), ("same", "three")])],
        ),
        (
            {"condition": {"a": 1}},
            {"condition": {"a": 2}},
            [("condition", [("same", "{"), ("gone", '  "a": 1'), ("new", '  "a": 2'), ("same", "}")])],
        ),
        ({"name": "<b>"}, {"name": "\u202e"}, [("name", [("gone", "<b>"), ("new", "\u202e")])]),
    ],
)
def test_only_what_differs_is_told(
    old: dict[str, Any], new: dict[str, Any], expected: list[tuple[str, list[tuple[str, str]]]]
) -> None:
    assert told(old, new) == expected


def test_actions_are_compared_by_their_place() -> None:
    first, second = {"position": 1, "kind": "a"}, {"position": 2, "kind": "b"}
    assert told({"actions": [first, second]}, {"actions": [second, first]}) == []
    assert told({"actions": [first]}, {"actions": [first, second]}) == [("actions/2/kind", [("new", "b")])]
    assert told({"actions": [first, second]}, {"actions": [first]}) == [("actions/2/kind", [("gone", "b")])]
    changed = {"position": 1, "kind": "a", "config": {"x": 1}}
    assert [place for place, _ in told({"actions": [first]}, {"actions": [changed]})] == ["actions/1/config"]


@pytest.mark.parametrize("actions", [None, [], ()])
def test_a_rule_without_actions_differs_in_none(actions: Any) -> None:
    assert told({"actions": actions}, {}) == []


def test_an_old_form_becomes_a_rule_of_today() -> None:
    stored = {
        "name": "Old",
        "signals": ["post_save"],
        "active_from": "2026-01-31T08:00:00+00:00",
        "gone_field": 1,
        "actions": [{"kind": "log_message", "config": {}, "gone_field": 2}],
    }
    spec = spec_of(stored, slug="old")
    assert (spec.slug, spec.name, spec.signals, spec.operations) == ("old", "Old", ("post_save",), ())
    assert spec.active_from == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert spec.actions == (ActionSpec("log_message", {}),)
    assert spec_of({}, slug="empty").actions == ()


def test_what_is_given_besides_wins_over_what_was_stored() -> None:
    assert spec_of({"slug": "stored", "name": "a"}, slug="given").slug == "given"

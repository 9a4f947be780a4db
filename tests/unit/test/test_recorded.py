"""What a recorded event says to a rule: a change, no change, or that it was not recorded, which is no verdict."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.logic import jsonlogic
from rules_engine.rules.matching import CompiledChange, CompiledRule
from rules_engine.test.recorded import missing_of, recorded_subject
from rules_engine.types import Event, FieldChange, MatchSubject, Operation, Path

AT = datetime(2026, 5, 6, tzinfo=UTC)


def event(operation: Operation | None = "update", signal: str = "post_save", **context: Any) -> Event:
    event_id = uuid.uuid4()
    return Event(event_id, signal, operation, "zoo.animal", 1, AT, event_id, 0, context)


def seen(recorded: Event, *fields: str) -> MatchSubject:
    """The event as a rule is matched against it that asks for changes of these fields."""
    asked = tuple(CompiledChange(field) for field in fields)
    return recorded_subject(CompiledRule("r", 1, "zoo.animal", frozenset({"post_save"}), changes=asked), recorded)


UPDATE = {"changed": ["name"], "changes": {"name": {"old": "a", "new": "b"}}, "old": {"name": "a", "legs": 4}}


def test_an_event_is_matched_as_it_happened() -> None:
    subject = seen(event(**UPDATE))
    assert (subject.signal, subject.operation, subject.now) == ("post_save", "update", AT)
    assert subject.changes == {"name": FieldChange("name", "a", "b")}
    assert (subject.draw, subject.unknown, subject.missing) == (None, frozenset(), [])


def test_a_field_with_a_stored_old_value_and_no_change_did_not_change() -> None:
    subject = seen(event(**UPDATE), "name", "legs")
    assert (set(subject.changes), subject.unknown) == ({"name"}, frozenset())


@pytest.mark.parametrize("field", ["weight", "keeper", "no_such_field"])
def test_of_a_field_whose_old_value_was_not_stored_nothing_is_known(field: str) -> None:
    assert seen(event(**UPDATE), field).unknown == {field}


def test_where_no_rule_asked_what_changed_nothing_is_known() -> None:
    assert seen(event(changed=None, changes=None, old={"legs": 4}), "legs").unknown == {"legs"}


def test_a_field_that_holds_another_value_did_not_change_to_that() -> None:
    for now, unknown in (("b", set()), ("a", {"name"})):
        recorded = event(changed=None, changes=None, instance={"name": now})
        rule = CompiledRule(
            "r", 1, "zoo.animal", frozenset({"post_save"}), changes=(CompiledChange("name", has_new=True, new="a"),)
        )
        assert recorded_subject(rule, recorded).unknown == unknown


def test_what_is_created_comes_from_null() -> None:
    created = event("create", changed=[], changes={}, instance={"name": "a", "notes": "", "born": None})
    subject = seen(created, "name", "notes", "born", "legs")
    assert subject.changes == {"name": FieldChange("name", None, "a")}
    assert subject.unknown == {"legs"}


@pytest.mark.parametrize(("operation", "signal"), [("delete", "post_delete"), (None, "zoo.fed")])
def test_nothing_changes_but_by_a_save_or_a_relation(operation: Operation | None, signal: str) -> None:
    subject = seen(event(operation, signal, changed=None, changes=None), "legs")
    assert (subject.changes, subject.unknown) == ({}, frozenset())


def test_changes_that_are_worked_out_are_told_to_the_condition_too() -> None:
    created = event("create", changed=[], changes={}, instance={"name": "a"})
    context = seen(created, "name").context
    assert context["changed"] == ["name"]
    assert context["changes"] == {"name": {"old": None, "new": "a"}}


def test_a_rule_on_whole_objects_sees_of_them_what_it_reads_alone() -> None:
    condition = jsonlogic.compile_condition({"!!": [{"cat": [{"var": "instance"}]}]})
    recorded = event(instance={"name": "a", "keeper": {"name": "Ada"}, "tags": [{"name": "t"}]})
    rule = CompiledRule(
        "r", 1, "zoo.animal", frozenset({"post_save"}), condition=condition, reads=condition.reads, reads_whole=True
    )
    assert recorded_subject(rule, recorded).context["instance"] == {"name": "a"}


INSTANCE = {
    "name": "a",
    "data": {"colour": {"fur": "red"}},
    "keeper": {"name": "Ada"},
    "tags": [{"name": "t"}, {"name": "u"}],
}


@pytest.mark.parametrize(
    "path",
    [
        ("instance", "name"),
        ("instance", "data", "colour", "fur", "shade"),
        ("instance", "keeper", "name"),
        ("instance", "tags", "name"),
        ("instance", "tags", "0", "name"),
        ("old", "legs"),
        ("changes", "name", "new"),
        ("m2m", "field"),
        ("m2m", "objects", "name"),
        ("actor", "username"),
        ("held", "count"),
        ("each", "name"),
    ],
    ids=".".join,
)
def test_what_was_stored_is_there(path: Path) -> None:
    stored = event(**UPDATE, instance=INSTANCE, actor=None, m2m=None)
    assert missing_of([path], stored) == []


@pytest.mark.parametrize(
    "path",
    [
        ("instance", "legs"),
        ("instance", "*"),
        ("instance", "keeper", "api_token"),
        ("instance", "tags", "colour"),
        ("old", "weight"),
        ("old", "*"),
        ("changes", "weight"),
        ("changed",),
        ("request", "path"),
    ],
    ids=".".join,
)
def test_what_was_not_stored_is_missing(path: Path) -> None:
    assert missing_of([path], event(**UPDATE, instance=INSTANCE)) == [path]


def test_there_being_nothing_counts_as_stored() -> None:
    assert missing_of([("instance", "keeper", "name")], event(instance={"keeper": None})) == []
    assert missing_of([("instance", "tags", "name")], event(instance={"tags": []})) == []
    assert missing_of([("old", "name")], event("create", old=None)) == []


def test_objects_of_a_relation_are_missing_where_keys_were_stored() -> None:
    added = event("add", "m2m_changed", m2m={"field": "tags", "pks": [1]})
    assert missing_of([("m2m", "objects", "name"), ("m2m", "pks")], added) == [("m2m", "objects", "name")]

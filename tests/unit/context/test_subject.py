"""A subject, and what is read of it as the context."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from rules_engine.context.actor import Cause, Origin
from rules_engine.context.subject import PARTS, Subject, old_fields
from rules_engine.errors import UnknownPath
from rules_engine.types import FieldChange
from tests.zoo.models import Animal, Keeper, OldAnimal

NOW = datetime(2026, 5, 6, tzinfo=UTC)
CAUSE = Cause(UUID(int=7), 2, "first", execution_id=UUID(int=8))


def subject(instance: Any = None, **fields: Any) -> Subject:
    return Subject("post_save", "update", instance or Animal(pk=5, name="Rex"), occurred_at=NOW, **fields)


def test_only_what_is_read_is_in_the_context():
    assert subject().context({("instance", "name")}) == {"instance": {"name": "Rex"}}


def test_for_the_record_all_parts_are_there():
    whole = subject().context({("instance", "name")}, whole=True)
    assert tuple(whole) == PARTS
    assert whole["instance"] == {"name": "Rex"}
    assert whole["actor"] is whole["request"] is whole["m2m"] is whole["signal"] is None


def test_a_name_that_no_part_has_is_left_out():
    assert subject().context({("weather", "today")}) == {}


def test_a_field_that_the_model_has_not_is_an_error():
    with pytest.raises(UnknownPath, match='no field "nane"'):
        subject().context({("instance", "nane")})


def test_a_settled_value_stands_in_for_the_instances():
    assert subject(settled={"name": "stored", "legs": 3}).context({("instance", "name")}) == {
        "instance": {"name": "stored"}
    }


def test_changes_are_told_with_both_values():
    changed = subject(changes={"name": FieldChange("name", "Max", "Rex")})
    assert changed.context({("changes",), ("changed",)}) == {
        "changes": {"name": {"old": "Max", "new": "Rex"}},
        "changed": ["name"],
    }


def test_where_nobody_asked_what_changed_it_is_null_and_not_nothing():
    assert subject(knows_changes=False).context({("changes",), ("changed",)}) == {"changes": None, "changed": None}


def test_a_related_object_is_read_without_what_the_caller_had_cached():
    # The keeper that hangs on the instance was never saved: its key leads nowhere, and so no query is made.
    animal = Animal(pk=5, keeper=Keeper(name="unsaved"))
    assert subject(animal).context({("instance", "keeper", "name")}) == {"instance": {"keeper": None}}


def test_an_event_of_its_own_begins_a_chain():
    event = subject().event({})
    assert (event.root_id, event.depth, event.cause_id) == (event.id, 0, None)


def test_an_event_that_an_action_caused_continues_its_chain():
    event = subject(origin=Origin(cause=CAUSE)).event({})
    assert (event.root_id, event.depth, event.cause_id) == (UUID(int=7), 3, UUID(int=8))


def test_the_header_and_the_event_say_one_thing():
    told = subject(origin=Origin(cause=CAUSE))
    header, event = told.header(), told.event({})
    assert header == {
        "id": str(event.id),
        "signal": "post_save",
        "operation": "update",
        "model": "zoo.animal",
        "pk": 5,
        "occurred_at": "2026-05-06T00:00:00+00:00",
        "root_id": str(event.root_id),
        "depth": 3,
    }


def test_a_proxy_is_told_by_the_model_it_is_stored_as():
    assert subject(OldAnimal(pk=5)).model == "zoo.animal"


def test_a_signal_about_no_object_has_no_model_and_no_key():
    told = Subject("shop.paid", arguments={"total": 3}, occurred_at=NOW)
    assert (told.model, told.pk) == ("", None)
    assert told.context({("signal", "total"), ("instance", "name")}) == {"signal": {"total": 3}, "instance": None}


def test_an_event_needs_a_time():
    with pytest.raises(ValueError, match="time"):
        Subject("shop.paid").event({})


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        (("old", "name"), {"name"}),
        (("changes", "keeper", "new"), {"keeper_id"}),
        (("instance", "name"), set()),
    ],
)
def test_which_earlier_values_a_path_reads(path: tuple[str, ...], columns: set[str]):
    assert set(old_fields(Animal, [path])) == columns


@pytest.mark.parametrize("path", [("changed",), ("old",), ("old", "*")])
def test_who_reads_whatever_changed_reads_every_field(path: tuple[str, ...]):
    assert {"name", "legs", "keeper_id"} <= set(old_fields(Animal, [path]))
    assert "blob" not in old_fields(Animal, [path])

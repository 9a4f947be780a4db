"""What a subject tells where a value cannot be read, is held already, or may be altered yet."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db.models import F

from rules_engine.context.actor import LONGEST_NAME, Origin, acting_as, origin
from rules_engine.context.subject import EXACT, Others, Subject, old_fields
from rules_engine.types import FieldChange, Path, Unread
from tests.zoo.models import Animal, Cage, Enclosure, Statue, Tag

NOW = datetime(2026, 5, 6, tzinfo=UTC)
LOST = Unread(LookupError("lost"))


def subject(instance: Any = None, *, signal: str = "post_save", **fields: Any) -> Subject:
    return Subject(signal, "update", instance or Animal(pk=5, name="Rex"), occurred_at=NOW, **fields)


def test_each_event_has_an_id_of_its_own_that_stays() -> None:
    one, other = subject(), subject()
    assert isinstance(one.id, UUID)
    assert one.id == one.id == one.event({}).id
    assert one.header()["id"] == str(one.id)
    assert one.id != other.id


@pytest.mark.parametrize(
    ("instance", "key"),
    [
        (Animal(pk=5), 5),
        (Animal(pk=EXACT), EXACT),
        (Animal(pk=-EXACT), -EXACT),
        (Animal(pk="5"), 5),
        (Animal(), None),
        (Cage(code="a\x00"), "a\ufffd"),
        (Statue(number="7"), "7"),
        (Enclosure(house=1, number=2), [1, 2]),
    ],
)
def test_the_key_is_told_as_its_column_holds_it(instance: Any, key: Any) -> None:
    told = subject(instance)
    assert told.pk == told.header()["pk"] == told.event({}).pk == key
    assert type(told.pk) is type(key)


def test_a_key_that_only_the_database_knows_is_the_one_read_back() -> None:
    assert subject(Animal(pk=F("id")), settled={"id": 9}).pk == 9
    assert subject(Animal(), settled={"id": 9}).pk == 9
    assert subject(Animal(pk=5), settled={"id": 9}).pk == 5


def test_a_key_that_cannot_be_read_is_marked_and_said(caplog: Any) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError("never")

    with caplog.at_level(logging.ERROR, "rules_engine"):
        assert subject(Cage(code=Unspeakable())).event({}).pk == "<RuntimeError>"
    assert "The key of an object of zoo.Cage could not be read." in caplog.text


def test_without_a_time_the_header_says_null_and_with_one_its_form() -> None:
    assert Subject("shop.paid").header()["occurred_at"] is None
    assert subject().header()["occurred_at"] == "2026-05-06T00:00:00+00:00"


def test_a_record_says_null_where_nobody_asked_what_changed() -> None:
    changes = {"name": FieldChange("name", "Max", "Rex")}
    asked = subject(changes=changes).context([], whole=True)
    unasked = subject(changes=changes, knows_changes=False).context([], whole=True)
    assert (asked["changed"], asked["changes"]) == (["name"], {"name": {"old": "Max", "new": "Rex"}})
    assert unasked["changed"] is unasked["changes"] is None


@pytest.mark.parametrize("part", ["old", "changes", "changed"])
@pytest.mark.parametrize(
    ("names", "fails"), [((), True), (("name",), True), (("*",), True), (("legs",), False), (("legs", "name"), True)]
)
def test_a_value_that_could_not_be_read_is_an_error_of_who_asks(part: str, names: Path, fails: bool) -> None:
    changes = {"name": FieldChange("name", LOST, "Rex"), "legs": FieldChange("legs", 4, 3)}
    told = subject(old={"name": LOST, "legs": 4}, changes=changes)
    paths: list[Path] = [(part, name) for name in names] or [(part,)]
    for whole in (False, True):
        read = told.read(paths, whole=whole)
        assert isinstance(read, Unread) is fails
        if isinstance(read, Unread):
            assert read.error is LOST.error
        else:
            known = {"old": {"legs": 4}, "changes": {"legs": {"old": 4, "new": 3}}, "changed": ["legs"]}
            assert read[part] == known[part]


@pytest.mark.parametrize(("old", "new"), [(LOST, "Rex"), ("Max", LOST), (LOST, LOST)])
def test_a_record_leaves_out_what_could_not_be_read(old: Any, new: Any) -> None:
    changes = {"name": FieldChange("name", old, new), "legs": FieldChange("legs", 4, 3)}
    whole = subject(old={"name": LOST, "legs": 4}, changes=changes).context([("instance", "legs")], whole=True)
    assert (whole["old"], whole["changed"]) == ({"legs": 4}, ["legs"])
    assert whole["changes"] == {"legs": {"old": 4, "new": 3}}


@pytest.mark.parametrize("settled", [LOST, "stored"])
@pytest.mark.parametrize("name", ["name", "*"])
def test_a_settled_value_is_read_by_its_name_and_among_all(settled: Any, name: str) -> None:
    read = subject(settled={"name": settled}).read([("instance", name)])
    if isinstance(settled, Unread):
        assert isinstance(read, Unread)
    else:
        assert not isinstance(read, Unread)
        assert read["instance"]["name"] == "stored"


@pytest.mark.parametrize(("signal", "name"), [("post_save", "Rex"), ("pre_save", "Max"), ("pre_delete", "Max")])
def test_only_before_a_save_is_an_altered_object_read_again(signal: str, name: str) -> None:
    animal = Animal(pk=5, name="Rex")
    told = subject(animal, signal=signal)
    told.context([("instance", "name")])
    animal.name = "Max"
    for paths in ([("instance", "name")], [("instance", "name"), ("instance", "*")]):
        assert told.context(paths)["instance"]["name"] == name


@pytest.mark.parametrize("whole", [False, True])
def test_what_time_brought_about_tells_when_it_was_due(whole: bool) -> None:
    due = {"at": "2026-05-06"}
    assert subject(due=due).context([], whole=whole)["due"] == due
    assert "rows" not in subject(due=due).context([], whole=whole)
    assert subject(due=due, rows=[{"pk": 1}]).context([], whole=whole)["rows"] == [{"pk": 1}]
    assert "due" not in subject().context([], whole=whole)


def test_what_is_about_many_objects_is_told_by_their_model_and_has_no_key() -> None:
    many = Subject("schedule", label="zoo.animal", rows=[{"pk": 1}], due={}, occurred_at=NOW)
    assert (many.model, many.pk, many.header()["model"]) == ("zoo.animal", None, "zoo.animal")
    assert many.keys(("tags",), 5) is None
    assert many.context([], whole=True)["instance"] is None


def test_the_other_objects_of_a_relation_are_told_to_who_asks() -> None:
    m2m = {"field": "tags", "action": "add"}
    rows = [{"pk": 1, "name": "a"}]
    known = {'{"name": {}}': rows}
    told = subject(m2m=m2m, others=Others(Tag, [1], _known=known))
    assert told.context([("m2m", "objects", "name")])["m2m"] == {**m2m, "objects": rows}
    assert told.context([("m2m", "objects", "name")], whole=True)["m2m"] == {**m2m, "objects": rows}
    for paths in ([("m2m",)], [("m2m", "action")]):
        assert told.context(paths) == {"m2m": m2m}
    assert subject(m2m=m2m).context([("m2m", "objects", "name")]) == {"m2m": m2m}
    assert subject().context([("m2m", "objects", "name")]) == {"m2m": None}


@pytest.mark.parametrize("path", [("changed", "name"), ("changed", "gone")])
def test_who_asks_what_changed_reads_every_field_whatever_is_named(path: Path) -> None:
    assert {"name", "legs"} <= set(old_fields(Animal, [path]))


def failing() -> Any:
    raise LookupError("session is gone")


def test_who_acts_is_an_error_to_who_asks_and_a_mark_in_the_record(caplog: Any) -> None:
    request = type("Request", (), {"user": property(lambda _self: failing())})()
    told = subject(origin=Origin(request=request))
    assert isinstance(told.read([("actor", "id")]), Unread)
    assert isinstance(told.read([("actor", "id")], whole=True), Unread)
    with caplog.at_level(logging.ERROR, "rules_engine"):
        assert told.context([], whole=True)["actor"] == {"id": "", "username": "<LookupError>"}
    assert "Who acts could not be read" in caplog.text


def test_a_record_tells_who_acts_also_where_no_rule_asked() -> None:
    ada = {"id": 1, "username": "ada"}
    told = subject(origin=Origin(user=get_user_model()(pk=1, username="ada")))
    assert told.context([], whole=True)["actor"] == told.context([("actor", "id")])["actor"] == ada


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (7, 7),
        ("u-7", "u-7"),
        (UUID(int=7), str(UUID(int=7))),
        ("k" * 300, "k" * LONGEST_NAME + "…"),
        ("a\x00", "a\ufffd"),
    ],
)
def test_whoever_acts_is_told_by_a_plain_key_and_a_bounded_name(key: Any, told: Any) -> None:
    class Person:
        pk, is_authenticated = key, True

        def get_username(self) -> str:
            return "n" * 300

    with acting_as(Person()):
        assert origin().actor() == {"id": told, "username": "n" * LONGEST_NAME + "…"}

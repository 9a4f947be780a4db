"""A change that is made up, as the receiver would see it; no object is saved, and none is read."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from rules_engine.errors import UnknownPath
from rules_engine.test.subjects import Happening, MadeUp, subject_of
from rules_engine.types import FieldChange
from tests.zoo.models import Animal, Tag


def animal() -> Animal:
    return Animal(pk=7, name="Rex", legs=4, weight=Decimal("5.50"))


def test_a_change_goes_from_what_the_object_has_to_what_is_made_up() -> None:
    rex = animal()
    subject = subject_of(rex, Happening("post_save", "update", [MadeUp("legs", new=3)]))
    assert subject.changes == {"legs": FieldChange("legs", 4, 3)}
    assert (subject.operation, subject.created, rex.legs) == ("update", False, 3)
    assert subject.old is not None
    assert subject.old["legs"] == 4


def test_a_change_may_begin_elsewhere_and_end_at_what_the_object_has() -> None:
    subject = subject_of(animal(), Happening("pre_save", "update", [MadeUp("born", old=date(2025, 1, 2))]))
    assert subject.changes == {"born": FieldChange("born", "2025-01-02", None)}


def test_values_are_told_as_the_column_holds_them() -> None:
    change = MadeUp("weight", old=Decimal("5"), new=Decimal("5.555"))
    [told] = subject_of(animal(), Happening("post_save", "update", [change])).changes.values()
    assert told == FieldChange("weight", Decimal("5.00"), Decimal("5.56"))


def test_what_is_created_has_no_old_values() -> None:
    subject = subject_of(animal(), Happening("post_save", "create", [MadeUp("name", old="Max")]))
    assert (subject.operation, subject.created, subject.old) == ("create", True, None)
    assert subject.changes["name"] == FieldChange("name", None, "Rex")


def test_a_field_that_is_not_there_is_said_so() -> None:
    with pytest.raises(UnknownPath, match="no field"):
        subject_of(animal(), Happening("post_save", "update", [MadeUp("wings", new=2)]))


@pytest.mark.parametrize(("operation", "old", "new"), [("add", [], [1, 2]), ("remove", [1, 2], [])])
def test_objects_are_added_and_removed(operation: str, old: list[int], new: list[int]) -> None:
    happening = Happening("m2m_changed", operation, relation="tags", others=[1, 2])  # type: ignore[arg-type]
    subject = subject_of(animal(), happening)
    assert subject.changes == {"tags": FieldChange("tags", old, new)}
    assert subject.m2m == {"field": "tags", "action": operation, "side": "own", "pks": [1, 2], "count": 2}
    assert subject.others is not None
    assert subject.others.model is Tag


def test_a_deletion_has_the_last_values_as_old_ones() -> None:
    subject = subject_of(animal(), Happening("post_delete"))
    assert (subject.operation, subject.changes) == ("delete", {})
    assert subject.old is not None
    assert subject.old["name"] == "Rex"


def test_a_signal_of_the_site_tells_its_arguments_and_no_change() -> None:
    subject = subject_of(animal(), Happening("zoo.fed", arguments={"food": "hay"}))
    assert (subject.operation, subject.arguments, subject.knows_changes) == (None, {"food": "hay"}, False)
    assert subject.occurred_at is not None

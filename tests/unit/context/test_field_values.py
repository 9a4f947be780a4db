"""Fields of every kind as rules are told of them: as the database would give them back, in JSON, of bounded length."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import models
from django.db.models import F
from django.utils.translation import gettext_lazy

from rules_engine.context import snapshot
from rules_engine.types import FieldChange
from tests.zoo.models import Animal, Keeper, Meal, Ticket

BERLIN = datetime.timezone(datetime.timedelta(hours=2))
NEW_YORK = datetime.timezone(datetime.timedelta(hours=-5))


class Size(enum.StrEnum):
    SMALL = "s"


class Number(enum.IntEnum):
    ONE = 1


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("never")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        (models.CharField(), "text", "text"),
        (models.CharField(), 7, "7"),
        (models.CharField(), Size.SMALL, "s"),
        (models.CharField(), None, None),
        (models.TextField(), "a\x00b", "a\ufffdb"),
        (models.SlugField(), "a-b", "a-b"),
        (models.IntegerField(), "12", 12),
        (models.IntegerField(), Number.ONE, 1),
        (models.IntegerField(), "many", "many"),
        (models.BigIntegerField(), 2**63 - 1, 2**63 - 1),
        (models.FloatField(), "1.5", 1.5),
        (models.FloatField(), float("nan"), None),
        (models.FloatField(), float("-inf"), None),
        (models.BooleanField(), "1", True),
        (models.BooleanField(), "f", False),
        (models.BooleanField(null=True), None, None),
        (models.DateField(), "2026-01-31", "2026-01-31"),
        (models.DateField(), datetime.date(2026, 1, 31), "2026-01-31"),
        (models.DateField(), "31.1.2026", "31.1.2026"),
        (models.DateTimeField(), datetime.datetime(2026, 1, 1, 1, tzinfo=BERLIN), "2025-12-31T23:00:00+00:00"),
        (models.TimeField(), "08:30", "08:30:00"),
        (models.TimeField(), datetime.time(8, 30, 1), "08:30:01"),
        (models.DurationField(), datetime.timedelta(minutes=1, milliseconds=500), 60.5),
        (models.DurationField(), "00:01:00", 60.0),
        (models.UUIDField(), uuid.UUID(int=1), str(uuid.UUID(int=1))),
        (models.UUIDField(), uuid.UUID(int=1).hex, str(uuid.UUID(int=1))),
        (models.UUIDField(), "none", "none"),
        (models.EmailField(), "a@example.org", "a@example.org"),
        (models.GenericIPAddressField(), "2001:0db8::1", "2001:db8::1"),
        (models.FileField(), "photos/a.png", "photos/a.png"),
        (models.FileField(), ContentFile(b"x", name="b.png"), "b.png"),
        (models.FileField(), None, ""),
        (models.JSONField(), {"a": [1, None]}, {"a": [1, None]}),
        (models.JSONField(), "12", "12"),
        (models.BinaryField(), b"x", "eA=="),
    ],
)
def test_a_field_is_told_as_the_database_gives_it_back(field: Any, value: Any, told: Any) -> None:
    seen = snapshot.column_value(field, value)
    assert seen == told
    assert type(seen) is type(told)
    json.dumps(seen)


@pytest.mark.parametrize(
    ("value", "digits"),
    [("5", "5.00"), (5, "5.00"), (1.1, "1.10"), ("-0.1", "-0.10"), (decimal.Decimal("1E+1"), "10.00"), ("0", "0.00")],
)
def test_a_decimal_has_the_digits_of_its_column(value: Any, digits: str) -> None:
    seen = snapshot.column_value(models.DecimalField(max_digits=8, decimal_places=2), value)
    assert isinstance(seen, decimal.Decimal)
    assert str(seen) == digits


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        ("123456789012345678901.1234567890123456785", "123456789012345678901.123456789012345678"),
        (10**59, f"{10**59}.{'0' * 18}"),
        ("-0.0000000000000000019", "-0.000000000000000002"),
    ],
)
def test_a_decimal_of_a_wide_column_has_all_its_digits(value: Any, digits: str) -> None:
    # An amount of a coin; by Python's own context, of 28 digits, it would be told unrounded.
    seen = snapshot.column_value(models.DecimalField(max_digits=78, decimal_places=18), decimal.Decimal(value))
    assert abs(seen - decimal.Decimal(digits)) <= decimal.Decimal("1e-18")
    assert -seen.as_tuple().exponent == 18


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (datetime.datetime.max.replace(tzinfo=datetime.UTC), "9999-12-31T23:59:59.999999+00:00"),
        (datetime.datetime.max.replace(tzinfo=BERLIN), "9999-12-31T21:59:59.999999+00:00"),
        # In UTC these were in the year 10000, and in the year 0.
        (datetime.datetime.max.replace(tzinfo=NEW_YORK), "9999-12-31T23:59:59.999999-05:00"),
        (datetime.datetime.min.replace(tzinfo=BERLIN), "0001-01-01T00:00:00+02:00"),
    ],
)
def test_a_moment_at_the_end_of_the_calendar_is_told_like_any_other(moment: datetime.datetime, told: str) -> None:
    assert snapshot.column_value(models.DateTimeField(), moment) == told
    assert snapshot.safe({"until": [moment]}) == {"until": [told]}


@pytest.mark.parametrize("value", ["much", [], {}])
def test_a_decimal_that_is_none_is_told_as_it_stands(value: Any) -> None:
    assert snapshot.column_value(models.DecimalField(max_digits=8, decimal_places=2), value) == value


@pytest.mark.parametrize("value", [decimal.Decimal("NaN"), decimal.Decimal("Infinity"), decimal.Decimal("-Infinity")])
def test_a_decimal_without_an_end_is_null(value: decimal.Decimal) -> None:
    assert snapshot.safe(value) is None


@pytest.mark.parametrize(("key", "told"), [("7", 7), (7, 7), (None, None)])
def test_a_relation_is_told_as_the_key_it_holds(key: Any, told: Any) -> None:
    animal = Animal(keeper_id=key)
    assert snapshot.field_value(animal, Animal._meta.get_field("keeper")) == told


def test_a_key_that_is_a_uuid_is_a_text() -> None:
    ticket = Ticket()
    assert snapshot.field_value(ticket, Ticket._meta.pk) == str(ticket.pk)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Size.SMALL, "s"),
        (Number.ONE, 1),
        (gettext_lazy("rule"), "rule"),
        (frozenset({1}), [1]),
        (range(2), {"type": "range", "text": "range(0, 2)"}),
        (1 + 2j, {"type": "complex", "text": "(1+2j)"}),
        (Unspeakable(), {"type": "Unspeakable", "text": "<ValueError in str()>"}),
        (Keeper(pk=3), {"model": "zoo.keeper", "pk": 3}),
        ({"k": Keeper()}, {"k": {"model": "zoo.keeper", "pk": None}}),
        ({None: 1, 2.5: 2}, {"None": 1, "2.5": 2}),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (datetime.datetime(2026, 1, 1), "2026-01-01T00:00:00"),  # noqa: DTZ001 - one without a zone is the point
    ],
)
def test_what_no_json_has_is_told_in_a_form_that_it_has(value: Any, told: Any) -> None:
    assert snapshot.safe(value) == told


def test_a_key_of_a_mapping_is_cut_like_a_text() -> None:
    [key] = snapshot.safe({"k" * 500: 1})
    assert key.startswith("k" * 200 + "…")
    assert len(snapshot.safe({"k" * 500: 1, "k" * 501: 2})) == 2


@pytest.mark.parametrize("make", [list, tuple, lambda items: dict.fromkeys(items, 0)])
def test_of_many_items_the_first_are_kept(settings: Any, make: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "ROWS_LIMIT": 3}
    told = snapshot.safe(make(range(10)))
    assert len(told) == 4
    assert "…" in list(told)[-1]
    assert len(snapshot.safe(make(range(3)))) == 3


@pytest.mark.parametrize(("length", "is_cut"), [(299, False), (300, False), (301, True)])
def test_a_text_is_cut_where_the_setting_says(settings: Any, length: int, is_cut: bool) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "TEXT_LIMIT": 300}
    seen = snapshot.clean_text("x" * length)
    assert ("…" in seen) == is_cut
    assert seen.startswith("x" * min(length, 300))


def test_texts_that_differ_beyond_the_cut_are_a_change(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "TEXT_LIMIT": 300}
    old, new = ({"notes": snapshot.clean_text("x" * 400 + end)} for end in "ab")
    [change] = snapshot.diff([Animal._meta.get_field("notes")], old, new)
    assert change.field == "notes"
    assert list(snapshot.diff([Animal._meta.get_field("notes")], old, dict(old))) == []


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"legs": 4}, {"legs": 3}, [FieldChange("legs", 4, 3)]),
        ({"legs": 4}, {"legs": 4}, []),
        ({"legs": 4}, {"legs": None}, [FieldChange("legs", 4, None)]),
        ({"legs": 4}, {}, []),
        ({}, {"legs": 4}, []),
        (None, {"legs": 4}, [FieldChange("legs", None, 4)]),
        (None, {"legs": 0}, [FieldChange("legs", None, 0)]),
        (None, {"legs": None, "name": ""}, []),
        ({"keeper_id": 1}, {"keeper_id": 2}, [FieldChange("keeper", 1, 2)]),
        (
            {"name": "a", "legs": 4},
            {"name": "b", "legs": 3},
            [FieldChange("name", "a", "b"), FieldChange("legs", 4, 3)],
        ),
    ],
)
def test_a_difference_is_of_values_known_before_and_after(old: Any, new: Any, changes: list[FieldChange]) -> None:
    fields = [Animal._meta.get_field(name) for name in ("name", "legs", "keeper")]
    assert list(snapshot.diff(fields, old, new)) == changes


def test_what_the_database_is_to_work_out_is_not_told_as_a_value() -> None:
    meal = Meal(portions=F("portions") + 1, spoons=2)
    fields = [Meal._meta.get_field(name) for name in ("portions", "spoons")]
    assert [snapshot.is_unsettled(meal, field) for field in fields] == [True, False]
    assert snapshot.values_on(meal, fields) == {"spoons": 2}


def test_a_deferred_field_is_not_fetched_to_be_told() -> None:
    animal = Animal.from_db("default", ["id", "name"], [1, "Rex"])
    fields = [Animal._meta.get_field(name) for name in ("name", "legs")]
    assert [snapshot.is_unsettled(animal, field) for field in fields] == [False, True]
    assert snapshot.values_on(animal, fields) == {"name": "Rex"}


def test_paths_with_a_common_beginning_are_read_once() -> None:
    paths = frozenset({("instance", "name"), ("instance", "keeper", "name"), ("instance", "keeper"), ("changed",)})
    assert snapshot.tree_of(paths) == {"instance": {"name": {}, "keeper": {"name": {}}}, "changed": {}}
    assert snapshot.tree_of(frozenset()) == {}

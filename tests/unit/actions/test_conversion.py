"""What a text or an expression came to, as a field takes it; and what no field should take."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.test import override_settings
from django.utils import timezone

from rules_engine.actions.rows.changes import Change
from rules_engine.actions.rows.conversion import BOOLEANS, computed, convert, validate
from rules_engine.errors import PermanentError
from tests.zoo.models import Animal, Enclosure, Plaque, Ticket

TEXT = models.CharField(max_length=50)
NULLABLE_TEXT = models.CharField(max_length=50, null=True)
WHOLE = models.IntegerField(null=True)
FLAG = models.BooleanField(null=True)
PRICE = models.DecimalField(max_digits=8, decimal_places=2, null=True)
RATE = models.FloatField(null=True)
DAY = models.DateField(null=True)
MOMENT = models.DateTimeField(null=True)
SPAN = models.DurationField(null=True)
ID = models.UUIDField(null=True)
ANYTHING = models.JSONField(null=True)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (TEXT, "text", "text"),
        (TEXT, "  kept  ", "  kept  "),
        (TEXT, 5, "5"),
        (TEXT, True, "True"),
        (TEXT, "nul\x00here", "nul\ufffdhere"),
        (WHOLE, "5", 5),
        (WHOLE, " 5 ", 5),
        (WHOLE, 5.0, 5),
        (WHOLE, True, 1),
        (FLAG, 1, True),
        (FLAG, "True", True),
        (PRICE, "12.50", Decimal("12.50")),
        (PRICE, 0.1 + 0.2, Decimal("0.30")),
        (PRICE, 7, Decimal("7.00")),
        (PRICE, Decimal("1.005"), Decimal("1.00")),
        (RATE, "0.5", 0.5),
        (DAY, "2026-01-31", date(2026, 1, 31)),
        (DAY, "2026-01-31T12:00:00Z", date(2026, 1, 31)),
        (DAY, "2026-01-31T12:00:00", date(2026, 1, 31)),
        (MOMENT, "2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        (SPAN, "1 00:00:05", timedelta(days=1, seconds=5)),
        (ID, str(UUID(int=7)), UUID(int=7)),
        (ANYTHING, {"a": [1]}, {"a": [1]}),
        (ANYTHING, [1, 2], [1, 2]),
    ],
)
def test_a_value_becomes_the_fields_own_type(field: Any, value: Any, expected: Any) -> None:
    result = convert(field, value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize("word", [*BOOLEANS, "Yes", "OFF"])
def test_people_write_a_flag_in_many_words(word: str) -> None:
    assert convert(FLAG, word) is BOOLEANS[word.lower()]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (WHOLE, "five"),
        (WHOLE, 1.5),
        (WHOLE, "1.5"),
        (WHOLE, float("inf")),
        (WHOLE, {"a": 1}),
        (WHOLE, [1]),
        (TEXT, {"a": 1}),
        (TEXT, ["a"]),
        (FLAG, "maybe"),
        (FLAG, 2),
        (PRICE, "a lot"),
        (PRICE, float("inf")),
        (DAY, "soon"),
        (DAY, "2026-02-31"),
        (DAY, 5),
        (MOMENT, "2026-01-31T25:00:00Z"),
        (SPAN, "long"),
        (ID, "7"),
    ],
)
def test_a_value_of_another_type_is_refused_without_being_told(field: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        convert(field, value)


@pytest.mark.parametrize("value", [float("nan"), 10**40, "1e400"])
def test_what_no_column_holds_is_refused_as_it_is_validated_at_the_latest(value: Any) -> None:
    with pytest.raises(ValidationError):
        validate(PRICE, convert(PRICE, value), None)


def test_an_amount_of_more_digits_than_python_calculates_with_keeps_them() -> None:
    wei = models.DecimalField(max_digits=78, decimal_places=18)
    amount = Decimal("123456789012345678901.123456789012345678")
    assert convert(wei, amount) == amount
    assert str(convert(wei, 10**40)) == f"{10**40}.{'0' * 18}"
    # One more is another amount, also where the row has more digits than Python's own context.
    assert Change(wei, "increment", None).new(amount * 10**20, Decimal("0.01")) > amount * 10**20
    assert Change(wei, "increment", None).new(None, amount) == amount


@pytest.mark.parametrize("text", ["10.0.0.256", "2130706433", "example.com", "10.0.0.1/8", 7, True])
def test_an_address_that_is_none_is_refused_before_the_database_sees_it(text: Any) -> None:
    with pytest.raises(ValidationError):
        convert(models.GenericIPAddressField(), text)


@pytest.mark.parametrize(
    ("text", "address"),
    [(" 10.0.0.1 ", "10.0.0.1"), ("2001:0DB8::0:1", "2001:db8::1"), ("::ffff:a00:1", "::ffff:10.0.0.1")],
)
def test_an_address_is_written_in_its_one_form(text: str, address: str) -> None:
    assert convert(models.GenericIPAddressField(), text) == address


@pytest.mark.parametrize(
    ("field", "expected"),
    [(TEXT, ""), (NULLABLE_TEXT, None), (WHOLE, None), (FLAG, None), (DAY, None), (PRICE, None), (ANYTHING, None)],
)
def test_null_is_an_empty_text_where_the_column_has_no_null(field: Any, expected: Any) -> None:
    assert convert(field, None) == expected


@pytest.mark.parametrize(("field", "expected"), [(TEXT, ""), (WHOLE, None), (DAY, None), (ID, None), (MOMENT, None)])
def test_an_empty_text_is_null_where_the_field_holds_no_texts(field: Any, expected: Any) -> None:
    assert convert(field, "") == expected


@pytest.mark.parametrize("field", [WHOLE, DAY, PRICE, ID])
def test_blanks_alone_are_an_empty_text(field: Any) -> None:
    assert convert(field, "  \n ") is None


def test_a_foreign_key_takes_what_the_key_it_points_at_takes() -> None:
    keeper = Animal._meta.get_field("keeper")
    assert convert(keeper, "7") == 7
    assert convert(keeper, "") is None
    assert convert(keeper, None) is None
    with pytest.raises(ValidationError):
        convert(keeper, "Ada")


def test_a_moment_without_a_zone_is_meant_in_the_current_one() -> None:
    with timezone.override("Asia/Tokyo"):
        assert convert(MOMENT, "2026-01-31T09:00:00") == datetime(2026, 1, 31, 0, tzinfo=UTC)


def test_the_day_of_a_moment_is_that_of_the_sites_zone() -> None:
    with timezone.override("Asia/Tokyo"):
        assert convert(DAY, "2026-01-31T22:00:00Z") == date(2026, 2, 1)


def test_a_site_without_time_zones_stores_moments_as_they_are() -> None:
    with override_settings(USE_TZ=False):
        assert convert(MOMENT, "2026-01-31T09:00:00") == datetime(2026, 1, 31, 9)  # noqa: DTZ001 - as the site has it


def test_a_value_is_held_to_the_fields_validators() -> None:
    price = models.DecimalField(max_digits=4, decimal_places=2, validators=[MinValueValidator(0)])
    validate(price, Decimal("1.00"), None)
    for wrong in (Decimal("-1.00"), Decimal("1000.00")):
        with pytest.raises(ValidationError):
            validate(price, wrong, None)


def test_an_empty_value_is_held_to_nothing_where_it_may_be_empty() -> None:
    size = Plaque._meta.get_field("size")
    validate(size, "", None)
    validate(size, "s", None)
    with pytest.raises(ValidationError):
        validate(size, "huge", None)
    with pytest.raises(ValidationError):
        validate(Animal._meta.get_field("name"), "", None)


def test_a_text_longer_than_its_column_is_no_valid_value() -> None:
    code = Plaque._meta.get_field("code")
    validate(code, "12345", None)
    with pytest.raises(ValidationError):
        validate(code, convert(code, "123456"), None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ instance.name }}!", "Rex!"),
        ({"+": [{"var": "instance.legs"}, 1]}, 5),
        ({"var": "instance.nothing"}, None),
        (7, 7),
        (None, None),
        ([1, 2], [1, 2]),
    ],
)
def test_a_value_is_computed_from_the_context(value: Any, expected: Any) -> None:
    assert computed(value, {"instance": {"name": "Rex", "legs": 4}}) == expected


@pytest.mark.parametrize("value", ["{{ instance.nme }}", "{% if %}", {"+": [{"var": "instance.nothing"}, 1]}])
def test_a_value_that_cannot_be_computed_fails_for_good(value: Any) -> None:
    with pytest.raises(PermanentError):
        computed(value, {"instance": {"name": "Rex"}})


def test_a_key_of_every_kind_of_model_can_be_written_as_text() -> None:
    assert convert(Ticket._meta.pk, str(UUID(int=1))) == UUID(int=1)  # type: ignore[arg-type]
    assert convert(Enclosure._meta.get_field("house"), "3") == 3

"""PostgreSQL's ranges as rules are told of them: one text for each range, however it was written."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.context.stored_form import column_value
from tests.examples import examples

pytest.importorskip("psycopg")

from django.contrib.postgres.fields import (
    DateRangeField,
    DateTimeRangeField,
    DecimalRangeField,
    IntegerRangeField,
)
from django.db.backends.postgresql.psycopg_any import DateRange, DateTimeTZRange, NumericRange

EMPTY = {"empty": True}
FIRST, SECOND, THIRD = (datetime.date(2031, 5, day) for day in (1, 2, 3))
BERLIN = datetime.timezone(datetime.timedelta(hours=2))


def told(field: Any, value: Any) -> Any:
    form = column_value(field, value)
    return json.loads(form) if isinstance(form, str) else form


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (IntegerRangeField(), None, None),
        (IntegerRangeField(), (1, 5), {"bounds": "[)", "lower": "1", "upper": "5"}),
        (IntegerRangeField(), NumericRange(1, 5, "[]"), {"bounds": "[)", "lower": "1", "upper": "6"}),
        (IntegerRangeField(), NumericRange(1, 5, "()"), {"bounds": "[)", "lower": "2", "upper": "5"}),
        (IntegerRangeField(), NumericRange(1, 5, "(]"), {"bounds": "[)", "lower": "2", "upper": "6"}),
        (IntegerRangeField(), NumericRange(1, None, "[]"), {"bounds": "[)", "lower": "1", "upper": None}),
        (IntegerRangeField(), NumericRange(None, 5, "[]"), {"bounds": "()", "lower": None, "upper": "6"}),
        (IntegerRangeField(), NumericRange(None, None), {"bounds": "()", "lower": None, "upper": None}),
        (IntegerRangeField(), NumericRange(empty=True), EMPTY),
        (IntegerRangeField(), NumericRange(1, 1, "[)"), EMPTY),
        (IntegerRangeField(), NumericRange(1, 2, "()"), EMPTY),
        (IntegerRangeField(), NumericRange(1, 1, "[]"), {"bounds": "[)", "lower": "1", "upper": "2"}),
        (
            DateRangeField(),
            DateRange(FIRST, SECOND, "[]"),
            {"bounds": "[)", "lower": "2031-05-01", "upper": f"{THIRD}"},
        ),
        (DateRangeField(), (FIRST, THIRD), {"bounds": "[)", "lower": "2031-05-01", "upper": "2031-05-03"}),
        # Between two of these there is always one more: an end stays in or out as it was written.
        (DecimalRangeField(), NumericRange(Decimal(1), Decimal(5), "[]"), {"bounds": "[]", "lower": "1", "upper": "5"}),
        (DecimalRangeField(), NumericRange(Decimal(1), Decimal(5), "()"), {"bounds": "()", "lower": "1", "upper": "5"}),
        (DecimalRangeField(), NumericRange(Decimal(1), None, "[]"), {"bounds": "[)", "lower": "1", "upper": None}),
        (DecimalRangeField(), NumericRange(Decimal(1), Decimal(1), "[]"), {"bounds": "[]", "lower": "1", "upper": "1"}),
        (DecimalRangeField(), NumericRange(Decimal(1), Decimal(1), "[)"), EMPTY),
        (DecimalRangeField(), NumericRange(Decimal(1), Decimal(1), "(]"), EMPTY),
        (
            DateTimeRangeField(),
            DateTimeTZRange(datetime.datetime(2031, 5, 1, 2, tzinfo=BERLIN), None, "()"),
            {"bounds": "()", "lower": "2031-05-01T00:00:00+00:00", "upper": None},
        ),
    ],
)
def test_a_range_is_told_as_postgresql_keeps_it(field: Any, value: Any, expected: Any) -> None:
    assert told(field, value) == expected


def test_what_is_no_range_is_told_as_it_stands() -> None:
    assert column_value(IntegerRangeField(), 7) == 7
    assert column_value(IntegerRangeField(), NumericRange("many", "more")) is not None


ENDS = st.none() | st.integers(-3, 3)
BOUNDS = st.sampled_from(["[]", "[)", "(]", "()"])


def numbers_in(lower: int | None, upper: int | None, bounds: str) -> list[int]:
    """Say plainly which of some numbers are in a range."""
    above = [n for n in range(-9, 9) if lower is None or n > lower or (n == lower and bounds[0] == "[")]
    return [n for n in above if upper is None or n < upper or (n == upper and bounds[1] == "]")]


@settings(max_examples=examples(150), deadline=None)
@given(ENDS, ENDS, BOUNDS, ENDS, ENDS, BOUNDS)
def test_two_ranges_of_the_same_numbers_are_no_change(
    lower: int | None, upper: int | None, bounds: str, low: int | None, high: int | None, others: str
) -> None:
    if (lower or 0) > (upper or 3) or (low or 0) > (high or 3):
        return  # PostgreSQL refuses those
    one, other = (NumericRange(*ends) for ends in ((lower, upper, bounds), (low, high, others)))
    is_same = column_value(IntegerRangeField(), one) == column_value(IntegerRangeField(), other)
    assert is_same == (numbers_in(lower, upper, bounds) == numbers_in(low, high, others))

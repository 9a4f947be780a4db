"""Values that filters are given and no column has: nothing is changed, and a sentence says so without the value."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from rules_engine.models import Execution
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal, Tag, Ticket
from tests.zoo.written import Assorted

pytestmark = pytest.mark.django_db(transaction=True)

HUGE = 10**30
CANNOT = 'The filter "{}" cannot take the value that it was given.'


def changed_where(field: str, value: Any, model: type[Any] = Assorted) -> tuple[str, str]:
    """Change all rows that the filter finds by a value of an event's, and return what came of it."""
    written = "price" if model is Ticket else "text"
    config = {
        "target": "query",
        "model": model._meta.label_lower,
        "filter": [{"field": field, "value": {"var": "instance.data.value"}}],
        "values": [{"field": written, "value": "7"}],
    }
    create_rule(model=Animal, actions=[("update_objects", config)])
    Animal.objects.create(name="Rex", data={"value": value})
    run_due()
    execution = Execution.objects.get()
    return execution.state, execution.error or execution.summary


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("day", "2026-02-30"),
        ("day__gt", 5),
        ("moment", "0001-01-01T25:00:00"),
        ("clock__lte", "half past"),
        ("length", "long"),
        ("code__in", "7,8"),
        ("number", "١٢ and more"),
        ("number", 1.5),
        ("small__in", [1, {"a": 1}]),
        ("price__gte", "dear"),
        ("flag", "perhaps"),
        ("text__isnull", "perhaps"),
        ("address", "10.0.0.256"),
        ("address__gt", 2130706433),
        ("name", ["a"]),
    ],
)
def test_a_value_of_another_type_ends_in_a_sentence_that_does_not_tell_it(field: str, value: Any) -> None:
    Assorted.objects.create(text="1", address="10.0.0.1")
    state, said = changed_where(field, value)
    assert (state, said) == ("discarded", CANNOT.format(field))
    assert Assorted.objects.get().text == "1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", HUGE),
        ("number__gt", HUGE),
        ("number__in", [6, HUGE]),
        ("small", 2**31),
        ("big__lte", -HUGE),
        ("positive", str(2**64)),
        ("positive__lte", -1),
        ("price", "9" * 25),
        ("fraction__gt", "1e400"),
        ("price__in", "Infinity"),
    ],
)
def test_a_number_beyond_its_column_finds_nothing_or_ends_in_a_sentence(field: str, value: Any) -> None:
    # One that is retried for two days, or shown with the driver's own words, is neither.
    Assorted.objects.create(text="1", number=5, small=5, big=5, positive=5, fraction=5, price=5)
    state, said = changed_where(field, value)
    refused = {CANNOT.format(field), "The database does not take these values for assorted."}
    assert (state, said) == ("succeeded", "Nothing to update") or (state == "discarded" and said in refused)
    assert Assorted.objects.get().text == "1"


@pytest.mark.parametrize(
    ("value", "said"),
    [("Tom", CANNOT.format("animal")), ("9" * 20, None), (-HUGE, None), ("", "Nothing to update")],
)
def test_a_relation_is_looked_for_by_a_key_of_its_own_kind(value: Any, said: str | None) -> None:
    Ticket.objects.create(animal=Animal.objects.create(name="Tom"))
    _state, outcome = changed_where("animal", value, Ticket)
    assert outcome in ([said] if said else ["Nothing to update", "The database does not take these values for ticket."])
    assert Ticket.objects.get().price == 0


def test_a_lookup_that_the_database_lacks_ends_in_a_sentence_at_once() -> None:
    Assorted.objects.create(text="1", facts={"paid": True, "by": "card"})
    state, said = changed_where("facts__contains", {"paid": True})
    if connection.features.supports_json_field_contains:
        assert (state, said) == ("succeeded", "Updated 1 of assorteds")
    else:
        sentence = "The database has no such way to look for assorted; filter by something else."
        assert (state, said) == ("discarded", sentence)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("number", "5", True),
        ("number__in", "4, 5", True),
        ("number__in", [None, 5], True),
        ("number__in", [None], False),
        ("number", None, False),
        ("day__isnull", True, True),
        ("text__icontains", "", False),
        ("name__startswith", "Ad", True),
        ("price", 5.0, True),
        ("price", "5.0000000000", True),
        ("moment__lt", "2031-01-01T00:00:00+14:00", True),
        ("address", " 10.0.0.1 ", True),
        ("address", "2001:DB8::1", False),
        ("code", "00000000000000000000000000000007", True),
    ],
)
def test_a_value_is_looked_for_as_its_column_has_it(field: str, value: Any, found: bool) -> None:
    Assorted.objects.create(
        name="Ada",
        text="1",
        number=5,
        price=5,
        moment="2030-12-31T09:00:00Z",
        address="10.0.0.1",
        code="00000000-0000-0000-0000-000000000007",
    )
    assert changed_where(field, value) == ("succeeded", "Updated 1 of assorteds" if found else "Nothing to update")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's own numbers are binary, of 15 digits.")
def test_amounts_of_more_digits_than_python_calculates_with_keep_them_all() -> None:
    # Twenty digits and ten places; Python's own context would keep 28 in all.
    amount, tiny = "12345678901234567890.1234567891", "0.0000000001"
    found = {"target": "query", "model": "zoo.assorted", "filter": [{"field": "price", "value": amount}]}
    more = {**found, "values": [{"field": "price", "value": tiny, "how": "increment"}]}
    make = {"model": "zoo.assorted", "values": [{"field": "price", "value": amount}]}
    create_rule(model=Tag, actions=[("create_object", make), ("update_objects", more)])
    Tag.objects.create(name="t")
    run_due()
    assert [(execution.state, execution.error) for execution in Execution.objects.all()] == [("succeeded", "")] * 2
    assert str(Assorted.objects.get().price) == "12345678901234567890.1234567892"

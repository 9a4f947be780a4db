"""Conditions as running text, in English and German: one way to read each, and code for what has no words."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.prose.condition import prose
from rules_engine.admin.prose.marks import words_of


def var(name: str) -> dict[str, Any]:
    return {"var": name}


TOTAL, STATUS, ITEMS = var("instance.total"), var("instance.status"), var("instance.items")
LARGE, PAID = {">": [TOTAL, 100]}, {"==": [STATUS, "paid"]}
EARLIER = {"-": [{"now": []}, {"timestamp": "3d"}]}


def told(logic: Any, label: str = "shop.order") -> str:
    return str(words_of(prose(logic, Titles.of(label))))


@pytest.mark.parametrize(
    ("logic", "english", "german"),
    [
        (LARGE, "total is more than 100", "Total größer als 100 ist"),
        (PAID, "status is Paid", "Status Paid ist"),
        ({"===": [STATUS, "paid"]}, "status is Paid", "Status Paid ist"),
        ({"!=": [var("old.status"), "paid"]}, "status was not Paid", "Status nicht Paid war"),
        ({"in": [STATUS, ["paid", "draft"]]}, "status is Paid or Draft", "Status Paid oder Draft ist"),
        ({"!": [{"in": [STATUS, ["paid"]]}]}, "status is not Paid", "Status nicht Paid ist"),
        ({"in": ["status", var("changed")]}, "status changes", "sich Status ändert"),
        ({"!": [{"in": ["status", var("changed")]}]}, "status does not change", "sich Status nicht ändert"),
        ({"in": ["X-", var("instance.order_number")]}, "order number contains “X-”", "Order number „X-“ enthält"),
        ({"starts_with": [var("instance.order_number"), "X"]}, "order number starts with “X”",
         "Order number mit „X“ beginnt"),
        ({"!!": [var("instance.customer.is_active")]}, "“customer’s active” is yes",
         "„Aktiv von Customer“ auf Ja steht"),
        ({"!!": [var("instance.customer.email")]}, "customer’s email address is filled in",
         "E-Mail-Adresse von Customer ausgefüllt ist"),
        ({"==": [var("instance.customer_id"), None]}, "customer has no value", "Customer keinen Wert hat"),
        (var("created"), "it is new", "das Objekt neu ist"),
        ({"!": [var("created")]}, "it is not new", "das Objekt nicht neu ist"),
        ({"<": [var("instance.items__count"), 3]}, "number of order items is less than 3",
         "Anzahl von Order items kleiner als 3 ist"),
        ({"<=": [1, TOTAL, 9]}, "total is between 1 and 9", "Total zwischen 1 und 9 liegt"),
        ({"<": [1, TOTAL, 9]}, "total is between 1 and 9 (neither included)",
         "Total zwischen 1 und 9 (beide ausgenommen) liegt"),
        ({">": [var("instance.status_changed_at"), EARLIER]}, "status changed at is later than 3 days ago",
         "Status changed at später als vor 3 Tagen ist"),
        ({">=": [var("instance.status_changed_at"), "2031-01-01"]},
         "status changed at is not earlier than Jan. 1, 2031",
         "Status changed at nicht früher als 1. Januar 2031 ist"),
        ({">": [TOTAL, var("old.total")]}, "total is more than its total before",
         "Total größer als Total vorher ist"),
        ({">": [TOTAL, {"*": [var("old.total"), 2]}]}, "total is more than total before × 2",
         "Total größer als Total vorher × 2 ist"),
        ({"==": [var("actor.username"), "ada"]}, "the user’s name is “ada”", "Name des Benutzers „ada“ ist"),
        ({"!": [{"in": [var("event.operation"), ["create", "delete"]]}]}, "it was not created or deleted",
         "das Objekt nicht angelegt oder gelöscht wurde"),
        ({"==": [var("event.operation"), "create"]}, "it was created", "das Objekt angelegt wurde"),
    ],
)  # fmt: skip
def test_a_comparison_is_a_clause(logic: Any, english: str, german: str) -> None:
    assert told(logic) == english
    with translation.override("de"):
        assert told(logic) == german


@pytest.mark.parametrize(
    ("logic", "english"),
    [
        ({"and": [LARGE, PAID]}, "total is more than 100 and status is Paid"),
        ({"or": [LARGE, PAID, LARGE]}, "total is more than 100, status is Paid or total is more than 100"),
        (
            {"and": [LARGE, {"or": [PAID, LARGE]}]},
            "total is more than 100 and (status is Paid or total is more than 100)",
        ),
        ({"or": [{"and": [LARGE, PAID]}, PAID]}, "(total is more than 100 and status is Paid) or status is Paid"),
        ({"or": [LARGE, {"or": [PAID, LARGE]}]}, "total is more than 100, status is Paid or total is more than 100"),
        ({"!": [{"or": [LARGE, PAID]}]}, "not (total is more than 100 or status is Paid)"),
        ({"!": [{"and": [LARGE, PAID]}]}, "not (total is more than 100 and status is Paid)"),
        (
            {"and": [LARGE, {"!": [{"and": [PAID, {"or": [LARGE, PAID]}]}]}]},
            "total is more than 100 and not (status is Paid and (total is more than 100 or status is Paid))",
        ),
        (
            {"and": [LARGE, {"in": [STATUS, ["paid", "draft"]]}]},
            "total is more than 100 and status is (Paid or Draft)",
        ),
        ({"some": [ITEMS, {">": [var("quantity"), 5]}]}, "for at least one of the order items quantity is more than 5"),
        (
            {"all": [ITEMS, {"and": [{">": [var("quantity"), 5]}, {"!!": [var("product.name")]}]}]},
            "for each of the order items (quantity is more than 5 and product’s name is filled in)",
        ),
        ({"none": [ITEMS, {"<": [var("quantity"), 1]}]}, "for none of the order items quantity is less than 1"),
        ({"and": []}, "…"),
        ({"and": [LARGE]}, "total is more than 100"),
    ],
)
def test_groups_have_one_way_to_be_read(logic: Any, english: str) -> None:
    assert told(logic) == english


def test_several_rows_are_told_with_the_verb_last_in_german() -> None:
    with translation.override("de"):
        some = told({"some": [ITEMS, {">": [var("quantity"), 5]}]})
        assert some == "bei mindestens einem von Order items Quantity größer als 5 ist"


@pytest.mark.parametrize(
    "logic",
    [
        {"<": [{"+": [TOTAL, 1]}, 9]},
        {"if": [LARGE, True, False]},
        {"==": [1, TOTAL]},
        "text",
        7,
        [],
        {},
        {"and": [LARGE], "or": [PAID]},
        {"between": [TOTAL, 1]},
    ],
)
def test_what_has_no_words_is_told_as_it_is_written(logic: Any) -> None:
    [part] = words_of(prose(logic, Titles.of("shop.order"))).parts
    assert part.kind == "code"


def test_what_is_nested_too_deep_is_not_followed() -> None:
    logic: Any = LARGE
    for number in range(500):
        logic = {"!": [logic]} if number % 2 else {"and": [logic, PAID]}
    assert told(logic) == "…"

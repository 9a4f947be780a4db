"""Conditions in words, as whoever may only read them sees them: in English and in German, and as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.sentences import Part, name_of, read, said, titles_below


def var(name: str) -> dict[str, str]:
    return {"var": name}


def lines(part: Part, depth: int = 0) -> Iterator[str]:
    """The lines of a condition, indented; what has no words begins with a backtick."""
    yield "  " * depth + ("`" if part.is_code else "") + part.words
    for child in part.children:
        yield from lines(child, depth + 1)


@pytest.mark.parametrize(
    ("logic", "english", "german"),
    [
        (var("instance.status"), ["Status is filled in"], ["Status ist ausgefüllt"]),
        ({"!": [var("instance.status")]}, ["Status is empty"], ["Status ist leer"]),
        ({"!!": [var("instance.status")]}, ["Status is filled in"], ["Status ist ausgefüllt"]),
        ({"==": [var("instance.status"), "paid"]}, ["Status is Paid"], ["Status ist Paid"]),
        ({"!=": [var("instance.status"), "paid"]}, ["Status is not Paid"], ["Status ist nicht Paid"]),
        ({"===": [var("instance.status"), "paid"]}, ["Status is exactly Paid"], ["Status ist genau Paid"]),
        ({"!==": [var("instance.status"), "paid"]}, ["Status is not exactly Paid"], ["Status ist nicht genau Paid"]),
        ({"==": [var("old.status"), "paid"]}, ["Status was Paid"], ["Status war Paid"]),
        (
            {"==": [var("instance.status"), "<b>unknown</b>"]},
            ["Status is “<b>unknown</b>”"],
            ["Status ist „<b>unknown</b>“"],
        ),
        ({"==": [var("instance.status"), None]}, ["Status has no value"], ["Status hat keinen Wert"]),
        ({"!=": [var("instance.status"), None]}, ["Status has a value"], ["Status hat einen Wert"]),
        ({"===": [var("instance.status"), None]}, ["Status has no value"], ["Status hat keinen Wert"]),
        ({">": [var("instance.total"), 100]}, ["Total is more than 100"], ["Total ist mehr als 100"]),
        ({">=": [var("instance.total"), 100]}, ["Total is at least 100"], ["Total ist mindestens 100"]),
        ({"<": [var("instance.total"), 100]}, ["Total is less than 100"], ["Total ist weniger als 100"]),
        ({"<=": [var("instance.total"), 0.5]}, ["Total is at most 0.5"], ["Total ist höchstens 0.5"]),
        (
            {"<=": [1, var("instance.total"), 5]},
            ["Total is between (inclusive) 1 – 5"],
            ["Total liegt zwischen (einschließlich) 1 – 5"],
        ),
        (
            {"<": [1, var("instance.total"), 5]},
            ["Total is between (exclusive) 1 – 5"],
            ["Total liegt zwischen (ausschließlich) 1 – 5"],
        ),
        (
            {">=": [5, var("instance.total"), 1]},
            ["Total is between (inclusive) 1 – 5"],
            ["Total liegt zwischen (einschließlich) 1 – 5"],
        ),
        (
            {">": [5, var("instance.total"), 1]},
            ["Total is between (exclusive) 1 – 5"],
            ["Total liegt zwischen (ausschließlich) 1 – 5"],
        ),
        (
            {"!": [{"<=": [1, var("instance.total"), 5]}]},
            ["Total is not between (inclusive) 1 – 5"],
            ["Total liegt nicht zwischen (einschließlich) 1 – 5"],
        ),
        (
            {"!": [{"<": [1, var("instance.total"), 5]}]},
            ["Total is not between (exclusive) 1 – 5"],
            ["Total liegt nicht zwischen (ausschließlich) 1 – 5"],
        ),
        ({"in": ["status", var("changed")]}, ["Status has changed"], ["Status hat sich geändert"]),
        ({"!": [{"in": ["status", var("changed")]}]}, ["Status has not changed"], ["Status hat sich nicht geändert"]),
        ({"in": ["x", var("instance.status")]}, ["Status contains “x”"], ["Status enthält „x“"]),
        ({"!": [{"in": ["x", var("instance.status")]}]}, ["Status does not contain “x”"], ["Status enthält nicht „x“"]),
        (
            {"in": [var("instance.status"), ["paid", "draft"]]},
            ["Status is one of Paid, Draft"],
            ["Status ist eines von Paid, Draft"],
        ),
        (
            {"!": [{"in": [var("instance.status"), ["paid", "draft"]]}]},
            ["Status is none of Paid, Draft"],
            ["Status ist keines von Paid, Draft"],
        ),
        ({"in": [var("instance.status"), []]}, ["Status is one of "], ["Status ist eines von "]),
        ({"starts_with": [var("instance.status"), "p"]}, ["Status starts with “p”"], ["Status beginnt mit „p“"]),
        (
            {"!": [{"starts_with": [var("instance.status"), "p"]}]},
            ["Status does not start with “p”"],
            ["Status beginnt nicht mit „p“"],
        ),
        ({"ends_with": [var("instance.status"), "d"]}, ["Status ends with “d”"], ["Status endet mit „d“"]),
        (
            {"!": [{"ends_with": [var("instance.status"), "d"]}]},
            ["Status does not end with “d”"],
            ["Status endet nicht mit „d“"],
        ),
        (var("created"), ["It is new is yes"], ["Es ist neu ist ja"]),
        ({"!": [var("created")]}, ["It is new is no"], ["Es ist neu ist nein"]),
        ({"==": [var("created"), True]}, ["It is new is yes"], ["Es ist neu ist ja"]),
        ({"==": [var("created"), False]}, ["It is new is no"], ["Es ist neu ist nein"]),
        (
            {">": [var("instance.total"), var("old.total")]},
            ["Total is more than Total (Before the change)"],
            ["Total ist mehr als Total (Vor der Änderung)"],
        ),
        (
            {"==": [var("instance.status"), var("old.status")]},
            ["Status is Status (Before the change)"],
            ["Status ist Status (Vor der Änderung)"],
        ),
        (
            {">": [var("instance.total"), {"*": [var("old.total"), 2]}]},
            ["Total is more than Total (Before the change) times 2"],
            ["Total ist mehr als Total (Vor der Änderung) mal 2"],
        ),
        (
            {">": [var("instance.total"), {"+": [var("old.total"), 1]}]},
            ["Total is more than Total (Before the change) plus 1"],
            ["Total ist mehr als Total (Vor der Änderung) plus 1"],
        ),
        (
            {">": [var("instance.created_at"), {"-": [{"now": []}, {"timestamp": ["7d"]}]}]},
            ["instance.created_at is more than 7 days ago"],
            ["instance.created_at ist mehr als 7 Tage zuvor"],
        ),
        (
            {"<": [var("instance.created_at"), {"now": []}]},
            ["instance.created_at is less than now"],
            ["instance.created_at ist weniger als jetzt"],
        ),
        (
            {"<": [var("instance.created_at"), {"+": [{"now": []}, {"timestamp": ["2h"]}]}]},
            ["instance.created_at is less than 2 hours from now"],
            ["instance.created_at ist weniger als 2 Stunden ab jetzt"],
        ),
        (
            {"<": [var("instance.created_at"), {"-": [{"now": []}, {"timestamp": ["2 weeks"]}]}]},
            ['`instance.created_at < -(now(), timestamp("2 weeks"))'],
            ['`instance.created_at < -(now(), timestamp("2 weeks"))'],
        ),
        (
            {
                "<": [
                    var("instance.created_at"),
                    {"format_date": [{"-": [{"now": []}, {"timestamp": ["30m"]}]}, "yyyy"]},
                ]
            },
            ["instance.created_at is less than 30 minutes ago"],
            ["instance.created_at ist weniger als 30 Minuten zuvor"],
        ),
        ({"==": [var("event.operation"), "create"]}, ["What was done is created"], ["Was getan wurde ist angelegt"]),
        ({"==": [var("actor.username"), "ann"]}, ["Who did it is “ann”"], ["Wer es tat ist „ann“"]),
        (
            {">": [var("event.depth"), 1]},
            ["How many rules led to it is more than 1"],
            ["Wie viele Regeln dazu führten ist mehr als 1"],
        ),
        (
            {"==": [var("request.method"), "POST"]},
            ["Method of the request is “POST”"],
            ["Methode der Anfrage ist „POST“"],
        ),
        ({"==": [var("nobody.knows"), 1]}, ["nobody.knows is 1"], ["nobody.knows ist 1"]),
        ({"==": [var("instance.nowhere"), 1]}, ["instance.nowhere is 1"], ["instance.nowhere ist 1"]),
        (
            {"==": [var("instance.customer.email"), "a@b.c"]},
            ["Customer › Email address is “a@b.c”"],
            ["Customer › E-Mail-Adresse ist „a@b.c“"],
        ),
        (
            {">": [var("instance.items__count"), 3]},
            ["Order items: how many is more than 3"],
            ["Order items: wie viele ist mehr als 3"],
        ),
        (
            {">": [var("instance.items__quantity__sum"), 3]},
            ["Order items: sum of quantity is more than 3"],
            ["Order items: Summe von quantity ist mehr als 3"],
        ),
        ({">": [var("instance.pk"), 3]}, ["Key is more than 3"], ["Schlüssel ist mehr als 3"]),
        (
            {"some": [var("instance.items"), {">": [var("quantity"), 1]}]},
            ["Order items have at least one where", "  Quantity is more than 1"],
            ["Order items haben mindestens eines, für das gilt", "  Quantity ist mehr als 1"],
        ),
        (
            {"all": [var("instance.items"), {">": [var("quantity"), 1]}]},
            ["Order items are all such that", "  Quantity is more than 1"],
            ["Order items sind alle so, dass", "  Quantity ist mehr als 1"],
        ),
        (
            {"none": [var("instance.items"), {"==": [var("product.name"), "x"]}]},
            ["Order items have none where", "  Product › Name is “x”"],
            ["Order items haben keines, für das gilt", "  Product › Name ist „x“"],
        ),
        (
            {"and": [var("instance.status"), var("instance.total")]},
            ["ALL of these", "  Status is filled in", "  Total is filled in"],
            ["ALLES davon", "  Status ist ausgefüllt", "  Total ist ausgefüllt"],
        ),
        (
            {"or": [var("instance.status"), var("instance.total")]},
            ["ANY of these", "  Status is filled in", "  Total is filled in"],
            ["EINES davon", "  Status ist ausgefüllt", "  Total ist ausgefüllt"],
        ),
        (
            {"!": [{"and": [var("instance.status"), var("instance.total")]}]},
            ["NOT ALL of these", "  Status is filled in", "  Total is filled in"],
            ["NICHT ALLES davon", "  Status ist ausgefüllt", "  Total ist ausgefüllt"],
        ),
        (
            {"!": [{"or": [var("instance.status"), var("instance.total")]}]},
            ["NONE of these", "  Status is filled in", "  Total is filled in"],
            ["NICHTS davon", "  Status ist ausgefüllt", "  Total ist ausgefüllt"],
        ),
        ({"and": []}, ["ALL of these"], ["ALLES davon"]),
        (
            {"!": [{">": [var("instance.total"), 1]}]},
            ["NONE of these", "  Total is more than 1"],
            ["NICHTS davon", "  Total ist mehr als 1"],
        ),
        ({"if": [var("instance.status"), 1, 2]}, ["`if(instance.status, 1, 2)"], ["`if(instance.status, 1, 2)"]),
        ({"max": [1, 2]}, ["`max(1, 2)"], ["`max(1, 2)"]),
        (None, ["`null"], ["`null"]),
        (True, ["`true"], ["`true"]),
        (5, ["`5"], ["`5"]),
        ("text", ['`"text"'], ['`"text"']),
        ([1, 2], ["`[1, 2]"], ["`[1, 2]"]),
        ({}, ["`{}"], ["`{}"]),
        ({"a": 1, "b": 2}, ['`{"a": 1, "b": 2}'], ['`{"a": 1, "b": 2}']),
        (
            {"in": [var("instance.status"), [var("x")]]},
            ['`in(instance.status, [{"var": "x"}])'],
            ['`in(instance.status, [{"var": "x"}])'],
        ),
        (
            {"==": [var("instance.status"), {"cat": ["a", "b"]}]},
            ['`instance.status = cat("a", "b")'],
            ['`instance.status = cat("a", "b")'],
        ),
    ],
)
def test_a_condition_is_told_in_the_words_of_its_builder(logic: Any, english: list[str], german: list[str]) -> None:
    assert list(lines(read(logic, Titles.of("shop.order")))) == english
    with translation.override("de"):
        assert list(lines(read(logic, Titles.of("shop.order")))) == german


@pytest.mark.parametrize(
    ("logic", "words"),
    [
        (var("instance.status"), "Status"),
        (var("created"), "It is new"),
        (
            {"some": [var("instance.items"), {">": [var("quantity"), 1]}]},
            "Order items have at least one where: Quantity is more than 1",
        ),
        (
            {"all": [var("instance.items"), {">": [var("quantity"), 1]}]},
            "Order items are all such that: Quantity is more than 1",
        ),
        (
            {"none": [var("instance.items"), {"==": [var("product.name"), "x"]}]},
            "Order items have none where: Product › Name is “x”",
        ),
        ({"!": [{"and": [var("instance.status"), var("instance.total")]}]}, "not ALL of these"),
        ({"!": [{"or": [var("instance.status"), var("instance.total")]}]}, "not ANY of these"),
        ({"!": [{">": [var("instance.total"), 1]}]}, "not Total is more than 1"),
    ],
)
def test_on_one_line_a_group_is_told_by_its_head(logic: Any, words: str) -> None:
    assert said(logic, Titles.of("shop.order")).words == words


def test_groups_stand_below_each_other() -> None:
    paid = {"==": [var("instance.status"), "paid"]}
    dear = {">": [var("instance.total"), 100]}
    nested = {"or": [{"and": [paid, {"!": [{"or": [dear, paid]}]}]}, {"some": [var("instance.items"), {"and": []}]}]}
    assert list(lines(read(nested, Titles.of("shop.order")))) == [
        "ANY of these",
        "  ALL of these",
        "    Status is Paid",
        "    NONE of these",
        "      Total is more than 100",
        "      Status is Paid",
        "  Order items have at least one where",
        "    ALL of these",
    ]


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "{{ 7 }}", "%s %(a)d", "\u202eevil", "a\x00b\x1b[2J", "\n\n", "“”", "x" * 5_000],
    ids=["markup", "template", "percent", "rtl", "controls", "lines", "quotes", "long"],
)
def test_hostile_values_are_told_as_they_are(text: str) -> None:
    logic = {"==": [var("instance.order_number"), text]}
    assert read(logic, Titles.of("shop.order")).words == f"Order number is “{text}”"
    name = read({"==": [var(f"instance.{text}"), 1]}, Titles.of("shop.order")).words
    assert name == f"instance.{text} is 1"


@pytest.mark.parametrize("label", ["", "gone.model", "shop", "shop.order.item", "<b>"])
def test_without_its_model_a_field_has_its_own_name(label: str) -> None:
    titles = Titles.of(label)
    assert read({"==": [var("instance.status"), "paid"]}, titles).words == "instance.status is “paid”"
    assert read(var("created"), titles).words == "It is new is yes"
    rows = read({"some": [var("instance.items"), var("quantity")]}, titles)
    assert list(lines(rows)) == ["instance.items have at least one where", "  quantity is filled in"]


@pytest.mark.parametrize(
    ("logic", "name"),
    [
        (var("instance.status"), "instance.status"),
        ({"var": ["instance.status"]}, "instance.status"),
        ({"var": ["instance.status", "default"]}, ""),
        ({"var": 1}, ""),
        ({"var": []}, ""),
        ({"var": None}, ""),
        ({"val": ["instance", "status"]}, ""),
        ({"var": "a", "b": 1}, ""),
        ("instance.status", ""),
        (None, ""),
        ([var("a")], ""),
    ],
)
def test_only_a_plain_variable_has_a_name(logic: Any, name: str) -> None:
    assert name_of(logic) == name


@pytest.mark.parametrize("operator", ["some", "all", "none", "filter", "map", "reduce"])
def test_in_what_is_asked_of_rows_names_are_columns(operator: str) -> None:
    order = Titles.of("shop.order")
    logic = {operator: [var("instance.items"), var("quantity")]}
    assert titles_below(logic, f"/{operator}/1", order).title("quantity") == "Quantity"
    assert titles_below(logic, f"/and/0/{operator}/1", order).title("product.name") == "Product › Name"
    assert titles_below(logic, f"/{operator}/0", order) is order
    assert titles_below({"and": [1, 2]}, "/and/1", order) is order

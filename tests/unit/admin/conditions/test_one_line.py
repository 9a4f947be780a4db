"""A condition as it is written, on one line."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.conditions.one_line import LONGEST, short, words_of


def var(name: str) -> dict[str, str]:
    return {"var": name}


@pytest.mark.parametrize(
    ("logic", "line"),
    [
        (var("instance.status"), "instance.status"),
        ({"!": [var("instance.status")]}, "not instance.status"),
        ({"!!": [var("instance.status")]}, "!!(instance.status)"),
        ({"==": [var("instance.status"), "paid"]}, 'instance.status = "paid"'),
        ({"!=": [var("instance.status"), "paid"]}, 'instance.status ≠ "paid"'),
        ({"===": [var("instance.status"), "paid"]}, 'instance.status = "paid"'),
        ({"!==": [var("instance.status"), "paid"]}, 'instance.status ≠ "paid"'),
        ({"==": [var("old.status"), "paid"]}, 'old.status = "paid"'),
        ({"==": [var("instance.status"), "<b>unknown</b>"]}, 'instance.status = "<b>unknown</b>"'),
        ({"==": [var("instance.status"), None]}, "instance.status = null"),
        ({"!=": [var("instance.status"), None]}, "instance.status ≠ null"),
        ({"===": [var("instance.status"), None]}, "instance.status = null"),
        ({">": [var("instance.total"), 100]}, "instance.total > 100"),
        ({">=": [var("instance.total"), 100]}, "instance.total ≥ 100"),
        ({"<": [var("instance.total"), 100]}, "instance.total < 100"),
        ({"<=": [var("instance.total"), 0.5]}, "instance.total ≤ 0.5"),
        ({"<=": [1, var("instance.total"), 5]}, "<=(1, instance.total, 5)"),
        ({"<": [1, var("instance.total"), 5]}, "<(1, instance.total, 5)"),
        ({">=": [5, var("instance.total"), 1]}, ">=(5, instance.total, 1)"),
        ({">": [5, var("instance.total"), 1]}, ">(5, instance.total, 1)"),
        ({"!": [{"<=": [1, var("instance.total"), 5]}]}, "not <=(1, instance.total, 5)"),
        ({"!": [{"<": [1, var("instance.total"), 5]}]}, "not <(1, instance.total, 5)"),
        ({"in": ["status", var("changed")]}, 'in("status", changed)'),
        ({"!": [{"in": ["status", var("changed")]}]}, 'not in("status", changed)'),
        ({"in": ["x", var("instance.status")]}, 'in("x", instance.status)'),
        ({"!": [{"in": ["x", var("instance.status")]}]}, 'not in("x", instance.status)'),
        ({"in": [var("instance.status"), ["paid", "draft"]]}, 'in(instance.status, ["paid", "draft"])'),
        ({"!": [{"in": [var("instance.status"), ["paid", "draft"]]}]}, 'not in(instance.status, ["paid", "draft"])'),
        ({"in": [var("instance.status"), []]}, "in(instance.status, [])"),
        ({"starts_with": [var("instance.status"), "p"]}, 'starts_with(instance.status, "p")'),
        ({"!": [{"starts_with": [var("instance.status"), "p"]}]}, 'not starts_with(instance.status, "p")'),
        ({"ends_with": [var("instance.status"), "d"]}, 'ends_with(instance.status, "d")'),
        ({"!": [{"ends_with": [var("instance.status"), "d"]}]}, 'not ends_with(instance.status, "d")'),
        (var("created"), "created"),
        ({"!": [var("created")]}, "not created"),
        ({"==": [var("created"), True]}, "created = true"),
        ({"==": [var("created"), False]}, "created = false"),
        ({">": [var("instance.total"), var("old.total")]}, "instance.total > old.total"),
        ({"==": [var("instance.status"), var("old.status")]}, "instance.status = old.status"),
        ({">": [var("instance.total"), {"*": [var("old.total"), 2]}]}, "instance.total > *(old.total, 2)"),
        ({">": [var("instance.total"), {"+": [var("old.total"), 1]}]}, "instance.total > +(old.total, 1)"),
        (
            {">": [var("instance.created_at"), {"-": [{"now": []}, {"timestamp": ["7d"]}]}]},
            'instance.created_at > -(now(), timestamp("7d"))',
        ),
        ({"<": [var("instance.created_at"), {"now": []}]}, "instance.created_at < now()"),
        (
            {"<": [var("instance.created_at"), {"+": [{"now": []}, {"timestamp": ["2h"]}]}]},
            'instance.created_at < +(now(), timestamp("2h"))',
        ),
        (
            {"<": [var("instance.created_at"), {"-": [{"now": []}, {"timestamp": ["2 weeks"]}]}]},
            'instance.created_at < -(now(), timestamp("2 weeks"))',
        ),
        (
            {
                "<": [
                    var("instance.created_at"),
                    {"format_date": [{"-": [{"now": []}, {"timestamp": ["30m"]}]}, "yyyy"]},
                ]
            },
            'instance.created_at < format_date(-(now(), timestamp("30m")), "yyyy")',
        ),
        ({"==": [var("event.operation"), "create"]}, 'event.operation = "create"'),
        ({"==": [var("actor.username"), "ann"]}, 'actor.username = "ann"'),
        ({">": [var("event.depth"), 1]}, "event.depth > 1"),
        ({"==": [var("request.method"), "POST"]}, 'request.method = "POST"'),
        ({"==": [var("nobody.knows"), 1]}, "nobody.knows = 1"),
        ({"==": [var("instance.nowhere"), 1]}, "instance.nowhere = 1"),
        ({"==": [var("instance.customer.email"), "a@b.c"]}, 'instance.customer.email = "a@b.c"'),
        ({">": [var("instance.items__count"), 3]}, "instance.items__count > 3"),
        ({">": [var("instance.items__quantity__sum"), 3]}, "instance.items__quantity__sum > 3"),
        ({">": [var("instance.pk"), 3]}, "instance.pk > 3"),
        (
            {"some": [var("instance.items"), {">": [var("quantity"), 1]}]},
            "at least one of instance.items: quantity > 1",
        ),
        ({"all": [var("instance.items"), {">": [var("quantity"), 1]}]}, "each of instance.items: quantity > 1"),
        (
            {"none": [var("instance.items"), {"==": [var("product.name"), "x"]}]},
            'none of instance.items: product.name = "x"',
        ),
        ({"and": [var("instance.status"), var("instance.total")]}, "all of"),
        ({"or": [var("instance.status"), var("instance.total")]}, "any of"),
        ({"!": [{"and": [var("instance.status"), var("instance.total")]}]}, "not all of"),
        ({"!": [{"or": [var("instance.status"), var("instance.total")]}]}, "not any of"),
        ({"and": []}, "all of"),
        ({"!": [{">": [var("instance.total"), 1]}]}, "not instance.total > 1"),
        ({"if": [var("instance.status"), 1, 2]}, "if(instance.status, 1, 2)"),
        ({"max": [1, 2]}, "max(1, 2)"),
        (None, "null"),
        (True, "true"),
        (5, "5"),
        ("text", '"text"'),
        ([1, 2], "[1, 2]"),
        ({}, "{}"),
        ({"a": 1, "b": 2}, '{"a": 1, "b": 2}'),
        ({"in": [var("instance.status"), [var("x")]]}, 'in(instance.status, [{"var": "x"}])'),
        ({"==": [var("instance.status"), {"cat": ["a", "b"]}]}, 'instance.status = cat("a", "b")'),
    ],
)
def test_a_condition_is_told_as_short_as_can_be(logic: Any, line: str) -> None:
    assert words_of(logic) == line


@pytest.mark.parametrize(
    ("logic", "english", "german"),
    [
        ({"var": ""}, "the row itself", "die Zeile selbst"),
        ({"and": [1]}, "all of", "alle von"),
        ({"or": [1]}, "any of", "eines von"),
        ({"!": [{"var": "a"}]}, "not a", "nicht a"),
    ],
)
def test_what_has_words_is_told_in_the_readers_language(logic: Any, english: str, german: str) -> None:
    assert words_of(logic) == english
    with translation.override("de"):
        assert words_of(logic) == german


def test_what_is_long_is_cut() -> None:
    assert short("x" * 500) == '"' + "x" * (LONGEST - 1) + "…"
    assert short("x" * (LONGEST - 2)) == '"' + "x" * (LONGEST - 2) + '"'
    assert words_of({"cat": ["x" * 500]}).endswith("…")
    assert len(words_of({"cat": ["x" * 150, "y" * 150]})) == LONGEST + 1


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("\u202e<b>\x00", '"\u202e<b>\\u0000"'),
        ("a\nb", '"a\\nb"'),
        ({"ä": [1, None, True]}, '{"ä": [1, null, true]}'),
        (float("inf"), "Infinity"),
        ({1}, '"{1}"'),
    ],
    ids=["hostile", "lines", "letters", "infinite", "no-json"],
)
def test_any_value_is_one_line(value: Any, line: str) -> None:
    assert short(value) == line

"""Rows of models of every kind, what may be written into them, and what is stored: for bulk writes."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Case, F, OuterRef, Q, Subquery, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, Concat, JSONObject, Lower, Now, Random, Upper

from tests.ways_of_saving import told
from tests.zoo.models import (
    Animal,
    Assorted,
    Cage,
    Capsule,
    Crate,
    Enclosure,
    Jar,
    Keeper,
    Lid,
    Meal,
    Plaque,
    Remark,
    Shelf,
    Tag,
    Ticket,
)

Model = type[models.Model]
#: Of each row by its table and its key what its fields hold, in the form in which they are told.
Tables = dict[tuple[str, str], dict[str, Any]]

NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)
NAMES = ("", "a", "b", "B", "ä😀", "10", "%s'\"\\")
NUMBERS = (Decimal(0), Decimal("9.99"), 10, "10.00", Decimal("10.01"), 7.5)


def texts(name: str, *more: Any) -> Sequence[Any]:
    """Texts, and expressions that come to one."""
    return (
        *NAMES,
        Upper(name),
        Lower(F(name)),
        Concat(F(name), Value("x")),
        Case(When(Q(**{name: "a"}), then=Value("b")), default=F(name)),
        *more,
    )


def numbers(name: str, *values: Any) -> Sequence[Any]:
    """Numbers, and expressions that come to one."""
    return (*values, F(name) + 1, F(name), Case(When(Q(**{name: values[0]}), then=Value(values[1])), default=F(name)))


OF_KEEPER = Subquery(Keeper.objects.filter(pk=OuterRef("keeper_id")).values("name")[:1])
#: What may be written into each field of each model.
WRITTEN: Mapping[Model, Mapping[str, Sequence[Any]]] = {
    Animal: {
        "name": texts("name", Coalesce(OF_KEEPER, Value("none")), Coalesce(KT("data__x"), Value(""))),
        "legs": (*numbers("legs", 4, 2, -1), Cast(Random() * 3, models.IntegerField())),
        "weight": (*NUMBERS, None, F("legs"), F("weight") * 2),
        "data": ({}, {"x": "y"}, {"x": "y", "z": [1, None]}, [1], "t", JSONObject(x=F("name"))),
        "born": (None, datetime.date(2026, 1, 2), "2026-01-03"),
        "fed_at": (None, NOON, NOON + datetime.timedelta(microseconds=1), Now()),
        "notes": texts("notes", F("name")),
        "keeper": (None, 0, 1),
    },
    Crate: {"name": texts("name"), "price": numbers("price", *NUMBERS), "keeper": (None, 0, 1)},
    Lid: {"name": texts("name"), "crate": (None, 0, 1)},
    Meal: {
        "portions": numbers("portions", 1, 2, 3),
        "grams": (0.0, 0.5, 1e-9, F("grams") / 2, F("portions")),
        "price": numbers("price", *NUMBERS),
        "is_warm": (True, False, Case(When(portions__gt=1, then=Value(True)), default=Value(False))),
        "lasted": (None, datetime.timedelta(seconds=1), datetime.timedelta(days=-1)),
    },
    Plaque: {"title": texts("title"), "code": ("", "a", F("code")), "words": texts("words", F("title"))},
    Enclosure: {"name": texts("name")},
    Ticket: {"price": numbers("price", *NUMBERS)},
    Capsule: {
        "name": texts("name"),
        "mail": ("A@b", "a@B", ""),
        "tags": (["x"], ["x", "y"], []),
        "loud": ("a", "A", "b"),
        "rich": ({}, {"x": 1}, {"x": Decimal("1.5")}),
        "opened": (None, NOON),
    },
    Jar: {"name": texts("name"), "grams": numbers("grams", 1, 0, 5), "shelf": (0, 1)},
    Cage: {"name": texts("name")},
    Remark: {"words": texts("words"), "weight": numbers("weight", *NUMBERS)},
    Assorted: {
        "flag": (None, True, False),
        "big": (None, 2**62, -(2**62)),
        "fraction": (None, 0.1, -0.0, 1e300),
        "price": (None, Decimal("1.0000000001"), Decimal("12345678.5")),
        "day": (None, datetime.date(1, 1, 1)),
        "clock": (None, datetime.time(12, 30, 0, 5)),
        "moment": (None, NOON, F("moment")),
        "length": (None, datetime.timedelta(microseconds=3)),
        "facts": (None, {"a": None}, [], 0, False),
        "address": (None, "10.0.0.1", "::1"),
        "text": texts("text", F("name")),
    },
}
#: Which models' rows their fields point to.
POINTED: Mapping[tuple[Model, str], Model] = {
    (Animal, "keeper"): Keeper,
    (Crate, "keeper"): Keeper,
    (Lid, "crate"): Crate,
    (Jar, "shelf"): Shelf,
}
#: What is followed by a filter on a join.
JOINS: Mapping[Model, Mapping[str, Any]] = {
    Animal: {"tags__name__in": ["t0", "t1"]},
    Crate: {"keeper__name": "k0"},
    Lid: {"crate__keeper__name": "k0"},
    Meal: {"animal__tags__name__startswith": "t"},
    Ticket: {"animal__keeper__name": "k0"},
    Jar: {"shelf__depot__isnull": True},
}
#: What a key is made of where the database makes none.
KEYED: Mapping[Model, Sequence[str]] = {Cage: ("code",), Enclosure: ("house", "number"), Plaque: ("slug",)}
GENERATED: Mapping[Model, Sequence[str]] = {Meal: ("doubled",)}


def fields(model: Model) -> tuple[str, ...]:
    """Name the fields that are looked at."""
    return (*WRITTEN[model], *GENERATED.get(model, ()), *(KEYED.get(model, ()) if model is Plaque else ()))


def ulid(number: int) -> str:
    """Make a key for a capsule."""
    return f"{number:026d}"


def make_rows() -> None:
    """Store some rows of each table."""
    keepers = [Keeper.objects.create(name=f"k{number}") for number in range(2)]
    tags = [Tag.objects.create(name=f"t{number}") for number in range(2)]
    shelves = [Shelf.objects.create(name=f"s{number}") for number in range(2)]
    crates = [Crate.objects.create(name=f"c{n}", price=n, keeper=keepers[n % 2]) for n in range(3)]
    for number in range(4):
        animal = Animal.objects.create(
            name=NAMES[number], legs=number, weight=number or None, keeper=keepers[number % 2], data={"x": "y"}
        )
        animal.tags.set(tags[: number % 3])
        Meal.objects.create(animal=animal, portions=number, price=number)
        Ticket.objects.create(animal=animal, price=number)
        Lid.objects.create(name=NAMES[number], crate=crates[number % 3] if number else None)
        Plaque.objects.create(title=NAMES[number], slug=f"slug{number}" if number else None)
        Enclosure.objects.create(house=number % 2, number=number, name="a")
        Capsule.objects.create(id=ulid(number), name=NAMES[number], mail="a@b", tags=["x"])
        Jar.objects.create(name="a", grams=number, shelf=shelves[number % 2])
        Cage.objects.create(code=f"code{number}", name=NAMES[number])
        Remark.objects.create(about=shelves[number % 2], words=NAMES[number], weight=number)
        Assorted.objects.create(name=NAMES[number], text="t")


def tables() -> Tables:
    """Read what is stored."""
    found: Tables = {}
    for model in WRITTEN:
        named = [(name, model._meta.get_field(name)) for name in fields(model)]
        for row in models.QuerySet(model):
            key = (model._meta.label_lower, _key(row.pk))
            found[key] = {name: told(field, getattr(row, field.attname)) for name, field in named}
    return found


def _key(pk: Any) -> str:
    return str(list(pk)) if isinstance(pk, tuple) else str(pk)

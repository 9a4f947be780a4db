"""Random rules, and random programs of saves, deletes, relation changes and transactions, for hypothesis.

A program is a list of steps, each a name and its arguments; a block is a step that holds others. Objects are named by
their place in a pool of instances, so that stale, deferred and deleted ones are used as well.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F, ProtectedError
from hypothesis import strategies as st

from project.shop.models import Order
from tests.reference_receiver import FIELDS, RELATIONS, Condition, Want, concrete
from tests.zoo.models import Animal, Club, Dog, GuardDog, Keeper, Membership, OldAnimal, Tag, Ticket

Step = tuple[Any, ...]

NAMES = st.sampled_from(["", "a", "b", "ä😀"])
KEYS = st.integers(0, 3)
PLACES = st.integers(0, 9)
#: What code may assign, exact or not, by field; as keys, places in the pool.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": NAMES | st.just(5),
    "notes": NAMES,
    "breed": NAMES,
    "role": NAMES,
    "order_number": st.sampled_from(["o1", "o2", "o3"]),
    "status": st.sampled_from([Order.Status.DRAFT, "paid", "shipped"]),
    "legs": st.sampled_from([3, 4, "4", 5, True]),
    "weight": st.sampled_from([None, decimal.Decimal("5"), "5.00", 5, 0.125, decimal.Decimal("0.135"), "1e1"]),
    "price": st.sampled_from([0, decimal.Decimal("1.5"), "1.50", decimal.Decimal("2.345")]),
    "total": st.sampled_from([0, decimal.Decimal("1.5"), "1.50", decimal.Decimal("2.345")]),
    "born": st.sampled_from([None, datetime.date(2026, 1, 2), "2026-01-02", "2026-1-3"]),
    "fed_at": st.sampled_from(
        [
            None,
            datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
            datetime.datetime(2026, 1, 2, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            "2026-01-02T00:00:00Z",
        ]
    ),
    "data": st.sampled_from([{}, {"x": 1}, {"x": 1.0}, [1, "2"], (1, "2"), {"y": None, "x": [1.5]}, {1: 2}, "t", ""]),
    "keeper": PLACES | st.none(),
    "animal": PLACES,
    "club": PLACES,
}
OF_AN_ANIMAL = ("name", "weight", "legs", "born", "fed_at", "keeper", "notes", "data")
ASSIGNED: dict[type[models.Model], tuple[str, ...]] = {
    Animal: OF_AN_ANIMAL,
    OldAnimal: OF_AN_ANIMAL,
    Dog: (*OF_AN_ANIMAL, "breed"),
    GuardDog: (*OF_AN_ANIMAL, "breed"),
    Keeper: ("name",),
    Tag: ("name",),
    Ticket: ("animal", "price"),
    Club: ("name",),
    Membership: ("club", "animal", "role"),
    Order: ("order_number", "status", "total"),
}
MODELS = st.sampled_from([*ASSIGNED, Animal, Animal, Dog, Tag, Tag, Order])
TARGETS = {"keeper": Keeper, "animal": Animal, "club": Club}


def assigned(names: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Values for some of the fields."""
    return st.fixed_dictionaries({}, optional={name: VALUES[name] for name in names})


ALL_VALUES = assigned([*VALUES])
SUBSETS = st.lists(st.sampled_from([*VALUES, "keeper_id", "animal_id"]), max_size=3, unique=True)


def _step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), *arguments)


LEAVES: st.SearchStrategy[Step] = st.one_of(
    MODELS.flatmap(
        lambda model: _step(
            "create",
            st.just(model),
            assigned(ASSIGNED[model]),
            st.sampled_from(["save", "create", "force_insert"]),
            st.none() | KEYS | st.just("taken"),
        )
    ),
    _step("assign_and_save", PLACES, ALL_VALUES, st.just("all")),
    _step("assign_and_save", PLACES, ALL_VALUES, st.sampled_from(["those", "force_update", "not"]) | SUBSETS),
    _step("add_f", PLACES, st.sampled_from(["legs", "price", "total"]), st.booleans()),
    MODELS.flatmap(
        lambda model: _step(
            "fetch",
            st.just(model),
            PLACES,
            st.sampled_from(["get", "only", "defer"]),
            st.lists(st.sampled_from(ASSIGNED[model]), max_size=2, unique=True),
        )
    ),
    _step("given_key", PLACES, ALL_VALUES, st.sampled_from(["save", "force_update", "those"])),
    _step("refresh", PLACES, SUBSETS | st.none()),
    _step("delete", PLACES),
    _step("delete_rows", MODELS, st.lists(PLACES, max_size=3), st.booleans()),
    *[
        _step(
            "relate",
            st.integers(0, len(RELATIONS) - 1),
            st.booleans(),
            PLACES,
            st.sampled_from(["add", "add", "remove", "set", "set_clear", "clear", "add_keys"]),
            st.lists(PLACES, max_size=3),
        )
    ]
    * 3,
    _step("get_or_create", st.sampled_from([Tag, Animal, Order, Club, Dog]), NAMES),
    _step("update_or_create", st.sampled_from([Tag, Animal, Order, Club, Dog]), NAMES, ALL_VALUES),
    _step("raw", PLACES, ALL_VALUES),
    _step("rows_update", st.sampled_from([3, 4, 9])),
)


def _blocks(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    inner = st.lists(steps, min_size=1, max_size=5)
    ends = st.sampled_from(["commit", "commit", "raise", "set_rollback"])
    return st.one_of(
        _step("atomic", ends, st.booleans(), st.booleans(), inner),
        _step("savepoint", st.booleans(), inner),
        _step("paused", inner),
    )


PROGRAMS = st.lists(st.recursive(LEAVES, _blocks, max_leaves=8), min_size=3, max_size=12)


class Ended(Exception):
    """Ends a block that is to be rolled back."""


#: What a caller may run into by itself, and goes on after.
EXPECTED = (DatabaseError, ObjectDoesNotExist, MultipleObjectsReturned, ProtectedError, ValueError, TypeError, Ended)


class Machine:
    """Runs programs over a pool of instances."""

    def __init__(self, paused: Callable[[], AbstractContextManager[Any]], marked: Callable[[], Callable[[], None]]):
        self.pool: list[models.Model] = []
        self.paused = paused
        #: Of a savepoint made by hand Django's ``on_commit`` knows nothing: what it undid must be forgotten by hand.
        self.marked = marked
        #: What was expected and happened, for a look at whether programs do anything.
        self.errors: list[str] = []

    def run(self, program: Sequence[Step]) -> None:
        """Each top-level step by itself: in autocommit, unless it is a block."""
        for step in program:
            try:
                self.step(step)
            except EXPECTED as error:
                self.errors.append(f"{step[0]} {type(error).__name__}: {error}")

    def step(self, step: Step) -> None:
        """Run one step; raises what it raises."""
        getattr(self, f"do_{step[0]}")(*step[1:])

    def some(self, place: int, model: Any = models.Model) -> Any:
        """An instance of the model out of the pool, or None."""
        fitting = [one for one in self.pool if isinstance(one, model)]
        return fitting[place % len(fitting)] if fitting else None

    def _values(self, instance: type[models.Model] | models.Model, values: dict[str, Any]) -> dict[str, Any]:
        known = {name: value for name, value in values.items() if name in FIELDS[concrete(_class(instance))]}
        return {
            name: self.some(value, TARGETS[name]) if name in TARGETS and value is not None else value
            for name, value in known.items()
        }

    def _assign(self, instance: models.Model, values: dict[str, Any]) -> None:
        for name, value in self._values(instance, values).items():
            setattr(instance, name, value)

    def do_create(self, model: Any, values: dict[str, Any], how: str, key: Any) -> None:
        values = self._values(model, values)
        if key == "taken":
            values["pk"] = getattr(self.some(0, concrete(model)), "pk", None)
        elif key is not None:
            values["pk"] = uuid.UUID(int=key) if model is Ticket else 1_000_000_000 + key
        if model in (Ticket, Membership) and not values.get("animal"):
            values["animal"] = self.some(0, Animal) or Animal.objects.create()
        if model is Membership and not values.get("club"):
            values["club"] = self.some(0, Club) or Club.objects.create()
        if how == "create":
            instance = model.objects.create(**values)
        else:
            instance = model(**values)
            instance.save(force_insert=how == "force_insert")
        self.pool.append(instance)

    def do_assign_and_save(self, place: int, values: dict[str, Any], which: Any) -> None:
        if (instance := self.some(place)) is None:
            return
        self._assign(instance, values)
        own = FIELDS[concrete(type(instance))]
        if which == "those":
            instance.save(update_fields=[name for name in values if name in own])
        elif isinstance(which, list):
            instance.save(update_fields=[name for name in which if name.removesuffix("_id") in own])
        elif which != "not":
            instance.save(force_update=which == "force_update")

    def do_add_f(self, place: int, name: str, named: bool) -> None:
        model = {"legs": Animal, "price": Ticket, "total": Order}[name]
        if (instance := self.some(place, model)) is None:
            return
        setattr(instance, name, F(name) + 1)
        instance.save(update_fields=[name] if named else None)

    def do_fetch(self, model: Any, place: int, how: str, names: list[str]) -> None:
        rows = model.objects.order_by("pk")
        if how != "get" and names:
            rows = getattr(rows, how)(*names)
        if found := list(rows):
            self.pool.append(found[place % len(found)])

    def do_given_key(self, place: int, values: dict[str, Any], how: str) -> None:
        if (known := self.some(place)) is None:
            return
        # Of an update that is forced on an object whose key has a default, pre_save cannot know.
        instance = type(known)(pk=known.pk)
        if isinstance(instance, Ticket):
            instance.animal_id, how = known.__dict__.get("animal_id"), "save"
        self._assign(instance, values)
        own = FIELDS[concrete(type(instance))]
        names = [name for name in values if name in own] if how == "those" else None
        instance.save(force_update=how == "force_update", update_fields=names)

    def do_refresh(self, place: int, names: list[str] | None) -> None:
        if (instance := self.some(place)) is not None:
            own = FIELDS[concrete(type(instance))]
            instance.refresh_from_db(fields=None if names is None else [name for name in names if name in own])

    def do_delete(self, place: int) -> None:
        if (instance := self.some(place)) is not None and instance.pk is not None:
            instance.delete()

    def do_delete_rows(self, model: Any, places: list[int], only: bool) -> None:
        keys = [self.some(place, model).pk for place in places if self.some(place, model)]
        rows = model.objects.filter(pk__in=keys)
        (rows.only("pk") if only else rows).delete()

    def do_relate(self, number: int, backward: bool, place: int, how: str, places: list[int]) -> None:
        near, name, far, back = RELATIONS[number]
        if backward:
            near, name, far = far, back, near
        if (instance := self.some(place, near)) is None or instance.pk is None:
            return
        found = [one for one in (self.some(other, far) for other in places) if one and one.pk is not None]
        rows = getattr(instance, name)
        match how:
            case "clear":
                rows.clear()
            case "set" | "set_clear":
                rows.set(found, clear=how == "set_clear")
            case "add_keys":
                rows.add(*(one.pk for one in found))
            case _:
                getattr(rows, how)(*found)

    def do_get_or_create(self, model: Any, name: str) -> None:
        key = "order_number" if model is Order else "name"
        found = model.objects.filter(**{key: name}).order_by("pk").last()
        self.pool.append(found or model.objects.get_or_create(**{key: name})[0])

    def do_update_or_create(self, model: Any, name: str, values: dict[str, Any]) -> None:
        key = "order_number" if model is Order else "name"
        values = self._values(model, values)
        self.pool.append(model.objects.update_or_create(**{key: name}, defaults=values)[0])

    def do_raw(self, place: int, values: dict[str, Any]) -> None:
        if (instance := self.some(place)) is not None and instance.pk is not None:
            self._assign(instance, values)
            instance.save_base(raw=True)

    def do_rows_update(self, legs: int) -> None:
        Animal.objects.update(legs=legs)

    def do_atomic(self, end: str, savepoint: bool, catch: bool, steps: Sequence[Step]) -> None:
        try:
            with transaction.atomic(savepoint=savepoint):
                for step in steps:
                    self.step(step)
                if end == "raise":
                    raise Ended
                if end == "set_rollback":
                    transaction.set_rollback(True)
        except EXPECTED as error:
            if not catch:
                raise
            self.errors.append(f"{type(error).__name__}: {error}")

    def do_savepoint(self, keep: bool, steps: Sequence[Step]) -> None:
        with transaction.atomic():
            # Django 6.1 deprecates transaction.savepoint() for a name that 5.2 does not have; this one is in both.
            point, forget = connection.savepoint(), self.marked()
            for step in steps:
                self.step(step)
            if keep:
                connection.savepoint_commit(point)
            else:
                connection.savepoint_rollback(point)
                forget()

    def do_paused(self, steps: Sequence[Step]) -> None:
        with self.paused():
            for step in steps:
                self.step(step)


def _class(instance: Any) -> Any:
    return instance if isinstance(instance, type) else type(instance)


def _var(name: str) -> dict[str, str]:
    return {"var": name}


def _ordered(old: Any, new: Any) -> bool:
    return old is not None and new is not None and old < new


LEGS_WERE_4 = Condition(
    {"===": [_var("old.legs"), 4]}, lambda old, new, changed: old is not None and old["legs"] == 4, frozenset({"legs"})
)
LEGS_ARE_4 = Condition({"===": [_var("instance.legs"), 4]}, lambda old, new, changed: new["legs"] == 4)
MORE_LEGS = Condition(
    {"<": [_var("old.legs"), _var("instance.legs")]},
    lambda old, new, changed: _ordered(old and old["legs"], new["legs"]),
    frozenset({"legs"}),
)


NAME_CHANGED = Condition({"in": ["name", _var("changed")]}, lambda old, new, changed: "name" in changed, asks_all=True)
PAID = Condition(
    {"and": [{"!==": [_var("old.status"), "paid"]}, {"===": [_var("instance.status"), "paid"]}]},
    lambda old, new, changed: (old is None or old["status"] != "paid") and new["status"] == "paid",
    frozenset({"status"}),
)
SAVES, DELETES = ("pre_save", "post_save"), ("pre_delete", "post_delete")
OF_ANIMALS = [LEGS_WERE_4, LEGS_ARE_4, MORE_LEGS, NAME_CHANGED]
CONDITIONS = {Animal: OF_ANIMALS, Dog: OF_ANIMALS, Order: [PAID]}
TO_AND_FROM = {
    "legs": [3, 4, 5],
    "name": ["", "a"],
    "status": ["draft", "paid"],
    "price": ["1.50", "0.00"],
    "weight": [None, "5.00", "0.13"],
    "order_number": ["o1"],
    "keeper": [None],
}
WATCHED = [Animal, Animal, Dog, OldAnimal, GuardDog, Tag, Keeper, Ticket, Club, Membership, Order]


@st.composite
def wants(draw: st.DrawFn) -> Want:
    """One rule, such as an administrator could write."""
    model: Any = draw(st.sampled_from(WATCHED))
    related = [one for one in RELATIONS if issubclass(model, one[0]) or issubclass(model, one[2])]
    kind = draw(st.sampled_from(["saves", "saves", "deletes", *(["relations"] if related else [])]))
    if kind == "relations":
        return Want(model, ("m2m_changed",), draw(_some("add", "remove", "clear")))
    fields = ASSIGNED[model]
    changes = draw(st.lists(_change(fields), max_size=2, unique_by=lambda one: one[0])) if kind == "saves" else []
    conditions = CONDITIONS.get(concrete(model), []) if kind == "saves" else [LEGS_ARE_4][: issubclass(model, Animal)]
    return Want(
        model=model,
        signals=draw(_some(*(SAVES if kind == "saves" else DELETES), least=1)),
        operations=draw(_some("create", "update")) if kind == "saves" else (),
        changes=tuple(changes),
        condition=draw(st.sampled_from([None, *conditions])),
        stops=draw(st.integers(0, 9)) == 9,
        reads_all=kind == "saves" and draw(st.booleans()),
    )


def _some(*names: str, least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), min_size=least, max_size=2, unique=True).map(tuple)


def _change(fields: Sequence[str]) -> st.SearchStrategy[Any]:
    def one(name: str) -> st.SearchStrategy[Any]:
        values = st.sampled_from(TO_AND_FROM.get(name, [None]))
        keys = {"from": values, "to": values} if name in TO_AND_FROM else {}
        return st.tuples(st.just(name), st.fixed_dictionaries({}, optional=keys))

    return st.sampled_from(fields).flatmap(one)

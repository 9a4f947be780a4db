"""Random writes of many rows by every means that Django has, for hypothesis.

What is written is drawn first, as plain data. Rows are named by their places among those that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any

from asgiref.sync import async_to_sync
from django.core.exceptions import FieldError
from django.db import DatabaseError, connection, models, transaction
from django.db.models import Count, Exists, Max, OuterRef
from hypothesis import strategies as st

from tests.bulk_rows import JOINS, KEYED, POINTED, WRITTEN, Model, ulid
from tests.zoo.models import (
    Animal,
    Assorted,
    Cage,
    Capsule,
    Crate,
    Enclosure,
    Jar,
    Keeper,
    Meal,
    Plaque,
    Remark,
    Shelf,
    Ticket,
)

Step = tuple[Any, ...]
PLACES = st.integers(0, 5)


def values_of(model: Model, *, plain: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Values for one field or more; no expressions where they are to be ``plain``."""
    allowed = {
        name: st.sampled_from([one for one in some if not (plain and hasattr(one, "resolve_expression"))])
        for name, some in WRITTEN[model].items()
    }
    return st.fixed_dictionaries({}, optional=allowed).filter(bool)


def _step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), *arguments)


#: How rows are selected; see ``SELECTED``.
HOW = st.deferred(lambda: st.sampled_from(sorted(SELECTED)))


def of_model(model: Model) -> st.SearchStrategy[Step]:
    """Draw a write of a model's rows."""
    given, sizes = st.just(model), st.sampled_from([None, 1, 2])
    rows = st.lists(st.tuples(PLACES, values_of(model, plain=True)), min_size=1, max_size=4)
    return st.one_of(
        *[_step("update", given, HOW, values_of(model), st.booleans())] * 3,
        _step("bulk_create", given, rows, sizes, st.sampled_from(["", "", "keys", "ignore", "update", "later"])),
        _step("bulk_update", given, st.lists(st.tuples(PLACES, values_of(model)), min_size=1, max_size=4), sizes),
        _step("delete", given, HOW),
        _step("save", given, PLACES, values_of(model), st.booleans()),
        _step("update_or_create", given, PLACES, values_of(model, plain=True), values_of(model, plain=True)),
    )


RELATED = st.one_of(
    _step(
        "relate",
        st.sampled_from(["keeper.animals", "keeper.crates", "crate.lids", "shelf.remarks"]),
        st.sampled_from(["add", "remove", "set", "clear", "update"]),
        st.booleans(),
        st.lists(PLACES, max_size=3, unique=True),
    ),
    _step("delete_keeper", PLACES),
    _step("fail", st.sampled_from(["create", "update"])),
)
LEAVES = st.one_of(*(of_model(model) for model in WRITTEN), RELATED, RELATED)
#: A step alone, or some in a transaction, of which inner ones may be undone.
STEPS: st.SearchStrategy[Step] = st.one_of(
    LEAVES,
    LEAVES,
    _step("atomic", st.sampled_from(["commit", "undo", "undo first"]), st.lists(LEAVES, min_size=1, max_size=2)),
)


class Undone(Exception):
    """Ends a transaction that is not to be committed."""


class Writer:
    """Carries steps out."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.count = 0

    def run(self, step: Step) -> None:
        """Carry out a step. What Django or the database refuses is noted."""
        try:
            with transaction.atomic() if connection.in_atomic_block else nullcontext():
                getattr(self, f"do_{step[0]}")(*step[1:])
        except (DatabaseError, FieldError, ValueError, TypeError, Undone) as error:
            self.errors.append(f"{step[0]} {type(error).__name__}: {error}")

    def do_atomic(self, end: str, steps: Sequence[Step]) -> None:
        with transaction.atomic():
            for number, step in enumerate(steps):
                with suppress(Undone), transaction.atomic():
                    self.run(step)
                    if end == "undo first" and number == 0:
                        raise Undone
            if end == "undo":
                raise Undone

    def do_update(self, model: Model, how: str, values: Mapping[str, Any], later: bool) -> None:
        rows, values = _selected(model, how), _pointing(model, values)
        if later:
            async_to_sync(rows.aupdate)(**values)
        else:
            rows.update(**values)

    def do_bulk_create(self, model: Model, rows: Sequence[Any], size: int | None, mode: str) -> None:
        there = _there(model)
        made = []
        for place, values in rows:
            self.count += 1
            row = model(**_pointing(model, values), **self._keys(model, there, place, mode))
            if model in (Meal, Ticket):
                row.animal_id = Animal.objects.values_list("pk", flat=True).order_by("pk").first()
            if model is Jar and row.shelf_id is None:
                row.shelf_id = Shelf.objects.order_by("pk").first().pk
            if model is Remark:
                row.about = Shelf.objects.order_by("pk").first()
            made.append(row)
        manager = models.QuerySet(model)
        if mode == "ignore":
            manager.bulk_create(made, size, ignore_conflicts=True)
        elif mode == "update":
            if len({_identity(row) for row in made}) < len(made):
                return  # which PostgreSQL refuses, and of others the last holds
            names = sorted({name for _, values in rows for name in values})
            manager.bulk_create(
                made, size, update_conflicts=True, update_fields=names, unique_fields=_unique(model, made)
            )
        elif mode == "later":
            async_to_sync(manager.abulk_create)(made, batch_size=size)
        else:
            manager.bulk_create(made, batch_size=size)

    def _keys(self, model: Model, there: Sequence[Any], place: int, mode: str) -> dict[str, Any]:
        """Give a key of a row that is there, or a new one, or none."""
        taken = there[place] if mode in ("ignore", "update") and place < len(there) else None
        if model is Enclosure:
            return {"house": taken.house, "number": taken.number} if taken else {"house": 9, "number": self.count}
        if model is Cage:
            return {"code": taken.pk} if taken else ({} if place == 0 else {"code": f"new{self.count}"})
        if model is Plaque:
            return {"slug": taken.slug if taken else f"new{self.count}"}
        if taken is not None:
            return {"pk": taken.pk}
        if model is Capsule:
            return {"pk": ulid(100 + self.count)}
        keyed = mode == "keys" and isinstance(model._meta.pk, models.AutoField)
        return {"pk": 900_000_000 + self.count} if keyed else {}

    def do_bulk_update(self, model: Model, rows: Sequence[Any], size: int | None) -> None:
        there = _there(model)
        names = sorted({name for _, values in rows for name in values})
        objects = {}
        for place, values in rows:
            if place < len(there):
                for name, value in _pointing(model, values).items():
                    setattr(there[place], name, value)
                objects[place] = there[place]
        if objects:
            models.QuerySet(model).bulk_update(list(objects.values()), names, batch_size=size)

    def do_delete(self, model: Model, how: str) -> None:
        rows = _selected(model, how)
        if how in ("values", "joined once", "among"):
            rows = model._base_manager.filter(pk__in=list(rows.values_list("pk", flat=True)))
        rows.delete()

    def do_save(self, model: Model, place: int, values: Mapping[str, Any], some: bool) -> None:
        there = _there(model)
        if place < len(there):
            for name, value in _pointing(model, values).items():
                setattr(there[place], name, value)
            there[place].save(update_fields=sorted(values) if some else None)
            there[place].save(update_fields=[])

    def do_update_or_create(
        self, model: Model, place: int, values: Mapping[str, Any], created: Mapping[str, Any]
    ) -> None:
        there = _there(model)
        found = {"pk": there[place].pk} if place < len(there) else None
        if found is None and model in (Capsule, Assorted, Crate, Animal):
            self.count += 1
            found = {"name": f"made{self.count}"}
            values, created = ({n: v for n, v in some.items() if n != "name"} for some in (values, created))
        if found is not None:
            models.QuerySet(model).update_or_create(
                **found, defaults=_pointing(model, values), create_defaults=_pointing(model, created)
            )

    def do_relate(self, name: str, verb: str, bulk: bool, places: Sequence[int]) -> None:
        of, related = name.split(".")
        owner = {"keeper": Keeper, "crate": Crate, "shelf": Shelf}[of]._base_manager.order_by("pk").first()
        if owner is None:
            return
        rows = getattr(owner, related)
        others = _there(rows.model)
        some = [others[place] for place in places if place < len(others)]
        if verb == "update":
            rows.update(**{"words" if related == "remarks" else "name": "of relation"})
        elif verb == "clear":
            rows.clear(bulk=bulk)
        elif verb == "set":
            rows.set(some, bulk=bulk)
        elif verb == "add":
            rows.add(*some, bulk=bulk)
        else:
            rows.remove(*[one for one in some if one in list(rows.all())], bulk=bulk)

    def do_delete_keeper(self, place: int) -> None:
        if (keeper := Keeper.objects.order_by("pk")[place : place + 1].first()) is not None:
            keeper.delete()

    def do_fail(self, how: str) -> None:
        taken = Plaque.objects.filter(slug__isnull=False).values_list("slug", flat=True).first()
        if taken is None:
            return
        if how == "create":
            new = [Plaque(slug=slug) for slug in (f"z{self.count}", f"y{self.count}", taken, "last")]
            Plaque.objects.bulk_create(new, batch_size=1)
        else:
            rows = list(Plaque.objects.order_by("pk"))
            for row in rows:
                row.slug = "same"
            Plaque.objects.bulk_update(rows, ["slug"], batch_size=1)


def _there(model: Model) -> list[Any]:
    return list(models.QuerySet(model).order_by("pk"))


def _identity(row: Any) -> Any:
    return row.slug if isinstance(row, Plaque) else row.pk if row.pk is not None else id(row)


def _unique(model: Model, made: Sequence[Any]) -> list[str] | None:
    if connection.vendor == "mysql":
        return None
    return list(KEYED.get(model, ("pk",)))


def _pointing(model: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(values)
    for name, place in values.items():
        if (target := POINTED.get((model, name))) is not None and place is not None:
            there = _there(target)
            given[name] = there[place % len(there)] if there else None
    return given


def _selected(model: Model, how: str) -> Any:
    rows: Any = models.QuerySet(model)
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    return SELECTED[how](rows, {"pk__in": keys[: len(keys) // 2]})


def _annotated(rows: Any, _: Any) -> Any:
    if rows.model is not Animal:
        return rows
    return rows.annotate(n=Count("meals"), most=Max("meals__price")).filter(n__gte=1)


def _existing(rows: Any, _: Any) -> Any:
    if rows.model is not Animal:
        return rows
    return rows.filter(Exists(Meal.objects.filter(animal=OuterRef("pk"), portions__gt=1)))


def _by_what_is_written(rows: Any, _: Any) -> Any:
    name = next(iter(WRITTEN[rows.model]))
    return rows.exclude(**{name: WRITTEN[rows.model][name][1]})


#: What a queryset is made of, of all rows and what finds the first half of them.
SELECTED: Mapping[str, Callable[[Any, Any], Any]] = {
    "all": lambda rows, first: rows.all(),
    "half": lambda rows, first: rows.filter(**first),
    "joined": lambda rows, first: rows.filter(**JOINS.get(rows.model, {})),
    "joined once": lambda rows, first: rows.filter(**JOINS.get(rows.model, {})).distinct(),
    "ordered": lambda rows, first: rows.order_by("-pk"),
    "annotated": _annotated,
    "values": lambda rows, first: rows.values(next(iter(WRITTEN[rows.model]))),
    "deferred": lambda rows, first: rows.only("pk"),
    "beside": lambda rows, first: rows.select_related(),
    "none": lambda rows, first: rows.none(),
    "excluded": lambda rows, first: rows.exclude(**first),
    "among": lambda rows, first: rows.filter(pk__in=models.QuerySet(rows.model).filter(**first).values("pk")),
    "exists": _existing,
    "locked": lambda rows, first: rows.select_for_update() if connection.features.has_select_for_update else rows,
    "itself": _by_what_is_written,
}

"""Which rows objects would collide with as they are inserted, by the values that the model holds to be unique."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db import connections, models

from rules_engine.capture.bulk.telling import PART, in_parts
from rules_engine.context.paths import ModelClass
from rules_engine.context.subject import Field
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.types import Unread, ask

#: Combinations of several columns that are looked for by one statement; each is a part of its text.
TOGETHER = 100
#: Columns that together are unique.
Unique = tuple[Field, ...]


def unique_of(model: ModelClass, names: Sequence[str] | None = None) -> list[Unique]:
    """Return the sets of columns that are unique in the model's table: those of these ``names`` where some are given.

    Constraints under a condition, or of expressions, are left out.
    """
    meta = model._meta
    if names:
        return [tuple(_field(model, name) for name in names)]
    parts = getattr(meta, "pk_fields", [meta.pk])
    sets = [tuple(parts)]
    sets += [(field,) for field in meta.concrete_fields if field.unique and not field.primary_key]
    sets += [tuple(_field(model, name) for name in together) for together in meta.unique_together]
    sets += [tuple(_field(model, name) for name in known.fields) for known in meta.total_unique_constraints]
    return list(dict.fromkeys(sets))


def _field(model: ModelClass, name: str) -> Field:
    found: Field = model._meta.get_field(model._meta.pk.name if name == "pk" else name)  # type: ignore[assignment]
    return found


def stored_rows(
    model: ModelClass,
    objects: Sequence[models.Model],
    sets: Iterable[Unique],
    columns: Iterable[str],
    using: str,
) -> dict[Any, tuple[Any, ...]]:
    """Lock the rows that these objects collide with. Returns the values of the columns by the rows' keys."""
    found: dict[Any, tuple[Any, ...]] = {}
    locks = connections[using].features.has_select_for_update
    for rows in _colliding(model, objects, sets, using):
        locked = rows.select_for_update() if locks else rows
        with confined(using):
            found.update((key, tuple(values)) for key, *values in locked.values_list("pk", *columns))
    return found


def _colliding(
    model: ModelClass, objects: Sequence[models.Model], sets: Iterable[Unique], using: str
) -> Iterator[models.QuerySet[Any]]:
    rows: models.QuerySet[Any] = UncachedQuerySet(model, using=using).order_by()
    for unique in sets:
        values = [known for known in (values_of(unique, one) for one in objects) if known is not None]
        if len(unique) == 1:
            for part in in_parts(values, PART):
                yield rows.filter(**{f"{unique[0].attname}__in": [value for (value,) in part]})
            continue
        for part in in_parts(values, TOGETHER):
            names = [field.attname for field in unique]
            yield rows.filter(reduce(or_, (models.Q(**dict(zip(names, known, strict=True))) for known in part)))


def values_of(unique: Unique, row: models.Model | Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return the values of these columns, as Python has them; None where one of them is not known or is null."""
    known = []
    for field in unique:
        held = row.__dict__.get(field.attname) if isinstance(row, models.Model) else row[field.attname]
        value = ask(field.to_python, held) if held is not None else None
        if value is None or isinstance(value, Unread) or hasattr(held, "resolve_expression"):
            return None
        known.append(value)
    return tuple(known)

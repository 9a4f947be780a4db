"""The objects that a run looks at, in the order of their keys.

What a condition says of the object's own columns is asked of the database where that is sure to leave out none that the
rule would match or fail on; the condition itself is asked of each that is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.db import models

from rules_engine.context import snapshot
from rules_engine.context.paths import ModelClass, field_of
from rules_engine.context.plain_data import SHORT
from rules_engine.context.stored_form import key_of, key_value
from rules_engine.databases.uncached import uncached
from rules_engine.live.constants import Key, keys_of
from rules_engine.rules.matching import CompiledRule

#: Objects that are read, told and recorded together.
PART = 500
#: Objects that are counted before a run begins; of more it is said that they are more.
MOST_COUNTED = 1_000_000
#: Whole numbers that every column of them takes.
LARGEST = 2**31
#: Stands in a stored form for what a database may hold and a text may not.
REPLACED = "\ufffd"


def rows_of(model: ModelClass, rule: CompiledRule | None, using: str) -> models.QuerySet[Any]:
    """Return the objects of the model that the rule may match or fail on, by key: those that the model's own manager
    gives, as they are now."""
    rows: models.QuerySet[Any] = uncached(model._default_manager.using(using).all())
    return narrowed(rows, rule).order_by("pk")


def narrowed(rows: models.QuerySet[Any], rule: CompiledRule | None) -> models.QuerySet[Any]:
    """Return those of the rows that the rule may match or fail on, as far as the database can tell."""
    for key in keys_of(rule, rows.model) if rule is not None else ():
        if (values := _sure_values(rows.model, key)) is not None:
            rows = rows.filter(**{f"{key.name}__in": values})
    return rows


def _sure_values(model: ModelClass, key: Key) -> Sequence[Any] | None:
    """Return the values of the column outside of which the rule says no; None where a database may see that
    otherwise. It may take more values for equal, for the condition is asked after it: never fewer."""
    field: Any = field_of(model, key.name)
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    if key.kind is str and isinstance(field, models.CharField | models.TextField):
        is_sure = all(len(value) <= SHORT and REPLACED not in value for value in key.values)
    elif key.kind is int and isinstance(field, models.IntegerField):
        is_sure = all(abs(value) < LARGEST for value in key.values)
    else:
        # Decimals, binary fractions and truth values are stored in many ways.
        is_sure = False
    return list(key.values) if is_sure else None


def after(rows: models.QuerySet[Any], cursor: Any, last: Any) -> models.QuerySet[Any]:
    """Return those after a key, up to another one, both as ``told``."""
    if cursor is not None:
        rows = rows.filter(pk__gt=_key(rows.model, cursor))
    return rows if last is None else rows.filter(pk__lte=_key(rows.model, last))


def _key(model: ModelClass, told_key: Any) -> Any:
    key = key_of(model, told_key)
    return tuple(key) if isinstance(key, list) else key  # of many columns


def told(instance: models.Model) -> Any:
    """Return an object's key as a run keeps it."""
    return snapshot.plain(key_value(instance))


def last_key(rows: models.QuerySet[Any]) -> Any:
    """Return the last key there is, as ``told``; None where there is none."""
    row = rows.order_by("-pk").only("pk").first()
    return None if row is None else told(row)


def of_keys(rows: models.QuerySet[Any], keys: Collection[Any]) -> list[models.Model]:
    """Return the objects of these keys, as ``told``, in their order; those that are gone are left out."""
    wanted = [_key(rows.model, key) for key in keys]
    found = {str(told(row)): row for row in rows.filter(pk__in=wanted)}
    return [found[str(key)] for key in keys if str(key) in found]


def count_of(rows: models.QuerySet[Any]) -> int:
    """Count them, up to ``MOST_COUNTED``."""
    return rows.order_by()[:MOST_COUNTED].count()


def in_parts(rows: models.QuerySet[Any], size: int = PART) -> Iterator[list[models.Model]]:
    """Yield them by so many, each part read when it is asked for."""
    cursor = None
    while part := list(after(rows, cursor, None)[:size]):
        yield part
        cursor = told(part[-1])

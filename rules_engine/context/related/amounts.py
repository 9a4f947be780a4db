"""How many related rows are fetched at a time: a thousand long ones may be more than anybody has memory or time for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from django.db import models

#: Rows that are fetched first where they may be long.
FIRST = 25


def fetched(rows: models.QuerySet[Any], most: int, left: Sequence[int] | None) -> Iterator[Any]:
    """Yield the rows; of a model with long texts a few first, and then as many as may fit into what is ``left`` of the
    event, if they are as long."""
    model: Any = rows.model
    if left is None or rows.query.combinator or not may_be_long(model):
        yield from rows[:most]
        return
    before, keys, size = left[0], list[Any](), min(FIRST, most)
    while size > 0:
        # Without those that are known, and not from a place on, for the order of rows may be any.
        part = rows.exclude(pk__in=keys) if keys else rows
        known = len(keys)
        for row in part[:size]:
            keys.append(row.pk)
            yield row
        if len(keys) - known < size:
            return
        fitting = 1 + left[0] * len(keys) // max(1, before - left[0])
        size = min(most - len(keys), max(FIRST, fitting))


@lru_cache(maxsize=1024)
def may_be_long(model: type[models.Model]) -> bool:
    """Say whether a row of the model may take any number of bytes."""
    kinds = (models.TextField, models.JSONField, models.BinaryField)
    return any(isinstance(field, kinds) for field in model._meta.concrete_fields)


def mean_size(rows: Iterable[models.Model]) -> int:
    """Return about how many bytes one of these takes that were fetched, at least one."""
    sizes = [sum(map(_length, row.__dict__.values())) for row in rows]
    return max(1, sum(sizes) // max(1, len(sizes)))


def _length(value: Any) -> int:
    if isinstance(value, str | bytes | memoryview):
        return len(value)
    return len(str(value)) if isinstance(value, dict | list) else 8

"""A value that no other row has: the one that was worked out, else with a counter, ``chair``, ``chair-2``, ``chair-3``.

The column needs no unique constraint, and rows that are on their way count too (``reserving``). Nothing here waits, and
nothing gives up: where a counter leads nowhere, chance does.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, models, router
from django.utils.translation import gettext

from rules_engine.actions.rows import reserving
from rules_engine.context.paths import ModelClass
from rules_engine.context.subject import Field
from rules_engine.databases.savepoints import confined
from rules_engine.errors import PermanentError
from rules_engine.models.reservation import Reservation, digest_of

#: Candidates that are looked up at a time: the first suffice as a rule, and all are a thousand.
PARTS = (25, 225, 750)
#: A field must have room for one character and a counter, or eight digits of chance.
LEAST_LENGTH = 10
_COUNTER = re.compile(r"-([1-9][0-9]*)\Z")


def unique_problem(field: Field) -> str | None:
    """Say why this field's values can have no counter, as a sentence, or None."""
    name = f'"{field.name}"'
    if not isinstance(field, models.CharField | models.TextField) or isinstance(field, models.EmailField):
        return gettext(
            "%(name)s can have no counter: a counter is for fields of text, and not for addresses of mail."
        ) % {"name": name}
    if field.choices:
        return gettext("%(name)s can have no counter: its values are chosen from a list.") % {"name": name}
    if (length := _max_length(field)) is not None and length < LEAST_LENGTH:
        return gettext(
            "%(name)s has no room for a counter: it holds %(length)s characters, and that takes %(least)s."
        ) % {"name": name, "length": length, "least": LEAST_LENGTH}
    return None


def unique_value(instance: models.Model, field: Field, base: Any) -> Any:
    """Return the value, or the value with a counter: one that no other row has, or is about to have.

    A stored row that has such a value to itself keeps it, whichever it is. Nothing (null, an empty text) stays nothing.
    Raises ``PermanentError``, with the caller's transaction as it was, where the rows cannot be looked at.
    """
    if base is None or base == "":
        return base
    if problem := unique_problem(field):
        raise PermanentError(problem)
    column = _Column(field, instance, router.db_for_write(Reservation))
    try:
        return _kept(column, base) or _first_free(column, base)
    except DatabaseError as error:
        raise PermanentError(
            gettext("Which values are taken could not be looked up (%(error)s).") % {"error": type(error).__name__}
        ) from error


def candidate(base: str, number: int, length: int | None) -> str:
    """Return the base with that number, the base cut to make room; number 1 is the base itself."""
    return _fitted(base, "" if number == 1 else f"-{number}", length)


def _fitted(base: str, suffix: str, length: int | None) -> str:
    if length is None or len(base) + len(suffix) <= length:
        return base + suffix
    cut = base[: length - len(suffix)]
    return (cut.rstrip("-_ ") or cut) + suffix


def _max_length(field: Field) -> int | None:
    """Return how much the column holds; a text column's own limit is one of forms."""
    return None if isinstance(field, models.TextField) else field.max_length


@dataclass(frozen=True, slots=True)
class _Column:
    """The field in the table that has it (a parent's, with multi-table inheritance), as seen by one row."""

    field: Field
    instance: models.Model
    using: str

    @property
    def model(self) -> ModelClass:
        return self.field.model._meta.concrete_model or self.field.model

    @property
    def own_key(self) -> Any:
        return getattr(self.instance, self.model._meta.pk.attname)

    @property
    def length(self) -> int | None:
        return _max_length(self.field)

    def rows(self) -> models.QuerySet[Any]:
        return self.model._base_manager.using(self.using).order_by()

    def stored(self) -> Any:
        """Return what this row has now; None for a new one."""
        key, adding = self.own_key, self.instance._state.adding
        if key is None or (adding and self.model._meta.pk.has_default()):
            return None
        with confined(self.using):
            return next(iter(self.rows().filter(pk=key).values_list(self.field.attname, flat=True)[:1]), None)

    def taken(self, values: Iterable[str]) -> set[str]:
        """Return those of the values that other rows have."""
        rows = self.rows().filter(**{f"{self.field.attname}__in": list(values)})
        if (key := self.own_key) is not None:
            rows = rows.exclude(pk=key)
        with confined(self.using):
            return set(rows.values_list(self.field.attname, flat=True).distinct())

    def digest(self, value: str) -> uuid.UUID:
        return digest_of(self.model._meta.db_table, str(self.field.column), value)


def _kept(column: _Column, base: str) -> str | None:
    """Return the row's own value, if it is the base or the base with a counter, and no other row has it."""
    own = column.stored()
    if not isinstance(own, str) or not own or not _is_candidate(own, base, column.length) or column.taken([own]):
        return None
    return own


def _is_candidate(value: str, base: str, length: int | None) -> bool:
    counter = _COUNTER.search(value)
    numbers = {1, int(counter[1][:9])} if counter else {1}
    return any(candidate(base, number, length) == value for number in numbers)


def _first_free(column: _Column, base: str) -> str:
    try:
        for part in _parts(base, column.length):
            taken = column.taken(part)
            free = [value for value in part if value not in taken]
            if (found := _reserved(column, free)) is not None:
                return found
    except reserving.Busy:
        pass  # a counter could be had by waiting
    return _fitted(base, f"-{secrets.token_hex(4)}", column.length)


def _parts(base: str, length: int | None) -> Iterator[list[str]]:
    number = 1
    for size in PARTS:
        yield [candidate(base, n, length) for n in range(number, number + size)]
        number += size


def _reserved(column: _Column, free: Sequence[str]) -> str | None:
    """Return the first of these that could be reserved; on a database that cannot reserve simply the first."""
    if not reserving.can_reserve(column.using):
        return next(iter(free), None)
    digests = [column.digest(value) for value in free]
    number = reserving.reserve_first(column.using, digests, lambda n: bool(column.taken([free[n]])))
    return None if number is None else free[number]

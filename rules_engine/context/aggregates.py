"""What the rows of a to-many relation come to: ``items__count``, ``items__quantity__times__unit_price__sum``.

To a path it is a plain value of the object. The database works it out, over all the rows however many there are, by
one query for all that is asked of a relation. ``paths.aggregate_of`` knows which ones a model has.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db import models
from django.db.models import Avg, Count, ExpressionWrapper, F, Max, Min, Sum
from django.db.models.functions import Cast
from django.utils.translation import gettext

from rules_engine.context.plain_data import ALL_DIGITS
from rules_engine.context.related.held import TOGETHER, VALUES, Together, values_of
from rules_engine.context.related.pointing import pointing_of
from rules_engine.errors import UnknownPath, did_you_mean

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]
else:  # only the stubs know that a field is generic
    Field: TypeAlias = models.Field

BETWEEN = "__"
COUNT, TIMES = "count", "times"
OF_FIELDS: Mapping[str, Any] = {"sum": Sum, "avg": Avg, "min": Min, "max": Max}
FUNCTIONS = (COUNT, *OF_FIELDS)

NUMBERS = (models.IntegerField, models.DecimalField, models.FloatField)
ORDERED = (
    *NUMBERS,
    models.DateField,
    models.TimeField,
    models.DurationField,
    models.CharField,
    models.TextField,
)
#: An average has no last digit: of decimals it is rounded to so many places more than they have.
MORE_PLACES = 4
#: What both databases agree on of a binary fraction, whatever the order in which they add the rows up.
DIGITS = 15


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One value worked out from related rows; ``model`` is theirs, ``fields`` are none, one, or two to multiply."""

    name: str
    relation: str
    model: type[models.Model]
    fields: tuple[Field, ...]
    function: str

    def expression(self) -> Any:
        """Return what ``QuerySet.aggregate`` takes."""
        if not self.fields:
            return Count("*")
        operand: Any = F(self.fields[0].name)
        if len(self.fields) == 2:
            operand = self._product()
        elif self.function in ("min", "max"):
            return OF_FIELDS[self.function](operand)
        return OF_FIELDS[self.function](operand, output_field=self._result())

    def _product(self) -> Any:
        first, second = (F(field.name) for field in self.fields)
        if self._is(models.IntegerField):
            # Two whole numbers that fit their columns may have a product that does not.
            wide = models.DecimalField(max_digits=38, decimal_places=0)
            return ExpressionWrapper(Cast(first, wide) * second, models.BigIntegerField())
        return ExpressionWrapper(first * second, self._result())

    def _is(self, kind: type[Field]) -> bool:
        return all(isinstance(_stored(field), kind) for field in self.fields)

    def _is_decimal(self) -> bool:
        """Say whether it comes to an exact number with places."""
        exact = (models.IntegerField, models.DecimalField)
        return all(isinstance(_stored(field), exact) for field in self.fields) and not self._is(models.IntegerField)

    def _result(self) -> Field:
        if self._is_decimal():
            return models.DecimalField(max_digits=1000, decimal_places=self._places())
        whole = self._is(models.IntegerField) and self.function != "avg"
        return models.BigIntegerField() if whole else models.FloatField()

    def _places(self) -> int:
        own = sum(getattr(_stored(field), "decimal_places", None) or 0 for field in self.fields)
        return own + (MORE_PLACES if self.function == "avg" else 0)

    def value(self, raw: Any) -> Any:
        """Return what the database found, the same from each; null over no rows, where a sum and a count are 0."""
        if raw is None and self.function in (COUNT, "sum"):
            raw = 0
        if raw is None or self.function == COUNT:
            return raw
        if self._is_decimal():
            return _rounded(decimal.Decimal(raw), self._places())
        if isinstance(raw, float) and (len(self.fields) == 2 or self.function in ("sum", "avg")):
            return float(f"{raw:.{DIGITS}g}") if math.isfinite(raw) else raw
        return raw


def _stored(field: Field) -> Field:
    """Return the field, or of a generated one what it is stored as."""
    stored: Field = getattr(field, "output_field", field)
    return stored


def _rounded(value: decimal.Decimal, places: int) -> decimal.Decimal:
    # SQLite adds decimals up as binary fractions; here they get their cents back.
    if not value.is_finite():
        return value
    return value.quantize(decimal.Decimal(1).scaleb(-places), context=ALL_DIGITS)


def is_aggregate(name: str) -> bool:
    """Say whether a name looks like an aggregate's: ``items__count``, and not ``items`` or ``items__product``."""
    relation, _, rest = name.partition(BETWEEN)
    return bool(relation) and rest.split(BETWEEN)[-1] in FUNCTIONS


def field_names(name: str) -> Sequence[str]:
    """Return the names of the fields in an aggregate's name. Raises ``UnknownPath`` for one that says nothing."""
    relation, _, rest = name.partition(BETWEEN)
    *names, function = rest.split(BETWEEN)
    if function == COUNT and not names:
        return ()
    if function in OF_FIELDS and len(names) == 1:
        return names
    if function in OF_FIELDS and len(names) == 3 and names[1] == TIMES:
        return (names[0], names[2])
    message = gettext(
        '"%(name)s" is nothing that can be worked out of "%(relation)s".%(hint)s Write "%(relation)s__count", or a '
        'field and %(functions)s, such as "%(relation)s__price__sum" or "%(relation)s__quantity__times__price__sum".'
    )
    hint, functions = did_you_mean(function, FUNCTIONS), ", ".join(OF_FIELDS)
    raise UnknownPath(message % {"name": name, "relation": relation, "hint": hint, "functions": functions})


def check(aggregate: Aggregate) -> Aggregate:
    """Return the aggregate itself. Raises ``UnknownPath`` for a field that cannot be worked with."""
    number = aggregate.function in ("sum", "avg") or len(aggregate.fields) > 1
    for field in aggregate.fields:
        if not isinstance(_stored(field), NUMBERS if number else ORDERED):
            message = (
                gettext('"%(field)s" of %(model)s is no number, and "%(name)s" needs one.')
                if number
                else gettext('"%(field)s" of %(model)s is no number, date or text, and "%(name)s" needs one.')
            )
            title = aggregate.model._meta.verbose_name
            raise UnknownPath(message % {"field": field.name, "model": title, "name": aggregate.name})
    return aggregate


def read(instance: models.Model, wanted: Iterable[Aggregate]) -> dict[str, Any]:
    """Return their values by name, one query for each relation; none for an object without a key, which has no rows,
    or of which they were fetched."""
    fetched, wanted = values_of(instance), list(wanted)
    values = {one.name: fetched[one.name] for one in wanted if one.name in fetched}
    for relation, of_one in _by_relation(one for one in wanted if one.name not in values).items():
        row = {} if instance.pk is None else _query(instance, relation, of_one)
        values.update((aggregate.name, aggregate.value(row.get(_alias(n)))) for n, aggregate in enumerate(of_one))
    return values


def _by_relation(wanted: Iterable[Aggregate]) -> dict[str, list[Aggregate]]:
    of_relation: dict[str, list[Aggregate]] = {}
    for aggregate in wanted:
        of_relation.setdefault(aggregate.relation, []).append(aggregate)
    return of_relation


def fetch(instances: Sequence[models.Model], wanted: Iterable[Aggregate], together: Together) -> None:
    """Have objects of one model, which nobody else has, hold these values: one query for each relation. Of relations
    whose rows no query says of many at once each object reads its own."""
    for relation, of_one in _by_relation(wanted).items() if instances else ():
        pointing = pointing_of(instances, relation)
        if pointing is None:
            continue
        rows = pointing.among(pointing.keys(instances)).order_by()
        expressions = {_alias(n): aggregate.expression() for n, aggregate in enumerate(of_one)}
        asked = rows.values(pointing.value).annotate(**expressions)
        found = {pointing.key_of(row[pointing.value]): row for row in asked}
        if not found.keys() <= {getattr(instance, pointing.key) for instance in instances}:
            continue  # to a database that compares texts in ways of its own an object's key may be several texts
        for instance in instances:
            row = found.get(getattr(instance, pointing.key), {})
            values = {aggregate.name: aggregate.value(row.get(_alias(n))) for n, aggregate in enumerate(of_one)}
            instance.__dict__.setdefault(VALUES, {}).update(values)
            instance.__dict__[TOGETHER] = together


def _query(instance: models.Model, relation: str, wanted: Sequence[Aggregate]) -> dict[str, Any]:
    expressions = {_alias(n): aggregate.expression() for n, aggregate in enumerate(wanted)}
    row: dict[str, Any] = getattr(instance, relation).all().aggregate(**expressions)
    return row


def _alias(number: int) -> str:
    # Not the name itself: a database cuts long ones.
    return f"rules_engine_{number}"

"""How the rows of a relation to many point to its objects, so that one query asks for those of many objects."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from django.db import models
from django.db.models import F

#: What a row is annotated with that a table between ties to an object: the object's key.
TIED_TO = "_rules_engine_tied_to"


class Pointing(NamedTuple):
    """The rows that a relation shows, of all objects; what a row has as ``value`` is what its object has as ``key``."""

    rows: models.QuerySet[Any]
    #: Finds the rows by keys.
    lookup: str
    value: str
    key: str
    #: Whether a table between ties the rows to the objects.
    is_tied: bool = False
    #: Makes a key of what a row holds, where that is another thing.
    to_key: Callable[[Any], Any] | None = None

    def among(self, keys: Collection[Any]) -> models.QuerySet[Any]:
        """Return the rows of the objects of these keys."""
        return self.rows.filter(**{f"{self.lookup}__in": keys})

    def of(self, keys: Collection[Any]) -> models.QuerySet[Any]:
        """Return the rows of the objects of these keys, each of which says whose it is (``key_in``)."""
        rows = self.among(keys)
        return rows.annotate(**{TIED_TO: F(self.value)}) if self.is_tied else rows

    def key_in(self, row: models.Model) -> Any:
        """Return the key of the object that a row of ``of`` belongs to. Raises ``KeyError`` where it does not say."""
        # By what it holds, for to fetch a deferred value would be a query for each row.
        return self.key_of(row.__dict__[TIED_TO if self.is_tied else self.value])

    def key_of(self, value: Any) -> Any:
        """Return the key that ``value`` of a row stands for."""
        return value if self.to_key is None else self.to_key(value)

    def keys(self, objects: Sequence[models.Model]) -> list[Any]:
        """Return the keys of the objects in their order, each once, without those that no row can point to."""
        held = dict.fromkeys(getattr(one, self.key) for one in objects)
        return [key for key in held if key is not None]


def pointing_of(objects: Sequence[models.Model], relation: str) -> Pointing | None:
    """Return how the rows of a relation point to these objects; None where no query says it of many at once.

    So it is where a site's manager shows rows that were cut, compared or worked out beside others: those of several
    objects are then not what each would show by itself.
    """
    first = objects[0]
    if any(type(one) is not type(first) for one in objects):
        return None
    manager: Any = getattr(first, relation)
    shown = manager.all()
    rows: models.QuerySet[Any] = shown.model._default_manager.using(shown.db)
    query = rows.query
    if query.is_sliced or query.combinator or query.distinct or query.annotations or query.extra:
        return None
    descriptor: Any = getattr(type(first), relation)
    field = descriptor.field
    if isinstance(field, models.ForeignKey):
        return Pointing(rows, field.name, field.attname, field.target_field.attname)
    if isinstance(field, models.ManyToManyField):
        return _tied(rows, descriptor)
    name = getattr(field, "object_id_field_name", None)
    if name is None:
        return None
    kind = {name_of: value for name_of, value in manager.core_filters.items() if name_of != name}
    return Pointing(rows.filter(**kind), name, name, "pk", to_key=first._meta.pk.to_python)


def _tied(rows: models.QuerySet[Any], descriptor: Any) -> Pointing | None:
    field = descriptor.field
    between: Any = field.remote_field
    names = (field.m2m_field_name(), field.m2m_reverse_field_name())
    ends: Any = [between.through._meta.get_field(name) for name in names]
    if not all(end.target_field.primary_key for end in ends):
        return None
    lookup = field.name if descriptor.reverse else field.related_query_name()
    return Pointing(rows, lookup, lookup, "pk", is_tied=True)

"""Many-to-many relations as rules hear of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

from rules_engine.context.paths import ModelClass, steps
from rules_engine.rules.matching import CompiledRule

Rules = tuple[CompiledRule, ...]
#: A model, what the relation is called there, and whether its field stands at the other end.
RelationKey = tuple[ModelClass, str, bool]


@dataclass(frozen=True, slots=True)
class RelationWatch:
    """A many-to-many relation as seen from a watched model."""

    model: ModelClass
    #: The field's or the accessor's name at that model.
    name: str
    #: Whether the model is the one that the field points to.
    is_target: bool
    rules: Rules

    @property
    def field(self) -> Any:
        """The many-to-many field itself."""
        if not self.is_target:
            return self.model._meta.get_field(self.name)
        return next(rel.field for rel in self.model._meta.related_objects if rel.get_accessor_name() == self.name)


def relations_of(model: ModelClass) -> Iterator[tuple[ModelClass, RelationKey]]:
    """Yield the many-to-many relations of a model: the model of the rows, and what a watch of them is known by."""
    for own in model._meta.many_to_many:
        if own.remote_field.through is not None and own.name in steps(model):
            yield own.remote_field.through, (model, own.name, False)
    for relation in model._meta.related_objects:
        name = relation.get_accessor_name()
        if name is None or name not in steps(model) or not isinstance(relation, models.ManyToManyRel):
            continue
        if relation.through is not None:
            yield relation.through, (model, name, True)


def relation_watches(
    by_relation: Mapping[RelationKey, Sequence[CompiledRule]],
) -> tuple[RelationWatch, ...]:
    """Return what is to be known of each."""
    return tuple(RelationWatch(*relation, tuple(rules)) for relation, rules in by_relation.items())

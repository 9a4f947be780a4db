"""One object under the names that records have for it: as its own model, as what it inherits from, as what inherits.

A save is recorded under the class that was saved, a deletion under each model that has a row of the object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from rules_engine.context.paths import ModelClass, find_model, label_of

#: What a database layer raises for a key that no row can have.
NO_KEY = (ValueError, TypeError, OverflowError, ValidationError)


@dataclass(frozen=True, slots=True)
class ObjectName:
    """An object as records name it: the label of a model, and its key there as text."""

    label: str
    pk: str


def names_of(label: str, pk: str) -> list[ObjectName]:
    """Return the names of an object, its own first: each model of its inheritance, up and down, and their proxies.

    Whether there is such a row is asked of the database only where a model's key is not its parent's key; what is gone
    is not found there. An object of a model that is gone has the name it was given.
    """
    model = find_model(label)
    if model is None:
        return [ObjectName(label.lower(), pk)]
    found = [(_concrete(model), pk)]
    for known, key in found:
        found += [other for other in (*_as_parents(known, key), *_as_children(known, key)) if other not in found]
    own = ObjectName(label_of(model), pk)
    every = [ObjectName(label_of(each), key) for known, key in found for each in (known, *_proxies(known))]
    return list(dict.fromkeys([own, *every]))


def of_names(names: Iterable[ObjectName], model: str = "model", pk: str = "object_pk") -> Q:
    """Return the condition for rows that say by ``model`` and ``pk`` which object they are about."""
    condition = Q(pk__in=[])
    for name in names:
        condition |= Q(**{model: name.label, pk: name.pk})
    return condition


def is_stored(name: ObjectName) -> bool:
    """Say whether the object has a row in the table of that model."""
    model = find_model(name.label)
    if model is None:
        return False
    try:
        return model._base_manager.filter(pk=name.pk).exists()
    except NO_KEY:
        return False


def _concrete(model: ModelClass) -> ModelClass:
    return model._meta.concrete_model or model


def _proxies(model: ModelClass) -> list[ModelClass]:
    every = apps.get_models(include_auto_created=True)
    return [other for other in every if other._meta.proxy and other._meta.concrete_model is model]


def _as_parents(model: ModelClass, pk: str) -> Iterator[tuple[ModelClass, str]]:
    for parent, link in model._meta.parents.items():
        if link is None:  # of a proxy
            continue
        for key in _keys(model, link, pk, Q(pk=pk), f"{link.name}__pk"):
            yield _concrete(parent), key


def _as_children(model: ModelClass, pk: str) -> Iterator[tuple[ModelClass, str]]:
    for relation in model._meta.get_fields(include_hidden=True):
        if not isinstance(relation, models.OneToOneRel) or not relation.parent_link:
            continue
        child: Any = relation.related_model
        for key in _keys(child, relation.field, pk, Q(**{f"{relation.field.name}__pk": pk}), "pk"):
            yield child, key


def _keys(model: ModelClass, link: Any, pk: str, condition: Q, wanted: str) -> list[str]:
    """Return the key at the other end of a link to a parent: the same one, where the link is the key."""
    if link.primary_key and link.target_field.primary_key:
        return [pk]
    try:
        return [str(key) for key in model._base_manager.filter(condition).values_list(wanted, flat=True)]
    except NO_KEY:
        return []

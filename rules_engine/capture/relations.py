"""Many-to-many changes, told from the side of the model that a rule watches, whichever side the code touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import models

from rules_engine import conf
from rules_engine.capture import large_changes
from rules_engine.capture.saves import ATTRIBUTE
from rules_engine.capture.watches import Reading, RelationWatch
from rules_engine.context import snapshot
from rules_engine.context.subject import Others, Subject
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.types import CutRows, FieldChange, Operation, Unread, ask

OWN, OTHER = "own", "other"
OPERATIONS: Mapping[str, Operation] = {"add": "add", "remove": "remove", "clear": "clear"}


def changed(watches: Iterable[RelationWatch], sent: Mapping[str, Any], now: datetime) -> Iterator[Reading]:
    """Read one ``m2m_changed``: a subject for each watched object that it concerns.

    A clear names no keys, so they are read before it; ``m2m`` is ``{"field", "action", "side", "pks", "count"}``, the
    keys capped at ``ROWS_LIMIT`` and their full number in ``count``, the side being ``"own"`` where the code touched an
    object of the rule's model, and ``"other"`` where it touched the other end. Each object at the other end is told,
    however many they are: of very many by a worker. The objects of those keys are read where a rule asks.
    """
    phase, _, action = sent["action"].partition("_")
    if phase == "pre":
        if action == "clear":
            sent["instance"]._state.__dict__[_key(sent)] = _linked(watches, sent)
        return
    keys = sent["pk_set"]
    if action == "clear":
        keys = sent["instance"]._state.__dict__.pop(_key(sent), None)
    if isinstance(keys, Unread):
        raise keys.error
    others = in_order(keys or ())
    if not others:
        return
    for watch in watches:
        ends = others if action == "clear" else _primary_keys(watch.field, sent, others)
        yield from _told(watch, sent, OPERATIONS[action], ends, now)


def _told(
    watch: RelationWatch, sent: Mapping[str, Any], operation: Operation, ends: Sequence[Any], now: datetime
) -> Iterator[Reading]:
    """Yield the objects of the watched model that the change concerns; those of a large one are told by a worker. A
    symmetrical relation has the model at both ends."""
    instance, is_own = sent["instance"], watch.is_target == sent["reverse"]
    # A rule on a descendant hears the relation it inherits for its own objects alone.
    if is_own and isinstance(instance, watch.model):
        yield subject_of(watch, instance, operation, Others(sent["model"], ends), now, side=OWN), watch.rules
    if is_own and not watch.field.remote_field.symmetrical:
        return
    ends = [pk for pk in ends if not is_own or pk != instance.pk]
    if len(ends) > large_changes.AT_ONCE:
        yield from large_changes.put_off(watch, sent, operation, ends, now)
    else:
        yield from at_other_end(watch, instance, operation, ends, now, using=sent["using"])


def at_other_end(
    watch: RelationWatch, other: models.Model, operation: Operation, pks: Sequence[Any], now: datetime, *, using: str
) -> Iterator[Reading]:
    """Yield the objects of these keys, as what was connected to the ``other`` one or parted from it."""
    others = Others(type(other), [other.pk])
    for part in in_parts(pks):
        with confined(using):
            stored: models.QuerySet[Any] = UncachedQuerySet(watch.model, using=using)
            rows = list(stored.filter(pk__in=part))
        for instance in rows:
            yield subject_of(watch, instance, operation, others, now, side=OTHER), watch.rules


def in_order(keys: Iterable[Any]) -> Sequence[Any]:
    """Return keys sorted; those of a kind that has no order by their texts."""
    try:
        return sorted(keys)
    except TypeError:  # of a kind that has no order
        return sorted(keys, key=str)


def _key(sent: Mapping[str, Any]) -> str:
    return f"{ATTRIBUTE}_{sent['model']._meta.label_lower}_{sent['reverse']}"


def _linked(watches: Iterable[RelationWatch], sent: Mapping[str, Any]) -> Sequence[Any] | Unread | None:
    """Return the keys at the other end, which are gone after a clear; or what kept from reading them."""
    for watch in watches:
        return ask(_linked_by, watch, sent)
    return None


def _linked_by(watch: RelationWatch, sent: Mapping[str, Any]) -> Sequence[Any]:
    name = watch.name if watch.is_target == sent["reverse"] else _other_name(watch)
    with confined(sent["using"]):
        return list(getattr(sent["instance"], name).order_by().values_list("pk", flat=True))


def _other_name(watch: RelationWatch) -> str:
    """Return what the relation is called at its other end."""
    field = watch.field
    return str(field.name if watch.is_target else field.remote_field.get_accessor_name())


def _primary_keys(field: Any, sent: Mapping[str, Any], values: Sequence[Any]) -> Sequence[Any]:
    """Return the primary keys at the other end. Django sends what the rows of the relation hold, which is the value of
    another column where they point to one."""
    name = field.m2m_target_field_name() if sent["reverse"] else field.m2m_reverse_target_field_name()
    model = sent["model"]
    if name == model._meta.pk.name:
        return values
    keys: list[Any] = []
    for part in in_parts(values):
        with confined(sent["using"]):
            rows: models.QuerySet[Any] = UncachedQuerySet(model, using=sent["using"])
            keys += rows.filter(**{f"{name}__in": part}).order_by().values_list("pk", flat=True)
    return in_order(keys)


def in_parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield them by as many as are read at once."""
    size = conf.rows_limit()
    yield from (values[start : start + size] for start in range(0, len(values), size))


def subject_of(
    watch: RelationWatch, instance: models.Model, operation: Operation, others: Others, now: datetime, *, side: str
) -> Subject:
    """Return the change of one object's relation, as its rules are told of it."""
    most = conf.rows_limit()
    limited = others if len(others.pks) <= most else Others(others.model, others.pks[:most], is_whole=False)
    key = limited.model._meta.pk
    pks = [snapshot.column_value(key, pk) for pk in limited.pks]
    if not limited.is_whole:
        pks = CutRows(pks)
    change = FieldChange(watch.name, [], pks) if operation == "add" else FieldChange(watch.name, pks, [])
    return Subject(
        "m2m_changed",
        operation,
        instance,
        changes={watch.name: change},
        m2m={"field": watch.name, "action": operation, "side": side, "pks": pks, "count": len(others.pks)},
        others=limited,
        occurred_at=now,
    )

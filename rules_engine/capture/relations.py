"""Many-to-many changes, told from the side of the model that a rule watches, whichever side the code touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import models

from rules_engine import conf
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
    however many they are. The objects of those keys are read where
    a rule asks.
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
    others = _in_order(keys or ())
    if not others:
        return
    for watch in watches:
        ends = others if action == "clear" else _primary_keys(watch.field, sent, others)
        for side, instance, connected in _concerned(watch, sent, ends):
            yield _subject(watch, sent, side, instance, OPERATIONS[action], connected, now), watch.rules


def _in_order(keys: Iterable[Any]) -> Sequence[Any]:
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
    for part in _in_parts(values):
        with confined(sent["using"]):
            rows: models.QuerySet[Any] = UncachedQuerySet(model, using=sent["using"])
            keys += rows.filter(**{f"{name}__in": part}).order_by().values_list("pk", flat=True)
    return _in_order(keys)


def _in_parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield them by as many as are read at once."""
    size = conf.rows_limit()
    yield from (values[start : start + size] for start in range(0, len(values), size))


def _concerned(
    watch: RelationWatch, sent: Mapping[str, Any], others: Sequence[Any]
) -> Iterator[tuple[str, models.Model, Sequence[Any]]]:
    """Yield the objects of the watched model, each with its side and the keys of what it was connected to or parted
    from. A symmetrical relation has the model at both."""
    is_own = watch.is_target == sent["reverse"]
    # A rule on a descendant hears the relation it inherits for its own objects alone.
    if is_own and isinstance(sent["instance"], watch.model):
        yield OWN, sent["instance"], others
    if is_own and not watch.field.remote_field.symmetrical:
        return
    for part in _in_parts(others):
        with confined(sent["using"]):
            stored: models.QuerySet[Any] = UncachedQuerySet(watch.model, using=sent["using"])
            rows = list(stored.filter(pk__in=part))
        for instance in rows:
            if not is_own or instance != sent["instance"]:
                yield OTHER, instance, [sent["instance"].pk]


def _subject(
    watch: RelationWatch,
    sent: Mapping[str, Any],
    side: str,
    instance: models.Model,
    operation: Operation,
    others: Sequence[Any],
    now: datetime,
) -> Subject:
    limited = others[: conf.rows_limit()]
    model = sent["model"] if side == OWN else type(sent["instance"])
    pks = [snapshot.column_value(model._meta.pk, pk) for pk in limited]
    is_whole = len(limited) == len(others)
    if not is_whole:
        pks = CutRows(pks)
    change = FieldChange(watch.name, [], pks) if operation == "add" else FieldChange(watch.name, pks, [])
    return Subject(
        "m2m_changed",
        operation,
        instance,
        changes={watch.name: change},
        m2m={"field": watch.name, "action": operation, "side": side, "pks": pks, "count": len(others)},
        others=Others(model, limited, is_whole),
        occurred_at=now,
    )

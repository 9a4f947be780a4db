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
from rules_engine.types import FieldChange, Operation, Unread

OPERATIONS: Mapping[str, Operation] = {"add": "add", "remove": "remove", "clear": "clear"}


def changed(watches: Iterable[RelationWatch], sent: Mapping[str, Any], now: datetime) -> Iterator[Reading]:
    """Read one ``m2m_changed``: a subject for each watched object that it concerns.

    A clear names no keys, so they are read before it; ``m2m`` is ``{"field", "action", "side", "pks", "count"}``, the
    keys capped at ``ROWS_LIMIT`` and their full number in ``count``, the side being ``"own"`` where the code touched an
    object of the rule's model, and ``"other"`` where it touched the other end. The objects of those keys are read where
    a rule asks.
    """
    phase, _, action = sent["action"].partition("_")
    if phase == "pre":
        if action == "clear":
            sent["instance"]._state.__dict__[_key(sent)] = _linked(watches, sent)
        return
    cleared = sent["instance"]._state.__dict__.pop(_key(sent), None) if action == "clear" else None
    if isinstance(cleared, Unread):
        raise cleared.error
    others = sorted(sent["pk_set"] or () if cleared is None else cleared, key=str)
    if not others:
        return
    for watch in watches:
        for instance, ends in _concerned(watch, sent, others):
            yield _subject(watch, sent, instance, OPERATIONS[action], ends, now), watch.rules


def _key(sent: Mapping[str, Any]) -> str:
    return f"{ATTRIBUTE}_{sent['model']._meta.label_lower}_{sent['reverse']}"


def _linked(watches: Iterable[RelationWatch], sent: Mapping[str, Any]) -> Sequence[Any] | Unread | None:
    """Return the keys at the other end, which are gone after a clear; or what kept from reading them."""
    for watch in watches:
        name = watch.name if watch.is_target == sent["reverse"] else _other_name(watch)
        try:
            with confined(sent["using"]):
                return list(getattr(sent["instance"], name).order_by().values_list("pk", flat=True))
        except Exception as error:  # noqa: BLE001 - a related manager may raise anything; the rules concerned show it
            return Unread(error)
    return None


def _other_name(watch: RelationWatch) -> str:
    """Return what the relation is called at its other end."""
    if watch.is_target:
        return next(
            rel.field.name for rel in watch.model._meta.related_objects if rel.get_accessor_name() == watch.name
        )
    field: Any = watch.model._meta.get_field(watch.name)
    return str(field.remote_field.get_accessor_name())


def _concerned(
    watch: RelationWatch, sent: Mapping[str, Any], others: Sequence[Any]
) -> Iterator[tuple[models.Model, Sequence[Any]]]:
    """Yield the objects of the watched model, each with the keys of what it was connected to or parted from."""
    if watch.is_target == sent["reverse"]:
        # A rule on a descendant hears the relation it inherits for its own objects alone.
        if isinstance(sent["instance"], watch.model):
            yield sent["instance"], others
        return
    with confined(sent["using"]):
        stored: models.QuerySet[Any] = models.QuerySet(watch.model, using=sent["using"])
        rows = list(stored.filter(pk__in=others[: conf.rows_limit()]))
    for instance in rows:
        yield instance, [sent["instance"].pk]


def _subject(
    watch: RelationWatch,
    sent: Mapping[str, Any],
    instance: models.Model,
    operation: Operation,
    others: Sequence[Any],
    now: datetime,
) -> Subject:
    is_own = watch.is_target == sent["reverse"]
    limited = others[: conf.rows_limit()]
    model = sent["model"] if is_own else type(sent["instance"])
    pks = [snapshot.column_value(model._meta.pk, pk) for pk in limited]
    change = FieldChange(watch.name, [], pks) if operation == "add" else FieldChange(watch.name, pks, [])
    side = "own" if is_own else "other"
    return Subject(
        "m2m_changed",
        operation,
        instance,
        changes={watch.name: change},
        m2m={"field": watch.name, "action": operation, "side": side, "pks": pks, "count": len(others)},
        others=Others(model, limited),
        occurred_at=now,
    )

"""Many-to-many changes, told from the side of the model that a rule watches, whichever side the code touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import models

from rules_engine import conf
from rules_engine.capture.saves import ATTRIBUTE
from rules_engine.capture.sources import RelationWatch
from rules_engine.context import snapshot
from rules_engine.context.savepoints import confined
from rules_engine.context.subject import Others, Subject
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import FieldChange, Operation

OPERATIONS: Mapping[str, Operation] = {"add": "add", "remove": "remove", "clear": "clear"}

Found = Iterator[tuple[Subject, Sequence[CompiledRule]]]


def changed(watches: Iterable[RelationWatch], sent: Mapping[str, Any]) -> Found:
    """The subjects of one ``m2m_changed``, each with its rules: one for every watched object that it concerns.

    A clear names no keys, so they are read before it; ``m2m`` is ``{"field", "action", "side", "pks", "count"}``, the
    keys capped at ``ROWS_LIMIT`` and their full number in ``count``, the side being ``"own"`` where the code touched an
    object of the rule's model, and ``"other"`` where it touched the other end. The objects of those keys are read where
    a rule asks.
    """
    phase, _, action = sent["action"].partition("_")
    if phase == "pre":
        if action == "clear":
            _remember(watches, sent)
        return
    cleared = sent["instance"]._state.__dict__.pop(_key(sent), None) if action == "clear" else None
    others = sorted(cleared if action == "clear" and cleared is not None else sent["pk_set"] or (), key=str)
    if not others:
        return
    for watch in watches:
        yield from _told(watch, sent, OPERATIONS[action], others)


def _key(sent: Mapping[str, Any]) -> str:
    return f"{ATTRIBUTE}_{sent['model']._meta.label_lower}_{sent['reverse']}"


def _remember(watches: Iterable[RelationWatch], sent: Mapping[str, Any]) -> None:
    for watch in watches:
        name = watch.name if watch.is_target == sent["reverse"] else _other_name(watch)
        rows = getattr(sent["instance"], name)
        with confined(sent["using"]):
            sent["instance"]._state.__dict__[_key(sent)] = list(rows.order_by().values_list("pk", flat=True))
        return


def _other_name(watch: RelationWatch) -> str:
    """What the relation is called at its other end."""
    if watch.is_target:
        relation = next(one for one in watch.model._meta.related_objects if one.get_accessor_name() == watch.name)
        return relation.field.name
    field: Any = watch.model._meta.get_field(watch.name)
    return str(field.remote_field.get_accessor_name())


def _told(watch: RelationWatch, sent: Mapping[str, Any], operation: Operation, others: Sequence[Any]) -> Found:
    if watch.is_target == sent["reverse"]:
        # A rule on a descendant hears the relation it inherits for its own objects alone.
        if isinstance(sent["instance"], watch.model):
            yield _subject(watch, sent, sent["instance"], operation, others), watch.rules
        return
    limited = others[: conf.rows_limit()]
    with confined(sent["using"]):
        rows = list(watch.model._base_manager.using(sent["using"]).filter(pk__in=limited))
    for instance in rows:
        yield _subject(watch, sent, instance, operation, [sent["instance"].pk]), watch.rules


def _subject(
    watch: RelationWatch, sent: Mapping[str, Any], instance: models.Model, operation: Operation, others: Sequence[Any]
) -> Subject:
    limited = others[: conf.rows_limit()]
    kept = [snapshot.safe(pk) for pk in limited]
    side = "own" if watch.is_target == sent["reverse"] else "other"
    m2m = {"field": watch.name, "action": operation, "side": side, "pks": kept, "count": len(others)}
    gone, come = (kept, []) if operation != "add" else ([], kept)
    changes = {watch.name: FieldChange(watch.name, gone, come)}
    subject = Subject("m2m_changed", operation, instance, changes=changes, m2m=m2m)
    subject.others = Others(sent["model"] if watch.is_target == sent["reverse"] else type(sent["instance"]), limited)
    return subject

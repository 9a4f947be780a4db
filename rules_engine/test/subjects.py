"""An object with a change that is made up: what the receiver would see if somebody made it. Nothing is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.utils import timezone

from rules_engine.context import snapshot
from rules_engine.context.paths import field_of, readable_fields, steps
from rules_engine.context.signals import DELETE_SIGNALS, SAVE_SIGNALS
from rules_engine.context.subject import Others, Subject
from rules_engine.types import FieldChange, Operation

#: Stands for the value that the object has.
AS_IT_IS: Any = object()


@dataclass(frozen=True, slots=True)
class MadeUp:
    """One field's values before and after, as Python values."""

    field: str
    old: Any = AS_IT_IS
    new: Any = AS_IT_IS


@dataclass(frozen=True, slots=True)
class Happening:
    """What is to be taken to have happened. ``arguments`` are those of a signal of the site's own."""

    signal: str
    operation: Operation | None = None
    changes: Sequence[MadeUp] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    relation: str = ""
    others: Sequence[Any] = ()


def subject_of(instance: models.Model, happening: Happening) -> Subject:
    """Return the subject of that event. The instance takes the new values, unsaved; it is the caller's to throw away.

    Raises ``UnknownPath`` for a field that the model has not.
    """
    if happening.signal in SAVE_SIGNALS:
        subject = _saved(instance, happening)
    elif happening.signal == "m2m_changed":
        subject = _related(instance, happening)
    elif happening.signal in DELETE_SIGNALS:
        subject = Subject(happening.signal, "delete", instance, _values(instance))
    else:
        subject = Subject(happening.signal, instance=instance, arguments=happening.arguments, knows_changes=False)
    subject.occurred_at = timezone.now()
    return subject


def _values(instance: models.Model) -> dict[str, Any]:
    return snapshot.values_on(instance, readable_fields(type(instance)))


def _saved(instance: models.Model, happening: Happening) -> Subject:
    model = type(instance)
    old = _values(instance)
    for change in happening.changes:
        field = field_of(model, change.field)
        if change.old is not AS_IT_IS:
            old[field.attname] = snapshot.column_value(field, change.old)
        if change.new is not AS_IT_IS:
            setattr(instance, field.attname, change.new)
    is_new = happening.operation == "create"
    before = None if is_new else old
    subject = Subject(happening.signal, "create" if is_new else "update", instance, before)
    subject.created = is_new
    changes = snapshot.diff(readable_fields(model), before, _values(instance))
    subject.changes = {change.field: change for change in changes}
    return subject


def _related(instance: models.Model, happening: Happening) -> Subject:
    step, operation = steps(type(instance)).get(happening.relation), happening.operation or "add"
    key = None if step is None or step.model is None else step.model._meta.pk
    pks = [snapshot.safe(pk) if key is None else snapshot.column_value(key, pk) for pk in happening.others]
    gone, come = ([], pks) if operation == "add" else (pks, [])
    told = {"field": happening.relation, "action": operation, "side": "own", "pks": pks, "count": len(pks)}
    changes = {happening.relation: FieldChange(happening.relation, gone, come)}
    subject = Subject("m2m_changed", operation, instance, changes=changes, m2m=told)
    if step is not None and step.model is not None:
        subject.others = Others(step.model, list(happening.others))
    return subject

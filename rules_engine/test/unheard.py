"""What changed of an object since rules were last told of it: they hear saves, and not what is written past them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models

from rules_engine.context import snapshot
from rules_engine.context.paths import label_of, readable_fields
from rules_engine.context.plain_data import is_cut
from rules_engine.models import Event, Recording
from rules_engine.types import FieldChange, Unread

#: After these an event holds the object as its row is.
TELLING = ("post_save", "m2m_changed")


@dataclass(frozen=True, slots=True)
class Unheard:
    """What is otherwise than the last event told. ``is_sure``: each save since then would have left a record, so it was
    written past all rules; else no rule may have matched it. ``is_gone``: there is no such object any more."""

    changes: Sequence[FieldChange] = ()
    is_gone: bool = False
    is_sure: bool = False


def unheard_of(instance: models.Model | None, latest: Event, recording: Recording | None) -> Unheard | None:
    """Return what the object, as it is now, has otherwise than its latest event; None where that is nothing, or cannot
    be told. ``recording`` is the one that goes on."""
    is_sure = recording is not None and recording.created_at <= latest.occurred_at
    if latest.signal not in TELLING:
        return None
    if instance is None:
        return Unheard(is_gone=True, is_sure=is_sure)
    model = type(instance)._meta.concrete_model or type(instance)
    told = latest.captured().context.get("instance")
    if latest.model != label_of(model) or not isinstance(told, dict):
        return None
    fields = readable_fields(model)
    changes = [
        change for change in snapshot.diff(fields, told, snapshot.values_on(instance, fields)) if _is_told(change)
    ]
    return Unheard(changes, is_sure=is_sure) if changes else None


def _is_told(change: FieldChange) -> bool:
    return not any(isinstance(value, Unread) or is_cut(value) for value in (change.old, change.new))

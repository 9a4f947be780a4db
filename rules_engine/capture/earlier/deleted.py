"""An object that is about to be deleted: the rules that may match, and what it does not hold, which is read before its
row is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import models

from rules_engine.capture.earlier.old_values import StoredRow
from rules_engine.context import snapshot

if TYPE_CHECKING:
    from rules_engine.capture.watches import ModelWatch
    from rules_engine.rules.matching import CompiledRule

SIGNALS = ("pre_delete", "post_delete")


def deleted_by(watch: ModelWatch, signal: str, instance: models.Model) -> Sequence[CompiledRule]:
    """Return the rules that can match as the object is deleted."""
    plan = watch.plans.get(signal)
    return () if plan is None else plan.matching(plan.held(instance), {}, "delete")


def unheld(watch: ModelWatch, instance: models.Model, using: str) -> Mapping[str, Any] | None:
    """Return what is stored of those of the columns that rules on deletes read and the object does not hold: it was
    fetched without, or holds an expression. None where it holds all."""
    missing = {
        name: column
        for signal in SIGNALS
        for name, column in watch.read.get(signal, {}).items()
        if snapshot.is_unsettled(instance, column)
    }
    return StoredRow(watch.model, missing).read(instance.pk, using) if missing else None

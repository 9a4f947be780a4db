"""Which rules a save or delete concerns, found out with as little made as can be: nearly always it concerns none.

What concerns some goes the whole way of ``receiver``, where those are tried, and nobody looks for them again. So a
screen may find rules that do not match, and never leaves out one that might match, or fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import models

from rules_engine.capture.earlier.deleted import deleted_by, unheld
from rules_engine.capture.earlier.waiting import ATTRIBUTE, Before, has_left, last_left, leave, take
from rules_engine.capture.inserts.keys import is_new_at
from rules_engine.capture.saves import stored_of, wants_old_after, written_by
from rules_engine.capture.watches import NOBODY, Found, ModelWatch
from rules_engine.context.plain_data import same
from rules_engine.live.plan import UNSETTLED
from rules_engine.types import FieldChange, Operation


def _screen_before_save(watch: ModelWatch, instance: models.Model, sent: Mapping[str, Any]) -> Found | None:
    if watch.parents and instance._state.adding:
        return None
    update_fields = sent.get("update_fields")
    written = None if update_fields is None else written_by(watch, update_fields)
    plan = watch.plans.get("pre_save")
    if plan is not None and plan.can_match(plan.held(instance, written), written):
        return None
    plan = watch.plans.get("post_save")
    if plan is not None and plan.old and wants_old_after(watch, plan, instance, written):
        is_new = is_new_at(instance, watch.model)
        old = None if is_new else stored_of(watch, instance, sent["using"])
        leave(instance, Before("save", old))
    elif has_left(instance):
        # A save that failed has: it is not to be taken for what this one left.
        leave(instance, Before("save"))
    return NOBODY


def _screen_after_save(watch: ModelWatch, instance: models.Model, sent: Mapping[str, Any]) -> Found | None:
    created: bool = sent["created"]
    # As a rule nothing waits, which is seen without a call.
    before = last_left(instance) if ATTRIBUTE in instance._state.__dict__ else None
    if (watch.parents and created) or not (before is None or _is_bare(before, "save")):
        return None
    plan = watch.plans.get("post_save")
    if plan is not None:
        update_fields = sent.get("update_fields")
        written = None if update_fields is None else written_by(watch, update_fields)
        old = None if created or before is None else before.old
        changes: Mapping[str, FieldChange] | None = {}
        if watch.old and (created or old is not None):
            changes = _changes_held(watch, instance, old, written)
        operation: Operation = "create" if created else "update"
        if changes is None:
            return None
        if rules := plan.matching(plan.held(instance, written), changes, operation):
            return Found(rules, changes, plan.told)
    if before is not None:
        take(instance, "save")
    return NOBODY


def _screen_before_delete(watch: ModelWatch, instance: models.Model, sent: Mapping[str, Any]) -> Found | None:
    if rules := deleted_by(watch, "pre_delete", instance):
        return Found(rules)
    old = unheld(watch, instance, sent["using"])
    if old is not None or has_left(instance):
        leave(instance, Before("delete", old))
    return NOBODY


def _screen_after_delete(watch: ModelWatch, instance: models.Model, sent: Mapping[str, Any]) -> Found | None:
    before = last_left(instance)
    if before is not None and not _is_bare(before, "delete"):
        return None
    if rules := deleted_by(watch, "post_delete", instance):
        return Found(rules)
    if before is not None:
        take(instance, "delete")
    return NOBODY


def _is_bare(before: Before, kind: str) -> bool:
    """Say whether nothing is to be done with what was left but to take it away."""
    return before.kind == kind and not before.decisions and not before.parents


def _changes_held(
    watch: ModelWatch, instance: models.Model, old: Mapping[str, Any] | None, written: frozenset[str] | None
) -> Mapping[str, FieldChange] | None:
    """Return what changed, where the instance holds what was written; None where that is to be read back."""
    changes: dict[str, FieldChange] = {}
    for name, field in watch.old.items():
        if written is not None and field.name not in written:
            continue
        value, was = watch.readers[name](instance), None if old is None else old.get(name, UNSETTLED)
        if value is UNSETTLED:
            return None
        is_same = value in (None, "") if old is None else was is UNSETTLED or same(was, value)
        if not is_same:
            changes[field.name] = FieldChange(field.name, was, value)
    return changes


#: By a save's or delete's signal, what returns which rules can match or fail at it, where it is of no loaded data:
#: ``NOBODY`` where none can, and then what its post-signal needs of it is left; None where that is not plain. Nearly
#: always nobody, and passed at every save: nothing is made for it, and no more is read than the old values.
SCREENS: Mapping[Any, Callable[[ModelWatch, models.Model, Mapping[str, Any]], Found | None]] = {
    models.signals.pre_save: _screen_before_save,
    models.signals.post_save: _screen_after_save,
    models.signals.pre_delete: _screen_before_delete,
    models.signals.post_delete: _screen_after_delete,
}

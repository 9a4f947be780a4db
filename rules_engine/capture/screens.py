"""Whether a save or delete concerns any rule, found out with as little made as can be: nearly always it concerns none.

What is let through here goes the whole way of ``receiver``, where rules are tried. So a screen may let through what no
rule matches, and never keeps what one might match, or fail on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import models

from rules_engine.capture.earlier.waiting import Before, has_left, last_left, leave, take
from rules_engine.capture.inserts.keys import is_new_at
from rules_engine.capture.saves import deleted_by, stored_of, wants_old_after, written_by
from rules_engine.capture.watches import ModelWatch
from rules_engine.context.plain_data import same
from rules_engine.live.plan import UNSETTLED
from rules_engine.types import FieldChange, Operation


def concerns_nobody(watch: ModelWatch, signal: Any, sent: Mapping[str, Any]) -> bool:
    """Say whether no rule can match or fail at this save or delete; what its post-signal needs of it is left then.

    Nearly always so, and passed at every save: nothing is made for it, and no more is read than the old values.
    """
    screen = _SCREENS.get(signal)
    return screen is not None and not sent.get("raw") and screen(watch, sent["instance"], sent)


def _screen_before_save(watch: ModelWatch, instance: models.Model, sent: Mapping[str, Any]) -> bool:
    if watch.parents and instance._state.adding:
        return False
    written = written_by(watch, sent.get("update_fields"))
    plan = watch.plans.get("pre_save")
    if plan is not None and plan.can_match(plan.held(instance, written), written):
        return False
    plan = watch.plans.get("post_save")
    if plan is not None and plan.old and wants_old_after(watch, plan, instance, written):
        is_new = is_new_at(instance, watch.model)
        old = None if is_new else stored_of(watch, instance, sent["using"])
        leave(instance, Before("save", old))
    elif has_left(instance):
        # A save that failed has: it is not to be taken for what this one left.
        leave(instance, Before("save"))
    return True


def _screen_after_save(watch: ModelWatch, instance: models.Model, sent: Mapping[str, Any]) -> bool:
    created: bool = sent["created"]
    before = last_left(instance)
    if (watch.parents and created) or not _is_bare(before, "save"):
        return False
    plan = watch.plans.get("post_save")
    if plan is not None:
        written = written_by(watch, sent.get("update_fields"))
        old = None if created or before is None else before.old
        changes: Mapping[str, FieldChange] | None = {}
        if watch.old and (created or old is not None):
            changes = _changes_held(watch, instance, old, written)
        operation: Operation = "create" if created else "update"
        if changes is None or plan.matching(plan.held(instance, written), changes, operation):
            return False
    if before is not None:
        take(instance, "save")
    return True


def _screen_before_delete(watch: ModelWatch, instance: models.Model, sent: Mapping[str, Any]) -> bool:
    if deleted_by(watch, "pre_delete", instance):
        return False
    if has_left(instance):
        leave(instance, Before("delete"))
    return True


def _screen_after_delete(watch: ModelWatch, instance: models.Model, sent: Mapping[str, Any]) -> bool:
    before = last_left(instance)
    if not _is_bare(before, "delete") or deleted_by(watch, "post_delete", instance):
        return False
    if before is not None:
        take(instance, "delete")
    return True


def _is_bare(before: Before | None, kind: str) -> bool:
    """Say whether nothing is to be done with what was left but to take it away."""
    return before is None or (before.kind == kind and not before.decisions and not before.parents)


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


_SCREENS: Mapping[Any, Callable[[ModelWatch, models.Model, Mapping[str, Any]], bool]] = {
    models.signals.pre_save: _screen_before_save,
    models.signals.post_save: _screen_after_save,
    models.signals.pre_delete: _screen_before_delete,
    models.signals.post_delete: _screen_after_delete,
}

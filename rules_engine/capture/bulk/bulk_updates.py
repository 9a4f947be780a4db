"""``QuerySet.bulk_update``: its statements are told as updates are; rules that act before a save are told its objects.

These may still change what is written, or not allow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connections, models
from django.utils import timezone

from rules_engine.capture.bulk import telling
from rules_engine.capture.bulk.hearing import Hearing, hearing_of, told_before
from rules_engine.capture.bulk.screening import safe_form
from rules_engine.capture.bulk.telling import Own
from rules_engine.capture.watches import Reading, columns_read
from rules_engine.context import snapshot
from rules_engine.context.columns import with_generated
from rules_engine.context.subject import Subject
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.rules.matching import CompiledRule


def bulk_update(
    rows: models.QuerySet[Any], own: Own, objects: Iterable[Any], fields: Iterable[str], options: Mapping[str, Any]
) -> Any:
    """Update the objects by ``own``, and return what that does. Raises what it raises, and ``Rejected`` where a rule
    does not allow it for one of them."""
    hearing = hearing_of(rows)
    rules = [] if hearing is None else _acting_before(hearing)
    if hearing is None or not rules or hearing.using != hearing.table.alias:
        return own(objects, fields, **options)
    objects, fields = list(objects), list(fields)
    if any(one.pk is None for one in objects):
        return own(objects, fields, **options)  # which Django refuses
    names = frozenset(hearing.watch.model._meta.get_field(name).name for name in fields)
    written = with_generated(hearing.watch.model, names)
    with telling.as_one(hearing, rules):
        before = _before(hearing, objects, written, timezone.now())
        telling.tell(hearing, before, hearing.heard("pre_save", "update"), "update")
        with told_before():
            return own(objects, fields, **options)


def _acting_before(hearing: Hearing) -> Sequence[CompiledRule]:
    """Return the rules that hear an update before it, where one of them has something to do then."""
    if "pre_save" not in hearing.signals:
        return ()
    hears = (rule for rule in hearing.watch.rules.get("pre_save", ()))
    rules = [rule for rule in hears if not rule.operations or "update" in rule.operations]
    return rules if any(action.timing == "before_save" for rule in rules for action in rule.actions) else ()


def _before(hearing: Hearing, objects: Sequence[Any], written: frozenset[str], now: datetime) -> Iterator[Reading]:
    """Yield those of the objects whose rows are there, with the values that are stored beside those they hold."""
    watch, using = hearing.watch, hearing.using
    plan = watch.plans["pre_save"]
    columns = {**watch.old, **columns_read(watch.model, plan.rules), **plan.columns()}
    forms = {name: safe_form(field) for name, field in columns.items()}
    locks = connections[using].features.has_select_for_update
    for part in telling.in_parts(objects):
        rows: models.QuerySet[Any] = UncachedQuerySet(watch.model, using=using).order_by()
        rows = rows.filter(pk__in=[one.pk for one in part])
        with confined(using):
            found = (rows.select_for_update() if locks else rows).values_list("pk", *columns)
            there = {key: values for key, *values in found}
        for one in part:
            if (values := there.get(one.pk)) is None:
                continue
            stored = {name: form(value) for (name, form), value in zip(forms.items(), values, strict=True)}
            settled = {
                name: value
                for name, value in stored.items()
                if columns[name].name not in written or snapshot.is_unsettled(one, columns[name])
            }
            new = {**snapshot.values_on(one, watch.old.values()), **settled}
            old = {name: stored[name] for name in watch.old} if watch.old else None
            changed = snapshot.diff(watch.old.values(), old, new) if old is not None else ()
            changes = {change.field: change for change in changed if change.field in written}
            subject = Subject("pre_save", "update", one, old, changes=changes, created=False, occurred_at=now)
            subject.knows_changes, subject.written, subject.settled = old is not None, written, settled
            subject.heard = plan.told
            if rules := plan.matching(plan.held(one, settled=settled), changes, "update"):
                yield subject, rules

"""Saves and deletes: what was there before, what changed, and when what matched may be written.

What a pre-signal finds waits on the instance for its post-signal, because a save that fails in between must leave
nothing behind. It waits on ``instance._state``, which every model instance has and no field name can collide with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import models

from rules_engine.capture.old_values import StoredRow
from rules_engine.capture.sources import ModelWatch
from rules_engine.context import snapshot
from rules_engine.context.paths import field_of, readable_fields, steps
from rules_engine.context.savepoints import confined
from rules_engine.context.subject import Field, Subject
from rules_engine.errors import Rejected
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import EVERY_FIELD, FieldChange

Write = Callable[[], None]


class Evaluate(Protocol):
    """``capture.evaluate``, handed in so that this module need not know it."""

    def __call__(
        self, subject: Subject, rules: Sequence[CompiledRule], write: Callable[[Write], None] | None = None
    ) -> None:
        """Try the rules on the subject."""


@dataclass(slots=True)
class Before:
    """What a pre-signal left for its post-signal."""

    kind: str = "save"
    old: Mapping[str, Any] | None = None
    writes: list[Write] = field(default_factory=list)

    def __reduce__(self) -> Any:
        # Callers pickle and copy instances, in their own receivers too; what waits here stays here.
        return Before, ("copied",)


ATTRIBUTE = "rules_engine_before"
#: A save that fails leaves its entry behind; a caller that retries for ever must not pile them up.
MOST_NESTED = 8


def _push(instance: models.Model, before: Before) -> None:
    stack: list[Before] = instance._state.__dict__.setdefault(ATTRIBUTE, [])
    stack.append(before)
    del stack[:-MOST_NESTED]


def _pop(instance: models.Model, kind: str) -> Before | None:
    stack: list[Before] | None = instance._state.__dict__.get(ATTRIBUTE)
    found = None
    while stack and found is None:
        # Of another kind: left by a save or delete that failed. Calls nest, so it cannot be one that goes on.
        top = stack.pop()
        found = top if top.kind == kind else None
    if not stack:
        instance._state.__dict__.pop(ATTRIBUTE, None)
    return found


def before_save(watch: ModelWatch, sent: Mapping[str, Any], evaluate: Evaluate) -> None:
    """``pre_save``: read the old values that some rule that can still match wants; try the rules on ``pre_save``."""
    instance: models.Model = sent["instance"]
    written = _written(watch, sent.get("update_fields"))
    before = Before()
    _push(instance, before)
    rules, later = _possible(watch.of("pre_save"), written), _possible(watch.of("post_save"), written)
    if not rules:
        if watch.old and later and not _is_new(instance):
            before.old = watch.stored.read(instance.pk, sent["using"])
        return
    subject, before.old = about_to_save(watch, instance, written, sent["using"])
    try:
        evaluate(subject, rules, before.writes.append)
    except Rejected:
        # No post-signal will come for this one.
        _pop(instance, "save")
        raise


def about_to_save(
    watch: ModelWatch, instance: models.Model, written: frozenset[str] | None, using: str
) -> tuple[Subject, Mapping[str, Any] | None]:
    """The subject of a ``pre_save``, and the stored values that some rule wants, None where there are none."""
    old = watch.stored.read(instance.pk, using) if watch.old and not _is_new(instance) else None
    existed = old is not None if watch.old else _exists(instance, using)
    subject = Subject("pre_save", "update" if existed else "create", instance, old, created=not existed)
    subject.written = written
    _see(subject, watch, _possible(watch.of("pre_save"), written), written, using)
    return subject, old


def after_save(watch: ModelWatch, sent: Mapping[str, Any], evaluate: Evaluate) -> None:
    """``post_save``: work out what changed, try the rules, and write what ``pre_save`` matched."""
    instance: models.Model = sent["instance"]
    before = _pop(instance, "save") or Before()
    for write in before.writes:
        write()
    written = _written(watch, sent.get("update_fields"))
    rules = _possible(watch.of("post_save"), written)
    if not rules:
        return
    created: bool = sent["created"]
    subject = Subject(
        "post_save", "create" if created else "update", instance, None if created else before.old, created=created
    )
    _see(subject, watch, rules, written, sent["using"])
    evaluate(subject, rules)


def before_delete(watch: ModelWatch, sent: Mapping[str, Any], evaluate: Evaluate) -> None:
    """``pre_delete``: the last moment at which related rows can be read."""
    instance: models.Model = sent["instance"]
    before = Before("delete")
    _push(instance, before)
    try:
        evaluate(_deleted("pre_delete", instance), watch.of("pre_delete"), before.writes.append)
    except Rejected:
        _pop(instance, "delete")
        raise


def after_delete(watch: ModelWatch, sent: Mapping[str, Any], evaluate: Evaluate) -> None:
    """``post_delete``: the object's own values are still at hand; its many-to-many rows are gone."""
    instance: models.Model = sent["instance"]
    before = _pop(instance, "delete") or Before()
    for write in before.writes:
        write()
    evaluate(_deleted("post_delete", instance), watch.of("post_delete"))


def _deleted(signal: str, instance: models.Model) -> Subject:
    fields = [one for one in readable_fields(type(instance)) if not snapshot.is_unsettled(instance, one)]
    old = {one.attname: snapshot.field_value(instance, one) for one in fields}
    return Subject(signal, "delete", instance, old)


#: By the identity of the signal object; the receiver is called with nothing else to tell signals apart.
STEPS: Mapping[int, Callable[[ModelWatch, Mapping[str, Any], Evaluate], None]] = {
    id(models.signals.pre_save): before_save,
    id(models.signals.post_save): after_save,
    id(models.signals.pre_delete): before_delete,
    id(models.signals.post_delete): after_delete,
}


def _written(watch: ModelWatch, update_fields: Collection[str] | None) -> frozenset[str] | None:
    """The names of the fields this save writes; None is all of them. Names and columns are the same thing here."""
    if update_fields is None:
        return None
    known = steps(watch.model)
    return frozenset(known[name].field.name if name in known else name for name in update_fields)


def _possible(rules: Sequence[CompiledRule], written: frozenset[str] | None) -> Sequence[CompiledRule]:
    """The rules that this save can match: a field that it does not write has not changed."""
    if written is None:
        return rules
    return [rule for rule in rules if all(change.field in written for change in rule.changes)]


def _is_new(instance: models.Model) -> bool:
    """Whether Django will insert without looking: then there is nothing old to read."""
    return instance._state.adding and (instance.pk is None or instance._meta.pk.has_default())


def _exists(instance: models.Model, using: str) -> bool:
    """Whether the save will be an update, where no old value was read that tells. An object that came from the
    database is taken to be there still; only of a key given by hand the database is asked."""
    if instance.pk is None or _is_new(instance) or not instance._state.adding:
        return instance.pk is not None and not instance._state.adding
    with confined(using):
        return type(instance)._base_manager.using(using).filter(pk=instance.pk).exists()


def _see(
    subject: Subject,
    watch: ModelWatch,
    rules: Sequence[CompiledRule],
    written: frozenset[str] | None,
    using: str,
) -> None:
    """Fill in the subject's settled values and its changes."""
    instance = subject.instance
    if instance is None:
        return
    settled: dict[str, Any] = {}
    if subject.old is not None and written is not None:
        # What ``update_fields`` leaves out is in the database as it was, whatever the instance holds.
        settled.update((name, value) for name, value in subject.old.items() if watch.old[name].name not in written)
    unsettled = missing(instance, watch, rules, settled, written, subject.created)
    if unsettled and (subject.signal == "post_save" or not instance._state.adding):
        settled.update(StoredRow(watch.model, unsettled).read(instance.pk, using) or {})
    subject.settled = settled
    subject.knows_changes = bool(watch.old) and (subject.old is not None or bool(subject.created))
    if not subject.knows_changes:
        return
    new = {
        name: settled[name] if name in settled else snapshot.field_value(instance, one)
        for name, one in watch.old.items()
        if name in settled or not snapshot.is_unsettled(instance, one)
    }
    found = snapshot.diff(watch.old.values(), subject.old, new)
    changes = [change for change in found if written is None or change.field in written]
    subject.changes = {change.field: FieldChange(change.field, change.old, change.new) for change in changes}


def missing(
    instance: models.Model,
    watch: ModelWatch,
    rules: Sequence[CompiledRule],
    settled: Mapping[str, Any],
    written: frozenset[str] | None,
    created: bool | None,
) -> dict[str, Field]:
    """Fields that some rule reads and whose stored value the instance does not hold."""
    wanted = dict(watch.old)
    for rule in rules:
        for path in (*rule.reads, *rule.action_reads):
            if path[:2] == ("instance", EVERY_FIELD):
                wanted.update((one.attname, one) for one in readable_fields(watch.model))
            elif path[0] == "instance" and len(path) > 1:
                step = steps(watch.model).get(path[1])
                if step is not None and step.kind == "value":
                    one = field_of(watch.model, path[1])
                    wanted[one.attname] = one
    return {
        name: one
        for name, one in wanted.items()
        if name not in settled and (_is_left_out(one, written) or _is_elsewhere(instance, one, created))
    }


def _is_left_out(field: Field, written: frozenset[str] | None) -> bool:
    """Whether this save does not write the field, so that what the instance holds may never be stored."""
    return written is not None and field.name not in written and not field.primary_key


def _is_elsewhere(instance: models.Model, field: Field, created: bool | None) -> bool:
    """Whether only the database knows the value: deferred, an expression, or generated (Django 5.2 reads it back on
    insert alone)."""
    return snapshot.is_unsettled(instance, field) or (getattr(field, "generated", False) and not created)

"""Saves and deletes as subjects: what was there before, and what changed.

Nearly every save concerns no rule, which ``screens`` finds out. All others are read here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import models

from rules_engine.capture.earlier import at_load
from rules_engine.capture.earlier.deleted import deleted_by, unheld
from rules_engine.capture.earlier.old_values import StoredRow
from rules_engine.capture.earlier.waiting import ATTRIBUTE as ATTRIBUTE
from rules_engine.capture.earlier.waiting import MOST_NESTED as MOST_NESTED
from rules_engine.capture.earlier.waiting import Before as Before
from rules_engine.capture.earlier.waiting import begin as begin
from rules_engine.capture.earlier.waiting import give_up as give_up
from rules_engine.capture.inserts.keys import has_key, is_new_at, key_at
from rules_engine.capture.watches import Found, ModelWatch, Reading, columns_read, is_heard_last
from rules_engine.context import snapshot
from rules_engine.context.columns import with_generated
from rules_engine.context.paths import ModelClass, readable_fields, steps
from rules_engine.context.subject import Field, Subject
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.live.plan import Plan, nothing_settled
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import FieldChange, Unread

#: What a signal sends.
Sent = Mapping[str, Any]
#: What a look at the save or delete has found; None where that was not plain.
Known = Found | None


class Save(NamedTuple):
    """A save of an object, as the rules on its model see it. ``written`` are the fields it writes, None is all.

    Made twice a save: a tuple takes a third of the time of a frozen dataclass.
    """

    watch: ModelWatch
    signal: str
    instance: models.Model
    using: str
    now: datetime
    written: frozenset[str] | None = None
    is_raw: bool = False
    #: Whether the object is added, as far as the signal says so.
    is_added: bool = False

    @property
    def key(self) -> Any:
        """The key of the row in the table of the watched model, which may be a parent's."""
        return key_at(self.instance, self.watch.model)

    @property
    def is_new(self) -> bool:
        """Whether Django will insert that row without looking."""
        return is_new_at(self.instance, self.watch.model, is_raw=self.is_raw)

    def plan(self, signal: str) -> Plan | None:
        """Return which rules on the signal this save can match; None where that is not for a plan to say.

        To rules on a child's parents a save may be another thing than to those on the child, and loaded data comes
        table by table.
        """
        is_plain = not self.is_raw and not (self.watch.parents and self.is_added)
        return self.watch.plans.get(signal) if is_plain else None

    def possible(self, signal: str) -> Sequence[CompiledRule]:
        """Return the rules on the signal that this save can match: a field that it does not write has not changed."""
        if (plan := self.plan(signal)) is not None:
            return plan.possible(plan.held(self.instance, self.written), self.written)
        rules: Sequence[CompiledRule] = self.watch.rules.get(signal, ())
        if self.is_raw and self.watch.parents:
            # A raw save writes the child's own table; loaded data has the parents' rows beside it.
            rules = [rule for rule in rules if not any(parent.has(rule) for parent in self.watch.parents)]
        if self.written is None:
            return rules
        return [rule for rule in rules if all(change.field in self.written for change in rule.changes)]

    def columns(self, rules: Sequence[CompiledRule]) -> Mapping[str, Field]:
        """Return the columns that these rules read, those whose earlier value some rule wants among them."""
        if self.written is None:
            return self.watch.read[self.signal]
        return {**self.watch.old, **columns_read(self.watch.model, rules)}


def _save(watch: ModelWatch, signal: str, sent: Mapping[str, Any], now: datetime) -> Save:
    is_raw = bool(sent.get("raw"))
    written = written_by(watch, names) if (names := sent.get("update_fields")) is not None else None
    if is_raw and watch.model._meta.parents:
        written = with_generated(watch.model, frozenset(field.name for field in _own_columns(watch.model)))
    instance: models.Model = sent["instance"]
    is_added = bool(sent.get("created") or instance._state.adding)
    return Save(watch, signal, instance, sent["using"], now, written, is_raw, is_added)


def _own_columns(model: ModelClass) -> Sequence[Field]:
    concrete = model._meta.concrete_model
    return concrete._meta.local_concrete_fields if concrete is not None else ()


def written_by(watch: ModelWatch, update_fields: Collection[str] | None) -> frozenset[str] | None:
    """Return the names of the fields this save writes; None is all of them. It may name them by their columns."""
    if update_fields is None:
        return None
    known = steps(watch.model)
    names = frozenset(known[name].field.name if name in known else name for name in update_fields)
    return with_generated(watch.model, names)


def before_save(watch: ModelWatch, sent: Sent, before: Before, now: datetime, found: Known) -> Sequence[Reading]:
    """Read a ``pre_save``, and for its post-signal the old values that some rule wants which can still match."""
    save = _save(watch, "pre_save", sent, now)
    rules = save.possible("pre_save")
    if not rules and not save.possible("post_save"):
        return ()
    wants_old = _wants_old(save)
    before.old = _stored(save) if wants_old else None
    if before.old is None and watch.parents:
        before.parents = _parents_there(save)
    own, of_parents = _by_table(save, rules, before.parents)
    if not own:
        return of_parents
    subject = _about_to_save(save, own, before.old, is_read=wants_old)
    return [*reading_of(save, subject, own), *of_parents]


def _wants_old(save: Save) -> bool:
    """Say whether some rule that can still match wants what is stored now."""
    plan = save.plan("pre_save")
    if plan is not None and plan.wants_old(plan.held(save.instance, save.written), save.written):
        return True
    plan = save.plan("post_save")
    if plan is not None:
        return wants_old_after(save.watch, plan, save.instance, save.written)
    return bool(save.watch.old)


def wants_old_after(watch: ModelWatch, plan: Plan, instance: models.Model, written: frozenset[str] | None) -> bool:
    """Say whether a rule on ``post_save`` that can match then wants what is stored before."""
    if not plan.old:
        return False
    if plan.wants_old(plan.held(instance, written, is_before=True), written):
        return True
    # What another receiver, or a rule of ours, makes of the object is what is saved.
    is_settled = not watch.alters and is_heard_last(models.signals.pre_save, watch.model)
    return not is_settled and plan.wants_old(nothing_settled, written)


def reading_of(save: Save, subject: Subject, rules: Sequence[CompiledRule]) -> Sequence[Reading]:
    """Return the subject with those of the rules that can match now that it is known what changed; nothing for none."""
    plan = save.plan(save.signal)
    if plan is not None:
        value_of = plan.held(save.instance, save.written, subject.settled)
        rules = plan.matching(value_of, subject.changes, subject.operation)
        subject.heard = plan.told
    return [(subject, rules)] if rules else []


def validated(watch: ModelWatch, instance: models.Model, using: str, now: datetime) -> Reading:
    """Read an object that is validated, as if it were saved whole."""
    save = Save(watch, "pre_save", instance, using, now)
    rules = watch.rules.get("pre_save", ())
    return _about_to_save(save, rules, _stored(save), is_read=True), rules


def after_save(watch: ModelWatch, sent: Sent, before: Before, now: datetime, found: Known) -> Sequence[Reading]:
    """Read a ``post_save``: what was written, and what that changed."""
    save = _save(watch, "post_save", sent, now)
    rules = save.possible("post_save") if found is None else found.rules
    if not rules:
        return ()
    created: bool = sent["created"]
    own, of_parents = (rules, ()) if not created or not before.parents else _by_table(save, rules, before.parents)
    if not own:
        return of_parents
    known = None if found is None else found.changes
    subject = subject_of(save, own, None if created else before.old, created=created, known=known)
    if found is not None and not subject.settled:
        subject.heard = found.heard
        return [(subject, own)]
    return [*reading_of(save, subject, own), *of_parents]


def _parents_there(save: Save) -> Sequence[tuple[ModelWatch, Mapping[str, Any]]]:
    """Read the parents that are there already when a child is added: to their rules they are updated, not created."""
    if not save.instance._state.adding or save.is_raw:
        return ()
    there = []
    for parent in save.watch.parents:
        part = save._replace(watch=parent)
        old = _stored(part)
        if old is not None or (not parent.old and _exists(part)):
            there.append((parent, old or {}))
    return there


def _by_table(
    save: Save, rules: Sequence[CompiledRule], there: Sequence[tuple[ModelWatch, Mapping[str, Any]]]
) -> tuple[Sequence[CompiledRule], Sequence[Reading]]:
    """Return the rules to which the save is what it is to the child, and readings for those on parents there."""
    of_parents = []
    for parent, old in there:
        theirs = [rule for rule in rules if parent.has(rule)]
        rules = [rule for rule in rules if not parent.has(rule)]
        if theirs:
            of_parents.append((subject_of(save._replace(watch=parent), theirs, old, created=False), theirs))
    return rules, of_parents


def before_delete(watch: ModelWatch, sent: Sent, before: Before, now: datetime, found: Known) -> Sequence[Reading]:
    """Read a ``pre_delete``: the last moment at which related rows can be read, and what the object does not hold."""
    before.old = unheld(watch, sent["instance"], sent["using"])
    return _deleted(watch, "pre_delete", sent["instance"], before, now, found)


def after_delete(watch: ModelWatch, sent: Sent, before: Before, now: datetime, found: Known) -> Sequence[Reading]:
    """Read a ``post_delete``: the object's own values are still at hand; its many-to-many rows are gone."""
    return _deleted(watch, "post_delete", sent["instance"], before, now, found)


#: What reads each signal; with what a look at it has found.
READERS: Mapping[Any, Callable[[ModelWatch, Sent, Before, datetime, Known], Sequence[Reading]]] = {
    models.signals.pre_save: before_save,
    models.signals.post_save: after_save,
    models.signals.pre_delete: before_delete,
    models.signals.post_delete: after_delete,
}


def _deleted(
    watch: ModelWatch, signal: str, instance: models.Model, before: Before, now: datetime, found: Known
) -> Sequence[Reading]:
    rules = deleted_by(watch, signal, instance) if found is None else found.rules
    if not rules:
        return ()
    settled = before.old or {}
    old = {**snapshot.values_on(instance, readable_fields(type(instance))), **settled}
    heard = watch.plans[signal].told
    return [(Subject(signal, "delete", instance, old, occurred_at=now, settled=settled, heard=heard), rules)]


def _stored(save: Save) -> Mapping[str, Any] | None:
    """Return the stored values that some rule wants; None where no rule wants any, or where there are none."""
    if not save.watch.old or save.is_new:
        return None
    return stored_of(save.watch, save.instance, save.using)


def stored_of(watch: ModelWatch, instance: models.Model, using: str) -> Mapping[str, Any] | None:
    """Return the stored values of a row that may be there: read, or as the object was loaded with them."""
    if watch.is_at_load and (taken := at_load.taken_of(instance, watch.old, using)) is not None:
        return taken
    return watch.stored.read(key_at(instance, watch.model), using)


def _exists(save: Save) -> bool:
    """Say whether the save will be an update, where no old value was read that tells. An object that came from the
    database is taken to be there still; only of a key given by hand the database is asked."""
    if save.is_new or not save.instance._state.adding:
        return not save.is_new
    with confined(save.using):
        rows: models.QuerySet[Any] = UncachedQuerySet(save.watch.model, using=save.using)
        return rows.filter(pk=save.key).exists()


def _about_to_save(
    save: Save, rules: Sequence[CompiledRule], old: Mapping[str, Any] | None, *, is_read: bool
) -> Subject:
    # Where nothing could be read of the row, that does not say that there is one.
    is_known = (
        is_read and bool(save.watch.old) and (old is None or any(type(value) is not Unread for value in old.values()))
    )
    exists = old is not None if is_known else _exists(save)
    return subject_of(save, rules, old, created=not exists)


def subject_of(
    save: Save,
    rules: Sequence[CompiledRule],
    old: Mapping[str, Any] | None,
    *,
    created: bool,
    known: Mapping[str, FieldChange] | None = None,
) -> Subject:
    """Return the save as a subject. ``known`` is what changed, as far as the object holds what was written."""
    settled = _settled(save, rules, old, created)
    # Without an old value nothing can be said of a change, but that all is new of a new object.
    knows_changes = bool(save.watch.old) and (old is not None or created)
    changes: Mapping[str, FieldChange] = {}
    if knows_changes:
        changes = known if known is not None and not settled else _changes(save, old, settled)
    return Subject(
        save.signal,
        "create" if created else "update",
        save.instance,
        old,
        changes=changes,
        knows_changes=knows_changes,
        created=created,
        occurred_at=save.now,
        written=save.written,
        settled=settled,
    )


def _settled(
    save: Save, rules: Sequence[CompiledRule], old: Mapping[str, Any] | None, created: bool
) -> Mapping[str, Any]:
    """Return the values, by column name, that stand in for what the instance holds; an untold new key, too."""
    settled: dict[str, Any] = {}
    if old is not None and save.written is not None:
        # What ``update_fields`` leaves out is in the database as it was, whatever the instance holds.
        settled = {name: value for name, value in old.items() if save.watch.old[name].name not in save.written}
    missing = snapshot.missing_columns(save.instance, save.columns(rules), save.written, created)
    key = save.watch.model._meta.pk
    if created and save.signal == "post_save" and hasattr(vars(save.instance).get(key.attname), "resolve_expression"):
        missing[key.attname] = key
    unread = {name: column for name, column in missing.items() if name not in settled} if missing else missing
    if not unread:
        return settled
    if save.signal == "pre_save" and created:
        return settled | (_values_of_parents(save, unread) if save.is_raw else {})
    return settled | (StoredRow(save.watch.model, unread).read(save.key, save.using) or {})


def _values_of_parents(save: Save, columns: Mapping[str, Field]) -> dict[str, Any]:
    """Read what the parents' rows hold of a child that is loaded: its own row is not there yet, and theirs are."""
    values: dict[str, Any] = {}
    for parent in save.watch.model._meta.get_parent_list():
        theirs = {name: column for name, column in columns.items() if column.model is parent}
        if theirs and has_key(key := key_at(save.instance, parent)):
            values.update(StoredRow(parent, theirs).read(key, save.using) or {})
    return values


def _changes(save: Save, old: Mapping[str, Any] | None, settled: Mapping[str, Any]) -> dict[str, FieldChange]:
    fields, written = save.watch.old.values(), save.written
    new = snapshot.values_on(save.instance, fields)
    new.update(settled)
    changed = snapshot.diff(fields, old, new)
    return {change.field: change for change in changed if written is None or change.field in written}

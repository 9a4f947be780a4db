"""``QuerySet.bulk_create``, told to the rules object by object.

What is inserted is told as a save of the object would be, before and after. Where rows that are there already are
passed by, or updated, it is found out which those are: the first are not told at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections, models
from django.utils import timezone

from rules_engine.capture import receiver, saves, screens
from rules_engine.capture.bulk import telling
from rules_engine.capture.bulk.hearing import Hearing, hearing_of, told_already
from rules_engine.capture.bulk.locking import ask_locking
from rules_engine.capture.bulk.screening import safe_form
from rules_engine.capture.bulk.telling import Own
from rules_engine.capture.bulk.unique import Unique, stored_rows, unique_of, values_of
from rules_engine.capture.earlier.waiting import Before
from rules_engine.capture.watches import NOBODY, Reading
from rules_engine.context import snapshot
from rules_engine.context.columns import with_generated
from rules_engine.context.paths import any_is_queried
from rules_engine.context.subject import Subject
from rules_engine.databases import database_of
from rules_engine.databases.prepared.inserts import insert_passing_conflicts
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import Operation, Unread

Options = Mapping[str, Any]
POST_SAVE = models.signals.post_save


@dataclass(slots=True)
class There:
    """The rows that are there already, of those that are to be inserted: their keys, and what some columns hold."""

    unique: Sequence[Unique]
    columns: Sequence[str]
    rows: Mapping[Any, tuple[Any, ...]]
    _by_values: dict[Any, Any] | None = None

    def row_of(self, instance: models.Model) -> Any:
        """Return the key of the row that the object collides with; None where there is none."""
        if self._by_values is None:
            self._by_values = self._made()
        for number, unique in enumerate(self.unique):
            values = values_of(unique, instance)
            if values is not None and (number, values) in self._by_values:
                return self._by_values[number, values]
        return None

    def _made(self) -> dict[Any, Any]:
        made = {}
        for key, values in self.rows.items():
            row = dict(zip(self.columns, values, strict=True))
            for number, unique in enumerate(self.unique):
                if (known := values_of(unique, row)) is not None:
                    made[number, known] = key
        return made


def create(rows: models.QuerySet[Any], own: Own, objects: Iterable[Any], options: Options) -> Any:
    """Insert the objects by ``own``, and tell the rules of each that was inserted or updated. Returns what that does.

    Raises what ``own`` raises, ``Rejected`` where a rule does not allow it for one of them, and ``ChangeUndone``.
    """
    hearing = hearing_of(rows)
    is_updating = bool(options.get("update_conflicts"))
    rules = [] if hearing is None else hearing.rules(*(("create", "update") if is_updating else ("create",)))
    if hearing is None or not rules:
        return _carried_out(own, objects, options, hearing)
    objects = list(objects)
    if hearing.using != hearing.table.alias:
        made = _carried_out(own, objects, options, hearing)
        _tell_elsewhere(hearing, rules)
        return made
    with telling.as_one(hearing, rules):
        if options.get("ignore_conflicts"):
            return _passing_conflicts(hearing, rows, own, objects, options)
        if is_updating:
            return _updating_conflicts(hearing, own, objects, options)
        return _inserting(hearing, own, objects, options)


def _carried_out(own: Own, objects: Iterable[Any], options: Options, hearing: Hearing | None = None) -> Any:
    with told_already(hearing.table.number if hearing is not None else None):
        return own(objects, **options)


def _tell_elsewhere(hearing: Hearing, rules: Sequence[CompiledRule]) -> None:
    error = receiver.stored_elsewhere(hearing.watch.model, hearing.using, hearing.table.alias)
    heard = [(name, [rule for rule in rules if name in rule.signals]) for name in hearing.signals]
    telling.tell_unread(hearing, [pair for pair in heard if pair[1]], "create", error)


def _inserting(hearing: Hearing, own: Own, objects: Sequence[Any], options: Options) -> Any:
    now = timezone.now()
    telling.tell(hearing, _before(hearing, objects, None, None, now), hearing.heard("pre_save", "create"), "create")
    if not _keys_come_back(hearing, objects):
        return _inserting_by_counted_keys(hearing, own, objects, options)
    made = _carried_out(own, objects, options, hearing)
    telling.tell(hearing, _after(hearing, objects, now), hearing.heard("post_save", "create"), "create")
    return made


def _keys_come_back(hearing: Hearing, objects: Sequence[Any]) -> bool:
    returns = connections[hearing.using].features.can_return_rows_from_bulk_insert
    return returns or all(one.pk is not None for one in objects)


def _inserting_by_counted_keys(hearing: Hearing, own: Own, objects: Sequence[Any], options: Options) -> Any:
    """Insert where the database does not say which keys it gave, one statement at a time: each says the first."""
    now, size = timezone.now(), options.get("batch_size") or max(1, len(objects))
    model, keys = hearing.watch.model, list[Any]()
    for part in telling.in_parts(objects, size):
        without = [one for one in part if one.pk is None]
        _carried_out(own, part, options, hearing)
        keys += [one.pk for one in part if one.pk is not None]
        keys += database_of(hearing.using).keys_of_last_insert(len(without), hearing.using) if without else ()
    told = _of_keys(hearing, keys, {}, None, model, now)
    telling.tell(hearing, told, hearing.heard("post_save", "create"), "create")
    return objects


def _passing_conflicts(
    hearing: Hearing, rows: models.QuerySet[Any], own: Own, objects: Sequence[Any], options: Options
) -> Any:
    now, model, using = timezone.now(), hearing.watch.model, hearing.using
    returns = connections[using].features.can_return_rows_from_bulk_insert
    known: Mapping[Any, Any] = {}
    if "pre_save" in hearing.watch.plans or not returns:
        there = ask_locking(using, _there, hearing, objects, unique_of(model))
        if isinstance(there, Unread):
            return _unfollowed(hearing, own, objects, options, there.error)
        known = there.rows
        new = [one for one in objects if there.row_of(one) is None]
        telling.tell(hearing, _before(hearing, new, None, None, now), hearing.heard("pre_save", "create"), "create")
    heard = hearing.heard("post_save", "create")
    if returns:
        with _saying_what_it_inserts(rows, using) as inserted:
            made = _carried_out(own, objects, options, hearing)
        keys: Sequence[Any] = inserted
    else:
        made = _carried_out(own, objects, options, hearing)
        after = ask_locking(using, _there, hearing, objects, unique_of(model))
        if isinstance(after, Unread):
            telling.tell_unread(hearing, heard, "create", after.error)
            return made
        keys = [key for key in after.rows if key not in known]
    telling.tell(hearing, _of_keys(hearing, keys, {}, None, model, now), heard, "create")
    return made


def _unfollowed(hearing: Hearing, own: Own, objects: Sequence[Any], options: Options, error: Exception) -> Any:
    """Insert where it cannot be said which rows are there already: an error of the rules, and not of the caller."""
    operation: Operation = "update" if options.get("update_conflicts") else "create"
    telling.tell_unread(hearing, hearing.heard("pre_save", "create", operation), operation, error)
    made = _carried_out(own, objects, options, hearing)
    telling.tell_unread(hearing, hearing.heard("post_save", "create", operation), operation, error)
    return made


@contextmanager
def _saying_what_it_inserts(rows: models.QuerySet[Any], using: str) -> Iterator[list[Any]]:
    """Have the queryset's INSERT return the keys of the rows that it inserts, which Django does not ask for."""
    inserted: list[Any] = []

    def insert(objects: Sequence[Any], fields: Sequence[Any], **others: Any) -> list[Any]:
        inserted.extend(insert_passing_conflicts(rows.model, objects, fields, using))
        return []

    rows._insert = insert  # type: ignore[attr-defined]
    try:
        yield inserted
    finally:
        del rows._insert  # type: ignore[attr-defined]


def _updating_conflicts(hearing: Hearing, own: Own, objects: Sequence[Any], options: Options) -> Any:
    now, model = timezone.now(), hearing.watch.model
    sets = unique_of(model, options.get("unique_fields"))
    there = ask_locking(hearing.using, _there, hearing, objects, sets)
    if isinstance(there, Unread):
        return _unfollowed(hearing, own, objects, options, there.error)
    names = (model._meta.get_field(name).name for name in options.get("update_fields") or ())
    written = with_generated(model, frozenset(names))
    before = _before(hearing, objects, there, written, now)
    telling.tell(hearing, before, hearing.heard("pre_save", "create", "update"), "update")
    have_keys = any(one.pk is not None for one in objects)
    made = _carried_out(own, objects, options, hearing)
    heard = hearing.heard("post_save", "create", "update")
    keys: Any = [one.pk for one in objects]
    if have_keys or not _keys_come_back(hearing, objects):
        keys = ask_locking(hearing.using, _stored_keys, hearing, objects, sets)
    if isinstance(keys, Unread):
        telling.tell_unread(hearing, heard, "update", keys.error)
        return made
    telling.tell(hearing, _of_keys(hearing, keys, there.rows, written, model, now, there.columns), heard, "update")
    return made


def _stored_keys(hearing: Hearing, objects: Sequence[Any], sets: Sequence[Unique]) -> list[Any]:
    """Return the keys of the objects' rows: one that was there has kept its own, whatever its object was made with."""
    after = _there(hearing, objects, sets)
    if not _keys_come_back(hearing, objects):
        return list(after.rows)
    found = ((one, after.row_of(one)) for one in objects)
    # The database may hold other texts to be the same than Python does, such as those in capitals.
    return [*(one.pk if key is None else key for one, key in found), *after.rows]


def _there(hearing: Hearing, objects: Sequence[Any], sets: Sequence[Unique]) -> There:
    names = {field.attname: None for unique in sets for field in unique}
    columns = tuple({**dict.fromkeys(hearing.watch.old), **names})
    return There(sets, columns, stored_rows(hearing.watch.model, objects, sets, columns, hearing.using))


def _before(
    hearing: Hearing, objects: Sequence[Any], there: There | None, written: frozenset[str] | None, now: datetime
) -> Iterator[Reading]:
    """Yield the objects that rules on ``pre_save`` can match, which may change them yet."""
    watch = hearing.watch
    plan = watch.plans.get("pre_save") if "pre_save" in hearing.signals else None
    if plan is None:
        return
    forms = {name: safe_form(field) for name, field in watch.old.items()}
    for one in objects:
        key = None if there is None else there.row_of(one)
        old, fields = None, None
        if there is not None and key is not None:
            values = dict(zip(there.columns, there.rows[key], strict=True))
            old, fields = {name: form(values[name]) for name, form in forms.items()}, written
        if plan.can_match(plan.held(one, fields), fields):
            save = saves.Save(watch, "pre_save", one, hearing.using, now, fields, is_added=key is None)
            rules = save.possible("pre_save")
            subject = saves.subject_of(save, rules, old, created=key is None)
            subject._pk = snapshot.column_value(watch.model._meta.pk, key) if key is not None else None
            yield from saves.reading_of(save, subject, rules)


def _after(hearing: Hearing, objects: Sequence[Any], now: datetime) -> Iterator[Reading]:
    """Yield the objects that rules can match, as they were inserted."""
    watch, using = hearing.watch, hearing.using
    if "post_save" not in watch.plans:
        return
    for part in telling.in_parts(objects):
        readings = list[Reading]()
        for one in part:
            sent = {"instance": one, "created": True, "raw": False, "using": using, "update_fields": None}
            found = screens.SCREENS[POST_SAVE](watch, one, sent)
            if found is not NOBODY:
                readings += saves.after_save(watch, sent, Before("save"), now, found)
        _fetch_related(hearing, readings)
        yield from readings


def _fetch_related(hearing: Hearing, readings: Sequence[Reading]) -> None:
    """Have those whose rules read related rows read them of copies, which are fetched with those by one query."""
    model = hearing.watch.model
    asking = [(subject, rules) for subject, rules in readings if any(_reads_related(model, rule) for rule in rules)]
    if len(asking) < 2:
        return
    subjects: dict[Any, Subject] = {subject.instance.pk: subject for subject, _ in asking if subject.instance}
    rules = {id(rule): rule for _, of_subject in asking for rule in of_subject}
    copies = telling.stored(model, list(subjects), hearing.using, rules.values())
    for key, copy in copies.items():
        if (subject := subjects.get(key)) is not None:
            subject.instance, subject.is_copy = copy, True


def _reads_related(model: type[models.Model], rule: CompiledRule) -> bool:
    tree = snapshot.tree_of(rule.reads | rule.action_reads).get("instance", {})
    return bool(tree) and any_is_queried(model, tuple(tree))


def _of_keys(
    hearing: Hearing,
    keys: Iterable[Any],
    there: Mapping[Any, tuple[Any, ...]],
    written: frozenset[str] | None,
    model: type[models.Model],
    now: datetime,
    columns: Sequence[str] = (),
) -> Iterator[Reading]:
    """Yield the rows of these keys as they are stored: those that were ``there`` as updated, the others as created."""
    watch = hearing.watch
    if "post_save" not in watch.plans:
        return
    forms = [(name, safe_form(field)) for name, field in watch.old.items()]
    for part in telling.in_parts(dict.fromkeys(keys)):
        copies = telling.stored(model, part, hearing.using, watch.rules["post_save"])
        for key in part:
            if (copy := copies.get(key)) is None:
                continue
            if key not in there:
                yield from telling.reading_of_copy(watch, "post_save", copy, None, now=now, created=True)
                continue
            values = dict(zip(columns, there[key], strict=True))
            old = {name: form(values[name]) for name, form in forms} if forms else None
            yield from telling.reading_of_copy(watch, "post_save", copy, old, now=now, written=written)

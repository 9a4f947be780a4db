"""Captured rows as what rules are told: of a model's own rows saves and deletes, of a relation's rows its changes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db import models

from rules_engine.capture.origins.as_json import KnownActor, origin_from
from rules_engine.capture.relations import OWN, in_order, in_parts, subject_of
from rules_engine.capture.watches import ModelWatch, Reading, RelationWatch, Table
from rules_engine.context import actor, snapshot
from rules_engine.context.actor import Origin
from rules_engine.context.paths import ModelClass, find_model, readable_fields
from rules_engine.context.subject import Others, Subject
from rules_engine.databases.savepoints import confined
from rules_engine.databases.triggers import triggers_of
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.live.triggers.needs import is_served_of
from rules_engine.models import CapturedChange
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import FieldChange, Operation, Path, Unread, ask

logger = logging.getLogger("rules_engine")

#: Of fewer rows the related ones are read by the rows themselves.
MOST_READ_ALONE = 2
SIGNALS = {"create": "post_save", "update": "post_save", "delete": "post_delete"}
OF_RELATIONS: Mapping[str, Operation] = {"create": "add", "delete": "remove"}


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote a row, as the trigger was told."""

    origin: Origin
    #: The number of the rule set that the writer knew; None for one that said nothing.
    rule_set: int | None = None
    is_paused: bool = False
    #: What the connection said besides (``surroundings``).
    surroundings: str = ""


class Writers:
    """Those of some rows, each of them once: what one of them causes is counted together."""

    def __init__(self) -> None:
        self._known: dict[str, Writer] = {}

    def of(self, row: CapturedChange) -> Writer:
        """Return who wrote the row."""
        if row.origin not in self._known:
            self._known[row.origin] = _writer(row.origin)
        return self._known[row.origin]


def _writer(text: str) -> Writer:
    told = json.loads(text) if text else {}
    if "cause" in told:
        surroundings = str(told.get("surroundings", ""))
        return Writer(origin_from(told), told.get("rule_set"), bool(told.get("is_paused")), surroundings)
    name = told.get("database_user")
    return Writer(Origin(user=KnownActor("", str(name))) if name else actor.NOWHERE)


def readings(rows: Sequence[CapturedChange], table: Table, writers: Writers) -> list[Reading]:
    """Return what these rows tell rules, in their order. Raises what reading raises."""
    found = list(_readings(rows, table, writers))
    for model in dict.fromkeys(type(subject.instance) for subject, _ in found if subject.instance is not None):
        of_model = [(subject, rules) for subject, rules in found if type(subject.instance) is model]
        fetched = ask(_fetch_related, model, of_model, table.alias)
        if isinstance(fetched, Unread):  # then each is read by itself, and what fails there is told by its rules
            logger.error("Related rows of %s are read one by one.", model._meta.label, exc_info=fetched.error)
    return found


def _fetch_related(model: ModelClass, found: Sequence[Reading], using: str) -> None:
    """Fetch the objects beside these that rules read, by one query for each relation, however many rows there are."""
    reads = {
        path for rule in {id(rule): rule for _, rules in found for rule in rules}.values() for path in _paths(rule)
    }
    related = list(snapshot.to_one(model, snapshot.tree_of(frozenset(reads)).get("instance", {})))
    subjects = [subject for subject, _ in found if subject.signal != "m2m_changed"]
    if not related or len(subjects) < MOST_READ_ALONE:
        return
    with confined(using):
        instances = [subject.instance for subject in subjects if subject.instance is not None]
        models.prefetch_related_objects(instances, *related)
    for subject in subjects:
        subject.is_copy = True


def _paths(rule: CompiledRule) -> Iterator[Path]:
    yield from rule.reads
    yield from rule.action_reads


def _readings(rows: Sequence[CapturedChange], table: Table, writers: Writers) -> Iterator[Reading]:
    told = [row for row in rows if not writers.of(row).is_paused]
    values, left = _Values(told, table.alias), Left(table)
    for label, of_table in groupby(told, key=lambda row: row.model):
        model = find_model(label)
        if model is None:
            continue
        if (watch := table.told_by_triggers.models.get(model)) is not None:
            for row in of_table:
                yield from _of_object(row, watch, values, left, table.alias, writers.of(row))
        elif model in table.told_by_triggers.relations:
            yield from _of_relation(model, list(of_table), values, left, table, writers)


class _Values:
    """The values that triggers have written, read as Django reads them from the tables: one statement for many."""

    def __init__(self, rows: Sequence[CapturedChange], using: str) -> None:
        self._known: dict[tuple[Any, bool], dict[str, Any]] = {}
        for is_new in (False, True):
            for (label, names), of_kind in _by_columns(rows, is_new).items():
                model = find_model(label)
                triggers = triggers_of(using)
                if model is None or triggers is None:
                    continue
                columns = {str(field.column): field for field in model._meta.local_concrete_fields}
                fields = [columns[name] for name in names if name in columns]
                if not fields:
                    continue
                texts = [row.new if is_new else row.old for row in of_kind]
                for row, values in zip(of_kind, triggers.values(model, fields, texts, using), strict=True):
                    named = zip((field.attname for field in fields), values, strict=True)
                    self._known[row.pk, is_new] = dict(named)

    def of(self, row: CapturedChange, *, is_new: bool) -> dict[str, Any]:
        """Return the row's values before or after the change, by the attributes' names; empty where there are none."""
        return self._known.get((row.pk, is_new), {})


def _by_columns(
    rows: Iterable[CapturedChange], is_new: bool
) -> dict[tuple[str, tuple[str, ...]], list[CapturedChange]]:
    by_columns: dict[tuple[str, tuple[str, ...]], list[CapturedChange]] = {}
    for row in rows:
        if text := row.new if is_new else row.old:
            by_columns.setdefault((row.model, tuple(json.loads(text))), []).append(row)
    return by_columns


def _of_object(
    row: CapturedChange, watch: ModelWatch, values: _Values, left: Left, using: str, writer: Writer
) -> Iterator[Reading]:
    signal = SIGNALS[row.operation]
    plan = watch.plans.get(signal)
    if plan is None:
        return
    is_delete, is_new = row.operation == "delete", row.operation == "create"
    before = values.of(row, is_new=False)
    instance = _instance(watch.model, before if is_delete else values.of(row, is_new=True), using)
    old: Mapping[str, Any] | None = None
    if is_delete:
        old = snapshot.values_on(instance, readable_fields(watch.model))
    elif not is_new and watch.old:
        old = snapshot.values_on(_instance(watch.model, before, using), watch.old.values())
    changes: dict[str, FieldChange] = {}
    if not is_delete:
        fields = watch.old.values()
        changes = {change.field: change for change in snapshot.diff(fields, old, snapshot.values_on(instance, fields))}
    operation: Operation = row.operation  # type: ignore[assignment]
    rules = left.of(plan.matching(plan.held(instance), changes, operation), row, signal, writer)
    if rules:
        yield (
            Subject(
                signal,
                operation,
                instance,
                old,
                changes=changes,
                knows_changes=is_delete or (bool(watch.old) and (is_new or old is not None)),
                created=None if is_delete else is_new,
                occurred_at=row.captured_at,
                heard=plan.told,
                origin=writer.origin,
            ),
            rules,
        )


def _instance(model: ModelClass, values: Mapping[str, Any], using: str) -> models.Model:
    names = [field.attname for field in model._meta.concrete_fields if field.attname in values]
    return model.from_db(using, names, [values[name] for name in names])


class Left:
    """Which rules whoever wrote a row has left to its trigger, found out once for all rows of a writer."""

    def __init__(self, table: Table) -> None:
        self._captures = table.told_by_triggers.captures
        self._known: dict[tuple[str, str, str, bool], bool] = {}

    def of(
        self, rules: Sequence[CompiledRule], row: CapturedChange, signal: str, writer: Writer
    ) -> Sequence[CompiledRule]:
        """Return those of the rules."""
        coverage = self._captures[row.model]
        left = coverage.of_writer(writer.rule_set, row.captured_at)
        is_now = left is coverage.now
        served = []
        for rule in rules:
            key = row.model, rule.slug, signal, is_now
            if key not in self._known:
                table, model = find_model(row.model), find_model(rule.model)
                self._known[key] = (
                    table is not None and model is not None and is_served_of(table, model, rule, signal, left)
                )
            if self._known[key]:
                served.append(rule)
        return served


def _of_relation(
    through: ModelClass, rows: Sequence[CapturedChange], values: _Values, left: Left, table: Table, writers: Writers
) -> Iterator[Reading]:
    """Yield what rows of a relation tell: of each object at once what one statement added to it, or removed."""
    for _, of_statement in groupby(rows, key=lambda row: (row.operation, row.origin, row.captured_at)):
        together = list(of_statement)
        first, writer = together[0], writers.of(together[0])
        ends = [values.of(row, is_new=row.operation == "create") for row in together]
        for watch in table.told_by_triggers.relations[through]:
            rules = left.of(watch.rules, first, "m2m_changed", writer)
            for subject in _at_watched_end(watch, through, ends, first, table.alias) if rules else ():
                subject.origin = writer.origin
                yield subject, rules


def _at_watched_end(
    watch: RelationWatch, through: ModelClass, ends: Iterable[Mapping[str, Any]], row: CapturedChange, using: str
) -> Iterator[Subject]:
    names = [watch.field.m2m_field_name(), watch.field.m2m_reverse_field_name()]
    own: Any
    other: Any
    own, other = (through._meta.get_field(name) for name in (reversed(names) if watch.is_target else names))
    pairs: dict[Any, list[Any]] = {}
    for end in ends:
        pairs.setdefault(end.get(own.attname), []).append(end.get(other.attname))
    other_model = watch.field.model if watch.is_target else watch.field.related_model
    for instance in _by_values(watch.model, own.target_field, list(pairs), using):
        keys = pairs[getattr(instance, own.target_field.attname)]
        if not other.target_field.primary_key:
            keys = [found.pk for found in _by_values(other_model, other.target_field, keys, using)]
        operation = OF_RELATIONS[row.operation]
        yield subject_of(watch, instance, operation, Others(other_model, in_order(keys)), row.captured_at, side=OWN)


def _by_values(model: ModelClass, field: Any, values: Sequence[Any], using: str) -> Iterator[models.Model]:
    """Yield the objects of which the field has one of these values, as far as they are still there."""
    for part in in_parts(values):
        stored: models.QuerySet[Any] = UncachedQuerySet(model, using=using)
        with confined(using):
            yield from list(stored.filter(**{f"{field.name}__in": part}).order_by("pk"))

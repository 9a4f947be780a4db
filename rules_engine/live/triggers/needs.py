"""What rules need to be told of a table, so that its triggers can tell it; and which rules they cannot serve.

A rule is told by triggers of what its signal means in the tables: ``post_save``, ``post_delete``, and ``m2m_changed``
where Django made the relation's table. What acts in the process of the save has to stay with Django's signals, and so
does what no row tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.db import models
from django.utils.translation import gettext

from rules_engine.context.paths import ModelClass, find_model, is_denied, label_of, readable_fields, steps
from rules_engine.context.subject import old_fields
from rules_engine.databases.triggers.tables import TableCapture
from rules_engine.errors import UnknownPath
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import EVERY_FIELD, Path

#: The signals that triggers stand for.
SAVED, DELETED, RELATED = "post_save", "post_delete", "m2m_changed"
TOLD = (SAVED, DELETED, RELATED)


class NotByTriggers(Exception):
    """A rule that triggers cannot serve; it says why, as a sentence."""


def served(rule: CompiledRule, captures: Mapping[str, TableCapture | None]) -> frozenset[str]:
    """Return those of the rule's signals of which triggers tell it that capture this, by the labels of their tables'
    models: nobody else is to."""
    model = find_model(rule.model) if rule.model and captures else None
    if model is None:
        return frozenset()
    return frozenset(name for name in rule.signals if name in TOLD and _is_served(model, rule, name, captures))


def _is_served(model: ModelClass, rule: CompiledRule, signal: str, captures: Mapping[str, TableCapture | None]) -> bool:
    tables = list(tables_of(model, rule, signal))
    return bool(tables) and all(
        is_served_of(table, model, rule, signal, captures.get(label_of(table))) for table in tables
    )


def is_served_of(
    table: ModelClass, model: ModelClass, rule: CompiledRule, signal: str, capture: TableCapture | None
) -> bool:
    """Say whether what triggers capture of a table is all that the rule needs of it for one of its signals."""
    if capture is None:
        return False
    try:
        return capture.covers(need(model, rule, signal, table))
    except NotByTriggers:
        return False


def tables_of(model: ModelClass, rule: CompiledRule, signal: str) -> Iterator[ModelClass]:
    """Yield the models whose tables tell of the signal: the model's own, or those of its relations' rows."""
    if signal != RELATED:
        yield model
        return
    wanted = {change.field for change in rule.changes}
    for name, through in relations_of(model):
        if wanted <= {name}:
            yield through


def relations_of(model: ModelClass) -> Iterator[tuple[str, ModelClass]]:
    """Yield the many-to-many relations of a model by their names there, each with the model of its rows."""
    for field in model._meta.many_to_many:
        if field.name in steps(model) and field.remote_field.through is not None:
            yield field.name, field.remote_field.through
    for relation in model._meta.related_objects:
        name = relation.get_accessor_name()
        if name in steps(model) and isinstance(relation, models.ManyToManyRel) and relation.through is not None:
            yield str(name), relation.through


def need(model: ModelClass, rule: CompiledRule, signal: str, table: ModelClass) -> TableCapture:
    """Return what the rule needs of a table for one of its signals. Raises ``NotByTriggers``."""
    refuse(model, rule, signal, table)
    if signal == RELATED:
        return whole_table(table, ("create", "delete"))
    if signal == DELETED:
        return _need_of_deletes(model, rule)
    return _need_of_saves(model, rule)


def _need_of_deletes(model: ModelClass, rule: CompiledRule) -> TableCapture:
    read, _ = _columns(model, rule)
    own = [field.attname for field in model._meta.local_concrete_fields]
    if not read <= {*own}:
        raise NotByTriggers(gettext("It reads columns of another table: its model inherits them."))
    return _capture(model, gone=[name for name in own if name in read | {*_all(model)}], deletes=True)


def _columns(model: ModelClass, rule: CompiledRule) -> tuple[set[str], set[str]]:
    """Return the columns, by their attributes' names, that a rule reads of an object, and which as they were."""
    paths = set(_paths(rule))
    try:
        old = {*old_fields(model, paths)}
        return {*_read(model, paths), *old}, old
    except UnknownPath:
        raise NotByTriggers(gettext("It reads what its model has not.")) from None


def refuse(model: ModelClass, rule: CompiledRule, signal: str, table: ModelClass) -> None:
    """Raise ``NotByTriggers`` for a rule that has to hear the signal itself."""
    if not rule.slug:
        raise NotByTriggers(gettext("A recording takes down what signals tell."))
    if rule.fault:
        raise NotByTriggers(gettext("It cannot be tried."))
    if any(action.timing != "after_commit" for action in rule.actions):
        raise NotByTriggers(gettext("It acts before the change is committed, in the process that makes it."))
    if rule.hold is not None and rule.hold.coalesce == 0:
        raise NotByTriggers(gettext("It takes together what happens in one transaction."))
    if is_denied(model) or table._meta.proxy or model._meta.proxy:
        raise NotByTriggers(gettext("Its model is a proxy, and rows do not say by which model they were saved."))
    if signal == RELATED and not table._meta.auto_created:
        raise NotByTriggers(gettext("The rows of that relation are a model of their own."))


def _need_of_saves(model: ModelClass, rule: CompiledRule) -> TableCapture:
    creates = not rule.operations or "create" in rule.operations
    updates = not rule.operations or "update" in rule.operations
    own = {field.attname: field for field in model._meta.local_concrete_fields}
    new, old = _columns(model, rule)
    try:
        changing = {steps(model)[change.field].field.attname for change in rule.changes}
    except (KeyError, AttributeError):
        raise NotByTriggers(gettext("It reads what its model has not.")) from None
    if not changing <= own.keys():
        raise NotByTriggers(gettext("What it asks to have changed is no column of the model's own table."))
    if not new <= own.keys() or (updates and not changing and model._meta.parents):
        raise NotByTriggers(gettext("It reads columns of another table: its model inherits them."))
    old, new = old | changing, new | changing
    return _capture(
        model,
        new=[name for name in own if name in new],
        old=[name for name in own if name in old] if updates else (),
        inserts=creates,
        updates=[tuple(sorted(str(own[name].column) for name in changing))] if updates else (),
    )


def _paths(rule: CompiledRule) -> Iterator[Path]:
    yield from rule.reads
    yield from rule.action_reads
    yield from rule.match_reads
    for action in rule.actions:
        yield from action.reads or ()
        yield from action.each.reads if action.each else ()


def _read(model: ModelClass, paths: Iterable[Path]) -> Iterator[str]:
    """Yield the columns, by their attributes' names, that have to be there to read these paths of an object."""
    yield from (
        (field.attname for field in model._meta.pk_fields)
        if hasattr(model._meta, "pk_fields")
        else (model._meta.pk.attname,)
    )
    for root, *rest in paths:
        if root != "instance":
            continue
        if not rest or rest[0] == EVERY_FIELD:
            yield from (field.attname for field in readable_fields(model))
            continue
        step = steps(model).get(rest[0])
        field = None if step is None else step.field
        if getattr(field, "column", None) is not None:
            yield field.attname  # type: ignore[union-attr]
        for column in getattr(field, "foreign_related_fields", ()) if step and step.kind != "value" else ():
            # Of a relation from elsewhere: what it points to at this model.
            if column.model in (model, *model._meta.get_parent_list()):
                yield column.attname


def _all(model: ModelClass) -> list[str]:
    """Return the columns, by their attributes' names, of which a whole row is told."""
    keys = {*_read(model, ())}
    readable = {field.attname for field in readable_fields(model)}
    own = [field.attname for field in model._meta.local_concrete_fields if field.column is not None]
    return [name for name in own if name in keys | readable]


def whole_table(model: ModelClass, operations: Iterable[str] = ("create", "update", "delete")) -> TableCapture:
    """Return the capture of all that rules may read of a table, whatever they ask for."""
    columns, wanted = _all(model), set(operations)
    return _capture(
        model,
        new=columns if wanted & {"create", "update"} else (),
        old=columns if "update" in wanted else (),
        gone=columns if "delete" in wanted else (),
        inserts="create" in wanted,
        deletes="delete" in wanted,
        updates=[()] if "update" in wanted else (),
    )


def _capture(
    model: ModelClass,
    *,
    new: Iterable[str] = (),
    old: Iterable[str] = (),
    gone: Iterable[str] = (),
    **operations: Any,
) -> TableCapture:
    columns = {field.attname: str(field.column) for field in model._meta.local_concrete_fields}
    return TableCapture(
        label=label_of(model),
        table=model._meta.db_table,
        keys=tuple(columns[name] for name in columns if name in {*_read(model, ())}),
        new=tuple(columns[name] for name in new),
        old=tuple(columns[name] for name in old),
        gone=tuple(columns[name] for name in gone),
        inserts=bool(operations.get("inserts")),
        deletes=bool(operations.get("deletes")),
        updates=tuple(operations.get("updates", ())),
    )


def together(needs: Iterable[TableCapture]) -> TableCapture:
    """Return what captures all of these, which are of one table."""
    first, *rest = needs
    for other in rest:
        first = TableCapture(
            label=first.label,
            table=first.table,
            keys=first.keys,
            new=tuple(dict.fromkeys((*first.new, *other.new))),
            old=tuple(dict.fromkeys((*first.old, *other.old))),
            gone=tuple(dict.fromkeys((*first.gone, *other.gone))),
            inserts=first.inserts or other.inserts,
            deletes=first.deletes or other.deletes,
            updates=_weakest((*first.updates, *other.updates)),
        )
    # In one order whichever rules came first, so that the same need is the same trigger.
    return replace(
        first,
        new=tuple(sorted(first.new)),
        old=tuple(sorted(first.old)),
        gone=tuple(sorted(first.gone)),
        updates=tuple(sorted(first.updates)),
    )


def _weakest(updates: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """Return those of the conditions that no other one of them makes needless."""
    ways = sorted(set(updates), key=len)
    return tuple(way for n, way in enumerate(ways) if not any(set(other) <= set(way) for other in ways[:n]))

"""A model instance as plain data: JSON-safe, bounded, without secrets. Reads only the paths it is asked for.

What a field is told by is its stored form (``context.stored_form``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

from django.core.exceptions import ObjectDoesNotExist
from django.db import models

from rules_engine import conf
from rules_engine.context import aggregates
from rules_engine.context.aggregates import Aggregate
from rules_engine.context.columns import NOTHING_SETTLED
from rules_engine.context.columns import is_unsettled as is_unsettled
from rules_engine.context.columns import missing_columns as missing_columns
from rules_engine.context.columns import values_on as values_on
from rules_engine.context.paths import ModelClass, Step, aggregate_of, readable_fields, steps
from rules_engine.context.plain_data import CUT as CUT
from rules_engine.context.plain_data import clean_text as clean_text
from rules_engine.context.plain_data import plain as plain
from rules_engine.context.plain_data import restore as restore
from rules_engine.context.plain_data import safe as safe
from rules_engine.context.plain_data import same, size_of
from rules_engine.context.related.amounts import fetched
from rules_engine.context.related.held import rows_of as rows_held
from rules_engine.context.stored_form import Field, Form, form_of
from rules_engine.context.stored_form import column_value as column_value
from rules_engine.context.stored_form import field_value as field_value
from rules_engine.context.stored_form import key_value as key_value
from rules_engine.types import EVERY_FIELD, CutRows, FieldChange, Path, Unread

#: More rows of a relation than ROWS_LIMIT, where they are read to be acted on one by one.
_most_rows: ContextVar[int] = ContextVar("rules_engine_most_rows", default=0)


class Reading(NamedTuple):
    """How many bytes the related rows of an event may still have, in a list of one, and which rows are read already."""

    bytes_left: list[int]
    known: dict[str, list[dict[str, Any]]]


#: None where nobody counts.
_of_event: ContextVar[Reading | None] = ContextVar("rules_engine_reading", default=None)

ValueOf = Callable[[models.Model, Any], Any]
#: A tree of the names to read: ``{"doctor": {"email": {}}}``.
Tree = dict[str, Any]


@contextmanager
def up_to(rows: int) -> Iterator[None]:
    """Read that many rows of a relation inside, whatever ROWS_LIMIT and EVENT_BYTES say."""
    token = _most_rows.set(rows)
    try:
        yield
    finally:
        _most_rows.reset(token)


@contextmanager
def within_event(known: dict[str, list[dict[str, Any]]]) -> Iterator[None]:
    """Read related rows inside until they come to EVENT_BYTES, but for those that are ``known``, and add them there."""
    token = _of_event.set(Reading([conf.event_bytes()], known))
    try:
        yield
    finally:
        _of_event.reset(token)


@lru_cache(maxsize=1024)
def tree_of(paths: frozenset[Path]) -> Tree:
    """Return the paths with common beginnings folded together. Who asks for the same gets the same, so alter none."""
    root: Tree = {}
    for path in paths:
        here = root
        for name in path:
            here = here.setdefault(name, {})
    return root


def row_value(instance: models.Model, field: Field) -> Any:
    """Return a field's value of an object that was just fetched: what its row brought, whatever its attribute gives."""
    return form_of(field)(instance.__dict__.get(field.attname))


def read(
    instance: models.Model, tree: Tree, value_of: ValueOf = field_value, settled: Mapping[str, Any] = NOTHING_SETTLED
) -> dict[str, Any]:
    """Return the asked-for part of an instance: ``{field: value, relation: {…}, to-many relation: [ {…}, … ]}``.

    What the rows of a to-many relation come to stands under its own name, ``items__count``. Follows relations, so it
    may query. Raises ``UnknownPath`` for a name that the model has not, or that is hidden, and whatever the site's own
    code raises.

    ``value_of`` says what the object's own fields are told by: what will be saved of it, or what its row brought.
    ``settled`` are values, by column name, that stand in for those.
    """
    model = type(instance)
    known = steps(model)
    values: dict[str, Any] = {}
    own: dict[str, models.Field[Any, Any]] = {}
    others: list[str] = []
    for name, below in tree.items():
        step = known.get(name)
        if name == EVERY_FIELD:
            own.update((field.attname, field) for field in readable_fields(model))
            own.setdefault("pk", model._meta.pk)
        elif step is None:
            others.append(name)
        elif step.kind == "value" or name in settled:
            own[name] = step.field
        else:
            values[name] = _related(instance, step, below)
    values.update(_own_values(instance, own, value_of, settled))
    if others:
        aggregated = aggregates.read(instance, [aggregate_of(model, name) for name in others])
        values.update((name, _told(aggregate_of(model, name), value)) for name, value in aggregated.items())
    return values


def _own_values(
    instance: models.Model, fields: Mapping[str, models.Field[Any, Any]], value_of: ValueOf, settled: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the values of the object's own fields. No call is made for each but what tells the value."""
    held, values = instance.__dict__, dict[str, Any]()
    for name, field in fields.items():
        if name in settled:
            value = settled[name]
            if type(value) is Unread:
                raise value.error
            values[name] = value
        elif name == "pk":
            key = key_value(instance)
            values[name] = settled.get(instance._meta.pk.attname) if key is None else key
        # As ``is_unsettled`` says. A deferred field would be a query here; capture has settled what its rules read.
        elif field.attname not in held or hasattr(type(held[field.attname]), "resolve_expression"):
            values[name] = None
        else:
            values[name] = value_of(instance, field)
    return values


def _told(aggregate: Aggregate, value: Any) -> Any:
    # The least and the greatest are values of the field; a sum may have more digits than one.
    is_of_field = aggregate.function in ("min", "max") and len(aggregate.fields) == 1
    return column_value(aggregate.fields[0], value) if is_of_field else safe(value)


def _related(instance: models.Model, step: Step, below: Tree) -> Any:
    if step.kind == "to_many":
        return _rows(instance, step, below)
    try:
        related = getattr(instance, step.name)
    except ObjectDoesNotExist:
        return None
    return None if related is None else _object(related, below)


def _object(related: models.Model, below: Tree) -> dict[str, Any]:
    return {"pk": key_value(related), **read(related, below, row_value)}


def _rows(instance: models.Model, step: Step, below: Tree) -> list[dict[str, Any]]:
    if instance.pk is None:
        return []
    reading = _of_event.get()
    if reading is None or _most_rows.get():
        return _rows_now(instance, step, below)
    asked = json.dumps([instance._meta.label, step.name, str(instance.pk), below], sort_keys=True)
    if asked not in reading.known:
        reading.known[asked] = _rows_now(instance, step, below)
    return reading.known[asked]


def _rows_now(instance: models.Model, step: Step, below: Tree) -> list[dict[str, Any]]:
    held = rows_held(instance, step.name)
    if held is None or step.model is None:
        return rows_of(getattr(instance, step.name).all(), below)
    if most := _most_rows.get():
        return _all_told(held[:most], step.model, of_rows(below))
    return _told_rows(held, step.model, of_rows(below), conf.rows_limit())


def rows_of(rows: models.QuerySet[Any], below: Tree) -> list[dict[str, Any]]:
    """Return the asked-for part of each row, of as many as may be read: ``CutRows`` where there are more, by ROWS_LIMIT
    or, of long ones, by EVENT_BYTES."""
    below = of_rows(below)
    if not rows.query.is_sliced:
        if one_to_one := list(to_one(rows.model, below)):
            rows = rows.select_related(*one_to_one)  # or each row would be a query more
        if most := _most_rows.get():
            rows = rows[:most]
        else:
            reading, most = _of_event.get(), conf.rows_limit()
            # One more, which says whether these are all.
            found = fetched(rows, most + 1, None if reading is None else reading.bytes_left)
            return _told_rows(found, rows.model, below, most)
    return _all_told(rows, rows.model, below)


def of_rows(below: Tree) -> Tree:
    """Return what is read of each row: an index (``items.0.name``) or a bare mention asks for whole rows."""
    return {key: value for key, value in below.items() if not key.isdigit()} or {EVERY_FIELD: {}}


def _all_told(rows: Iterable[models.Model], model: ModelClass, below: Tree) -> list[dict[str, Any]]:
    columns = _columns(model, below)
    return [_row(row, below, columns) for row in rows]


def keys_of(instance: models.Model, path: Path, most: int) -> tuple[ModelClass, list[Any]] | None:
    """Return the model of the rows at the end of a path, and the keys of as many; None where an object before is not
    there."""
    here: Any = instance
    for name in path[:-1]:
        try:
            here = getattr(here, steps(_model_of(here))[name].name)
        except ObjectDoesNotExist:
            return None
        if here is None:
            return None
    rows = getattr(here, steps(_model_of(here))[path[-1]].name).all()
    key = rows.model._meta.pk
    pks = rows.values_list("pk", flat=True)[:most]
    return rows.model, [pk if type(pk) is int else column_value(key, pk) for pk in pks]


def _model_of(instance: models.Model) -> ModelClass:
    return type(instance)


def _told_rows(rows: Iterable[models.Model], model: ModelClass, below: Tree, most: int) -> list[dict[str, Any]]:
    reading = _of_event.get()
    left = None if reading is None else reading.bytes_left
    told: list[dict[str, Any]] = []
    columns = _columns(model, below)
    for row in rows:
        one = _row(row, below, columns)
        if left is not None:
            left[0] -= size_of(one)
        if len(told) == most or (left is not None and left[0] < 0):
            return CutRows(told)
        told.append(one)
    return told


class Columns(NamedTuple):
    """The columns of a model that rows are told by: each its name, its attribute and its form."""

    model: ModelClass
    told: Sequence[tuple[str, str, Form]]


def _columns(model: ModelClass, below: Tree) -> Columns | None:
    """Return the columns, where rows are asked for nothing but their own; else None.

    Found once for all rows: to find it for each takes longer than to tell the values.
    """
    known, columns = steps(model), list[tuple[str, str, Form]]()
    for name in below:
        if name == EVERY_FIELD:
            columns += [(field.attname, field.attname, form_of(field)) for field in readable_fields(model)]
        elif name != "pk" and (name not in known or known[name].kind != "value"):
            return None
        elif name != "pk":
            columns.append((name, known[name].field.attname, form_of(known[name].field)))
    return Columns(model, columns)


def _row(row: models.Model, below: Tree, columns: Columns | None) -> dict[str, Any]:
    """Return the asked-for part of a row that was just fetched; null for what it was fetched without."""
    if columns is None or type(row) is not columns.model:
        return _object(row, below)
    held, told = row.__dict__, {"pk": key_value(row)}
    for name, attribute, form in columns.told:
        told[name] = form(held[attribute]) if attribute in held else None
    return told


def to_one(model: ModelClass, below: Tree) -> Iterator[str]:
    """Return the relations to one that the tree follows, as ``select_related`` has them: ``patient__user``."""
    known = steps(model)
    for name, further in below.items():
        step = known.get(name)
        if step is not None and step.kind == "to_one" and step.model is not None:
            yield step.field.name
            yield from (f"{step.field.name}__{step_below}" for step_below in to_one(step.model, further))


def diff(
    fields: Iterable[models.Field[Any, Any]], old: Mapping[str, Any] | None, new: Mapping[str, Any]
) -> Iterator[FieldChange]:
    """Yield the fields whose value differs, or may, for it could not be read. ``old`` and ``new`` map column names to
    JSON-safe values, or to ``Unread``.

    ``old`` is None for a new object: then every field that is not empty counts as changed, from null.
    """
    for field in fields:
        name = field.attname
        if name not in new:
            continue
        if old is None:
            if new[name] not in (None, ""):
                yield FieldChange(field.name, None, new[name])
        elif name in old and not same(old[name], new[name]):
            yield FieldChange(field.name, old[name], new[name])

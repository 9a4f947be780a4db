"""What happened, before it is an event, and the context that conditions and actions read of it."""

from __future__ import annotations

import copy
import json
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db import DEFAULT_DB_ALIAS, models

from rules_engine.context import actor, snapshot
from rules_engine.context.columns import column_values, told_columns
from rules_engine.context.paths import ModelClass, any_is_queried, field_of, label_of, readable_fields
from rules_engine.context.plain_data import PLAIN_TYPES
from rules_engine.context.stored_form import is_held_plainly
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.surroundings.state import functions, here
from rules_engine.types import EVERY_FIELD, CutRows, Event, FieldChange, Operation, Path, Unread, ask, new_id

logger = logging.getLogger("rules_engine")

#: The signals after which an object may still be altered, before its save or delete.
BEFORE = ("pre_save", "pre_delete")
#: Whole numbers within this are told as they are by any field.
EXACT = 2**53
#: What nobody can alter once it is read off an object.
HELD_TYPES = PLAIN_TYPES | {Decimal}
#: How an object fetches what it does not hold, since Django 6.1; None before.
FETCH_ONE: Any = getattr(models, "FETCH_ONE", None)

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]
else:  # only the stubs know that a field is generic
    Field: TypeAlias = models.Field


def old_fields(model: ModelClass, paths: Iterable[Path]) -> dict[str, Field]:
    """Return the concrete fields whose earlier value these paths read, by column name. Raises ``UnknownPath``."""
    fields: dict[str, Field] = {}
    for root, *rest in paths:
        if root not in ("old", "changes", "changed"):
            continue
        if root == "changed" or not rest or rest[0] == EVERY_FIELD:
            fields.update((field.attname, field) for field in readable_fields(model))
            continue
        read = field_of(model, rest[0])
        fields[read.attname] = read
    return fields


PARTS = ("event", "instance", "old", "changed", "changes", "created", "actor", "request", "m2m", "signal")


def _without_caches(instance: models.Model) -> models.Model:
    """Return a copy to follow relations from, without what the caller has prefetched, not saved, or forbidden to be
    fetched."""
    fresh = copy.copy(instance)
    fresh._state.fields_cache = {}
    if FETCH_ONE is not None:
        # Whoever forbids their own code to fetch, or wants their peers fetched along, does not speak of ours.
        fresh._state.fetch_mode = FETCH_ONE
    fresh.__dict__.pop("_prefetched_objects_cache", None)
    return fresh


def _key_or_mark(instance: models.Model) -> Any:
    """Return an object's key as JSON has it; what its field raises instead, for an event is told with it or without."""
    # Nearly every key is a number that the object holds, and told without a call.
    name = instance._meta.pk.attname
    key = instance.__dict__.get(name)
    if type(key) is int and -EXACT < key < EXACT and is_held_plainly(type(instance), name):
        return key
    key = ask(snapshot.key_value, instance)
    if not isinstance(key, Unread):
        return key
    logger.error("The key of an object of %s could not be read.", instance._meta.label, exc_info=key.error)
    return f"<{type(key.error).__name__}>"


def _known(values: Mapping[str, Any], tree: snapshot.Tree | None) -> dict[str, Any]:
    """Return the values without those that could not be read. Raises the error of one that the tree asks for; an empty
    tree asks for all."""
    known = {name: value for name, value in values.items() if type(value) is not Unread}
    if tree is not None and len(known) < len(values):
        for name, value in values.items():
            if name not in known and (not tree or name in tree or EVERY_FIELD in tree):
                raise value.error
    return known


@dataclass(frozen=True, slots=True)
class Others:
    """The objects at the other end of a many-to-many change."""

    model: ModelClass
    pks: Sequence[Any]
    #: Whether these are all.
    is_whole: bool = True
    #: What was read of them: many objects at this end may have the same at the other.
    _known: dict[str, list[dict[str, Any]]] = field(default_factory=dict, compare=False, repr=False)

    def read(self, tree: snapshot.Tree, using: str) -> list[dict[str, Any]]:
        """Return those that are there, in the order of their keys; read once, whoever asks for the same."""
        asked = json.dumps(tree, sort_keys=True)
        if asked not in self._known:
            stored: models.QuerySet[Any] = UncachedQuerySet(self.model, using=using)
            with confined(using), snapshot.within_event({}):
                rows = snapshot.rows_of(stored.filter(pk__in=self.pks).order_by("pk"), tree)
            self._known[asked] = rows if self.is_whole else CutRows(rows)
        return self._known[asked]


@dataclass(slots=True)
class Subject:
    """What an event is about, before it is one: read by the receiver, and by conditions and actions through it."""

    signal: str
    operation: Operation | None = None
    instance: models.Model | None = None
    old: Mapping[str, Any] | None = None
    changes: Mapping[str, FieldChange] = field(default_factory=dict)
    #: False where no rule asked what changed: then the record says null, not "nothing".
    knows_changes: bool = True
    created: bool | None = None
    m2m: Mapping[str, Any] | None = None
    others: Others | None = None
    arguments: Mapping[str, Any] | None = None
    #: When it was due and what for, of what time brought about.
    due: Mapping[str, Any] | None = None
    #: The objects, of what is about many of them at once, and the label of their model.
    rows: Sequence[Mapping[str, Any]] | None = None
    label: str = ""
    occurred_at: datetime | None = None
    #: The names of the fields that the save writes; None is all of them.
    written: frozenset[str] | None = None
    #: Values that stand in for those on the instance: read back from the database, or not part of this save.
    settled: Mapping[str, Any] = field(default_factory=dict)
    #: Whether the instance was fetched after a bulk write had changed its row: nobody saves it, and what it brought
    #: along is as it is stored.
    is_copy: bool = False
    #: What kept from reading it at all; then it is an error of every rule that is told of it.
    unread: Unread | None = None
    #: The rules of which an event tells where they stopped, also where they were not tried.
    heard: Sequence[Any] = ()
    origin: actor.Origin = field(default_factory=actor.origin)
    #: Plain values that were read off the instance, for all who ask for the same of it.
    _held: dict[str, Any] = field(default_factory=dict)
    #: The related rows that were read, likewise.
    _rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _id: uuid.UUID | None = None
    _pk: Any = None

    @property
    def id(self) -> uuid.UUID:
        """The event's id, made when it is first asked for: most subjects never become events."""
        if self._id is None:
            self._id = new_id()
        return self._id

    @property
    def model(self) -> str:
        """The label of the concrete model, empty for a signal of none."""
        if self.instance is None:
            return self.label
        return label_of(self.instance._meta.concrete_model or type(self.instance))

    @property
    def pk(self) -> Any:
        """The object's primary key as JSON has it."""
        if self._pk is None and self.instance is not None:
            key = _key_or_mark(self.instance)
            self._pk = self.settled.get(self.instance._meta.pk.attname) if key is None else key
        return self._pk

    def header(self) -> dict[str, Any]:
        """Return the context's ``event``."""
        cause = self.origin.cause
        told = str(self._id or self.id)
        return {
            "id": told,
            "signal": self.signal,
            "operation": self.operation,
            "model": self.model,
            "pk": self.pk,
            "occurred_at": self.occurred_at.isoformat() if self.occurred_at else None,
            "root_id": told if cause is None else str(cause.root_id),
            "depth": 0 if cause is None else cause.depth + 1,
        }

    def context(self, paths: Iterable[Path], *, whole: bool = False) -> dict[str, Any]:
        """Read the parts of the context that ``paths`` ask for; ``whole`` adds all the others, for the record.

        Related rows are queries. Raises ``UnknownPath``, ``DatabaseError`` with the caller's transaction as it was, and
        whatever the site's own code raises in being read.
        """
        reads = snapshot.tree_of(frozenset(paths))
        context = self._whole(reads) if whole else {name: self._part(name, reads) for name in reads if name in PARTS}
        if self.due is not None:
            context["due"] = self.due
            if self.rows is not None:
                context["rows"] = self.rows
        return context

    def read(self, paths: Iterable[Path], *, whole: bool = False) -> dict[str, Any] | Unread:
        """Read as ``context`` does; what keeps from that is returned, for it is a fault of the rules that ask alone."""
        try:
            return self.context(paths, whole=whole)
        except Exception as error:  # noqa: BLE001 - reading runs the site's own code; the rules concerned show it
            return Unread(error)

    def _whole(self, reads: snapshot.Tree) -> dict[str, Any]:
        """Read all parts: as ``_part`` does, and without a call for each, for every match passes here."""
        changes = self._changes() if self.knows_changes else None
        changed = None if changes is None else list(changes)
        if changes is not None and Unread in map(type, changes.values()):
            changed, changes = list(_known(changes, reads.get("changed"))), _known(changes, reads.get("changes"))
        old = self.old
        if old is not None:
            old = _known(old, reads.get("old")) if Unread in map(type, old.values()) else dict(old)
        is_anybody = self.origin is not actor.NOWHERE
        return {
            "event": self.header(),
            "instance": None if self.instance is None else self._instance(reads.get("instance")),
            "old": old,
            "changed": changed,
            "changes": changes,
            "created": self.created,
            "actor": self._actor(is_asked="actor" in reads) if is_anybody else None,
            "request": self.origin.told,
            "m2m": None if self.m2m is None else self._m2m(reads.get("m2m")),
            "signal": self.arguments,
        }

    def _part(self, name: str, reads: snapshot.Tree) -> Any:
        match name:
            case "event":
                return self.header()
            case "instance":
                return self._instance(reads.get("instance"))
            case "old":
                return _known(self.old, reads.get(name)) if self.old is not None else None
            case "changed":
                return list(_known(self._changes(), reads.get(name))) if self.knows_changes else None
            case "changes":
                return _known(self._changes(), reads.get(name)) if self.knows_changes else None
            case "created":
                return self.created
            case "actor":
                return self._actor(is_asked=True) if self.origin is not actor.NOWHERE else None
            case "request":
                return self.origin.told
            case "m2m":
                return self._m2m(reads.get("m2m"))
            case _:
                return self.arguments

    def _changes(self) -> dict[str, Any]:
        """Return what changed by the fields' names; of one that may have, the mark that it could not be read."""
        told: dict[str, Any] = {}
        for change in self.changes.values():
            if type(change.old) is Unread:
                told[change.field] = change.old
            elif type(change.new) is Unread:
                told[change.field] = change.new
            else:
                told[change.field] = {"old": change.old, "new": change.new}
        return told

    def _actor(self, *, is_asked: bool) -> Mapping[str, Any] | None:
        """Return who acts. A record that no rule asked for says what it came to where that cannot be read."""
        if is_asked:
            return self.origin.actor()
        told = ask(self.origin.actor)
        if not isinstance(told, Unread):
            return told
        logger.error("Who acts could not be read; an event is recorded without.", exc_info=told.error)
        return {"id": "", "username": f"<{type(told.error).__name__}>"}

    def _m2m(self, tree: snapshot.Tree | None) -> Mapping[str, Any] | None:
        if self.m2m is None or self.others is None or self.instance is None or "objects" not in (tree or {}):
            return self.m2m
        using = self.instance._state.db or DEFAULT_DB_ALIAS
        return {**self.m2m, "objects": self.others.read((tree or {})["objects"], using)}

    def _instance(self, tree: snapshot.Tree | None) -> dict[str, Any] | None:
        if self.instance is None:
            return None
        settled = {**self._held, **self.settled} if self._held else self.settled
        columns = told_columns(type(self.instance), tuple(tree or ()))
        if columns is None and tree and any_is_queried(type(self.instance), tuple(tree)):
            # Related rows are queries of ours in the caller's transaction: one that fails is undone by itself.
            with confined(self.instance._state.db or DEFAULT_DB_ALIAS), snapshot.within_event(self._rows):
                instance = self.instance if self.is_copy else _without_caches(self.instance)
                return snapshot.read(instance, tree, settled=settled)
        if columns is None:
            values = snapshot.read(self.instance, tree or {}, settled=settled)
        else:
            values = column_values(self.instance, columns, settled)
        # Before a save a rule may alter the object yet.
        if self.signal not in BEFORE:
            for name, value in values.items():
                if type(value) in HELD_TYPES:
                    self._held[name] = value
        return values

    def keys(self, path: Path, most: int) -> tuple[ModelClass, list[Any]] | None:
        """Return the model and the keys of the rows at a path from the instance, as many as asked; None where there are
        none. Raises what reading raises."""
        if self.instance is None:
            return None
        using = self.instance._state.db or DEFAULT_DB_ALIAS
        with confined(using):
            return snapshot.keys_of(_without_caches(self.instance), path, most)

    def event(self, context: Mapping[str, Any]) -> Event:
        """Return the finished event, with this context. Raises ``ValueError`` without a time."""
        if self.occurred_at is None:
            raise ValueError("An event needs the time it occurred.")
        own, cause = self._id or self.id, self.origin.cause
        return Event(
            id=own,
            signal=self.signal,
            operation=self.operation,
            model=self.model,
            pk=self.pk if self._pk is None else self._pk,
            occurred_at=self.occurred_at,
            root_id=own if cause is None else cause.root_id,
            depth=0 if cause is None else cause.depth + 1,
            context=context,
            cause_id=None if cause is None else cause.execution_id,
            surroundings=here() if functions() else "",
        )

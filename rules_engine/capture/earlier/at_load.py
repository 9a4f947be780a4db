"""Old values taken as an object is loaded: a save then reads none. For the models of ``OLD_VALUES_AT_LOAD`` alone.

What an object was loaded with is what it is compared with, and not what is stored by then: a stale copy that overwrites
what somebody else has saved meanwhile changes nothing as far as it knows. So it is for the site to ask for.

Django tells of no loading that differs from making a new object. So the models concerned get a ``from_db`` and a
``refresh_from_db`` that take the values, for as long as rules on them want any; no other model is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from django.db import models

from rules_engine.context.paths import ModelClass
from rules_engine.live.plan import UNSETTLED
from rules_engine.types import Unread, ask

#: Where they wait, on ``instance._state``, which every model instance has and no field name can collide with.
ATTRIBUTE = "rules_engine_loaded"
METHODS = ("from_db", "refresh_from_db")

Readers = Mapping[str, Callable[[models.Model], Any]]


class Loaded(NamedTuple):
    """What the row of this key held, by column name. Never altered: copies of an instance share it."""

    pk: Any
    values: Mapping[str, Any]


#: The models that are attached, with what is taken of them. Of nearly all sites there are none.
attached: dict[ModelClass, Readers] = {}
#: What they had of their own under the names of ``METHODS``.
_own: dict[ModelClass, Mapping[str, Any]] = {}


def attach(readers: Mapping[ModelClass, Readers]) -> None:
    """Take these values from now on, of objects of these very models, and of no others."""
    for model in [model for model in _own if model not in readers]:
        _detach(model)
    attached.update(readers)
    for model in readers:
        if model not in _own:
            _own[model] = {name: vars(model)[name] for name in METHODS if name in vars(model)}
            model.from_db = classmethod(_taking_as_loaded(model))  # type: ignore[assignment]
            model.refresh_from_db = _taking_as_refreshed(model)  # type: ignore[method-assign]


def _detach(model: ModelClass) -> None:
    own = _own.pop(model)
    attached.pop(model, None)
    for name in METHODS:
        if name in own:
            setattr(model, name, own[name])
        else:
            delattr(model, name)


def _taking_as_loaded(model: ModelClass) -> Callable[..., models.Model]:
    def from_db(cls: ModelClass, *args: Any, **options: Any) -> models.Model:
        own = _own.get(model, {}).get("from_db")
        load: Any = super(model, cls).from_db if own is None else own.__get__(None, cls)  # type: ignore[misc]
        instance: models.Model = load(*args, **options)
        _take(instance)
        return instance

    from_db.__doc__ = models.Model.from_db.__doc__
    return from_db


def _taking_as_refreshed(model: ModelClass) -> Callable[..., None]:
    def refresh_from_db(self: models.Model, *args: Any, **options: Any) -> None:
        own = _own.get(model, {}).get("refresh_from_db")
        refresh: Any = own.__get__(self) if own is not None else super(model, self).refresh_from_db  # type: ignore[misc]
        fields = options.get("fields", args[1] if len(args) > 1 else None)
        refresh(*args, **options)
        _take(self, fields)

    refresh_from_db.__doc__ = models.Model.refresh_from_db.__doc__
    return refresh_from_db


def _take(instance: models.Model, fields: Collection[str] | None = None) -> None:
    """Take what the instance holds, of these fields where some are named, and keep what was taken of the others.

    A value that cannot be told is not taken: then the row is read at the save, and the rules are told what is wrong.
    """
    readers = attached.get(type(instance))
    if readers is None:
        return
    state = instance._state.__dict__
    loaded: Loaded | None = state.get(ATTRIBUTE)
    values = dict(loaded.values) if loaded is not None and fields is not None else {}
    for name in readers if fields is None else _columns(instance, readers, fields):
        value = ask(readers[name], instance)
        if value is UNSETTLED or isinstance(value, Unread):
            values.pop(name, None)
        else:
            values[name] = value
    state[ATTRIBUTE] = Loaded(instance.pk, values)


def _columns(instance: models.Model, readers: Readers, fields: Collection[str]) -> Iterable[str]:
    names = {field.attname for field in instance._meta.concrete_fields if {field.name, field.attname} & set(fields)}
    return [name for name in readers if name in names]


def was_saved(instance: models.Model, update_fields: Collection[str] | None) -> None:
    """Move on to what a save has written; of a model that is not attached nothing is done."""
    _take(instance, update_fields)


def taken_of(instance: models.Model, names: Iterable[str], using: str) -> Mapping[str, Any] | None:
    """Return what the instance was loaded with, by column name; None where that is not known of each of these columns
    of the very row that is saved."""
    loaded: Loaded | None = instance._state.__dict__.get(ATTRIBUTE)
    if loaded is None or instance._state.adding or instance._state.db != using or loaded.pk != instance.pk:
        return None
    return loaded.values if all(name in loaded.values for name in names) else None

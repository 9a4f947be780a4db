"""A context that somebody wrote: whether it has the shape of one, and which objects it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.translation import gettext

from rules_engine.context.paths import ModelClass, Step, steps
from rules_engine.context.subject import PARTS
from rules_engine.errors import Problem, did_you_mean
from rules_engine.rules.schedules.kinds import OF_TIME

#: Parts that are there only in what an action reads.
_FOR_ACTIONS = ("each", "held")
BESIDES = (*_FOR_ACTIONS, *OF_TIME)


@dataclass(frozen=True, slots=True)
class Named:
    """An object that is named by the value of one of its columns."""

    model: ModelClass
    column: str
    value: Any


def context_problems(context: Mapping[str, Any], model: ModelClass | None) -> list[Problem]:
    """Say where a context about an object of the model is not shaped as the reference describes it, with pointers."""
    return list(_problems(context, model))


def _problems(context: Mapping[str, Any], model: ModelClass | None) -> Iterator[Problem]:
    for name, value in context.items():
        if name not in PARTS and name not in BESIDES:
            hint = did_you_mean(name, [*PARTS, *BESIDES])
            yield Problem(
                f"/{name}", gettext('A context has no part "%(name)s".%(hint)s') % {"name": name, "hint": hint}
            )
        elif value is not None:
            yield from _PARTS.get(name, _is_object)(f"/{name}", value, model)


def _is_object(at: str, value: Any, model: ModelClass | None) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield _expected(at, gettext("an object, {…}, or null"), value)


def _header(at: str, value: Any, model: ModelClass | None) -> Iterator[Problem]:
    yield from _is_object(at, value, model)
    for name, inner in value.items() if isinstance(value, Mapping) else ():
        if isinstance(inner, list | Mapping):
            yield _expected(f"{at}/{name}", gettext("a text, a number or null"), inner)


def _instance(at: str, value: Any, model: ModelClass | None) -> Iterator[Problem]:
    yield from _is_object(at, value, model)
    if isinstance(value, Mapping) and model is not None:
        yield from _row(at, value, model)


def _row(at: str, row: Mapping[str, Any], model: ModelClass) -> Iterator[Problem]:
    known = steps(model)
    for name, value in row.items():
        step = known.get(name)
        if value is None or step is None:
            continue
        if step.model is not None:
            yield from _related(f"{at}/{name}", value, step, step.model)
        elif name in _keys(model) and not _is_key(value, step.field):
            yield _expected(f"{at}/{name}", gettext("a key: a text, a number or null"), value)


def _related(at: str, value: Any, step: Step, model: ModelClass) -> Iterator[Problem]:
    if step.kind != "to_many":
        yield from _instance(at, value, model)
        return
    if not isinstance(value, list):
        yield _expected(at, gettext("a list of objects, [{…}, …], or null"), value)
        return
    for index, row in enumerate(value):
        yield from _instance(f"{at}/{index}", row, model)


def _changed(at: str, value: Any, model: ModelClass | None) -> Iterator[Problem]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        yield _expected(at, gettext('a list of names, ["status", …], or null'), value)


def _changes(at: str, value: Any, model: ModelClass | None) -> Iterator[Problem]:
    yield from _is_object(at, value, model)
    for name, ends in value.items() if isinstance(value, Mapping) else ():
        if not isinstance(ends, Mapping):
            yield _expected(f"{at}/{name}", gettext('an object, {"old": …, "new": …}'), ends)


def _created(at: str, value: Any, model: ModelClass | None) -> Iterator[Problem]:
    if not isinstance(value, bool):
        yield _expected(at, gettext("true, false or null"), value)


def _m2m(at: str, value: Any, model: ModelClass | None) -> Iterator[Problem]:
    yield from _is_object(at, value, model)
    if not isinstance(value, Mapping):
        return
    for name, inner in value.items():
        if name == "objects":
            yield from _ends(f"{at}/objects", inner)
        elif name == "pks":
            if inner is not None and not (isinstance(inner, list) and all(_is_plain(key) for key in inner)):
                yield _expected(f"{at}/pks", gettext("a list of keys, [1, …], or null"), inner)
        elif isinstance(inner, list | Mapping):
            yield _expected(f"{at}/{name}", gettext("a text, a number or null"), inner)


def _ends(at: str, value: Any) -> Iterator[Problem]:
    if value is not None and not (isinstance(value, list) and all(isinstance(row, Mapping) for row in value)):
        yield _expected(at, gettext("a list of objects, [{…}, …], or null"), value)


_PARTS: Mapping[str, Callable[[str, Any, ModelClass | None], Iterator[Problem]]] = {
    "event": _header,
    "actor": _header,
    "request": _header,
    "instance": _instance,
    "changed": _changed,
    "changes": _changes,
    "created": _created,
    "m2m": _m2m,
}


def _expected(at: str, shape: str, value: Any) -> Problem:
    kinds = {
        bool: gettext("true or false"),
        list: gettext("a list"),
        str: gettext("a text"),
        int: gettext("a number"),
        float: gettext("a number"),
    }
    told = gettext("an object") if isinstance(value, Mapping) else kinds.get(type(value), gettext("null"))
    return Problem(at, gettext("Expected %(shape)s, and here stands %(value)s.") % {"shape": shape, "value": told})


def _is_key(value: Any, field: Any) -> bool:
    if isinstance(field, models.CompositePrimaryKey):
        return isinstance(value, list) and all(_is_plain(part) for part in value)
    return _is_plain(value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _keys(model: ModelClass) -> dict[str, tuple[ModelClass, str]]:
    """The columns that hold keys: the model whose object each names, and by which of its columns."""
    keys = {"pk": (model, "pk")}
    for step in steps(model).values():
        column = getattr(step.field, "attname", None)
        if step.kind == "to_one" and step.model is not None and column is not None:
            keys[column] = step.model, step.field.target_field.attname
    return keys


def objects_named(context: Mapping[str, Any], model: ModelClass) -> Iterator[Named]:
    """Yield the objects that a well shaped context names by their keys."""
    yield from _named(context.get("instance"), model)
    m2m = context.get("m2m") or {}
    step = steps(model).get(str(m2m.get("field")))
    if step is not None and step.model is not None:
        for key in m2m.get("pks") or ():
            yield Named(step.model, "pk", key)
        for row in m2m.get("objects") or ():
            yield from _named(row, step.model)


def _named(row: Any, model: ModelClass) -> Iterator[Named]:
    if not isinstance(row, Mapping):
        return
    keys, known = _keys(model), steps(model)
    for name, value in row.items():
        step = known.get(name)
        if name in keys and value is not None:
            yield Named(*keys[name], tuple(value) if isinstance(value, list) else value)
        elif step is not None and step.model is not None:
            for related in value if isinstance(value, list) else [value]:
                yield from _named(related, step.model)

"""What rules may read of a model, and the names by which they read it.

A path below ``instance`` walks a model's own fields and relations: ``("doctor", "email")``. A relation's key is its
column name (``doctor_id``); the relation itself (``doctor``) is an object, or a list of objects for a to-many one.
What the rows of a to-many relation come to is a value as well: ``("items__count",)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed
from django.db import models
from django.db.models.fields.reverse_related import ForeignObjectRel
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.context import aggregates
from rules_engine.context.aggregates import Aggregate
from rules_engine.context.stored_form import form_of, holds_json, is_told_plainly, reader_of
from rules_engine.errors import UnknownPath, did_you_mean
from rules_engine.hidden.fields import is_hidden
from rules_engine.hidden.secret_names import is_secret
from rules_engine.setting_values import SETTING
from rules_engine.types import EVERY_FIELD, Path, Unread, ask

ModelClass = type[models.Model]
Kind = Literal["value", "to_one", "to_many", "every"]

#: On the user model, what decides a person's power is not ordinary data.
USER_FLAGS = frozenset({"is_superuser", "is_staff", "groups", "user_permissions"})
#: Models that no rule may read or listen to, besides the engine's own.
DENIED_MODELS = frozenset(
    {
        "auth.permission",
        "auth.group",
        "sessions.session",
        "contenttypes.contenttype",
        "admin.logentry",
        "authtoken.token",
        "authtoken.tokenproxy",
    }
)
DENIED_APPS = frozenset({"rules_engine", "webhooks"})


@dataclass(frozen=True, slots=True)
class Step:
    """One resolved name on a path: what kind of thing it is, the field behind it, and where a relation leads.

    A value that is worked out from related rows has an ``aggregate`` in place of a field.
    """

    name: str
    kind: Kind
    field: Any = None
    model: ModelClass | None = None
    aggregate: Aggregate | None = None


def find_model(label: str) -> ModelClass | None:
    """Return the model of a label such as ``"clinic.doctor"``, or None."""
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


@lru_cache(maxsize=1024)
def label_of(model: ModelClass) -> str:
    """Return the label that rules use for a model: ``"clinic.doctor"``."""
    return model._meta.label_lower


def is_denied(model: ModelClass) -> bool:
    """Say whether rules may never read or listen to the model."""
    return model._meta.app_label in DENIED_APPS or model._meta.label_lower in DENIED_MODELS


def is_sensitive(model: ModelClass, name: str) -> bool:
    """Say whether a field of that name is kept out of every context."""
    if is_secret(name):
        return not _is_excepted(model, name)
    # No exception of the site's makes a password an ordinary field.
    always = (*USER_FLAGS, "password")
    return name in always and model._meta.swapped is None and is_user_model(model)


def _is_excepted(model: ModelClass, name: str) -> bool:
    """Say whether the site excepts the field by its model: ``"shop.voucher.token"``."""
    exceptions = {exception.lower() for exception in conf.sensitive_exceptions() if "." in exception}
    if not exceptions or (name == "password" and is_user_model(model)):
        return False
    lineage = (model, *model._meta.get_parent_list())
    return any(f"{label_of(ancestor)}.{name.lower()}" in exceptions for ancestor in lineage)


def is_user_model(model: ModelClass) -> bool:
    """Say whether its rows are people who can log in: rules may never write those."""
    user_label = settings.AUTH_USER_MODEL.lower()
    lineage = (model, *model._meta.get_parent_list())
    return any(label_of(ancestor) == user_label for ancestor in lineage) or "user_permissions" in _field_names(model)


def _field_names(model: ModelClass) -> set[str]:
    return {field.name for field in model._meta.get_fields()}


@lru_cache(maxsize=1024)
def steps(model: ModelClass) -> dict[str, Step]:
    """Return every name that a path may take at a model, by name."""
    by_name = {"pk": Step("pk", "value", model._meta.pk)}
    for field in model._meta.get_fields():
        for step in _steps_of(model, field):
            # Python names fields that it could not write itself: "+" is one that Django hides.
            if step.name.isidentifier() and not is_sensitive(model, step.name):
                by_name[step.name] = step
    return by_name


def _steps_of(model: ModelClass, field: Any) -> list[Step]:
    related = field.related_model if field.is_relation else None
    if isinstance(related, type) and is_denied(related):
        related = None
    if isinstance(field, ForeignObjectRel):
        return _reverse_steps(model, field, related)
    if field.is_relation and (field.many_to_many or field.one_to_many):
        return [Step(field.name, "to_many", field, related)] if related else []
    if field.is_relation:
        key = [Step(field.attname, "value", field)] if getattr(field, "attname", field.name) != field.name else []
        return [*key, Step(field.name, "to_one", field, related)] if related else key
    return [Step(field.name, "value", field)] if getattr(field, "concrete", False) else []


def _reverse_steps(model: ModelClass, field: ForeignObjectRel, related: ModelClass | None) -> list[Step]:
    name = field.get_accessor_name()
    if related is None or name is None or related._meta.auto_created or not _leads_along(model, name, field):
        return []
    return [Step(name, "to_one" if field.one_to_one else "to_many", field, related)]


def _leads_along(model: ModelClass, name: str, relation: ForeignObjectRel) -> bool:
    """Say whether the attribute of that name follows the relation.

    Where others inherit a model with a generic relation, it follows an heir's copy, and nothing can be read by it.
    """
    accessor = inspect.getattr_static(model, name, None)
    followed = getattr(accessor, "rel", getattr(accessor, "related", relation))
    return accessor is not None and bool(followed == relation)


@lru_cache(maxsize=1024)
def readable_fields(model: ModelClass) -> tuple[models.Field[Any, Any], ...]:
    """Return the concrete fields that ``("instance", "*")`` stands for: all but sensitive and binary ones."""
    return tuple(
        field
        for field in model._meta.concrete_fields
        if not is_sensitive(model, field.name) and not isinstance(field, models.BinaryField)
    )


def field_of(model: ModelClass, name: str) -> models.Field[Any, Any]:
    """Return the concrete field of a name, a column name or ``pk``. Raises ``UnknownPath`` with a suggestion."""
    step = steps(model).get(name)
    if step is None or not getattr(step.field, "concrete", False) or step.kind == "to_many":
        raise UnknownPath(unknown_name(model, name))
    field: models.Field[Any, Any] = step.field
    return field


@lru_cache(maxsize=1024)
def aggregate_of(model: ModelClass, name: str) -> Aggregate:
    """Return the aggregate of that name at a model. Raises ``UnknownPath``, with a suggestion, for all other names."""
    relation = name.partition(aggregates.BETWEEN)[0]
    related = _many(model, relation)
    if related is None or relation == name:
        raise UnknownPath(_no_aggregate(model, relation, name))
    fields = tuple(field_of(related, field) for field in aggregates.field_names(name))
    if secret := [field.name for field in fields if is_hidden(field)]:
        raise UnknownPath(unknown_name(related, secret[0]))
    return aggregates.check(Aggregate(name, relation, related, fields, name.rpartition(aggregates.BETWEEN)[2]))


def _many(model: ModelClass, relation: str) -> ModelClass | None:
    """Say where a to-many relation leads; None where that is the name of none."""
    step = steps(model).get(relation)
    return step.model if step is not None and step.kind == "to_many" else None


def aggregates_in(model: ModelClass, names: Iterable[str]) -> list[Aggregate]:
    """Return those of the names that are aggregates of the model."""
    known = steps(model)
    wanted = (name for name in names if name not in known and aggregates.is_aggregate(name))
    return [found for name in wanted if not isinstance(found := ask(aggregate_of, model, name), Unread)]


def _no_aggregate(model: ModelClass, relation: str, name: str) -> str:
    step = steps(model).get(relation)
    if not aggregates.is_aggregate(name) or step is None:
        return unknown_name(model, relation if aggregates.is_aggregate(name) else name)
    rest = name.partition(aggregates.BETWEEN)[2]
    is_one_further = step.kind == "to_one" and aggregates.is_aggregate(rest)
    remedy = gettext('; write "%(path)s"') % {"path": f"{relation}.{rest}"} if is_one_further else ""
    message = gettext('"%(relation)s" of %(model)s is no relation to many rows, as "%(name)s" needs one%(remedy)s.')
    title = model._meta.verbose_name
    return message % {"relation": relation, "model": title, "name": name, "remedy": remedy}


@lru_cache(maxsize=1024)
def any_is_queried(model: ModelClass, names: tuple[str, ...]) -> bool:
    """Say whether reading one of these names at a model takes a query: related rows, and what they come to."""
    known = steps(model)
    return any(known[name].kind != "value" if name in known else aggregates.BETWEEN in name for name in names)


def resolve(model: ModelClass, path: Path) -> Step:
    """Return the last step of a path below ``instance``.

    A path may stop at a to-many relation (its rows are then plain objects of all their readable fields), or go on
    through it by name for the rows' own fields. Raises ``UnknownPath`` naming the step and the nearest known name.
    """
    here: ModelClass | None = model
    step = Step("", "every")
    rows = ""
    for name in path:
        if here is None:
            if step.field is not None and holds_json(step.field):
                return _inside_json(step, path)
            message = gettext('"%(value)s" is a plain value and has no "%(name)s".')
            raise UnknownPath(message % {"value": step.name, "name": name})
        if name == EVERY_FIELD:
            return Step(EVERY_FIELD, "every", model=here)
        if name.isdigit() and step.kind == "to_many":
            continue
        step = steps(here).get(name) or _aggregate_step(here, name, rows)
        rows = name if step.kind == "to_many" else rows
        here = step.model
    return step


def _inside_json(step: Step, path: Path) -> Step:
    """Return the step of a JSON field for a path into it. Raises ``UnknownPath`` for keys that are never told."""
    keys = path[path.index(step.name) + 1 :]
    if hidden := [key for key in keys if is_secret(key)]:
        message = gettext('Rules may not read "%(name)s" of %(model)s.')
        raise UnknownPath(message % {"name": hidden[0], "model": step.name})
    return step


def _aggregate_step(model: ModelClass, name: str, rows: str) -> Step:
    aggregate = aggregate_of(model, name)
    if rows:
        message = gettext(
            '"%(name)s" stands behind "%(rows)s" and would be a query for each of its rows; aggregates are read of one '
            "object, at the beginning of a path or after relations to one object."
        )
        raise UnknownPath(message % {"name": name, "rows": rows})
    return Step(name, "value", aggregate=aggregate)


def unknown_name(model: ModelClass, name: str) -> str:
    """Return the sentence that says a model has no readable field of that name."""
    title = str(model._meta.verbose_name)
    if name in _field_names(model) or name == "pk":
        return gettext('Rules may not read "%(name)s" of %(model)s.') % {"name": name, "model": title}
    if aggregates.is_aggregate(name) and _many(model, name.partition(aggregates.BETWEEN)[0]):
        message = gettext(
            '"%(name)s" is worked out from rows and is no field of %(model)s: read it of one object, as it is now.'
        )
        return message % {"name": name, "model": title}
    message = gettext('%(model)s has no field "%(name)s".') % {"model": title.capitalize(), "name": name}
    return message + did_you_mean(name, sorted(steps(model)))


def _forget(*, setting: str, **_: object) -> None:
    if setting in (SETTING, "AUTH_USER_MODEL"):
        steps.cache_clear()
        readable_fields.cache_clear()
        aggregate_of.cache_clear()
        any_is_queried.cache_clear()
        form_of.cache_clear()
        is_told_plainly.cache_clear()
        reader_of.cache_clear()


setting_changed.connect(_forget, dispatch_uid="rules_engine.paths")

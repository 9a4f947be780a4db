"""Objects and limits by their names, as far as who asks may know them. A few queries for each model, however many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext

from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.objects import hidden_rows
from rules_engine.context.paths import find_model, resolve
from rules_engine.errors import UnknownPath
from rules_engine.models import Rule
from rules_engine.test.limits import LimitUse

#: An object as records have it: the label of its model, and its key.
Named = tuple[str, str]
#: A limit that is counted by one value of the object.
ACTOR = "{{ actor.id }}"
ONE_VALUE = re.compile(r"\{\{\s*instance\.([\w.]+)\s*\}\}")


def names_of_objects(request: HttpRequest, named: Iterable[Named]) -> dict[Named, str]:
    """What these are called: of those that are there and that who asks may view."""
    every = {(label, key) for label, key in named if label and key}
    seen = every - hidden_rows(request, every) if every else every
    keys: dict[str, list[str]] = {}
    for label, key in seen:
        keys.setdefault(label, []).append(key)
    names: dict[Named, str] = {}
    for label, of_model in keys.items():
        rows = _rows(label, of_model)
        names |= {(label, key): str(rows[key]) for key in of_model if key in rows}
    return names


def _rows(label: str, keys: Iterable[str]) -> dict[str, Any]:
    model = find_model(label)
    if model is None:
        return {}
    by_pk = {}
    for key in keys:
        try:
            by_pk[model._meta.pk.to_python(key)] = key
        except (ValidationError, ValueError, TypeError, ArithmeticError):
            continue
    return {by_pk[row.pk]: row for row in model._base_manager.filter(pk__in=by_pk)}


def object_name(names: Mapping[Named, str], label: str, key: str) -> str:
    """An object's name; its model and key, where it is gone or not to be seen."""
    return names.get((label, key)) or f"{model_title(label)} {key}".strip()


@dataclass(frozen=True, slots=True)
class Counted:
    """What a limit counts separately: a field of the object, and the model that it leads to, if it leads to one."""

    title: str
    label: str = ""


def counted_by(rule: Rule) -> Counted | None:
    """What the throttle of the rule counts separately, where that is one value of the object; None for all else."""
    text = rule.throttle_by.strip()
    if text == ACTOR:
        return Counted(gettext("who made the change"))
    model, found = find_model(rule.model) if rule.model else None, ONE_VALUE.fullmatch(text)
    if model is None or found is None:
        return None
    path = tuple(found[1].split("."))
    if path in (("pk",), ("id",)):
        return Counted(str(model._meta.verbose_name), rule.model.lower())
    if path[-1] in ("pk", "id") and len(path) > 1:
        path = path[:-1]
    try:
        field = resolve(model, path).field
    except UnknownPath:
        return None
    if field is None:
        return None
    related = getattr(field, "related_model", None) if getattr(field, "many_to_one", False) else None
    target = getattr(field, "target_field", None)
    is_by_key = related is not None and target is not None and target.primary_key
    return Counted(str(field.verbose_name), related._meta.label_lower if is_by_key and related is not None else "")


def names_of_limit(request: HttpRequest, rule: Rule, limit: LimitUse) -> dict[Named, str]:
    """What the objects are called that used the limit up, and the one that it is counted for."""
    named = {(use.model, use.object_pk) for use in limit.uses}
    counted = counted_by(rule)
    if counted is not None and counted.label:
        named.add((counted.label, limit.key))
    return names_of_objects(request, named)


def key_name(names: Mapping[Named, str], rule: Rule, key: str) -> str:
    """What the limit of the rule was counted for, as people call it."""
    counted = counted_by(rule)
    if counted is None or not counted.label:
        return gettext("“%s”") % key if key else ""
    return object_name(names, counted.label, key)

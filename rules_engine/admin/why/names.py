"""Objects and limits by their names, as far as who asks may know them. A few queries for each model, however many."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.translation import gettext

from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.objects import names_of_objects
from rules_engine.context.paths import find_model, resolve
from rules_engine.errors import UnknownPath
from rules_engine.models import Rule
from rules_engine.test.limits import LimitUse

#: An object as records have it: the label of its model, and its key.
Named = tuple[str, str]
#: A limit that is counted by who made the change, and one by a value of the object.
ACTOR = "{{ actor.id }}"
ONE_VALUE = re.compile(r"\{\{\s*instance\.([\w.]+)\s*\}\}")


def object_name(names: Mapping[Named, str], label: str, key: str) -> str:
    """An object's name; its model and key, where it is gone or not to be seen."""
    return names.get((label, key)) or f"{model_title(label)} {key}".strip()


def counted_model(rule: Rule) -> str:
    """The model of the objects that the throttle of the rule counts separately; empty where it counts anything else."""
    text = rule.throttle_by.strip()
    if text == ACTOR:
        return str(get_user_model()._meta.label_lower)
    model, found = find_model(rule.model) if rule.model else None, ONE_VALUE.fullmatch(text)
    if model is None or found is None:
        return ""
    path = tuple(found[1].split("."))
    if path in (("pk",), ("id",)):
        return rule.model.lower()
    try:
        field = resolve(model, path[:-1] if path[-1] in ("pk", "id") else path).field
    except UnknownPath:
        return ""
    if not getattr(field, "many_to_one", False) or not field.target_field.primary_key:
        return ""
    return str(field.related_model._meta.label_lower)


def names_of_limit(request: HttpRequest, rule: Rule, limit: LimitUse) -> dict[Named, str]:
    """What the objects are called that used the limit up, and the one that it is counted for."""
    named = {(use.model, use.object_pk) for use in limit.uses}
    if label := counted_model(rule):
        named.add((label, limit.key))
    return names_of_objects(request, named)


def key_name(names: Mapping[Named, str], rule: Rule, key: str) -> str:
    """What the limit of the rule was counted for, as people call it."""
    if not key:
        return ""
    label = counted_model(rule)
    return object_name(names, label, key) if label else gettext("“%s”") % key

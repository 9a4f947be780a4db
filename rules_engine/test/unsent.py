"""What a rule would hear of and does not: changes that the database makes by itself, and rows that are saved later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.utils.translation import gettext

from rules_engine.context.paths import ModelClass, find_model, steps
from rules_engine.logic import jsonlogic
from rules_engine.types import RuleSpec

#: What Django 6.1 leaves to the database, by name; earlier ones have none of these. A delete that is left to it sends
#: no signal of the rows that go with it, nor one of those whose column it sets.
_DELETES = ("DB_CASCADE",)
_SETS = ("DB_SET_NULL", "DB_SET_DEFAULT")


def unsent_changes(rule: RuleSpec) -> Iterator[str]:
    """Yield a sentence for each relation by which the rule's model is changed without the signal that it hears."""
    model = find_model(rule.model) if rule.model else None
    if model is None:
        return
    for field in model._meta.concrete_fields:
        how = left_to_database(field)
        if how in _DELETES and {"pre_delete", "post_delete"} & set(rule.signals):
            text = gettext('it does not hear of what goes with a deleted %(other)s: "%(field)s" is %(how)s.')
        elif how in _SETS and {"pre_save", "post_save"} & set(rule.signals) and _watches(rule, field):
            text = gettext('it does not hear when a %(other)s is deleted: "%(field)s" is %(how)s.')
        else:
            continue
        yield text % {"other": _name(field.related_model), "field": field.name, "how": how}


def unsaved_rows(rule: RuleSpec) -> str:
    """Say which rows a rule's condition reads that a form saves after the object itself; empty where it reads none."""
    model = find_model(rule.model) if rule.model else None
    hears = "post_save" in rule.signals and (not rule.operations or "create" in rule.operations)
    if model is None or not hears or rule.condition is None or jsonlogic.check(rule.condition):
        return ""
    reads = jsonlogic.compile_condition(rule.condition).reads
    known = steps(model)
    names = (path[1].partition("__")[0] for path in sorted(reads) if path[0] == "instance" and len(path) > 1)
    rows = list(dict.fromkeys(name for name in names if name in known and known[name].kind == "to_many"))
    if not rows:
        return ""
    text = gettext(
        "A form, such as the admin's with its inlines, saves an object before its rows: a new one has none yet (%s). "
        "Let a rule on the rows act instead."
    )
    return text % ", ".join(rows)


def left_to_database(field: Any) -> str:
    """Name the way in which the database itself deletes or sets the column; empty where Django does."""
    on_delete = getattr(field.remote_field, "on_delete", None) if field.remote_field else None
    known = {name: getattr(models, name, None) for name in (*_DELETES, *_SETS)}
    return next((name for name, way in known.items() if way is not None and on_delete is way), "")


def _watches(rule: RuleSpec, field: Any) -> bool:
    """Say whether the rule hears of any change, or of one to this column."""
    named = {change.get("field") for change in rule.changes}
    return not named or bool(named & {field.name, field.attname})


def _name(model: ModelClass | None) -> str:
    return str(model._meta.verbose_name) if model is not None else "?"

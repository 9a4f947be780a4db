"""``create_object``: a new row of any model that rules may write; exactly once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, router, transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.actions.rows import field_rows
from rules_engine.actions.rows.conversion import validate_new, value_for
from rules_engine.actions.rows.writing import (
    creatable_model,
    invalid,
    is_forbidden,
    permission,
    refusals_in_words,
    writable_field,
)
from rules_engine.context.paths import ModelClass, find_model, label_of
from rules_engine.context.snapshot import key_value, plain, safe
from rules_engine.context.subject import Field
from rules_engine.databases import database_of
from rules_engine.errors import PermanentError, Problem, Refused, UnknownPath, did_you_mean
from rules_engine.rules.contract import Action, Clause, Effect, FieldName, ModelName, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec


@register_action
class CreateObject(Action):
    """Create an object and save it in the ordinary way, so that other rules hear of it."""

    kind = "create_object"
    label = _("Create an object")
    crash_safe = True
    shares_transaction = True
    timings = ("after_commit", "in_transaction")
    schema = {
        "type": "object",
        "keys": {
            "model": {
                "type": "string",
                "title": _("Model"),
                "plain": True,
                "helpText": _("Such as shop.statushistory"),
                "required": True,
            },
            "values": {
                "type": "array",
                "title": _("Values"),
                "items": {
                    "type": "object",
                    "keys": {
                        "field": {"type": "string", "title": _("Field"), "plain": True},
                        "value": {"type": "string", "title": _("Value"), "helpText": _("Such as {{ instance.pk }}")},
                    },
                },
            },
            "unless_exists": {
                "type": "array",
                "title": _("Unless one exists with the same"),
                "items": {"type": "string", "plain": True},
                "helpText": _("Fields; no object is created when there is one with the same values in them."),
            },
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        yield from field_rows.row_problems(config, "values", ("field", "value"))
        yield from field_rows.value_problems(config, "values", rule)
        if not config.get("model"):
            yield Problem("/model", gettext('Name the model of the new object, such as "shop.statushistory".'))
            return
        try:
            model = creatable_model(str(config["model"]))
        except (UnknownPath, Refused) as error:
            yield Problem("/model", str(error))
            return
        yield from field_rows.field_problems(config, model, creating=True)
        yield from _unless_problems(config, model)

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return field_rows.reads(config, "values")

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        model = find_model(str(config.get("model")))
        if model is None or is_forbidden(model):
            return ()  # there is nothing to permit: run() refuses it to everybody
        looks = [permission("view", model)] if config.get("unless_exists") else []
        return [permission("add", model), *looks]

    def effects(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Effect]:
        model = find_model(str(config.get("model")))
        # Of any field: what no value is given for may have a default, which counts as a change from null.
        return () if model is None or is_forbidden(model) else [Effect(label_of(model), "create")]

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        label = str(config.get("model") or "")
        made = Clause(_("create %(model)s"), {"model": ModelName(label)})
        same = config.get("unless_exists")
        if not isinstance(same, list) or not same:
            return made
        fields = [FieldName(label, str(name)) for name in same]
        return Clause(_("%(made)s unless one has the same %(fields)s"), {"made": made, "fields": fields})

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        model, found, same = _planned(context, config)
        if same and (other := _existing(model, same, router.db_for_write(model))) is not None:
            return Preview(_left(model, other).summary)
        with refusals_in_words(model):
            try:
                validate_new(model(**{field.attname: value for field, value in found.items()}))
            except ValidationError as error:
                raise invalid(model, error) from None
        summary = gettext("Creates %(model)s") % {"model": model._meta.verbose_name}
        return Preview(summary, {str(field.verbose_name): plain(safe(value)) for field, value in found.items()})

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        model, found, same = _planned(context, config)
        using = router.db_for_write(model)
        with transaction.atomic(using=using), refusals_in_words(model):
            return _created(model, found, same, using)


def _planned(
    context: ActionContext, config: Mapping[str, Any]
) -> tuple[ModelClass, dict[Field, Any], dict[Field, Any]]:
    """The model, the new object's values, and those of them by which another one is the same."""
    try:
        model = creatable_model(str(config.get("model")))
        found = _values(model, config, context.data)
        same = {writable_field(model, name, creating=True) for name in config.get("unless_exists") or ()}
    except UnknownPath as error:
        raise PermanentError(str(error)) from error
    return model, found, {field: found[field] for field in same if field in found}


def _unless_problems(config: Mapping[str, Any], model: ModelClass) -> Iterable[Problem]:
    given = {str(row.get("field")) for _index, row in field_rows.rows(config, "values")}
    names = config.get("unless_exists") or []
    if not isinstance(names, list):
        yield Problem(
            "/unless_exists", gettext("Expected a list of field names, and got %(names)s.") % {"names": repr(names)}
        )
        return
    columns = {_field_name(model, name) for name in given}
    for index, name in enumerate(names):
        if _field_name(model, str(name)) not in columns:
            hint = did_you_mean(name, sorted(given))
            yield Problem(
                f"/unless_exists/{index}",
                gettext('"%(name)s" is not among the fields that have a value here.%(hint)s')
                % {"name": name, "hint": hint},
            )


def _field_name(model: ModelClass, name: str) -> str:
    """The one name of what may be written as ``order`` or ``order_id``."""
    try:
        return str(writable_field(model, name, creating=True).name)
    except (UnknownPath, Refused):
        return name


def _values(model: ModelClass, config: Mapping[str, Any], data: Mapping[str, Any]) -> dict[Field, Any]:
    found: dict[Field, Any] = {}
    for _index, row in field_rows.rows(config, "values"):
        field = writable_field(model, str(row.get("field")), creating=True)
        try:
            found[field] = value_for(field, row.get("value"), data)
        except ValidationError as error:
            raise invalid(model, ValidationError({field.name: error.error_list})) from None
    return found


def _created(model: ModelClass, found: Mapping[Field, Any], same: Mapping[Field, Any], using: str) -> ActionResult:
    label = label_of(model)
    if same:
        _wait_in_line(label, same, using)
        if (other := _existing(model, same, using)) is not None:
            return _left(model, other)
    row = model(**{field.attname: value for field, value in found.items()})
    row._state.db = using
    try:
        with transaction.atomic(using=using):
            validate_new(row)
            row.save(using=using, force_insert=True)
    except (ValidationError, IntegrityError) as error:
        # Somebody else's code may have been quicker, between the look and the save.
        other = _existing(model, same, using) if same else None
        if other is not None:
            return _left(model, other)
        if isinstance(error, ValidationError):
            raise invalid(model, error) from None
        raise
    return ActionResult(
        f"Created {model._meta.verbose_name} {row.pk}", {"model": label, "pk": key_value(row), "created": True}
    )


def _existing(model: ModelClass, same: Mapping[Field, Any], using: str) -> models.Model | None:
    wanted = {field.attname: value for field, value in same.items()}
    # What the default manager hides, as it does soft-deleted rows, is gone.
    return model._default_manager.using(using).filter(**wanted).order_by("pk").first()


def _left(model: ModelClass, other: models.Model) -> ActionResult:
    detail = {"model": label_of(model), "pk": key_value(other), "created": False}
    return ActionResult(f"There is such a {model._meta.verbose_name} already: {other.pk}", detail)


def _wait_in_line(label: str, same: Mapping[Field, Any], using: str) -> None:
    """Let no other rule look for the same row until ours is committed: the fields need not be unique in the database.

    Where the database cannot do that, only a unique constraint keeps two workers apart.
    """
    key = repr((label, sorted((field.attname, str(value)) for field, value in same.items())))
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), signed=True)
    database_of(using).wait_for_turn([number], using)

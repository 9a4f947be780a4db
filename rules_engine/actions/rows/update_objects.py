"""``update_objects``: changes the rule's own object, those it is related to, or those of a query; exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections, models, transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.actions.rows import changes, field_rows, row_clauses, targets
from rules_engine.actions.rows.changes import Change
from rules_engine.actions.rows.stamps import stamped_by_save, stamps
from rules_engine.actions.rows.targets import Rows
from rules_engine.actions.rows.writing import permission, refusals_in_words
from rules_engine.context.paths import ModelClass, label_of
from rules_engine.context.stored_form import column_value
from rules_engine.databases import database_of
from rules_engine.errors import PermanentError, Problem, Refused, UnknownPath
from rules_engine.rules.contract import Action, Clause, Effect, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

LIMIT = 10_000
#: Keys kept in the attempt's record.
NAMED = 20

_FIELD = {"type": "string", "title": _("Field"), "plain": True}
_HOWS = [
    {"title": _("set to"), "value": "set"},
    {"title": _("increase by"), "value": "increment"},
    {"title": _("append"), "value": "append"},
]


@register_action
class UpdateObjects(Action):
    """Change fields of objects and save each, so that other rules hear of it; or all of them in one statement."""

    kind = "update_objects"
    label = _("Update objects")
    crash_safe = True
    timings = ("after_commit", "in_transaction")
    schema = {
        "type": "object",
        "keys": {
            "target": {
                "type": "string",
                "title": _("Which objects"),
                "plain": True,
                "default": targets.INSTANCE,
                "helpText": _("instance, a relation of it such as items.product, or query."),
            },
            "model": {
                "type": "string",
                "title": _("Model"),
                "plain": True,
                "helpText": _("For a query alone, such as shop.product"),
            },
            "filter": {
                "type": "array",
                "title": _("Only those where"),
                "helpText": _("Field lookups, such as status, price__lt, pk__in or notes__icontains."),
                "items": {
                    "type": "object",
                    "keys": {"field": _FIELD, "value": {"type": "string", "title": _("Value")}},
                },
            },
            "values": {
                "type": "array",
                "title": _("Values"),
                "helpText": _("Without any, the objects are saved as they are."),
                "items": {
                    "type": "object",
                    "keys": {
                        "field": _FIELD,
                        "value": {
                            "type": "string",
                            "title": _("Value"),
                            "helpText": _("row is the object that is changed: {{ row.name }}"),
                        },
                        "how": {"type": "string", "title": _("How"), "choices": _HOWS, "default": "set"},
                    },
                },
            },
            "one_statement": {
                "type": "boolean",
                "title": _("In one statement"),
                "default": False,
                "helpText": _("Faster; no rule and no signal hears of it."),
            },
            "limit": {"type": "integer", "title": _("Objects at most"), "default": LIMIT},
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        yield from field_rows.row_problems(config, "filter", ("field", "value"))
        yield from field_rows.row_problems(config, "values", ("field", "value", "how"))
        yield from field_rows.value_problems(config, "filter", rule)
        yield from _limit_problems(config)
        try:
            model = targets.model_of(config, rule.model)
        except (UnknownPath, Refused) as error:
            pointer = "/model" if targets.name_of(config) == targets.QUERY else "/target"
            yield Problem(pointer, str(error))
            return
        yield from targets.problems(config, rule, model)
        yield from changes.problems(config, model)
        yield from field_rows.value_problems(config, "values", rule, model)
        yield from _statement_problems(config)

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return field_rows.reads(config, "filter", "values") | targets.reads(config, rule)

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        try:
            model = targets.model_of(config, rule.model)
        except (UnknownPath, Refused):
            return ()  # there is nothing to permit: run() refuses it to everybody
        looks = targets.view_needs(config, rule, model) | field_rows.own_view_permissions(config, rule, model)
        return {permission("change", model), *looks}

    def effects(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Effect]:
        if config.get("one_statement"):
            return ()  # neither signals nor rules hear of it
        try:
            model = targets.model_of(config, rule.model)
            names = [change.field.name for change in changes.changes_of(config, model)]
        except (UnknownPath, PermanentError):
            return ()  # it would not run
        fields = frozenset([*names, *stamped_by_save(model)]) if names else None
        return [Effect(label_of(saved), "update", fields) for saved in targets.saved_models(config, model)]

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        return row_clauses.clause(config, rule)

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        model, planned, rows = _planned(context, config)
        with refusals_in_words(model):
            keys = _keys(rows, config)
            if not keys:
                _nothing(context, config, model)
                return Preview(gettext("Nothing to update"))
            tree = changes.own_tree(planned)
            details = {}
            for row in rows.filter(pk__in=keys[:NAMED]).order_by("pk"):
                details[f"{row} ({row.pk})"] = changes.shown(planned, row, changes.with_row(context.data, row, tree))
        words = {"count": len(keys), "model": model._meta.verbose_name_plural}
        return Preview(gettext("Updates %(count)s of %(model)s") % words, details)

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        model, planned, rows = _planned(context, config)
        with transaction.atomic(using=rows.db), refusals_in_words(model):
            keys = _keys(rows, config)
            if not keys:
                return _nothing(context, config, model)
            if config.get("one_statement"):
                return _in_one_statement(rows.filter(pk__in=keys), planned, context, model)
            return _one_by_one(rows, keys, planned, context, model)


def _planned(context: ActionContext, config: Mapping[str, Any]) -> tuple[ModelClass, list[Change], Rows]:
    try:
        model = targets.model_of(config, context.event.model)
        return model, changes.changes_of(config, model), targets.find(context, config, model)
    except UnknownPath as error:
        raise PermanentError(str(error)) from error


def _limit_problems(config: Mapping[str, Any]) -> Iterable[Problem]:
    limit = config.get("limit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= LIMIT):
        yield Problem(
            "/limit",
            gettext("Expected a number from 1 to %(most)s, and got %(limit)s.")
            % {"most": f"{LIMIT:,}", "limit": repr(limit)},
        )


def _statement_problems(config: Mapping[str, Any]) -> Iterable[Problem]:
    if not config.get("one_statement"):
        return
    if not field_rows.rows(config, "values"):
        yield Problem("/one_statement", gettext("One statement needs a value to write."))
    for index, row in field_rows.rows(config, "values"):
        if field_rows.own_reads(row.get("value")):
            message = gettext(
                'One statement writes the same value everywhere, so there is no "row" to read; see "increment".'
            )
            yield Problem(f"/values/{index}/value", message)


def _keys(rows: Rows, config: Mapping[str, Any]) -> list[Any]:
    limit = int(config.get("limit") or LIMIT)
    # In the order of their keys, so that two workers lock the same rows in the same order.
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[: limit + 1])
    if len(keys) > limit:
        raise PermanentError(
            gettext("More than %(limit)s objects would be changed, which is this action's limit.")
            % {"limit": f"{limit:,}"}
        )
    return keys


def _nothing(context: ActionContext, config: Mapping[str, Any], model: ModelClass) -> ActionResult:
    if targets.name_of(config) == targets.INSTANCE and targets.is_gone(context, model):
        raise PermanentError(gettext("The object is gone."))
    return ActionResult("Nothing to update", _detail(model, [], 0))


def _detail(model: ModelClass, written: Sequence[Any], unchanged: int) -> dict[str, Any]:
    pks = [column_value(model._meta.pk, pk) for pk in written[:NAMED]]
    return {"model": label_of(model), "updated": len(written), "unchanged": unchanged, "pks": pks}


def _in_one_statement(rows: Rows, planned: Sequence[Change], context: ActionContext, model: ModelClass) -> ActionResult:
    if not planned or changes.own_tree(planned):
        raise PermanentError(gettext('One statement needs values that do not read "row".'))
    values = {**stamps(model), **changes.columns(planned, model, context.data)}
    count = database_of(rows.db).to_update(rows).update(**values)
    detail = {"model": label_of(model), "updated": count}
    return ActionResult(f"Updated {count:,} of {model._meta.verbose_name_plural} in one statement", detail)


def _one_by_one(
    rows: Rows, keys: Sequence[Any], planned: Sequence[Change], context: ActionContext, model: ModelClass
) -> ActionResult:
    tree = changes.own_tree(planned)
    written, unchanged = [], 0
    for key in keys:
        row = _locked(rows, key, model)
        if row is None:
            continue
        names = changes.apply(planned, row, changes.with_row(context.data, row, tree))
        if planned and not names:
            # Nothing to hear of; this is also where rules that set each other off come to rest.
            unchanged += 1
            continue
        row.save(using=rows.db, update_fields=[*names, *stamped_by_save(model)] if planned else None)
        written.append(key)
    same = f", {unchanged:,} had the values already" if unchanged else ""
    summary = f"Updated {len(written):,} of {model._meta.verbose_name_plural}{same}"
    return ActionResult(summary, _detail(model, written, unchanged))


def _locked(rows: Rows, key: Any, model: ModelClass) -> models.Model | None:
    """Return the row as it is now, for us alone until we commit; None once it is gone or no longer among those wanted.

    It is locked without its key where the database can: rows that point to it may be inserted meanwhile.
    """
    weaker = connections[rows.db].features.has_select_for_no_key_update
    row = model._base_manager.using(rows.db).select_for_update(no_key=weaker).filter(pk=key).first()
    return row if row is not None and rows.filter(pk=key).exists() else None

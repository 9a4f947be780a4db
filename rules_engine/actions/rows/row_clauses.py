"""What ``update_objects`` does, as a clause of its rule's sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from rules_engine.actions.rows import field_rows, targets
from rules_engine.context.paths import label_of
from rules_engine.errors import Refused, UnknownPath
from rules_engine.rules.contract import Clause, FieldName, FieldValue, ModelName
from rules_engine.types import RuleSpec

HOWS = {
    "set": _("set %(field)s to %(value)s"),
    "increment": _("increase %(field)s by %(value)s"),
    "append": _("append %(value)s to %(field)s"),
}
#: What follows the name of a field, by its lookup.
LOOKUPS = {
    "exact": _("is"),
    "iexact": _("is"),
    "lt": _("is less than"),
    "lte": _("is at most"),
    "gt": _("is more than"),
    "gte": _("is at least"),
    "in": _("is one of"),
    "contains": _("contains"),
    "icontains": _("contains"),
    "startswith": _("starts with"),
    "istartswith": _("starts with"),
    "endswith": _("ends with"),
    "iendswith": _("ends with"),
}
_IN_ALL = _("in all %(rows)s %(changes)s")
_IN_ITS = _("in its %(rows)s %(changes)s")
_AGAIN_OF_ALL = _("save all %(rows)s again")
_AGAIN_OF_ITS = _("save its %(rows)s again")


def clause(config: Mapping[str, Any], rule: RuleSpec) -> Clause:
    """Say which rows it changes, and how; which values a filter has stands in brackets behind them."""
    target = targets.name_of(config)
    model = _label(config, rule, target)
    changes: Any = [_change(row, model) for _index, row in field_rows.rows(config, "values")]
    is_query, is_own = target == targets.QUERY, target == targets.INSTANCE
    filters = [_filter(row, model) for _index, row in field_rows.rows(config, "filter")]
    rows: Any = ModelName(str(config.get("model") or ""), many=True) if is_query else FieldName(rule.model, target)
    if not is_own and filters:
        rows = Clause("%(rows)s (%(filter)s)", {"rows": rows, "filter": filters})
    if not is_own:
        again, with_changes = (_AGAIN_OF_ALL, _IN_ALL) if is_query else (_AGAIN_OF_ITS, _IN_ITS)
        return Clause(with_changes, {"rows": rows, "changes": changes}) if changes else Clause(again, {"rows": rows})
    changed = Clause("%(changes)s", {"changes": changes}) if changes else Clause(_("save it again"))
    if not filters:
        return changed
    return Clause(_("%(changes)s (only where %(filter)s)"), {"changes": changed, "filter": filters})


def _label(config: Mapping[str, Any], rule: RuleSpec, target: str) -> str:
    if target == targets.QUERY:
        return str(config.get("model") or "")
    try:
        return label_of(targets.model_of(config, rule.model))
    except (UnknownPath, Refused):
        return ""


def _change(row: Mapping[str, Any], model: str) -> Clause:
    name = str(row.get("field") or "")
    how = HOWS.get(str(row.get("how") or "set"), HOWS["set"])
    return Clause(how, {"field": FieldName(model, name), "value": FieldValue(model, name, row.get("value"))})


def _filter(row: Mapping[str, Any], model: str) -> Clause:
    name, _between, lookup = str(row.get("field") or "").rpartition("__")
    if lookup not in LOOKUPS or not name:
        name, lookup = str(row.get("field") or ""), "exact"
    name = name.replace("__", ".")
    value = FieldValue(model, name, row.get("value"))
    return Clause(
        "%(field)s %(is)s %(value)s", {"field": FieldName(model, name), "is": Clause(LOOKUPS[lookup]), "value": value}
    )

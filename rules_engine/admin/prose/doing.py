"""What a rule does, as clauses: ``send an email to me@example.com``, ``then call Our chat``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.sentences import call_of, name_of
from rules_engine.admin.parts.rendering import masked
from rules_engine.admin.prose import marks
from rules_engine.admin.prose.condition import prose
from rules_engine.admin.prose.marks import GAP, code, is_too_deep, shown
from rules_engine.admin.prose.names import (
    Names,
    field_phrase,
    has_capital_nouns,
    lowered,
    model_name,
    one_of_model,
    span,
)
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.prose.values import quoted, text, value
from rules_engine.models import RuleAction
from rules_engine.rules import registry
from rules_engine.rules.contract import Action, Clause, FieldName, FieldValue, ModelName, Setting
from rules_engine.types import ActionSpec, RuleSpec, Unread, ask

EACH, ROW = "each", "row"


def done(action: ActionSpec, rule: RuleSpec, reader: Reader, *, is_last: bool) -> str:
    """One action as a clause, marked, with when and for what it acts."""
    names = Names.of(rule.model)
    each = action.for_each
    said = _clause(action, rule, names.with_rows(EACH, _rows(each, names)), reader)
    if each not in (None, ""):
        said = gettext("for each of the %(rows)s %(clause)s") % {"rows": _each(each, names), "clause": said}
    remarks = "; ".join(_remarks(action, is_last=is_last))
    return marks.cut(f"{said} ({remarks})" if remarks else said)


def _remarks(action: ActionSpec, *, is_last: bool) -> list[str]:
    remarks = []
    if remark := _later(action):
        remarks.append(remark)
    known = registry.find(action.kind) if isinstance(action.kind, str) else None
    usual = known.timings[0] if known is not None else "after_commit"
    if action.timing != usual and action.timing in RuleAction.Timing.values:
        remarks.append(str(RuleAction.Timing(action.timing).label))
    if action.on_failure == "stop" and action.timing == "in_transaction":
        remarks.append(gettext("if it fails, the change is undone"))
    elif action.on_failure == "stop" and not is_last:
        remarks.append(gettext("if it fails, nothing more is done"))
    if not action.enabled:
        remarks.append(gettext("switched off"))
    return remarks


def _later(action: ActionSpec) -> str:
    """When it acts: ``2 hours later, at 18:00 in Europe/Berlin, if it still holds``."""
    parts = []
    if isinstance(action.delay, int) and action.delay > 0:
        parts.append(gettext("%(span)s later") % {"span": span(action.delay)})
    if isinstance(action.at, str) and action.at:
        at = (
            gettext("at %(time)s in %(zone)s")
            if isinstance(action.zone, str) and action.zone
            else gettext("at %(time)s")
        )
        parts.append(at % {"time": shown(action.at), "zone": shown(action.zone)})
    if action.asks_again is True:
        parts.append(gettext("if it still holds"))
    return ", ".join(parts)


def _clause(action: ActionSpec, rule: RuleSpec, names: Names, reader: Reader) -> str:
    kind = action.kind if isinstance(action.kind, str) else ""
    known = registry.find(kind)
    if known is None:
        return code(kind) if kind else gettext("do %(what)s") % {"what": GAP}
    if not isinstance(action.config, Mapping) or is_too_deep(action.config):
        return _label(known)
    config = masked(action.config)
    clause = ask(known.clause, config, rule)
    if not isinstance(clause, Clause):
        return _label(known)
    said = ask(_said, clause, config, names, reader, known)
    return _label(known) if isinstance(said, Unread) else said


def _label(known: Action) -> str:
    """What a kind without words of its own is called."""
    label = shown(known.label)
    return gettext("“%s”") % label if has_capital_nouns() else lowered(label)


def _said(clause: Clause, config: Mapping[str, Any], names: Names, reader: Reader, known: Action) -> str:
    values = {name: _place(one, config, names, reader, known) for name, one in clause.values.items()}
    return str(clause.text) % values if values else str(clause.text)


def _place(given: Any, config: Mapping[str, Any], names: Names, reader: Reader, known: Action) -> str:
    if isinstance(given, list | tuple):
        return marks.all_of(_place(one, config, names, reader, known) for one in given)
    if isinstance(given, Clause):
        return _said(given, config, names, reader, known)
    if isinstance(given, Setting):
        chosen = config.get(given.key)
        return reader.title(known, given.key, chosen) or text(chosen, names)
    if isinstance(given, ModelName):
        return model_name(given.label, many=True) if given.many else one_of_model(given.label)
    if isinstance(given, FieldName):
        return field_phrase(_row(given.model), given.path) if given.path else GAP
    return _field_value(given, names) if isinstance(given, FieldValue) else text(given, names)


def _field_value(given: FieldValue, names: Names) -> str:
    if given.value in (None, "", [], {}):
        return GAP
    if not given.path:
        return quoted(given.value, names)
    titles = _row(given.model)
    return value(titles, given.path, given.value, names.with_rows(ROW, titles))


def _row(label: str) -> Titles:
    return replace(Titles.of(label), is_row=True)


def _rows(each: Any, names: Names) -> Titles:
    """What each of them is: an object of the relation that it comes from, or nothing that is known."""
    source = each if isinstance(each, str) else _source(each)
    return names.titles.of_rows(source) if source else Titles(None, is_row=True)


def _source(each: Any) -> str:
    operator, arguments = call_of(each)
    return name_of(arguments[0]) if operator == "filter" and len(arguments) == 2 else name_of(each)


def _each(each: Any, names: Names) -> str:
    if isinstance(each, str):
        return names(each)
    operator, arguments = call_of(each)
    if is_too_deep(each) or not (source := _source(each)):
        return code(each)
    if operator != "filter":
        return names(source)
    asked = prose(arguments[1], names.titles.of_rows(source), depth=1)
    return gettext("%(rows)s where %(clause)s") % {"rows": names(source), "clause": asked}

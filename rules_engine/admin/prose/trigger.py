"""What sets a rule off, as a clause: ``an order is updated and its status becomes Paid``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.parts.labels import OPERATION_WORDS
from rules_engine.admin.prose import marks
from rules_engine.admin.prose.marks import GAP, code, shown
from rules_engine.admin.prose.names import Names, in_sentence, model_name, of_model, one_of_model
from rules_engine.admin.prose.values import value, yes_or_no
from rules_engine.context.paths import steps
from rules_engine.context.signals import MODEL_SIGNALS, OPERATIONS, find_signal
from rules_engine.types import RuleSpec

RELATION_CHANGED = "m2m_changed"
HAPPENS = {
    "pre": _("%(model)s is about to be %(operations)s"),
    "post": _("%(model)s is %(operations)s"),
}
SIGNALS = {
    "request_started": _("a request starts"),
    "request_finished": _("a request is finished"),
    "got_request_exception": _("a request ends in an exception"),
    "pre_migrate": _("an app is about to be migrated"),
    "post_migrate": _("an app has been migrated"),
    "class_prepared": _("a model class is ready"),
    "setting_changed": _("a test changes a setting"),
    "template_rendered": _("a test renders a template"),
    "connection_created": _("a database connection is opened"),
    "user_logged_in": _("a user logs in"),
    "user_logged_out": _("a user logs out"),
    "user_login_failed": _("a login fails"),
}
RELATED = {
    ("add",): _("added"),
    ("remove",): _("removed"),
    ("clear",): _("removed all at once"),
    ("add", "remove"): _("added or removed"),
    ("add", "clear"): _("added, or removed all at once"),
    ("remove", "clear"): _("removed, perhaps all at once"),
    ("add", "remove", "clear"): _("added or removed"),
}


def happens(rule: RuleSpec) -> str:
    """The clause, marked; a gap where nothing sets it off."""
    names = list(rule.signals)
    clauses = [*_of_the_object(rule, names), *_of_relations(rule, names), *_others(rule, names)]
    if not clauses and model_name(rule.model) == GAP:
        return gettext("%(what)s happens") % {"what": GAP}
    clauses = clauses or [str(HAPPENS["post"]) % {"model": one_of_model(rule.model), "operations": GAP}]
    changes = [] if names == [RELATION_CHANGED] and _relations(rule) else list(_changes(rule))
    joined = marks.any_of(clauses) if len(clauses) < 2 else gettext(", or ").join(clauses)
    return marks.all_of([joined, *changes], most=6)


def _of_the_object(rule: RuleSpec, names: list[str]) -> Iterator[str]:
    """What is about to happen to it, then what has happened; the second time it is "one"."""
    subject = one_of_model(rule.model)
    for moment, signals in (("pre", ("pre_save", "pre_delete")), ("post", ("post_save", "post_delete"))):
        heard = [name for name in signals if name in names]
        done = [str(OPERATION_WORDS[one]) for name in heard for one in _operations(rule, name)]
        if done:
            yield str(HAPPENS[moment]) % {"model": subject, "operations": marks.any_of(done)}
            subject = gettext("one")


def _operations(rule: RuleSpec, signal: str) -> list[str]:
    return [one for one in OPERATIONS[signal] if not rule.operations or one in rule.operations]


def _of_relations(rule: RuleSpec, names: list[str]) -> Iterator[str]:
    how = RELATED.get(tuple(_operations(rule, RELATION_CHANGED))) if RELATION_CHANGED in names else None
    if how is None:
        return
    rows = marks.all_of(_relations(rule)) if _relations(rule) else gettext("related objects")
    yield gettext("%(rows)s %(of)s are %(how)s") % {"rows": rows, "of": of_model(rule.model), "how": how}


def _relations(rule: RuleSpec) -> list[str]:
    """The relations that are asked for by name alone."""
    model = Titles.of(rule.model).model
    many = {name: step for name, step in steps(model).items() if step.kind == "to_many"} if model else {}
    asked = [change for change in rule.changes if isinstance(change, Mapping) and set(change) == {"field"}]
    if len(asked) < len(rule.changes):
        return []
    found = [many.get(str(change["field"])) for change in asked]
    return [in_sentence(str(step.field.verbose_name)) for step in found if step is not None and _is_named(step.field)]


def _is_named(field: Any) -> bool:
    return hasattr(field, "verbose_name")


def _others(rule: RuleSpec, names: Iterable[str]) -> Iterator[str]:
    model = one_of_model(rule.model)
    for name in names:
        if name in MODEL_SIGNALS:
            continue
        if name in SIGNALS:
            yield str(SIGNALS[name])
            continue
        named = find_signal(name)
        signal = {"label": shown(name if named is None else named.label), "model": model}
        sent = (
            gettext("the signal “%(label)s” is sent")
            if model == GAP
            else gettext("the signal “%(label)s” is sent for %(model)s")
        )
        yield sent % signal


def _changes(rule: RuleSpec) -> Iterator[str]:
    titles = Titles.of(rule.model)
    for change in rule.changes:
        is_one = isinstance(change, Mapping) and isinstance(change.get("field", ""), str)
        yield changed(change, titles) if is_one else code(change)


def changed(change: Mapping[str, Any], titles: Titles) -> str:
    """A change condition as a clause, marked: ``its status becomes Paid``."""
    name = str(change.get("field") or "")
    path = name if titles.is_row else f"instance.{name}"
    field = Names(titles)(path) if name else GAP
    if titles.kind(path) == "boolean":
        field = gettext("“%s”") % field
    before, after = (_said(change, side, titles, path) for side in ("from", "to"))
    if "from" in change and "to" in change:
        pattern = gettext("its %(field)s changes from %(from)s to %(to)s")
    elif "to" in change:
        is_emptied = change["to"] is None
        pattern = gettext("its %(field)s is emptied") if is_emptied else gettext("its %(field)s becomes %(to)s")
    elif "from" in change:
        is_filled = change["from"] is None
        filled = gettext("its %(field)s, empty until then, is filled in")
        pattern = filled if is_filled else gettext("its %(field)s is no longer %(from)s")
    else:
        pattern = gettext("its %(field)s changes")
    return pattern % {"field": field, "from": before, "to": after}


def _said(change: Mapping[str, Any], side: str, titles: Titles, path: str) -> str:
    given = change.get(side)
    if isinstance(given, bool):
        return yes_or_no(given)
    return gettext("nothing") if given is None else value(titles, path, given, Names(titles))

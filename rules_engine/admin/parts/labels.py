"""Signals and operations in words."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import find_model
from rules_engine.context.signals import MODEL_SIGNALS, OPERATIONS, find_signal
from rules_engine.models import Rule
from rules_engine.rules.gates import sentence_of

SIGNALS = {
    "pre_save": _("before it is saved"),
    "post_save": _("after it is saved"),
    "pre_delete": _("before it is deleted"),
    "post_delete": _("after it is deleted"),
    "m2m_changed": _("after a many-to-many field of it changes"),
    "request_started": _("when a request starts"),
    "request_finished": _("when a request is finished"),
    "got_request_exception": _("when a request ends in an exception"),
    "pre_migrate": _("before an app is migrated"),
    "post_migrate": _("after an app is migrated"),
    "class_prepared": _("when a model class is ready"),
    "setting_changed": _("when a test changes a setting"),
    "template_rendered": _("when a test renders a template"),
    "connection_created": _("when a database connection is opened"),
    "user_logged_in": _("after a user logs in"),
    "user_logged_out": _("after a user logs out"),
    "user_login_failed": _("after a login fails"),
}
OPERATION_WORDS = {
    "create": _("created"),
    "update": _("updated"),
    "delete": _("deleted"),
    "add": _("added"),
    "remove": _("removed"),
    "clear": _("cleared"),
}
_HAPPENS = {
    "pre_save": _("is about to be %(operations)s"),
    "post_save": _("is %(operations)s"),
    "pre_delete": _("is about to be %(operations)s"),
    "post_delete": _("is %(operations)s"),
    "m2m_changed": _("has related objects %(operations)s"),
}
CANNOT_SEE = gettext_lazy(
    "A rule sees what is saved, deleted or related here in the admin, and by the site object by object. It cannot see "
    "bulk writes (QuerySet.update, bulk_create, bulk_update), rows whose relation a delete empties (SET_NULL and its "
    "like), raw SQL, or what other programs write to the database."
)


def signal_words(name: str) -> str:
    """A signal as a checkbox names it: ``after it is saved (post_save)``."""
    named = find_signal(name)
    words = SIGNALS.get(name) or (named.label if named and named.label != name else "")
    return f"{words} ({name})" if words else name


def operation_words(name: str) -> str:
    """An operation as a checkbox names it: ``created (create)``."""
    words = OPERATION_WORDS.get(name)
    return f"{words} ({name})" if words else name


def detail_words(detail: str) -> str:
    """What was stored of an evaluation in the reader's language, where it is about a gate; else as it is."""
    stop = sentence_of(detail)
    if stop is None:
        return detail
    sentence, what = stop
    return sentence % {"what": OPERATION_WORDS.get(what, what)}


def listens_to(rule: Rule) -> str:
    """What sets the rule off, whatever changes, as a clause: ``an order is created or updated``."""
    names = [str(name) for name in rule.spec_with([]).signals]
    happens = [_model_clause(rule, name) for name in names if name in MODEL_SIGNALS and _operations(rule, name)]
    about = f" ({_model_words(rule.model)})" if rule.model else ""
    others = [str(SIGNALS.get(name) or signal_words(name)) + about for name in names if name not in MODEL_SIGNALS]
    clauses = ([f"{_model_words(rule.model)} {_any_of(happens)}"] if happens else []) + others
    return _any_of(clauses) if clauses else ""


def _model_clause(rule: Rule, name: str) -> str:
    words = _any_of(str(OPERATION_WORDS[operation]) for operation in _operations(rule, name))
    return str(_HAPPENS[name]) % {"operations": words}


def _operations(rule: Rule, name: str) -> list[str]:
    wanted = [str(operation) for operation in rule.spec_with([]).operations]
    return [operation for operation in OPERATIONS.get(name, ()) if not wanted or operation in wanted]


def _model_words(label: str) -> str:
    model = find_model(label) if label else None
    name = str(model._meta.verbose_name) if model else label
    article = gettext("an %(model)s") if name[:1].lower() in "aeio" else gettext("a %(model)s")
    return article % {"model": name}


def _any_of(words: Iterable[str]) -> str:
    *first, last = list(words)
    return gettext("%(first)s or %(last)s") % {"first": ", ".join(first), "last": last} if first else last


def model_title(label: str) -> str:
    """A model's name for a heading or a filter, its label where there is no such model."""
    model = find_model(label) if label else None
    return str(capfirst(model._meta.verbose_name)) if model else label

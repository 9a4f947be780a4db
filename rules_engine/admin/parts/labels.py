"""Signals and operations in words."""

from __future__ import annotations

from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import find_model
from rules_engine.context.signals import find_signal
from rules_engine.rules.gates import sentence_of
from rules_engine.troubles.signals import is_trouble

SIGNALS = {
    "pre_save": _("before it is saved"),
    "post_save": _("after it is saved"),
    "pre_delete": _("before it is deleted"),
    "post_delete": _("after it is deleted"),
    "m2m_changed": _("after a many-to-many field of it changes"),
    "run": _("when it is run on what is there"),
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


def model_title(label: str) -> str:
    """A model's name for a heading or a filter, its label where there is no such model."""
    model = find_model(label) if label else None
    return str(capfirst(model._meta.verbose_name)) if model else label


def ordered_by(signal: str) -> str:
    """Say who ordered what no rule asked for: of trouble the engine tells people by itself."""
    return gettext("ordered by itself") if is_trouble(signal) else gettext("ordered by hand")

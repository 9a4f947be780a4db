"""What the *When* card says in plain words. Scripts write the choice into the fields that a rule stores."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.labels import signal_words
from rules_engine.context.signals import MODEL_SIGNALS, NamedSignal, find_signal, is_djangos, known_signals

#: Each plain choice beside the signals that it stores, and the operations, as sets that mean just that. The first
#: set is what is written; a rule that was stored with another is read as well, and stays as it is.
HAPPENINGS: dict[str, dict[str, Any]] = {
    "create": {"signals": ["post_save"], "operations": [["create"]]},
    "update": {"signals": ["post_save"], "operations": [["update"]]},
    "save": {"signals": ["post_save"], "operations": [[], ["create", "update"]]},
    "becomes": {"signals": ["post_save"], "operations": [["update"], [], ["create", "update"]]},
    "delete": {"signals": ["post_delete"], "operations": [[], ["delete"]]},
    "any": {"signals": ["post_save", "post_delete"], "operations": [[], ["create", "update", "delete"]]},
    "related": {"signals": ["m2m_changed"], "operations": []},
    "signal": {},
    "other": {},
}
#: Which of the operations on related objects a rule is for.
RELATED: dict[str, list[list[str]]] = {
    "both": [[], ["add", "remove", "clear"]],
    "add": [["add"]],
    "remove": [["remove", "clear"]],
}
_WORDS = {
    "choose": _("– choose –"),
    "happens": _("What happens"),
    "create": _("it is created"),
    "update": _("it is updated"),
    "save": _("it is created or updated"),
    "becomes": _("a field becomes a value"),
    "delete": _("it is deleted"),
    "any": _("it is created, updated or deleted"),
    "related": _("related objects are added or removed"),
    "signal": _("a signal about it is sent"),
    "other": _("something else, as it stands under Advanced"),
    "also_created": _("also when it is created so"),
    "field": _("Which field"),
    "which": _("Which related objects"),
    "any_relation": _("any"),
    "how": _("What happens to them"),
    "both": _("they are added or removed"),
    "add": _("they are added"),
    "remove": _("they are removed"),
    "which_signal": _("Which signal"),
    "of_project": _("Of this project"),
    "of_site": _("Of the site"),
    "missing": _("Choose what happens."),
}


def plain_words() -> dict[str, Any]:
    """Return what the script of the card needs to know: its words, the choices, and the signals by name."""
    named = [find_signal(name) for name in sorted(known_signals() - set(MODEL_SIGNALS))]
    return {
        "words": {name: str(text) for name, text in _WORDS.items()},
        "happenings": HAPPENINGS,
        "related": RELATED,
        "signals": [_told(signal) for signal in named if signal is not None],
    }


def _told(signal: NamedSignal) -> dict[str, Any]:
    app = signal.name.partition(".")[0]
    return {
        "name": signal.name,
        "label": signal_words(signal.name),
        "is_of_site": is_djangos(signal.name),
        "has_object": not signal.is_documented or signal.instance in signal.arguments,
        # By its name it belongs to an app, and few rules on the models of another want it.
        "app": app if any(config.label == app for config in apps.get_app_configs()) else "",
    }

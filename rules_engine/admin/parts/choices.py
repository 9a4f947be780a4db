"""What the rule's form offers: models, signals, operations and kinds of action."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext

from rules_engine.admin.parts.labels import SIGNALS, operation_words, signal_words
from rules_engine.context.paths import is_denied, label_of
from rules_engine.context.signals import MODEL_SIGNALS, OPERATIONS, NamedSignal, find_signal, is_djangos, known_signals
from rules_engine.rules import registry

Choice = tuple[str, Any]


def models(stored: str = "") -> list[Choice]:
    """The models that rules may listen to, by app; ``stored`` is kept among them even when it is none of them."""
    groups = [(config.verbose_name, _models_of(config)) for config in apps.get_app_configs()]
    groups_shown: list[Choice] = [(str(name), sorted(labels)) for name, labels in groups if labels]
    known = {label for _, labels in groups_shown for label, _ in labels}
    blank = [("", gettext("– no model: a signal of the site, or fixed times –"))]
    return [
        *blank,
        *_strangers([stored] if stored else [], known),
        *sorted(groups_shown, key=lambda group: group[0].lower()),
    ]


def _models_of(config: Any) -> list[tuple[str, str]]:
    return [
        (label_of(model), f"{capfirst(model._meta.verbose_name)} ({label_of(model)})")
        for model in config.get_models()
        if not is_denied(model)
    ]


def signals(stored: Iterable[Any] = ()) -> list[Choice]:
    """The signals that rules may name, those of models first."""
    known = known_signals()
    of_site = [name for name in SIGNALS if name not in MODEL_SIGNALS and name in known]
    own = sorted(known - set(MODEL_SIGNALS) - set(of_site))
    groups = [
        (gettext("Of the model"), list(MODEL_SIGNALS)),
        (gettext("Of this project"), own),
        (of_the_site(), of_site),
    ]
    strangers = _strangers(stored, known)
    groups_shown = [(title, [(name, signal_words(name)) for name in names]) for title, names in groups if names]
    return [*strangers, *groups_shown]


def of_the_site() -> str:
    """The group of signals that few rules are about."""
    return gettext("Of the site")


def what_signals_send() -> SafeString:
    """The arguments of the signals without a model, and where they are not heard: help below the signals."""
    own = sorted(name for name in known_signals() if name not in MODEL_SIGNALS and not is_djangos(name))
    named = [find_signal(name) for name in (*own, *(name for name in SIGNALS if name not in MODEL_SIGNALS))]
    rows = [(signal_words(signal.name), _sends(signal), signal.hearing) for signal in named if signal is not None]
    shown = format_html_join("", "<dt>{}</dt><dd>{} {}</dd>", rows)
    return format_html("<details><summary>{}</summary><dl>{}</dl></details>", gettext("What each signal sends"), shown)


def _sends(named: NamedSignal) -> SafeString:
    if not named.is_documented:
        return format_html("{}", gettext("Its arguments are not documented."))
    if not named.arguments:
        return format_html("{}", gettext("It has no arguments."))
    shown = format_html_join("", "<code>signal.{}</code>: {} ", list(named.arguments.items()))
    if named.instance not in named.arguments or is_djangos(named.name):
        return shown
    about = gettext("It is about the object in %s: rules on that model hear it.") % named.instance
    return format_html("{} {}", shown, about)


def operations(stored: Iterable[Any] = ()) -> list[Choice]:
    """The operations that narrow a model's signals."""
    known = list(dict.fromkeys(operation for names in OPERATIONS.values() for operation in names))
    return [*_strangers(stored, known), *((name, operation_words(name)) for name in known)]


def kinds(stored: str = "") -> list[Choice]:
    """The kinds of action installed here."""
    known = registry.kinds()
    choices = [(kind, str(action.label)) for kind, action in known.items()]
    return [("", gettext("– choose –")), *_strangers([stored] if stored else [], known), *choices]


def _strangers(stored: Iterable[Any], known: Iterable[str]) -> list[Choice]:
    return [(value, gettext("%s (not known here)") % value) for value in map(str, stored) if value not in set(known)]

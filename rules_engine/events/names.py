"""The signals that rules can name, and the operations each one knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.contrib.auth import signals as auth
from django.core import signals as core
from django.db.backends.signals import connection_created
from django.db.models import signals as models
from django.dispatch import Signal

from rules_engine.errors import DuplicateRegistration


@dataclass(frozen=True, slots=True)
class NamedSignal:
    """A signal under the name that rules use. ``arguments`` documents what it sends, name by name."""

    name: str
    signal: Signal
    label: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


#: Sent for a model; each event of a rule on one of these has an ``instance``.
MODEL_SIGNALS: Mapping[str, Signal] = {
    "pre_save": models.pre_save,
    "post_save": models.post_save,
    "pre_delete": models.pre_delete,
    "post_delete": models.post_delete,
    "m2m_changed": models.m2m_changed,
}

OPERATIONS: Mapping[str, Sequence[str]] = {
    "pre_save": ("create", "update"),
    "post_save": ("create", "update"),
    "pre_delete": ("delete",),
    "post_delete": ("delete",),
    "m2m_changed": ("add", "remove", "clear"),
}

TEMPLATE_RENDERED = "template_rendered"

_named: dict[str, NamedSignal] = {}


def register_signal(
    name: str, signal: Signal, *, label: str = "", arguments: Mapping[str, str] | None = None
) -> NamedSignal:
    """Let rules listen to a signal under a name such as ``"clinic.appointment_cancelled"``.

    ``arguments`` says what the signal sends: ``{"reason": "Why, as the receptionist wrote it"}``. Raises
    ``DuplicateRegistration`` when the name already stands for another signal.
    """
    holder = _named.get(name)
    if (holder is not None and holder.signal is not signal) or name in MODEL_SIGNALS:
        raise DuplicateRegistration(f'The signal name "{name}" already stands for another signal; choose another name.')
    _named[name] = NamedSignal(name, signal, label or name, dict(arguments or {}))
    return _named[name]


def find_signal(name: str) -> NamedSignal | None:
    """The signal without a model of that name, or None."""
    if name == TEMPLATE_RENDERED and name not in _named:
        # Imported only for a rule that wants it: Django's test package has no place in a web process.
        from django.test.signals import template_rendered

        register_signal(name, template_rendered)
    return _named.get(name)


def known_signals() -> frozenset[str]:
    """Every name that a rule's ``signals`` may hold in this process."""
    return frozenset(MODEL_SIGNALS) | frozenset(_named) | {TEMPLATE_RENDERED}


for _name, _signal in {
    "request_started": core.request_started,
    "request_finished": core.request_finished,
    "got_request_exception": core.got_request_exception,
    "pre_migrate": models.pre_migrate,
    "post_migrate": models.post_migrate,
    "class_prepared": models.class_prepared,
    "setting_changed": core.setting_changed,
    "connection_created": connection_created,
    "user_logged_in": auth.user_logged_in,
    "user_logged_out": auth.user_logged_out,
    "user_login_failed": auth.user_login_failed,
}.items():
    register_signal(_name, _signal)

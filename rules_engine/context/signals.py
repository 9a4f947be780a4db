"""The signals that rules can name, and the operations each one knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from django.contrib.auth import signals as auth
from django.core import signals as core
from django.db.backends.signals import connection_created
from django.db.models import signals as models
from django.dispatch import Signal
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import conf
from rules_engine.errors import DuplicateRegistration, SettingsError, did_you_mean

#: The argument by which a signal sends the object that it is about, unless its registration names another.
INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class NamedSignal:
    """A signal under the name that rules use.

    ``source`` is the signal, or its dotted path, looked up when it is first needed. ``arguments`` documents what it
    sends, name by name; None says nothing of them. ``hearing`` is a sentence about processes that cannot hear it. Texts
    may be lazy translations, which are looked up where they are shown.
    """

    name: str
    source: Signal | str
    label: str | Promise = ""
    arguments: Mapping[str, str | Promise] = field(default_factory=dict)
    hearing: str | Promise = ""
    #: Whether ``arguments`` are all there are; an argument of another name is then a mistake.
    is_documented: bool = True
    #: The argument that is the object which the signal is about.
    instance: str = INSTANCE
    #: Arguments that quote records, and the model of these, such as rules_engine.execution: they are for whoever may
    #: view it and, where the signal sends ``model``, that one.
    quotes: Mapping[str, str] = field(default_factory=dict)

    @property
    def signal(self) -> Signal:
        """The signal itself. Raises ``SettingsError``, with a sentence, where its path leads to none."""
        return _found(self.name, self.source) if isinstance(self.source, str) else self.source

    @property
    def trouble(self) -> str:
        """Why the signal cannot be listened to, as a sentence; empty where it can."""
        try:
            _ = self.signal
        except SettingsError as error:
            return str(error)
        return ""


def _found(name: str, path: str) -> Signal:
    module_name, _, attribute = path.rpartition(".")
    try:
        module = import_module(module_name)
    except (ImportError, ValueError) as error:
        message = gettext('The signal "%(name)s" stands for "%(path)s", and %(module)s cannot be imported: %(error)s.')
        said = {"name": name, "path": path, "module": module_name or gettext("its module"), "error": error}
        raise SettingsError(message % said) from error
    signal = getattr(module, attribute, None)
    if isinstance(signal, Signal):
        return signal
    message = gettext('The signal "%(name)s" stands for "%(path)s", which is no django.dispatch.Signal.')
    others = [other for other, value in vars(module).items() if isinstance(value, Signal)]
    raise SettingsError(message % {"name": name, "path": path} + did_you_mean(attribute, others))


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

#: Sent around a save, and around a delete.
SAVE_SIGNALS = frozenset({"pre_save", "post_save"})
DELETE_SIGNALS = frozenset({"pre_delete", "post_delete"})

TEMPLATE_RENDERED = "template_rendered"
_named: dict[str, NamedSignal] = {}
_on_registration: list[Callable[[Signal], None]] = []


def register_signal(
    name: str,
    signal: Signal | str,
    *,
    label: str | Promise = "",
    arguments: Mapping[str, str | Promise] | None = None,
    hearing: str | Promise = "",
    instance: str = INSTANCE,
    quotes: Mapping[str, str] | None = None,
) -> NamedSignal:
    """Let rules listen to a signal under a name such as ``"clinic.appointment_cancelled"``.

    ``signal`` is the ``Signal``, or its dotted path, which is looked up when a rule first needs it. ``arguments`` says
    what the signal sends: ``{"reason": "Why, as the receptionist wrote it"}``; rules may then read these alone.
    ``hearing`` is a sentence for people, where not every process can hear the signal. These texts and ``label`` may be
    lazy translations. ``instance`` is the argument that is the object which the signal is about, where it is called
    otherwise: rules on that object's model hear the signal by it. ``quotes`` names arguments that quote records, each
    with the model of these: nobody is told them who may not view it, nor is a rule of theirs. Raises
    ``DuplicateRegistration`` when the name already stands for another signal.
    """
    made = NamedSignal(
        name,
        signal,
        _label(label, name),
        dict(arguments or {}),
        hearing,
        is_documented=arguments is not None,
        instance=instance,
        quotes=dict(quotes or {}),
    )
    holder = _named.get(name)
    if name in MODEL_SIGNALS or (holder is not None and not is_same(holder, made)):
        raise DuplicateRegistration(f'The signal name "{name}" already stands for another signal; choose another name.')
    _named[name] = made
    if isinstance(signal, Signal):
        for listener in _on_registration:
            listener(signal)
    return made


def on_registration(listener: Callable[[Signal], None]) -> None:
    """Call ``listener`` with each signal that is registered from now on."""
    _on_registration.append(listener)


def _label(label: str | Promise, name: str) -> str | Promise:
    # To ask a lazy text whether it is empty would translate it, before the apps can be asked for their languages.
    return label if isinstance(label, Promise) else label or name


def is_same(first: NamedSignal, second: NamedSignal) -> bool:
    """Say whether both stand for one signal."""
    if first.source is second.source or (isinstance(first.source, str) and first.source == second.source):
        return True
    if type(first.source) is type(second.source):
        return False
    return not first.trouble and not second.trouble and first.signal is second.signal


def configured() -> dict[str, NamedSignal]:
    """Return the signals that ``RULES_ENGINE["SIGNALS"]`` names; none where it cannot be used, as a check says."""
    try:
        written = conf.signals()
    except SettingsError:
        return {}
    return {
        name: NamedSignal(
            name,
            setting.path,
            _label(setting.label, name),
            dict(setting.arguments or {}),
            is_documented=setting.arguments is not None,
            instance=setting.instance or INSTANCE,
        )
        for name, setting in written.items()
    }


def registered() -> Mapping[str, NamedSignal]:
    """Return the signals that code registered, Django's own among them."""
    return _named


def quoting() -> list[str]:
    """Return the names of the signals that quote records."""
    return [name for name, signal in _named.items() if signal.quotes]


def find_signal(name: str) -> NamedSignal | None:
    """Return the signal without a model of that name, or None. What code registered goes before the setting."""
    return _named.get(name) or configured().get(name)


def is_djangos(name: str) -> bool:
    """Say whether the name is one of Django's own signals without a model."""
    return name in _DJANGOS


def known_signals() -> frozenset[str]:
    """Return every name that a rule's ``signals`` may hold in this process."""
    return frozenset(MODEL_SIGNALS) | frozenset(_named) | frozenset(configured())


_TESTS_ONLY = _("Only Django's test tools send it: a rule hears it in test runs, and nowhere else.")
_LATE = _("A process reads its rules when it first connects to the database; what it sends before that is not heard.")
_REQUEST = _("The request's method and path.")
_MIGRATED = {
    "app": _("The app's label, such as shop: it is sent once for each app."),
    "last": _("true for the last app of this migrate: a rule on it acts once."),
    "plan": _("The migrations of this migrate, such as shop.0002_stock; empty when there was nothing to do."),
    "using": _("The database's alias."),
    "verbosity": _("How much the command says, from 0 to 3."),
    "interactive": _("Whether somebody may be asked."),
}
_FIRST_MIGRATE = _("The very first migrate, which makes the tables of the rules themselves, is not heard.")
_USER = _("The user: username, pk, model, text.")
_DJANGOS_OWN: Sequence[tuple[str, Signal | str, Mapping[str, str | Promise], str | Promise]] = (
    (
        "request_started",
        core.request_started,
        {
            "environ": _(
                "What a WSGI server says: REQUEST_METHOD, SCRIPT_NAME and PATH_INFO; see request.path for both."
            ),
            "scope": _("What an ASGI server says: type, method and path; see request.path for both."),
        },
        _LATE,
    ),
    (
        "request_finished",
        core.request_finished,
        {},
        format_lazy("{} {}", _LATE, _("It knows the requests, as request.path, that came as far as ActorMiddleware.")),
    ),
    (
        "got_request_exception",
        core.got_request_exception,
        {"exception": _("type, text and where (module and line) of the exception."), "request": _REQUEST},
        _LATE,
    ),
    ("pre_migrate", models.pre_migrate, _MIGRATED, _FIRST_MIGRATE),
    ("post_migrate", models.post_migrate, _MIGRATED, _FIRST_MIGRATE),
    (
        "class_prepared",
        models.class_prepared,
        {"model": _("The model's label, such as shop.order.")},
        _("Django sends it while it starts, before any rule is read: a rule hears only of models that are made later."),
    ),
    (
        "setting_changed",
        core.setting_changed,
        {
            "setting": _("Its name."),
            "value": _("Its new value."),
            "enter": _("true where it begins, false where it ends."),
        },
        _TESTS_ONLY,
    ),
    (
        TEMPLATE_RENDERED,
        # Looked up only for a rule that wants it: Django's test package has no place in a web process.
        "django.test.signals.template_rendered",
        {"template": _("The template's name."), "context": _("Nothing of it but its type.")},
        _TESTS_ONLY,
    ),
    (
        "connection_created",
        connection_created,
        {"connection": _("alias and vendor of the database.")},
        _("The first connection of a process is the one by which its rules are read, and is not heard."),
    ),
    ("user_logged_in", auth.user_logged_in, {"user": _USER, "request": _REQUEST}, ""),
    (
        "user_logged_out",
        auth.user_logged_out,
        {"user": format_lazy("{} {}", _USER, _("Null where nobody was.")), "request": _REQUEST},
        "",
    ),
    (
        "user_login_failed",
        auth.user_login_failed,
        {
            "credentials": _("username, as it was tried; never a password."),
            "request": format_lazy("{} {}", _REQUEST, _("Null outside of one.")),
        },
        "",
    ),
)
for _name, _source, _arguments, _hearing in _DJANGOS_OWN:
    register_signal(_name, _source, arguments=_arguments, hearing=_hearing)

_DJANGOS = frozenset(_named)

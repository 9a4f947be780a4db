"""``send_signal``: a signal of the project's own, for its receivers and for the rules that listen to it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.contrib.auth import signals as auth
from django.core import signals as core
from django.db import models, router
from django.db.backends import signals as backends
from django.db.models import signals as of_models
from django.dispatch import Signal
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.actions import arguments
from rules_engine.context.paths import find_model
from rules_engine.context.signals import (
    DELETE_SIGNALS,
    MODEL_SIGNALS,
    TEMPLATE_RENDERED,
    NamedSignal,
    find_signal,
    known_signals,
)
from rules_engine.context.snapshot import plain, safe
from rules_engine.context.stored_form import key_of
from rules_engine.errors import PermanentError, Problem, Refused, TransientError, did_you_mean
from rules_engine.logs.one_line import keep_to_one_line
from rules_engine.rules.contract import Action, Clause, Effect, FieldValue, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

#: The object goes by the first of these, and ``Signal.send`` has the others for itself.
RESERVED = ("instance", "sender", "signal", "self")

# Django logs there what receivers raise, who may say it in words of the data that we hand them.
keep_to_one_line(logging.getLogger("django.dispatch"))


@register_action
class SendSignal(Action):
    """Send a signal from the worker. The sender is the rule's model, or none."""

    kind = "send_signal"
    label = _("Send a signal")
    schema = {
        "type": "object",
        "keys": {
            "signal": {
                "type": "string",
                "title": _("Signal"),
                "plain": True,
                "required": True,
                "helpText": _("One that the site's own code registered, such as shop.order_paid."),
            },
            "with_object": {
                "type": "boolean",
                "title": _("With the object"),
                "default": False,
                "helpText": _("Receivers are given the object, as it is by then, as their argument instance."),
            },
            "arguments": arguments.SCHEMA,
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        name = config.get("signal")
        named = _own(name)
        if not name:
            yield Problem("/signal", gettext("Name the signal to send. %(listed)s") % {"listed": _listed()})
        elif named is None:
            yield Problem("/signal", _signal_problem(name))
        if config.get("with_object"):
            yield from _object_problems(rule)
        yield from arguments.problems(config, rule, RESERVED)
        if named is not None:
            yield from _undocumented(config, named)

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return arguments.reads(config)

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        """Receivers do things to the object they are given: whoever hands it over must be allowed to change it."""
        model = find_model(rule.model) if rule.model and config.get("with_object") else None
        return () if model is None else [f"{model._meta.app_label}.change_{model._meta.model_name}"]

    def effects(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Effect]:
        """Name the signal; what the site's own receivers do on it is not known here."""
        named = _own(config.get("signal"))
        return () if named is None else [Effect("", named.name)]

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        named = _own(config.get("signal"))
        name = config.get("signal") if named is None else str(named.label)
        return Clause(_("send the signal %(signal)s"), {"signal": FieldValue("", "", name)})

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        named = _own(config["signal"])
        if named is None:
            raise Refused(_signal_problem(config["signal"]))
        event = context.event
        details = {
            gettext("Arguments"): plain(safe(arguments.evaluate(config, context.data))),
            gettext("Object"): f"{event.model} {event.pk}" if config.get("with_object") else "",
        }
        summary = gettext("Sends %(signal)s") % {"signal": named.name}
        return Preview(summary, {name: value for name, value in details.items() if value})

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        named = _own(config["signal"])
        if named is None:
            raise Refused(_signal_problem(config["signal"]))
        label = context.event.model
        model = find_model(label) if label else None
        values = arguments.evaluate(config, context.data)
        shown = plain(safe(values))
        if config.get("with_object"):
            values["instance"] = _object(model, context.event.pk)
        # All receivers are called whatever one of them does, as their number and order are not the rule's to know.
        answers = named.signal.send_robust(sender=model, **values)
        _raise_for([(receiver, answer) for receiver, answer in answers if isinstance(answer, Exception)])
        return ActionResult(f"Sent {named.name} to {len(answers)} receivers", {"arguments": shown})


def _own(name: Any) -> NamedSignal | None:
    """Return the project's signal of that name; None for Django's, which mean that something of Django's has
    happened."""
    if not isinstance(name, str) or name in MODEL_SIGNALS or name == TEMPLATE_RENDERED:
        return None
    named = find_signal(name)
    return None if named is None or named.trouble or _is_djangos(named.signal) else named


def _is_djangos(signal: Signal) -> bool:
    # Whatever name it was registered under. Django's test package is looked at only where it is loaded anyway.
    modules = [auth, backends, core, of_models, sys.modules.get("django.test.signals")]
    return any(value is signal for module in modules if module is not None for value in vars(module).values())


def _own_names() -> list[str]:
    return sorted(name for name in known_signals() if _own(name) is not None)


def _listed() -> str:
    known = _own_names()
    return (
        gettext("The signals are: %(known)s.") % {"known": ", ".join(known)}
        if known
        else gettext("The site's code has registered none.")
    )


def _signal_problem(name: Any) -> str:
    if isinstance(name, str) and (named := find_signal(name)) is not None and named.trouble:
        return named.trouble
    if name in known_signals():
        return gettext("\"%(name)s\" is Django's to send; rules send signals of the site's own. %(listed)s") % {
            "name": name,
            "listed": _listed(),
        }
    return gettext('There is no signal "%(name)s" here.%(hint)s %(listed)s') % {
        "name": name,
        "hint": did_you_mean(name, _own_names()),
        "listed": _listed(),
    }


def _object_problems(rule: RuleSpec) -> Iterator[Problem]:
    if not rule.model:
        yield Problem("/with_object", gettext("This rule listens to no model, so there is no object to send."))
    elif rule.signals and set(rule.signals) <= DELETE_SIGNALS:
        yield Problem(
            "/with_object", gettext("The object is gone when this is sent; send its values as arguments instead.")
        )


def _undocumented(config: Mapping[str, Any], named: NamedSignal) -> Iterator[Problem]:
    known = [name for name in named.arguments if name not in RESERVED]
    for index, row in enumerate(arguments.rows(config)):
        name = row.get("name")
        if named.arguments and name and name not in named.arguments and name not in RESERVED:
            hint = did_you_mean(name, known)
            listed = ", ".join(known) or gettext("no arguments but the object")
            yield Problem(
                f"/arguments/{index}/name",
                gettext('%(signal)s carries no "%(name)s".%(hint)s It has: %(listed)s.')
                % {"signal": named.name, "name": name, "hint": hint, "listed": listed},
            )


def _object(model: type[models.Model] | None, pk: Any) -> models.Model:
    row = None
    if model is not None and pk is not None:
        row = model._base_manager.using(router.db_for_write(model)).filter(pk=key_of(model, pk)).first()
    if row is None:
        raise PermanentError("The object is gone.")
    return row


def _raise_for(failed: list[tuple[Any, Exception]]) -> None:
    if failed:
        said = "; ".join(f"{_name(receiver)}: {type(error).__name__}: {error}" for receiver, error in failed)
        raise TransientError(f"Receivers failed: {said}") from failed[0][1]


def _name(receiver: Any) -> str:
    return f"{receiver.__module__}.{getattr(receiver, '__qualname__', type(receiver).__qualname__)}"

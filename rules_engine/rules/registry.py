"""The kinds of action this process knows."""

from __future__ import annotations

from typing import TypeVar

from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.errors import DuplicateRegistration, did_you_mean
from rules_engine.rules.contract import Action, Route

_actions: dict[str, Action] = {}

ActionClass = TypeVar("ActionClass", bound=type[Action])


def register_action(action_class: ActionClass) -> ActionClass:
    """Make a kind of action known under its ``kind``; a decorator for its class.

    Raises ``DuplicateRegistration`` when another class holds that kind, naming both.
    """
    kind = action_class.kind
    holder = _actions.get(kind)
    if holder is not None and _name(type(holder)) != _name(action_class):
        raise DuplicateRegistration(
            f'The action kind "{kind}" is registered by {_name(type(holder))} and again by {_name(action_class)}. '
            "Give one of them another kind."
        )
    _actions[kind] = action_class()
    return action_class


def _name(action_class: type[Action]) -> str:
    return f"{action_class.__module__}.{action_class.__qualname__}"


def find(kind: str) -> Action | None:
    """Return the action of that kind, or None."""
    return _actions.get(kind)


def title(kind: str) -> str:
    """Return what people call actions of that kind; the kind itself where it is not known here."""
    action = find(kind)
    return str(action.label) if action is not None else kind


def kinds(*, also_ordered: bool = False) -> dict[str, Action]:
    """Return the actions that a rule may have by kind, in alphabetical order; ``also_ordered``: all there are."""
    return {kind: action for kind, action in sorted(_actions.items()) if also_ordered or not action.only_ordered}


def unknown(kind: str) -> str:
    """Return the sentence that says a kind does not exist here."""
    known = ", ".join(kinds())
    return gettext('There is no action of the kind "%(kind)s".%(hint)s The kinds are: %(known)s.') % {
        "kind": kind,
        "hint": did_you_mean(kind, list(kinds())),
        "known": known,
    }


def autodiscover() -> None:
    """Import the ``rule_actions`` module of every installed app that has one."""
    autodiscover_modules("rule_actions")


def default_route() -> Route:
    """Return where executions of a kind that is not installed here wait."""
    return Route(conf.queue())

"""A rule has no more power than its author: checked when it is saved, and again each time it acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model

from rules_engine.context.paths import ModelClass, find_model, label_of
from rules_engine.context.visible import MayView, objects_sent, quoted
from rules_engine.databases.uncached import uncached
from rules_engine.logic import jsonlogic
from rules_engine.rules import registry
from rules_engine.rules.holding import key_reads
from rules_engine.rules.repetition import for_each_reads, rule_seen_by
from rules_engine.rules.schedules import kinds as schedules
from rules_engine.rules.scope import view_permissions
from rules_engine.rules.signals import objects_of
from rules_engine.surroundings.own_rules import of_authors
from rules_engine.types import ActionSpec, Path, RuleSpec


def needed(rule: RuleSpec) -> set[str]:
    """Return every permission that the whole rule takes: to view what it reads, and what its actions ask for."""
    wanted = view_permissions(rule, match_reads(rule))
    for action in rule.actions:
        wanted |= needed_by_action(action, rule)
    return wanted


def needed_of_signals(rule: RuleSpec) -> set[str]:
    """Return what the rule takes besides: to view the objects that its signals send, as far as that is known before.

    Whoever saves a rule is told; whether they may is asked of each event, which tells what was sent.
    """
    return needed(replace(rule, objects=objects_of(rule))) - needed(rule)


def match_reads(rule: RuleSpec) -> set[Path]:
    """Return what is read to find out whether, and how often, the rule acts."""
    reads = key_reads(rule) | schedules.reads(rule.schedule)
    if rule.condition is None or jsonlogic.check(rule.condition):
        return reads
    return {*jsonlogic.compile_condition(rule.condition).reads, *reads}


def needed_by_action(action: ActionSpec, rule: RuleSpec) -> set[str]:
    """Return the permissions that one action of the rule takes."""
    known = registry.find(action.kind)
    if known is None:
        return set()
    rule = rule_seen_by(action, rule)
    reads = {*known.reads(action.config, rule), *for_each_reads(action.for_each)}
    return view_permissions(rule, reads) | set(known.permissions(action.config, rule))


def lacking(user: Any, permissions: Iterable[str]) -> list[str]:
    """Return those of the permissions that the user does not have, in order."""
    return sorted(permission for permission in permissions if not user.has_perm(permission))


def may_view(user: Any) -> MayView:
    """Return what says of a model whether the user may see its objects."""
    return partial(_sees, user)


def _sees(user: Any, model: ModelClass) -> bool:
    # As in the admin: who may change them may see them.
    app, name = model._meta.app_label, model._meta.model_name
    return user is not None and any(user.has_perm(f"{app}.{right}_{name}") for right in ("view", "change"))


def may_view_data(user: Any, label: str) -> bool:
    """Say whether the user may be shown data of a model's objects, by its label such as ``"shop.order"``.

    Data of no model is for whoever sees the record that holds it; of a model that is gone, for superusers.
    """
    model = find_model(label) if label else None
    if model is None:
        return not label or bool(getattr(user, "is_superuser", False))
    return _sees(user, model)


def may_view_event(user: Any, label: str, context: Mapping[str, Any]) -> bool:
    """Say whether the user may be shown what came of an event: it may quote the object, and where the event is about
    none, the objects that its signal sent, and the records that this quotes."""
    labels = [label] if label else [*objects_sent(context).values(), *quoted(context).values()]
    return all(may_view_data(user, label) for label in labels)


def may_view_outcomes(user: Any, label: str) -> bool:
    """Say whether the user may be shown what rules on the model came to, which quotes data. Rules on no model may tell
    of users, who log in."""
    return may_view_data(user, label or label_of(get_user_model()))


def viewable_labels(user: Any) -> list[str]:
    """Return the labels of the models whose data the user may be shown. "" stands for data of no model, for whoever may
    view users: what is told of logins names them."""
    of_none = [""] if may_view_outcomes(user, "") else []
    return [*of_none, *(label_of(model) for model in apps.get_models() if _sees(user, model))]


def _sees_there(place: str, user: Any, model: ModelClass) -> bool:
    # The rules' authors may be in another schema than the change.
    with of_authors(place):
        return _sees(user, model)


class Authors:
    """The authors of a batch: each is fetched, and their permissions computed, once.

    ``place`` is where they are: the surroundings that their rules hold in alone. ``of`` gives those of another.
    """

    def __init__(self, place: str = "") -> None:
        self._users: dict[str, Any] = {}
        self._place, self._elsewhere = place, dict[str, Authors]()

    def of(self, place: str) -> Authors:
        """Return the authors of that place."""
        return self if place == self._place else self._elsewhere.setdefault(place, Authors(place))

    def find(self, author_id: str) -> Any:
        """Return the user, or None when there is none any more."""
        if author_id not in self._users:
            with of_authors(self._place):
                self._users[author_id] = uncached(get_user_model()._default_manager.filter(pk=author_id)).first()
        return self._users[author_id]

    def viewing(self, author_id: str) -> MayView | None:
        """Say which models the author may view; None, which is all, without an author: the operator's."""
        return partial(_sees_there, self._place, self.find(author_id)) if author_id else None

    def refusal(self, author_id: str, action: ActionSpec, rule: RuleSpec, reads: Iterable[Path] = ()) -> str | None:
        """Say why the author's rule may not do this now, as a sentence; None when it may. No author: the operator's.

        ``reads`` is what the rule read to match (``match_reads``), where ``rule`` is given without its condition.
        """
        if not author_id:
            return None
        return self.lacks(author_id, needed_by_action(action, rule) | view_permissions(rule, reads))

    def lacks(self, author_id: str, wanted: Iterable[str]) -> str | None:
        """Say why the author may not do what takes these permissions, as a sentence; None when they may."""
        user = self.find(author_id)
        if user is None:
            return "The rule's author no longer exists; reassign the rule to somebody."
        if not user.is_active:
            return f"The rule's author, {user.get_username()}, is inactive; reassign the rule to somebody."
        with of_authors(self._place):
            missing = lacking(user, wanted)
        if missing:
            return f"The rule's author, {user.get_username()}, lacks the permission {', '.join(missing)}."
        return None

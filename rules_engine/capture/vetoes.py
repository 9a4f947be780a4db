"""Vetoes where a form can show them: ``full_clean()`` asks the rules that would reject the save.

Django sends no signal when it validates. So the models with a live rule that rejects get a ``full_clean`` that asks,
for as long as there is such a rule; no other model is touched. The save asks again: not every caller validates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, router
from django.utils import timezone

from rules_engine.capture import in_process, receiver, saves
from rules_engine.capture.outcome import evaluate
from rules_engine.capture.watches import ModelWatch
from rules_engine.context import actor
from rules_engine.context.paths import ModelClass
from rules_engine.errors import Rejected
from rules_engine.live.cache import RuleSet
from rules_engine.rules.matching import CompiledRule

#: Models whose ``full_clean`` is ours just now, and what they had of their own.
_attached: dict[ModelClass, Any] = {}


def attach(rule_set: RuleSet) -> None:
    """Ask the vetoes of these rules from now on, and no others. Called once the receiver is connected to them."""
    vetoing = [model for model, watch in receiver.watched().items() if _vetoing(watch)]
    for model in [model for model in _attached if model not in vetoing]:
        _detach(model)
    for model in vetoing:
        if model not in _attached:
            _attached[model] = model.__dict__.get("full_clean")
            model.full_clean = _asking(model, _attached[model])  # type: ignore[method-assign]


def _vetoing(watch: ModelWatch) -> list[CompiledRule]:
    rules = watch.rules.get("pre_save", ())
    return [rule for rule in rules if any(in_process.is_veto(action) for action in rule.actions)]


def _detach(model: ModelClass) -> None:
    own = _attached.pop(model)
    if own is None:
        del model.full_clean
    else:
        model.full_clean = own  # type: ignore[method-assign]


def _asking(model: ModelClass, own: Callable[..., None] | None) -> Callable[..., None]:
    # One function a model: of a subclass that inherits it, ``super()`` has to know where it stands.
    def full_clean(self: models.Model, exclude: Any = None, *args: Any, **options: Any) -> None:
        validate = own.__get__(self) if own is not None else super(model, self).full_clean  # type: ignore[misc]
        validate(exclude, *args, **options)
        # A subclass that is watched too asks for itself.
        if type(self) is model and (rejected := ask(self)) is not None:
            raise _shown_in(rejected, set(exclude or ()))

    full_clean.__doc__ = models.Model.full_clean.__doc__
    return full_clean


def _shown_in(rejected: Rejected, exclude: set[str]) -> ValidationError:
    """Return the veto at its field, or for the whole form where that has no such field."""
    if exclude.intersection(rejected.message_dict if hasattr(rejected, "error_dict") else ()):
        return ValidationError({NON_FIELD_ERRORS: rejected.messages})
    return rejected


def ask(instance: models.Model) -> Rejected | None:
    """Return what the first rule says that would not allow the save; None where all would. Records nothing.

    Rules that cannot be asked do not keep validation from going on: the save asks again.
    """
    if type(instance) not in receiver.watched() or actor.origin().is_paused:
        return None
    with receiver.KeptFromCaller("The vetoes of the rules on %s could not be asked.", type(instance)._meta.label):
        watch = receiver.table(type(instance)).models.get(type(instance))
        return None if watch is None else _ask(watch, instance)
    return None


def _ask(watch: ModelWatch, instance: models.Model) -> Rejected | None:
    using = instance._state.db or router.db_for_write(type(instance), instance=instance)
    subject, rules = saves.validated(watch, instance, using, timezone.now())
    # All of them: one that is tried before a veto may stop those after it.
    vetoing = {rule.slug for rule in _vetoing(watch)}
    matched = [
        rule
        for rule, evaluation in evaluate(subject, rules)
        if evaluation.outcome == "matched" and rule.slug in vetoing
    ]
    return in_process.ask_vetoes(subject, subject.event({}), matched)[1] if matched else None

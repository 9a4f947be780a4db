"""Vetoes where a form can show them: ``full_clean()`` asks the rules that would reject the save.

Django sends no signal when it validates. So the models with a live rule that rejects get a ``full_clean`` that asks,
for as long as there is such a rule; no other model is touched. The save asks again: not every caller validates.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, router
from django.utils import timezone

from rules_engine.capture import in_process, saves
from rules_engine.capture.matches import data_of, reads_of, tried
from rules_engine.capture.sources import ModelWatch, Table
from rules_engine.context import actor
from rules_engine.context.paths import ModelClass
from rules_engine.errors import Rejected
from rules_engine.rules.matching import CompiledRule, match

logger = logging.getLogger("rules_engine")

#: Models whose ``full_clean`` is ours just now, and what they had of their own.
_attached: dict[ModelClass, Any] = {}
_watches: dict[ModelClass, ModelWatch] = {}


def attach(table: Table) -> None:
    """Ask the vetoes of this table from now on, and no others. Called with each new rule set."""
    found = {model: watch for model, watch in table.models.items() if _vetoing(watch)}
    for model in [one for one in _attached if one not in found]:
        _detach(model)
    _watches.clear()
    _watches.update(found)
    for model in found:
        if model not in _attached:
            _attached[model] = model.__dict__.get("full_clean")
            model.full_clean = _asking(model, _attached[model])  # type: ignore[method-assign]


def _vetoing(watch: ModelWatch) -> list[CompiledRule]:
    return [rule for rule in watch.of("pre_save") if any(in_process.is_veto(action) for action in rule.actions)]


def _detach(model: ModelClass) -> None:
    own = _attached.pop(model)
    if own is None:
        del model.full_clean
    else:
        model.full_clean = own  # type: ignore[method-assign]


def _asking(model: ModelClass, own: Callable[..., None] | None) -> Callable[..., None]:
    def full_clean(self: models.Model, exclude: Any = None, *args: Any, **options: Any) -> None:
        validate = own.__get__(self) if own is not None else super(model, self).full_clean  # type: ignore[misc]
        validate(exclude, *args, **options)
        # A subclass that is watched too asks for itself.
        if type(self) is model and (rejected := ask(self)) is not None:
            raise _shown_in(rejected, set(exclude or ()))

    full_clean.__doc__ = models.Model.full_clean.__doc__
    return full_clean


def _shown_in(rejected: Rejected, exclude: set[str]) -> ValidationError:
    """The veto at its field, or for the whole form where that has no such field."""
    if exclude.intersection(rejected.message_dict if hasattr(rejected, "error_dict") else ()):
        return ValidationError({NON_FIELD_ERRORS: rejected.messages})
    return rejected


def ask(instance: models.Model) -> Rejected | None:
    """What the first rule says that would not allow the save; None where all would. Records nothing."""
    watch = _watches.get(type(instance))
    if watch is None or actor.is_paused():
        return None
    try:
        return _ask(watch, instance)
    except Exception:  # the evaluation boundary: validation goes on without us, and the save asks again
        logger.exception("The vetoes of the rules on %s could not be asked.", type(instance)._meta.label)
        return None


def _ask(watch: ModelWatch, instance: models.Model) -> Rejected | None:
    using = instance._state.db or router.db_for_write(type(instance), instance=instance)
    subject, _ = saves.about_to_save(watch, instance, None, using)
    subject.occurred_at = timezone.now()
    # All of them: one that is tried before a veto may stop those after it.
    rules = tried(watch.of("pre_save"), subject.occurred_at)
    evaluations = match(rules, subject.operation, subject.changes, lambda left: data_of(subject, left))
    slugs = {one.rule_slug for one in evaluations if one.outcome == "matched"}
    matched = [rule for rule in _vetoing(watch) if rule.slug in slugs]
    if not matched:
        return None
    event = subject.event(subject.context(reads_of(matched, lambda rule: rule.action_reads), whole=True))
    return in_process.veto(instance, event, matched, lambda rule: event.context)[1]

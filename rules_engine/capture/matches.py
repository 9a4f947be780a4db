"""Which rules are tried on a subject at all, and the data that their conditions are given."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from django.db import DatabaseError
from django.utils.translation import gettext

from rules_engine.context import actor
from rules_engine.context.subject import Subject
from rules_engine.errors import ConditionError, UnknownPath
from rules_engine.logic import jsonlogic
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import Path


def tried(rules: Sequence[CompiledRule], now: datetime) -> Sequence[CompiledRule]:
    """Those of the rules that are tried now and in this place."""
    if (cause := actor.cause()) is not None:
        # A rule does not set off itself: what its own actions change, it does not see.
        rules = [rule for rule in rules if rule.slug != cause.rule_slug]
    if actor.is_loading():
        rules = [rule for rule in rules if rule.raw]
    if all(rule.is_always_tried for rule in rules):
        return rules
    return [rule for rule in rules if rule.is_active(now) and (rule.sample >= 1.0 or _falls_in(rule.sample))]


def _falls_in(share: float) -> bool:
    return random.random() < share  # noqa: S311 - a sample, not a secret


def reads_of(rules: Iterable[CompiledRule], of: Callable[[CompiledRule], Iterable[Path]]) -> set[Path]:
    """All that ``of`` gives for these rules."""
    return {path for rule in rules for path in of(rule)}


def data_of(subject: Subject, rules: Sequence[CompiledRule]) -> jsonlogic.DataHandle:
    """The context as the conditions of these rules take it. Raises ``ConditionError`` where it cannot be read."""
    try:
        return jsonlogic.data_handle(subject.context(reads_of(rules, lambda rule: rule.reads)))
    except (DatabaseError, UnknownPath) as error:
        raise ConditionError(gettext("What it reads could not be read (%s).") % type(error).__name__) from error

"""Who may run which rules on which objects, and which rules there are for a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rules_engine.context.paths import ModelClass, find_model
from rules_engine.live import cache
from rules_engine.models import Rule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.permissions import may_view_data
from rules_engine.surroundings import own_rules
from rules_engine.work.runs.starting import why_not

RUN_RULE = "rules_engine.run_rule"
#: Rules that are offered at once.
MOST_OFFERED = 50


def may_run(user: Any, label: str) -> bool:
    """Say whether somebody may run rules on objects of a model, as far as that is known before one is named."""
    return user.has_perm(RUN_RULE) and user.has_perm("rules_engine.view_rule") and may_view_data(user, label)


def rules_for(model: ModelClass) -> Iterator[CompiledRule]:
    """Yield the rules that are on and can be run on objects of the model, by whose keys they know them. No query."""
    fits: dict[str, bool] = {}
    for rule in cache.current().rules:
        if not own_rules.is_changed_here(rule.surroundings):
            continue
        if rule.model not in fits:
            other = find_model(rule.model) if rule.model else None
            fits[rule.model] = other is not None and has_keys_of(model, other)
        if fits[rule.model] and not why_not(rule):
            yield rule


def has_keys_of(model: ModelClass, other: ModelClass) -> bool:
    """Say whether objects of a model are objects of another one, under the same keys."""
    here: Any = model._meta.concrete_model or model
    wanted = other._meta.concrete_model or other
    while here is not wanted:
        link = here._meta.pk
        if not getattr(link.remote_field, "parent_link", False):
            return False
        here = link.remote_field.model._meta.concrete_model
    return True


def offered(user: Any, model: ModelClass) -> list[Rule]:
    """Return the rules that somebody may run on objects of the model, in order."""
    slugs = [rule.slug for rule in rules_for(model) if may_run(user, rule.model)][:MOST_OFFERED]
    return list(Rule.objects.filter(slug__in=slugs).order_by("position", "slug")) if slugs else []

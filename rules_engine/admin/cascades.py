"""What a rule's page says of the other rules that it can set off, and that can set off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.actions.base import Effect
from rules_engine.admin.rendering import page_url
from rules_engine.admin.wording import model_title
from rules_engine.models import Rule
from rules_engine.rules.cascades import Link, analyse

#: Other rules named under one heading; the rest is a number.
NAMED = 20
SAVES = {"create": _("creates %(model)s"), "update": _("saves %(model)s"), "delete": _("deletes %(model)s")}


@dataclass(frozen=True, slots=True)
class Other:
    """Another rule, with the ways in which the two are linked."""

    name: str
    url: str
    why: str


def cascades_of(rule: Rule) -> dict[str, Any]:
    """For the template: ``sets_off``, ``set_off_by`` and ``loop`` as lists of ``Other`` with how many ``more`` there
    are, and whether the rule hears itself or does what nobody can tell. Two queries."""
    rules = list(Rule.objects.filter(Q(enabled=True) | Q(pk=rule.pk)).prefetch_related("actions"))
    by_slug = {one.slug: one for one in rules}
    found = analyse(one.spec() for one in rules)
    loop = found.loop_of(rule.slug)
    return {
        "sets_off": _others(by_slug, ((link.target, link) for link in found.sets_off(rule.slug))),
        "set_off_by": _others(by_slug, ((link.source, link) for link in found.set_off_by(rule.slug))),
        "loop": _others(by_slug, ((slug, None) for slug in loop if slug != rule.slug)),
        "hears_itself": bool(found.hears_itself(rule.slug)),
        "does_anything": found.does_anything(rule.slug),
    }


def _others(rules: Mapping[str, Rule], pairs: Iterable[tuple[str, Link | None]]) -> dict[str, Any]:
    ways: dict[str, dict[str, None]] = {}
    for slug, link in pairs:
        words = ways.setdefault(slug, {})
        if link is not None:
            words[effect_words(link.effect)] = None
    named = [
        Other(str(rules[slug]), page_url("rule", rules[slug].pk), "; ".join(words))
        for slug, words in list(ways.items())[:NAMED]
    ]
    return {"named": named, "more": len(ways) - len(named)}


def effect_words(effect: Effect) -> str:
    """What an action does, as a clause: ``saves Order (subtotal, total)``."""
    if not effect.model:
        return gettext("sends %(signal)s") % {"signal": effect.operation}
    words = str(SAVES.get(effect.operation) or _("changes relations of %(model)s"))
    fields = f" ({', '.join(sorted(effect.fields))})" if effect.fields else ""
    return words % {"model": model_title(effect.model)} + fields

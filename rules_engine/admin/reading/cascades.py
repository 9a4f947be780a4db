"""What a rule's page says of the other rules that it can set off, and that can set off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.rendering import page_url
from rules_engine.admin.reading.enabled import enabled_rules
from rules_engine.models import Rule
from rules_engine.rules.cascades import Link, analyse
from rules_engine.rules.contract import Effect

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
    are, and whether the rule hears itself or does what nobody can tell. Five queries at most."""
    known = enabled_rules()
    cascades, names = known.cascades, known.names
    if rule.slug not in cascades.effects:
        cascades = analyse([*known.specs, rule.spec()])
    loop = cascades.loop_of(rule.slug)
    return {
        "sets_off": _others(names, ((link.target, link) for link in cascades.sets_off(rule.slug))),
        "set_off_by": _others(names, ((link.source, link) for link in cascades.set_off_by(rule.slug))),
        "loop": _others(names, ((slug, None) for slug in loop if slug != rule.slug)),
        "hears_itself": bool(cascades.hears_itself(rule.slug)),
        "does_anything": cascades.does_anything(rule.slug),
    }


def _others(rules: Mapping[str, tuple[Any, str]], pairs: Iterable[tuple[str, Link | None]]) -> dict[str, Any]:
    ways: dict[str, dict[Effect, None]] = {}
    for slug, link in pairs:
        effects = ways.setdefault(slug, {})
        if link is not None:
            effects[link.effect] = None
    named = []
    for slug, effects in list(ways.items())[:NAMED]:
        pk, name = rules[slug]
        words = dict.fromkeys(effect_words(effect) for effect in effects)
        named.append(Other(name, page_url("rule", pk), "; ".join(words)))
    return {"named": named, "more": len(ways) - len(named)}


def effect_words(effect: Effect) -> str:
    """What an action does, as a clause: ``saves Order (subtotal, total)``."""
    if not effect.model:
        return gettext("sends %(signal)s") % {"signal": effect.operation}
    words = str(SAVES.get(effect.operation) or _("changes relations of %(model)s"))
    fields = f" ({', '.join(sorted(effect.fields))})" if effect.fields else ""
    return words % {"model": model_title(effect.model)} + fields

"""``{% load rules_engine %}``: what a site's own pages in the admin can show of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.inclusion_tag("admin/rules_engine/pauses_banner.html", takes_context=True)
def rules_paused(context: Mapping[str, Any]) -> dict[str, Any]:
    """Show what is paused, to whoever may view rules; nothing where nothing is."""
    # Inside: Django reads every library of tags, also on a site without its admin.
    from rules_engine.admin.pauses.notices import index_banner

    return index_banner(context.get("request"))


@register.simple_tag(takes_context=True)
def rules_needs(context: Mapping[str, Any]) -> int | None:
    """Give the number of things that need somebody, as far as the user may see them: ``{% rules_needs as count %}``.
    None where there is no overview of them, in surroundings with rules of their own."""
    from rules_engine.admin.overview.needs import how_many, needs_of
    from rules_engine.surroundings.own_rules import are_kept_here

    if are_kept_here():
        return None
    user = getattr(context.get("request"), "user", None)
    return how_many(needs_of(user)) if user is not None else 0

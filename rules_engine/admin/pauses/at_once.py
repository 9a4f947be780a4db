"""What no pause makes up for: actions that belong to the save itself, which is over when somebody resumes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from rules_engine.models import Pause, RuleAction
from rules_engine.rules import registry
from rules_engine.surroundings.own_rules import seen_from_here

#: Rules that are named; of more it is said how many.
NAMED = 100
AT_ONCE = (RuleAction.Timing.BEFORE_SAVE, RuleAction.Timing.IN_TRANSACTION)


@dataclass(frozen=True, slots=True)
class AtOnce:
    """A rule that is on, and the titles of its actions that act while somebody waits for the save."""

    slug: str
    name: str
    model: str
    actions: tuple[str, ...]


def acting_at_once(slugs: Collection[str] | None = None) -> list[AtOnce]:
    """Give the rules that are on and act at once: all, or those of these slugs. One query."""
    on = {"enabled": True, "rule__enabled": True, "rule__shadow": False, "timing__in": AT_ONCE}
    seen = {f"rule__{column}": value for column, value in seen_from_here().items()}
    actions = RuleAction.objects.filter(**on, **seen).order_by("rule__name", "rule__slug", "position")
    kinds: dict[tuple[str, str, str], dict[str, None]] = {}
    for slug, name, model, kind in actions.values_list("rule__slug", "rule__name", "rule__model", "kind"):
        if slugs is None or slug in slugs:
            kinds.setdefault((slug, name or slug, model), {})[registry.title(kind)] = None
    return [AtOnce(*rule, tuple(titles)) for rule, titles in kinds.items()]


def stopped_by(pause: Pause) -> list[AtOnce]:
    """Give those that the pause stops. One query."""
    return [rule for rule in acting_at_once() if pause.stops(rule.slug, rule.model)]


def left_out_block(rules: Iterable[AtOnce]) -> SafeString:
    """Name them beside the choice between hold and drop, each marked with what it would be paused by; nothing where
    there are none."""
    every = list(rules)
    if not every:
        return SafeString("")
    rows = ((rule.slug, rule.model, rule.name, ", ".join(rule.actions)) for rule in every[:NAMED])
    items = format_html_join("", '<li dir="auto" data-rule="{}" data-model="{}">{}: {}</li>', rows)
    if (more := len(every) - NAMED) > 0:
        said = ngettext("and %(count)s more rule", "and %(count)s more rules", more) % {"count": more}
        items += format_html("<li data-more>{}</li>", said)
    text = gettext("What these rules do belongs to the save itself. Neither choice makes up for it:")
    return format_html('<div class="rules-left-out"><p>{}</p><ul>{}</ul></div>', text, items)

"""What pages say of pauses that stand: on the admin's index, on rules, and on the pages of a site's own objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext

from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.rendering import list_url, page_url
from rules_engine.models import Pause, Rule
from rules_engine.surroundings import own_rules

#: Pauses that a page shows one by one: the widest first. Of more it says how many.
SHOWN = 3
SEEING = ("view_rule", "change_rule", "view_pause", "change_pause")


def scope_words(pause: Pause) -> str:
    """What it stops, in words; a rule by its name where ``named`` has found it."""
    if pause.rule_slug:
        return gettext('the rule "%s"') % (getattr(pause, "rule_name", "") or pause.rule_slug)
    if pause.model:
        return gettext("all rules that watch %s") % f"{model_title(pause.model)} ({pause.model})"
    return gettext("everything")


def named(pauses: Iterable[Pause]) -> list[Pause]:
    """The pauses, those of rules with ``rule_name``. One query, none where no rule is named."""
    every = list(pauses)
    slugs = {pause.rule_slug for pause in every if pause.rule_slug}
    names = dict(Rule.objects.filter(slug__in=slugs).values_list("slug", "name")) if slugs else {}
    for pause in every:
        pause.rule_name = names.get(pause.rule_slug, "")  # type: ignore[attr-defined]
    return every


def resume_url(pause: Pause) -> str:
    """Where somebody is asked whether to resume."""
    return page_url("pause", pause.pk).replace("/change/", "/delete/")


def may_see_pauses(user: Any) -> bool:
    """Whether the pages of pauses are for this user."""
    return any(user.has_perm(f"rules_engine.{right}_pause") for right in ("view", "change"))


def seen_here(pauses: Any) -> Any:
    """Those of the pauses that are shown here: none of rules of other surroundings."""
    if not own_rules.are_kept_here():
        return pauses
    return pauses.filter(Q(rule_slug="") | Q(rule_slug__in=Rule.objects.seen_here().values("slug")))


class Pauses:
    """How the rules of a page are paused. One query, however many they are."""

    def __init__(self, user: Any) -> None:
        self.all = list(seen_here(Pause.objects.current()))
        self.user = user

    def of(self, rule: Rule) -> list[Pause]:
        """Those that stop this rule."""
        return [pause for pause in self.all if pause.stops(rule.slug, rule.model)]

    def of_rules(self, rules: Iterable[tuple[str, str]]) -> list[Pause]:
        """Those that stop any of these rules, as pairs of slug and model. Where nothing is paused, nobody asks them."""
        known = list(rules) if self.all else []
        return [pause for pause in self.all if any(pause.stops(slug, model) for slug, model in known)]

    def notices(self, pauses: Iterable[Pause]) -> list[dict[str, Any]]:
        """For a template: each with its words and, for whoever may, the addresses of its page and of resuming."""
        may_see = may_see_pauses(self.user)
        may_resume = self.user.has_perm("rules_engine.delete_pause")
        return [
            {
                "pause": pause,
                "scope": scope_words(pause),
                "url": page_url("pause", pause.pk) if may_see else "",
                "resume_url": resume_url(pause) if may_resume else "",
            }
            for pause in named(pauses)
        ]

    def banner(self, pauses: Collection[Pause]) -> dict[str, Any]:
        """For a template: ``pauses``, the widest first, and how many ``more`` there are, with where they are listed."""
        widest = sorted(pauses, key=lambda pause: (bool(pause.rule_slug), bool(pause.model)))
        return {
            "pauses": self.notices(widest[:SHOWN]),
            "more": max(0, len(widest) - SHOWN),
            "more_url": list_url("pause") if may_see_pauses(self.user) else "",
        }

    @staticmethod
    def held_url(rule: Rule) -> str:
        """Where the matches of a rule that wait are listed."""
        return list_url("heldmatch", rule_slug=rule.slug, state__exact="waiting")


def index_banner(request: Any) -> dict[str, Any]:
    """Say for the admin's index what is paused, to whoever may view rules or pauses. One query, none for others."""
    user = getattr(request, "user", None)
    if user is None or not any(user.has_perm(f"rules_engine.{right}") for right in SEEING):
        return {}
    pauses = Pauses(user)
    return pauses.banner(pauses.all)

"""Filters of lists, whose choices are few however many rows and rules there are."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.models import Rule
from rules_engine.rules import registry

#: In place of a rule's slug, which has no colon.
BY_HAND = ":by-hand"
#: Rules that are offered; the search finds the others.
MOST_RULES = 20
#: Where there are more, those of so many of the newest rows.
NEWEST = 1_000


class KindFilter(admin.SimpleListFilter):
    """By kind; asking the table which there are would read all of it."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(kind, str(action.label)) for kind, action in registry.kinds(also_ordered=True).items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class RuleFilter(admin.SimpleListFilter):
    """By rule: all where they are few, else those of the newest rows. Any can be named in the address, also one that
    is gone."""

    title = _("rule")
    parameter_name = "rule_slug"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        named = request.GET.get(self.parameter_name, "")
        offered = _rules_of(model_admin.model, named)
        if named and named not in (*offered, BY_HAND):
            offered[named] = named
        return [*offered.items(), (BY_HAND, gettext("without a rule"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(rule_slug="" if self.value() == BY_HAND else self.value())


def _rules_of(model: Any, named: str) -> dict[str, str]:
    """The slugs and names of the rules that are offered, with the one that is named."""
    rules = Rule.objects.seen_here().order_by("name", "slug").values_list("slug", "name")
    names = list(rules[: MOST_RULES + 1])
    if len(names) > MOST_RULES:
        newest = model._default_manager.order_by("-created_at").values_list("rule_slug", flat=True)[:NEWEST]
        names = list(rules.filter(slug__in=[*list(dict.fromkeys(newest))[:MOST_RULES], named]))
    return {slug: name or slug for slug, name in names}

"""The block on the pages of what is on record: of an event all its rules, of an execution and a held match its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from rules_engine.admin.parts.objects import why_unseen
from rules_engine.admin.parts.rendering import page_url
from rules_engine.admin.why.block import Block, why_url
from rules_engine.models import Event, Rule
from rules_engine.rules.permissions import lacking
from rules_engine.test.why import nearest_first, rules_on

#: All that the block tells of is for those who may view these.
NEEDED = ("rules_engine.view_rule", "rules_engine.view_event", "rules_engine.view_execution")
#: Rules told of at one event, those that came nearest to acting.
RULES = 50


class WhyOnRecord:
    """Put it before a ModelAdmin whose rows are events, or have one and a ``rule_slug``."""

    def change_view(
        self: Any, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The page, with the block above the record."""
        row = self.get_object(request, object_id) if request.method == "GET" else None
        why = None if row is None or lacking(request.user, NEEDED) else why_of(request, row)
        return super().change_view(request, object_id, form_url, {"why": why, **(extra_context or {})})  # type: ignore[misc]


def why_of(request: HttpRequest, row: Any) -> dict[str, Any] | None:
    """What the block tells of this row; None for what no rule asked for."""
    event, slugs = (row, None) if isinstance(row, Event) else (row.event, [row.rule_slug])
    if slugs == [""] or not (event.model or event.evaluations):
        return None
    is_seen = not why_unseen(request, event.model, event.key_here, event.context)
    rules = _rules_of(event, slugs)
    told = slugs or nearest_first([event], [rule.slug for rule in rules])[:RULES]
    block = Block(request, [event], [rule for rule in rules if rule.slug in told], only=set(told), is_seen=is_seen)
    return {
        "changes": block.changes(),
        "event_url": page_url("event", event.pk) if slugs else "",
        "object_url": why_url(event.model, event.key_here) if event.model and event.key_here and is_seen else "",
    }


def _rules_of(event: Event, slugs: Sequence[str] | None) -> list[Rule]:
    """The rules that the block may tell of: those that heard it, and those that watch its model."""
    if slugs is not None:
        return list(Rule.objects.filter(slug__in=slugs).prefetch_related("actions"))
    asked = [str(said.get("rule")) for said in event.evaluations]
    watching = rules_on({event.model}).values("pk") if event.model else ()
    every = Rule.objects.filter(Q(slug__in=asked) | Q(pk__in=watching))
    return list(every.order_by("position", "slug").prefetch_related("actions"))

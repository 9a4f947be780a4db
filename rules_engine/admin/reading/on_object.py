"""For a site's own ModelAdmins: on the page of each object, the rules that watch it and what came of them lately."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from rules_engine.admin.parts.objects import why_unseen
from rules_engine.admin.parts.rendering import list_url, page_url
from rules_engine.admin.pauses.notices import Pauses
from rules_engine.admin.why.block import Block, why_url
from rules_engine.admin.why.unheard import unheard_told
from rules_engine.context.paths import find_model
from rules_engine.context.stored_form import key_value
from rules_engine.models import Event, Rule
from rules_engine.models.inheritance import ObjectName, names_of
from rules_engine.rules.permissions import may_view_data
from rules_engine.test.why import events_about, labels_there, nearest_first, rules_on
from rules_engine.work.runs.permitted import has_keys_of, may_run
from rules_engine.work.runs.selecting import told

#: Changes that are told here; all of them have a page.
LATEST = 3
#: Rules that are named, and told of; the rest is a number.
NAMED = 20


class RulesOfObjectMixin:
    """Put it before ``ModelAdmin``. Shown to those who may view rules, events and executions.

    A ModelAdmin with a ``change_form_template`` of its own includes ``admin/rules_engine/rules_of_object.html`` there.
    """

    change_form_template: Any = "admin/rules_engine/on_object.html"

    def change_view(
        self: Any, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The page, with what the template needs."""
        instance = self.get_object(request, object_id) if request.method == "GET" and _may_see(request.user) else None
        shown = (
            rules_of_object(instance, request)
            if instance is not None and may_view_data(request.user, _label(instance))
            else None
        )
        more = {"rules_of_object": shown, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, more)  # type: ignore[misc]


def _may_see(user: Any) -> bool:
    return all(user.has_perm(f"rules_engine.view_{name}") for name in ("rule", "event", "execution"))


def _label(instance: Any) -> str:
    return str((instance._meta.concrete_model or type(instance))._meta.label_lower)


def rules_of_object(instance: Any, request: HttpRequest) -> dict[str, Any]:
    """For the template: rules that watch the object, what is paused of them, and what came of them at its latest
    changes. As many queries for many rules and changes as for few, and one for each model below its own that rules
    watch."""
    user = request.user
    pauses = Pauses(user)
    label, pk = _label(instance), str(key_value(instance))
    names = [name for name in names_of(label, pk) if may_view_data(user, name.label)]
    rules = rules_on(labels_there(names)).prefetch_related(None)
    named = list(rules[: NAMED + 1])
    paused = pauses.of_rules(rules.order_by().values_list("slug", "model"))
    events = list(events_about(names)[:LATEST])
    is_seen = not why_unseen(request, label, pk)
    return {
        "paused": pauses.banner(paused),
        "rules": [
            {"rule": rule, "url": page_url("rule", rule.pk), "run_url": _run_url(request, rule, instance)}
            for rule in named[:NAMED]
        ],
        "more": rules.count() - NAMED if len(named) > NAMED else 0,
        "changes": _changes(names, events, request, is_seen=is_seen) if events else [],
        "unheard": unheard_told(user, instance, events[0]) if events and is_seen else None,
        "why_url": why_url(label, pk),
        "events_url": list_url("event", q=pk),
    }


def _run_url(request: HttpRequest, rule: Rule, instance: Any) -> str:
    """Where the rule is run on the object; empty where that cannot be, or not by who asks."""
    model = find_model(rule.model) if rule.enabled else None
    if model is None or not has_keys_of(type(instance), model) or not may_run(request.user, rule.model):
        return ""
    return f"{reverse('admin:rules_engine_rule_run', args=[rule.pk])}?{urlencode({'pk': _key(instance)})}"


def _key(instance: Any) -> str:
    key = told(instance)
    return json.dumps(key) if isinstance(key, list) else str(key)


def _changes(names: list[ObjectName], events: list[Event], request: HttpRequest, *, is_seen: bool) -> list[Any]:
    """The latest changes, with the rules that came nearest to acting."""
    watching = rules_on({names[0].label, *(event.model for event in events)})
    slugs = nearest_first(events, watching.prefetch_related(None).values_list("slug", flat=True))[:NAMED]
    return Block(
        request, events, watching.filter(slug__in=slugs), only=set(slugs), is_seen=is_seen, most_stopped=0
    ).changes()

"""For a site's own ModelAdmins: on the page of each object, the rules that watch it and what they did lately."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from rules_engine.admin.parts.rendering import list_url, page_url
from rules_engine.admin.pauses.notices import Pauses
from rules_engine.context.stored_form import key_value
from rules_engine.models import Execution
from rules_engine.models.inheritance import names_of, of_names
from rules_engine.rules import registry
from rules_engine.rules.permissions import may_view_data
from rules_engine.test.why import labels_there, rules_on

LATEST = 10
#: Rules that are named; the rest is a number.
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
            rules_of_object(instance, request.user)
            if instance is not None and may_view_data(request.user, _label(instance))
            else None
        )
        more = {"rules_of_object": shown, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, more)  # type: ignore[misc]


def _may_see(user: Any) -> bool:
    return all(user.has_perm(f"rules_engine.view_{name}") for name in ("rule", "event", "execution"))


def _label(instance: Any) -> str:
    return str((instance._meta.concrete_model or type(instance))._meta.label_lower)


def rules_of_object(instance: Any, user: Any) -> dict[str, Any]:
    """For the template: rules that watch the object, what is paused of them, and its latest executions. Seven queries
    at most, and one for each model below its own that rules watch."""
    pauses = Pauses(user)
    label, pk = _label(instance), str(key_value(instance))
    names = [name for name in names_of(label, pk) if may_view_data(user, name.label)]
    about = of_names(names, "event__model", "event__object_pk")
    latest = Execution.objects.filter(about).order_by("-created_at")[:LATEST]
    asked = urlencode({"model": label, "pk": pk})
    rules = rules_on(labels_there(names)).prefetch_related(None)
    named = list(rules[: NAMED + 1])
    titles = {rule.slug: str(rule) for rule in named}
    paused = pauses.of_rules(rules.order_by().values_list("slug", "model"))
    return {
        "paused": pauses.banner(paused),
        "rules": [{"rule": rule, "url": page_url("rule", rule.pk)} for rule in named[:NAMED]],
        "more": rules.count() - NAMED if len(named) > NAMED else 0,
        "executions": [
            {
                "step": execution,
                "url": page_url("execution", execution.pk),
                "rule": titles.get(execution.rule_slug, execution.rule_slug),
                "title": registry.title(execution.kind),
            }
            for execution in latest
        ],
        "why_url": f"{reverse('admin:rules_engine_rule_why')}?{asked}",
        "events_url": list_url("event", q=pk),
    }

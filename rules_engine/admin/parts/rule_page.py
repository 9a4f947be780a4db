"""What the further pages of a rule share: who may open them, and what stands around them."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext

from rules_engine.models import Rule
from rules_engine.rules.permissions import lacking, may_view_data, needed
from rules_engine.types import RuleSpec

TEST = "rules_engine.test_rule"
ENABLE = "rules_engine.enable_rule"


def rule_for(model_admin: Any, request: HttpRequest, object_id: str, permission: str = TEST) -> Rule:
    """The rule, for whoever may view it and has the permission. Raises ``PermissionDenied`` and ``Http404``."""
    rule: Rule | None = model_admin.get_object(request, object_id)
    if not model_admin.has_view_permission(request, rule) or (permission and not request.user.has_perm(permission)):
        raise PermissionDenied
    if rule is None:
        raise Http404(gettext("There is no such rule."))
    return rule


def unseen(user: Any, spec: RuleSpec) -> str:
    """Why somebody may not be shown what the rule reads, as a sentence; empty where they may."""
    if not may_view_data(user, spec.model):
        return gettext("You may not view objects of this model, and so not this data either.")
    views = [name for name in needed(spec) if name.partition(".")[2].startswith("view_")]
    missing = lacking(user, views)
    text = gettext("The rule reads what you may not view: you lack the permission %s.")
    return text % ", ".join(missing) if missing else ""


def page(
    model_admin: Any, request: HttpRequest, rule: Rule, template: str, title: str, *, status: int = 200, **context: Any
) -> HttpResponseBase:
    """A page of the rule, below it in the admin."""
    whole = {
        **model_admin.admin_site.each_context(request),
        "opts": Rule._meta,
        "title": title,
        "subtitle": str(rule),
        "media": model_admin.media,
        "rule": rule,
        **context,
    }
    return TemplateResponse(request, f"admin/rules_engine/rule/{template}", whole, status=status)


def refused(model_admin: Any, request: HttpRequest, rule: Rule, title: str, why: str) -> HttpResponseBase:
    """The page that says why there is none."""
    return page(model_admin, request, rule, "refused.html", title, status=403, why=why)


def switch_on_url(request: HttpRequest, rule: Rule) -> str:
    """Where the button that switches a rule on leads; empty where there is to be none."""
    if rule.enabled or not request.user.has_perm(ENABLE):
        return ""
    return reverse("admin:rules_engine_rule_switch_on", args=[rule.pk])

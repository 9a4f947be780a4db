"""Rules from ready templates: the page with the templates, and the form of each."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext

from rules_engine.admin.parts.rendering import page_url
from rules_engine.models import Rule, RuleAction
from rules_engine.packs import rule_templates
from rules_engine.types import RuleSpec

TEMPLATES = "admin:rules_engine_rule_templates"
FORM = "admin:rules_engine_rule_from_template"


class FromTemplateMixin:
    """Adds the two pages to the admin of rules. Both are for those who may add rules."""

    def get_urls(self: Any) -> list[Any]:
        """The pages, before the admin's own addresses, whose last one takes any."""
        wrap = self.admin_site.admin_view
        own = [
            path("from-template/", wrap(self.templates_view), name="rules_engine_rule_templates"),
            path("from-template/<slug:key>/", wrap(self.from_template_view), name="rules_engine_rule_from_template"),
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def changelist_view(self: Any, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list, with the templates where it is empty."""
        shown: dict[str, Any] = {"templates_url": "", "templates": []}
        if self.has_add_permission(request):
            shown["templates_url"] = reverse(TEMPLATES)
            shown["templates"] = [] if Rule.objects.exists() else _cards()
        return super().changelist_view(request, {**shown, **(extra_context or {})})  # type: ignore[misc]

    def templates_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The templates, as cards."""
        return self._page(request, "templates", gettext("Add a rule from a template"), {"templates": _cards()})  # type: ignore[no-any-return]

    def from_template_view(self: Any, request: HttpRequest, key: str) -> HttpResponseBase:
        """The form of one template; posted, it makes the rule, switched off, and goes to its page."""
        template = rule_templates.find(key)
        if template is None:
            raise Http404(gettext("There is no such template."))
        form = template.form_for(request.user, request.POST if request.method == "POST" else None)
        if request.method == "POST" and self.has_add_permission(request) and form.is_valid():
            with transaction.atomic():
                rule = store(form.spec, request.user)
                self.log_addition(request, rule, gettext("Made from the template “%s”.") % template.title)
            text = gettext("The rule “%s” was made. It is switched off: look it over, then enable it.")
            self.message_user(request, text % rule, messages.SUCCESS)
            there = self.has_view_or_change_permission(request)
            return HttpResponseRedirect(page_url("rule", rule.pk) if there else reverse("admin:index"))
        return self._page(request, "from_template", str(template.title), {"form": form, "template": template})  # type: ignore[no-any-return]

    def _page(self: Any, request: HttpRequest, name: str, title: str, more: dict[str, Any]) -> HttpResponseBase:
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": Rule._meta,
            "title": title,
            "media": self.media,
            "templates_url": reverse(TEMPLATES),
            **more,
        }
        return TemplateResponse(request, f"admin/rules_engine/rule/{name}.html", context)


def _cards() -> list[dict[str, Any]]:
    return [
        {"title": template.title, "description": template.description, "url": reverse(FORM, args=[template.key])}
        for template in rule_templates.offered()
    ]


def store(spec: RuleSpec, author: Any) -> Rule:
    """The rule and its actions as rows, under a slug that is free; the author's, and switched off."""
    rule = Rule.objects.create(
        slug=Rule.objects.free_slug(spec.slug),
        name=spec.name[:200],
        description=spec.description,
        enabled=False,
        model=spec.model,
        signals=list(spec.signals),
        operations=list(spec.operations),
        changes=[dict(change) for change in spec.changes],
        condition=spec.condition,
        author=author,
    )
    for action in spec.actions:
        RuleAction.objects.create(
            rule=rule, position=action.position, kind=action.kind, config=dict(action.config), timing=action.timing
        )
    return rule

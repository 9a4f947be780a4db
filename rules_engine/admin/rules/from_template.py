"""Rules from ready templates: the page with the templates, and the form of each."""

from __future__ import annotations

from dataclasses import fields
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext

from rules_engine.admin.parts.rendering import page_url
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading.sentence import sentence
from rules_engine.models import Rule, RuleAction
from rules_engine.packs import rule_templates
from rules_engine.packs.ready.form import ReadyTemplate, ReadyTemplateForm
from rules_engine.types import ActionSpec, RuleSpec

TEMPLATES = "admin:rules_engine_rule_templates"
FORM = "admin:rules_engine_rule_from_template"
LONGEST_SEARCH = 200
#: Asks for the sentence alone, as data, while the form is being filled in.
SAID = "said"


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
        shown: dict[str, Any] = {"templates_url": "", "groups": []}
        if self.has_add_permission(request):
            shown["templates_url"] = reverse(TEMPLATES)
            shown["groups"] = [] if Rule.objects.seen_here().exists() else _groups()
        return super().changelist_view(request, {**shown, **(extra_context or {})})  # type: ignore[misc]

    def templates_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The templates, as cards under their headings; ``?q=`` searches them."""
        search = request.GET.get("q", "")[:LONGEST_SEARCH].strip()
        shown = {"groups": _groups(search), "search": search}
        return self._page(request, "templates", gettext("Add a rule from a template"), shown)  # type: ignore[no-any-return]

    def from_template_view(self: Any, request: HttpRequest, key: str) -> HttpResponseBase:
        """The form of one template; posted, it makes the rule, switched off, and goes to its page."""
        template = rule_templates.find(key)
        if template is None:
            raise Http404(gettext("There is no such template."))
        posted = request.POST if request.method == "POST" else None
        form = template.form_for(request.user, posted, label=request.GET.get("model", ""))
        if posted is None or not self.has_add_permission(request):
            return self._form_page(request, template, form)  # type: ignore[no-any-return]
        is_valid = form.is_valid()
        if SAID in request.GET:
            return _said(form, request.user)
        return self._made(request, template, form) if is_valid else self._form_page(request, template, form)  # type: ignore[no-any-return]

    def _made(self: Any, request: HttpRequest, template: ReadyTemplate, form: ReadyTemplateForm) -> HttpResponseBase:
        with transaction.atomic():
            rule = store(form.spec, request.user)
            self.log_addition(request, rule, gettext("Made from the template “%s”.") % template.title)
        text = gettext("The rule “%s” was made. It is switched off: look it over, then enable it.")
        self.message_user(request, text % rule, messages.SUCCESS)
        there = self.has_view_or_change_permission(request)
        return HttpResponseRedirect(page_url("rule", rule.pk) if there else reverse("admin:index"))

    def _form_page(
        self: Any, request: HttpRequest, template: ReadyTemplate, form: ReadyTemplateForm
    ) -> HttpResponseBase:
        draft = form.draft()
        shown = {
            "form": form,
            "template": template,
            "is_ready": draft is not None,
            "inputs": [(field, form.insertable.get(field.name)) for field in form if field.name != "model"],
            "sentence": None if draft is None else sentence(draft, reader=Reader(request.user)),
            "sentence_url": f"?{SAID}",
        }
        return self._page(request, "from_template", str(template.title), shown)  # type: ignore[no-any-return]

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


def _said(form: ReadyTemplateForm, user: Any) -> HttpResponseBase:
    draft = form.draft()
    told = sentence(draft or RuleSpec(slug=""), reader=Reader(user))
    return JsonResponse({"parts": [{"text": part.text, "kind": part.kind} for part in told.whole.parts]})


def _groups(search: str = "") -> list[dict[str, Any]]:
    found = rule_templates.offered(search)
    return [
        {"title": title, "templates": [_card(template) for template in templates]}
        for title, templates in groupby(found, key=lambda template: str(template.group))
    ]


def _card(template: ReadyTemplate) -> dict[str, Any]:
    return {
        "title": template.title,
        "description": template.description,
        "words": template.words,
        "url": reverse(FORM, args=[template.key]),
    }


def store(spec: RuleSpec, author: Any) -> Rule:
    """The rule and its actions as rows, under a slug that is free; the author's, and switched off."""
    values = _values(spec, RuleSpec, without=("slug", "name", "enabled", "author_id", "actions"))
    lists = {name: list(values[name]) for name in ("signals", "operations")}
    lists["changes"] = [dict(change) for change in spec.changes]
    own = {
        **values,
        **lists,
        "slug": Rule.objects.free_slug(spec.slug),
        "name": spec.name[:200],
        "enabled": False,
        "author": author,
    }
    rule = Rule.objects.create(**own)
    for action in spec.actions:
        RuleAction.objects.create(rule=rule, **_values(action, ActionSpec) | {"config": dict(action.config)})
    return rule


def _values(spec: Any, kind: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What of a spec is stored: all but the values that it is given while it is looked at."""
    columns = {field.name for field in (Rule if kind is RuleSpec else RuleAction)._meta.concrete_fields}
    return {
        part.name: getattr(spec, part.name)
        for part in fields(kind)
        if part.name in columns and part.name not in without
    }

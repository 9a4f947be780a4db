"""A rule shown as the Python code that would do the same."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext

from rules_engine.models import Rule
from rules_engine.source.module import python_of


class SourceMixin:
    """Adds the page to the admin of rules, for those who may view the rule."""

    def get_urls(self: Any) -> list[Any]:
        """The page, before the admin's own addresses, whose last one takes any."""
        view = self.admin_site.admin_view(self.python_view)
        return [path("<path:object_id>/python/", view, name="rules_engine_rule_python"), *super().get_urls()]  # type: ignore[misc]

    def python_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The rule as a Python module, to be read and copied."""
        rule: Rule | None = self.get_object(request, object_id)
        if not self.has_view_permission(request, rule):
            raise PermissionDenied
        if rule is None:
            raise Http404(gettext("There is no such rule."))
        context = {
            **self.admin_site.each_context(request),
            "opts": Rule._meta,
            "title": gettext("Show as Python"),
            "subtitle": str(rule),
            "media": self.media,
            "rule": rule,
            "source": python_of([rule.spec()]),
        }
        return TemplateResponse(request, "admin/rules_engine/rule/python.html", context)

"""Where rows are selected in a list of the site's objects: a rule may be run on them. Offered where there is one.

An action of the whole site (``AdminSite.add_action``) is shown where ``has_run_rules_permission`` of its page says so.
That method is given to ``ModelAdmin`` here, so that a site needs no code for it; a page may have its own.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context import snapshot
from rules_engine.context.paths import label_of
from rules_engine.models import Rule
from rules_engine.work.runs.permitted import may_run, offered, rules_for
from rules_engine.work.runs.starting import MOST_KEYS


@admin.action(description=_("Run a rule on the selected %(verbose_name_plural)s"), permissions=["run_rules"])
def run_rule_on_selected(model_admin: Any, request: HttpRequest, queryset: Any) -> TemplateResponse | None:
    """Show the rules that can be run on the rows, each with a button that leads to what it would do."""
    key = model_admin.model._meta.pk
    chosen = queryset.values_list("pk", flat=True)[: MOST_KEYS + 1]
    keys = [snapshot.plain(snapshot.column_value(key, pk)) for pk in chosen]
    if len(keys) > MOST_KEYS:
        text = gettext("A run takes %s that are chosen one by one; for all of them, go by the page of the rule.")
        model_admin.message_user(request, text % number_format(MOST_KEYS, force_grouping=True), messages.WARNING)
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": gettext("Run a rule"),
        "opts": Rule._meta,
        "model_opts": model_admin.opts,
        "media": model_admin.media,
        "count": len(keys),
        "keys": json.dumps(keys),
        "rules": offered(request.user, model_admin.model),
    }
    return TemplateResponse(request, "admin/rules_engine/run/choose.html", context)


def has_run_rules_permission(model_admin: Any, request: HttpRequest) -> bool:
    """Say whether somebody may run some rule on objects of the page. No query of ours."""
    model = model_admin.model
    return may_run(request.user, label_of(model)) and next(rules_for(model), None) is not None


def offer(site: admin.AdminSite) -> None:
    """Offer the action in every list of the site."""
    if not hasattr(admin.ModelAdmin, "has_run_rules_permission"):
        admin.ModelAdmin.has_run_rules_permission = has_run_rules_permission  # type: ignore[attr-defined]
    site.add_action(run_rule_on_selected)
